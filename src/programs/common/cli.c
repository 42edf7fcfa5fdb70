#include "programs/common/cli.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

/* ---- Messages ------------------------------------------------------------------------------ */

int cli_exit_status(rst_status status) {
  switch (status) {
    case RST_OK:
      return 0;
    case RST_ERROR_USAGE:
      return 2;
    case RST_ERROR_WEIGHTS:
      return 3;
    case RST_ERROR_INPUT:
      return 4;
    case RST_ERROR_OUTPUT:
      return 5;
    case RST_ERROR_MEMORY:
      return 6;
    case RST_ERROR_NUMBERS:
      return 7;
    case RST_CANCELLED:
      return 130;
  }
  return 1; /* of a newer library */
}

void cli_print_line(FILE *stream, const char *format, ...) {
  char line[4096];
  va_list args;
  va_start(args, format);
  int n = vsnprintf(line, sizeof line, format, args);
  va_end(args);
  if (n < 0) return;
  rst_make_printable(line);
  fprintf(stream, "%s\n", line);
}

int cli_fail(const char *program, rst_status status, const char *format, ...) {
  rst_error err;
  va_list args;
  va_start(args, format);
  int n = vsnprintf(err.message, sizeof err.message, format, args);
  va_end(args);
  if (n < 0) err.message[0] = '\0';
  return cli_fail_error(program, status, &err);
}

int cli_fail_error(const char *program, rst_status status, const rst_error *err) {
  cli_print_line(stderr, "%s: %s", program, err->message);
  return cli_exit_status(status);
}

rst_status cli_error(rst_error *err, rst_status status, const char *format, ...) {
  va_list args;
  va_start(args, format);
  if (vsnprintf(err->message, sizeof err->message, format, args) < 0) err->message[0] = '\0';
  va_end(args);
  return status;
}

char *cli_format(const char *format, ...) {
  char *text;
  va_list args;
  va_start(args, format);
  const int n = vasprintf(&text, format, args);
  va_end(args);
  return n < 0 ? NULL : text;
}

int cli_fail_option(const char *program, int code, const struct option *options, char *const argv[]) {
  const char *word = argv[optind - 1];
  const struct option *known = options;
  while (known->name != NULL && known->val != optopt) known++;
  if (code == ':') {
    if (strncmp(word, "--", 2) == 0 || optopt == 0)
      return cli_fail(program, RST_ERROR_USAGE, "option '%s' needs a value (see --help)", word);
    return cli_fail(program, RST_ERROR_USAGE, "option '-%c' needs a value (see --help)", optopt);
  }
  if (optopt == 0) return cli_fail(program, RST_ERROR_USAGE, "unknown option '%s' (see --help)", word);
  if (known->name != NULL && known->has_arg == no_argument)
    return cli_fail(program, RST_ERROR_USAGE, "option '--%s' takes no value (see --help)", known->name);
  return cli_fail(program, RST_ERROR_USAGE, "unknown option '-%c' (see --help)", optopt);
}

int cli_finish_stdout(const char *program, int status) {
  if (fflush(stdout) == 0 && !ferror(stdout)) return status;
  return cli_fail(program, RST_ERROR_OUTPUT, "standard output: cannot be written: %s", strerror(errno));
}

/* ---- Numbers ------------------------------------------------------------------------------- */

/* The functions of strtol's family skip white space and accept a sign that the limits then judge. */
static bool starts_a_number(const char *text) {
  return (*text >= '0' && *text <= '9') || *text == '-' || *text == '+' || *text == '.';
}

bool cli_parse_long(const char *text, long min, long max, long *value) {
  char *end;
  if (!starts_a_number(text)) return false;
  errno = 0;
  long parsed = strtol(text, &end, 10);
  if (errno != 0 || end == text || *end != '\0' || parsed < min || parsed > max) return false;
  *value = parsed;
  return true;
}

bool cli_parse_double(const char *text, double min, double max, double *value) {
  char *end;
  if (!starts_a_number(text)) return false;
  double parsed = strtod(text, &end);
  if (end == text || *end != '\0' || !isfinite(parsed) || parsed < min || parsed > max) return false;
  *value = parsed;
  return true;
}

bool cli_parse_amount(const char *text, unsigned thousand, uint64_t *amount) {
  static const char units[] = "KMGT";
  if (text[0] < '0' || text[0] > '9') return false;
  char *end;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 10);
  if (errno != 0 || value == 0) return false;
  if (*end != '\0') {
    const char *unit = strchr(units, toupper((unsigned char)*end));
    if (unit == NULL || end[1] != '\0') return false;
    for (; unit >= units; unit--)
      if (__builtin_mul_overflow(value, thousand, &value)) return false;
  }
  *amount = value;
  return true;
}

bool cli_parse_size(const char *text, size_t max, size_t *width, size_t *height) {
  char *end;
  if (*text < '0' || *text > '9') return false;
  errno = 0;
  unsigned long long w = strtoull(text, &end, 10);
  if (errno != 0 || *end != 'x' || end[1] < '0' || end[1] > '9') return false;
  unsigned long long h = strtoull(end + 1, &end, 10);
  if (errno != 0 || *end != '\0' || w < 1 || h < 1 || w > max || h > max) return false;
  *width = (size_t)w;
  *height = (size_t)h;
  return true;
}

uint64_t cli_memory_in_all(uint64_t plan_bytes, uint64_t picture_bytes) {
  enum { PROGRAM_BYTES = 4 << 20 }; /* code and data of the libraries, measured */
  const uint64_t rest = picture_bytes + PROGRAM_BYTES;
  return plan_bytes > UINT64_MAX - rest ? UINT64_MAX : plan_bytes + rest;
}

/* ---- JSON ---------------------------------------------------------------------------------- */

void cli_print_json_number(FILE *stream, double number) {
  if (!isfinite(number)) {
    fputs("null", stream);
    return;
  }
  char text[32];
  for (int digits = 1; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, number);
    if (strtod(text, NULL) == number) break;
  }
  fputs(text, stream);
}

/* ---- Standard files ------------------------------------------------------------------------ */

void cli_open_standard_files(void) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    /* The lowest free number is the one that is closed. */
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd) break;
}

/* ---- Interruption -------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted; /* all that a handler may touch */

static void on_signal(int number) {
  (void)number;
  interrupted = 1;
}

/* No SA_RESTART: what waits for a pipe's other end fails then, instead of waiting for ever. */
void cli_catch_signals(void) {
  static const int ends[] = {SIGINT, SIGTERM, SIGHUP}, errors[] = {SIGPIPE, SIGXFSZ};
  struct sigaction catch = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
  struct sigaction ignore = {.sa_handler = SIG_IGN}, old;
  sigemptyset(&catch.sa_mask);
  sigemptyset(&ignore.sa_mask);
  for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
    /* What nohup or a shell's background job ignores stays ignored. */
    if (sigaction(ends[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN) sigaction(ends[i], &catch, NULL);
  }
  for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) sigaction(errors[i], &ignore, NULL);
}

bool cli_interrupted(void) {
  return interrupted != 0;
}
