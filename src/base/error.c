#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

void rst_error_format(rst_error *err, const char *format, ...) {
  if (err == NULL) return;
  va_list args;
  va_start(args, format);
  int n = vsnprintf(err->message, sizeof err->message, format, args);
  va_end(args);
  if (n < 0) err->message[0] = '\0';
  /* Names in the message can come from a stranger's file: no terminal escapes (U+0080 to U+009F are some,
   * too), no second line. */
  for (char *c = err->message; *c != '\0'; c++) {
    if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
    if ((unsigned char)c[0] == 0xc2 && (unsigned char)c[1] >= 0x80 && (unsigned char)c[1] < 0xa0)
      c[0] = c[1] = '?';
  }
}
