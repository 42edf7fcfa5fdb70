#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void fuzz_require(bool holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "fuzz: %s\n", what);
  abort();
}

void fuzz_check(rst_status status, rst_status expected, const rst_error *err) {
  if (status == RST_OK) return;
  fuzz_require(status == expected || status == RST_ERROR_MEMORY, "another status than it should have");
  fuzz_require(strlen(err->message) >= 10, "refused without a reason");
  for (const char *c = err->message; *c != '\0'; c++)
    fuzz_require((unsigned char)*c >= 0x20 && *c != 0x7f, "control characters in a message");
}

const char *fuzz_file(int which, const uint8_t *data, size_t size) {
  static int files[2] = {-1, -1};
  static char paths[2][32];
  if (files[which] < 0) {
    files[which] = memfd_create("fuzz", 0);
    snprintf(paths[which], sizeof paths[which], "/proc/self/fd/%d", files[which]);
  }
  fuzz_require(ftruncate(files[which], 0) == 0 && pwrite(files[which], data, size, 0) == (ssize_t)size,
               "no file in memory");
  return paths[which];
}
