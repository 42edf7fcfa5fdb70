#include "programs/common/options.h"

#include <getopt.h>
#include <stdint.h>
#include <string.h>

#include "programs/common/cli.h"

enum { WITHOUT_LETTER = 256, MAX_SIDE = 1 << 30, HELP_INDENT = 23, HELP_WIDTH = 100 };

/* ---- Values -------------------------------------------------------------------------------------- */

static int choice(const char *choices, const char *text) {
  const size_t length = strlen(text);
  for (int i = 0;; i++) {
    const size_t n = strcspn(choices, "|");
    if (n == length && strncmp(choices, text, n) == 0) return i;
    if (choices[n] == '\0') return -1;
    choices += n + 1;
  }
}

/* "a, b or c" */
static void list_choices(const char *choices, char *list, size_t size) {
  size_t used = 0;
  list[0] = '\0';
  for (const char *at = choices; used < size;) {
    const size_t n = strcspn(at, "|");
    const char *last = strrchr(choices, '|');
    const char *joint = at == choices ? "" : last != NULL && at == last + 1 ? " or " : ", ";
    used += (size_t)snprintf(list + used, size - used, "%s%.*s", joint, (int)n, at);
    if (at[n] == '\0') break;
    at += n + 1;
  }
}

static bool wrong(const cli_program *program, const cli_option *o, const char *text) {
  char expected[256];
  if (o->expected != NULL)
    snprintf(expected, sizeof expected, "%s", o->expected);
  else if (o->choices != NULL)
    list_choices(o->choices, expected, sizeof expected);
  else if (o->kind == CLI_INT)
    snprintf(expected, sizeof expected, "a whole number from %.0f to %.0f", o->min, o->max);
  else if (o->kind == CLI_NUMBER)
    snprintf(expected, sizeof expected, "a number from %g to %g", o->min, o->max);
  else if (o->kind == CLI_PIXELS)
    snprintf(expected, sizeof expected, "a whole number of pixels");
  else
    snprintf(expected, sizeof expected, "a %s, with K, M, G or T for powers of %d",
             o->kind == CLI_BYTES ? "number of bytes" : "whole number", o->kind == CLI_BYTES ? 1024 : 1000);
  cli_fail(program->name, RST_ERROR_USAGE, "--%s '%s': expected %s", o->name, text, expected);
  return false;
}

static bool take(const cli_option *o, const char *text, void *value) {
  long number;
  switch (o->kind) {
    case CLI_FLAG:
    case CLI_STOP:
      *(bool *)value = true;
      return true;
    case CLI_TEXT:
    case CLI_FILE:
    case CLI_WEIGHTS:
      *(const char **)value = text;
      return true;
    case CLI_INT:
      if (!cli_parse_long(text, (long)o->min, (long)o->max, &number)) return false;
      *(int *)value = (int)number;
      return true;
    case CLI_PIXELS:
      if (!cli_parse_long(text, (long)o->min, MAX_SIDE, &number)) return false;
      *(size_t *)value = (size_t)number;
      return true;
    case CLI_COUNT:
      return cli_parse_amount(text, 1000, value);
    case CLI_BYTES:
      return cli_parse_amount(text, 1024, value);
    case CLI_NUMBER:
      return cli_parse_double(text, o->min, o->max, value);
    case CLI_CHOICE: {
      const int found = choice(o->choices, text);
      if (found >= 0) memcpy(value, &found, sizeof found); /* an enum may be unsigned */
      return found >= 0;
    }
    case CLI_OTHER:
      return o->take(text, value);
  }
  return false;
}

/* ---- The command line ---------------------------------------------------------------------------- */

bool cli_parse_options(const cli_program *program, int argc, char **argv, void *values) {
  struct option long_options[CLI_MAX_OPTIONS + 1] = {{0}};
  char letters[2 * CLI_MAX_OPTIONS + 2] = ":", *letter = letters + 1;
  const cli_option *options[CLI_MAX_OPTIONS] = {program->options};
  size_t count = 0;
  for (size_t i = 0; i < program->count && count < CLI_MAX_OPTIONS; i++) {
    const cli_option *o = &program->options[i];
    if (o->name == NULL) continue;
    if (program->command != NULL && o->command != NULL && strcmp(program->command, o->command) != 0) continue;
    const int has_argument = o->argument != NULL ? required_argument : no_argument;
    const int code = o->letter != 0 ? o->letter : WITHOUT_LETTER + (int)count;
    long_options[count] = (struct option){o->name, has_argument, NULL, code};
    options[count++] = o;
    if (o->letter == 0) continue;
    *letter++ = (char)o->letter;
    if (o->argument != NULL) *letter++ = ':';
  }
  opterr = 0; /* messages are in this program's form */
  for (int code; (code = getopt_long(argc, argv, letters, long_options, NULL)) != -1;) {
    if (code == '?' || code == ':') {
      cli_fail_option(program->name, code, long_options, argv);
      return false;
    }
    size_t i = 0;
    while (i + 1 < count && long_options[i].val != code) i++;
    if (!take(options[i], optarg, (char *)values + options[i]->at)) return wrong(program, options[i], optarg);
    if (options[i]->kind == CLI_STOP) break;
  }
  return true;
}

/* ---- Help ---------------------------------------------------------------------------------------- */

/* Words from `indent` to HELP_WIDTH; `column` is where the line is now. */
static void wrap(FILE *stream, const char *text, int column, int indent) {
  bool first = true;
  while (*text != '\0') {
    const int n = (int)strcspn(text, " ");
    if (!first && column + 1 + n > HELP_WIDTH) {
      putc('\n', stream);
      column = 0, first = true;
    }
    const int blanks = first ? (column < indent ? indent - column : 0) : 1;
    fprintf(stream, "%*s%.*s", blanks, "", n, text);
    column += blanks + n;
    first = false;
    text += n;
    text += strspn(text, " ");
  }
  putc('\n', stream);
}

void cli_print_help(const cli_program *program, FILE *stream) {
  fprintf(stream, "usage: ");
  for (const char *line = program->usage; *line != '\0';) {
    const int n = (int)strcspn(line, "\n");
    fprintf(stream, "%s%s %.*s\n", line == program->usage ? "" : "       ", program->name, n, line);
    line += n;
    if (*line == '\n') line++;
  }
  putc('\n', stream);
  wrap(stream, program->about, 0, 0);
  for (size_t i = 0; i < program->count; i++) {
    const cli_option *o = &program->options[i];
    if (o->name == NULL) {
      fprintf(stream, "\n%s:\n", o->help);
      continue;
    }
    char letter[8] = "    ";
    if (o->letter != 0) snprintf(letter, sizeof letter, "-%c, ", o->letter);
    int column = fprintf(stream, "  %s--%s%s%s", letter, o->name, o->argument != NULL ? " " : "",
                         o->argument != NULL ? o->argument : "");
    if (column + 2 > HELP_INDENT) {
      putc('\n', stream);
      column = 0;
    }
    wrap(stream, o->help, column, HELP_INDENT);
  }
  fprintf(stream, "\n%s", program->more);
}
