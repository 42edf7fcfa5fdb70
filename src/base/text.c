#include "base/text.h"

#include <string.h>

size_t rst_utf8_length(const char *s, size_t size) {
  const unsigned char *u = (const unsigned char *)s;
  if (u[0] < 0x80) return 1;
  const size_t n = u[0] >= 0xf0 ? 4 : u[0] >= 0xe0 ? 3 : 2;
  if (u[0] < 0xc2 || u[0] > 0xf4 || n > size) return 0;
  for (size_t i = 1; i < n; i++)
    if ((u[i] & 0xc0) != 0x80) return 0;
  if ((u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] > 0x9f)) return 0;
  if ((u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] > 0x8f)) return 0;
  return n;
}

bool rst_is_utf8(const char *text) {
  for (size_t left = strlen(text), n; left > 0; text += n, left -= n) {
    n = rst_utf8_length(text, left);
    if (n == 0) return false;
  }
  return true;
}

/* Bytes of the control character at `s`, 0 when it is none. */
static size_t control_length(const char *text) {
  const unsigned char *s = (const unsigned char *)text;
  if (s[0] == 0xc2 && s[1] >= 0x80 && s[1] < 0xa0) return 2;
  return s[0] < 0x20 || s[0] == 0x7f ? 1 : 0;
}

void rst_make_printable(char *text) {
  for (size_t n; *text != '\0'; text += n > 0 ? n : 1) {
    n = control_length(text);
    memset(text, '?', n);
  }
}

void rst_print_json_string(FILE *stream, const char *text) {
  putc('"', stream);
  for (size_t left = strlen(text), n; left > 0; text += n, left -= n) {
    n = rst_utf8_length(text, left);
    if (n == 0) {
      fputs("\\ufffd", stream);
      n = 1;
    } else if (control_length(text) > 0) {
      fprintf(stream, "\\u%04x", (unsigned)(unsigned char)text[n - 1]);
    } else {
      if (*text == '"' || *text == '\\') putc('\\', stream);
      fwrite(text, 1, n, stream);
    }
  }
  putc('"', stream);
}
