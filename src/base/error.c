#include "base/error.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

static bool continues_character(char c) { /* of UTF-8 */
  return ((unsigned char)c & 0xc0) == 0x80;
}

/* What is long in a message is a path, at its beginning, and the reason is at its end: the middle goes. */
static void cut_middle(const char *text, size_t length, char *message, size_t room) {
  static const char dots[] = "...";
  size_t head = room / 4, tail = room - 1 - head - strlen(dots);
  while (head > 0 && continues_character(text[head])) head--;
  const char *rest = text + length - tail;
  while (continues_character(*rest)) rest++;
  snprintf(message, room, "%.*s%s%s", (int)head, text, dots, rest);
}

static void format_long(char *message, size_t room, size_t length, const char *format, va_list args) {
  char *text = rst_alloc(length + 1, 1);
  if (text == NULL) return; /* with its end missing, then */
  if (vsnprintf(text, length + 1, format, args) == (int)length) cut_middle(text, length, message, room);
  rst_free(text);
}

void rst_error_format(rst_error *err, const char *format, ...) {
  if (err == NULL) return;
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int n = vsnprintf(err->message, sizeof err->message, format, args);
  if (n < 0) err->message[0] = '\0';
  if (n >= (int)sizeof err->message) format_long(err->message, sizeof err->message, (size_t)n, format, again);
  va_end(again);
  va_end(args);
  rst_make_printable(err->message); /* names in it can come from a stranger's file */
}

void rst_error_format_errno(rst_error *err, const char *path, const char *what, int number) {
  char buffer[128];
#ifdef __GLIBC__
  const char *reason = strerror_r(number, buffer, sizeof buffer);
#else
  const char *reason = strerror_r(number, buffer, sizeof buffer) == 0 ? buffer : "unknown error";
#endif
  rst_error_format(err, "%s: %s: %s", path, what, reason);
}
