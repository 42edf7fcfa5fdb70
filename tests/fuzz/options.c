/* The command line of restormer-cli: a line of words, with a zero byte or a line's end between them. */
#include "programs/restormer-cli/options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  enum { WORDS = 32, BYTES = 1024 };
  static char program[] = PROGRAM;
  char line[BYTES + 1], *words[WORDS + 1] = {program};
  int count = 1;
  if (size > BYTES) return -1;
  static bool silent;
  if (!silent) silent = freopen("/dev/null", "w", stdout) != NULL; /* help, and the version */
  memcpy(line, data, size);
  line[size] = '\0';
  for (size_t at = 0; at < size && count < WORDS; count++) {
    words[count] = line + at;
    at += strcspn(line + at, "\n") + 1;
    if (at <= size) line[at - 1] = '\0';
  }
  words[count] = NULL;
  cli_options options;
  optind = 0; /* glibc's way to begin again */
  FILE *old = stderr;
  stderr = stdout;
  options_action action = options_parse(count, words, &options);
  stderr = old;
  if (action == OPTIONS_RESTORE)
    fuzz_require(options.count >= 2 && options.names[options.count - 1] != NULL, "nothing to restore");
  return 0;
}
