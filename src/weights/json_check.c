#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "weights/json.h"

enum { MAX_NUMBER = 63 }; /* cJSON cuts longer ones */

typedef struct scanner {
  const unsigned char *start, *at, *end;
  const char *path;
  rst_error *err;
  int depth;
} scanner;

/* Every scan_* moves `at` past what it scanned, or leaves a message and returns false. */
static bool scan_value(scanner *s);

static bool refuse(scanner *s, const char *what) {
  size_t line = 1, column = 1;
  for (const unsigned char *p = s->start; p < s->at; p++) {
    column++;
    if (*p == '\n') line++, column = 1;
  }
  rst_fail(s->err, RST_ERROR_WEIGHTS, "%s: line %zu, column %zu: %s", s->path, line, column, what);
  return false;
}

static bool next_is(const scanner *s, unsigned char c) {
  return s->at < s->end && *s->at == c;
}

static void skip_space(scanner *s) {
  while (next_is(s, ' ') || next_is(s, '\t') || next_is(s, '\n') || next_is(s, '\r')) s->at++;
}

static bool is_digit(const scanner *s) {
  return s->at < s->end && *s->at >= '0' && *s->at <= '9';
}

static bool scan_digits(scanner *s) {
  if (!is_digit(s)) return refuse(s, "expected a digit");
  while (is_digit(s)) s->at++;
  return true;
}

static bool scan_number(scanner *s) {
  const unsigned char *first = s->at;
  if (next_is(s, '-')) s->at++;
  if (next_is(s, '0')) {
    s->at++;
    if (is_digit(s)) return refuse(s, "a number does not begin with 0");
  } else if (!scan_digits(s)) {
    return false;
  }
  if (next_is(s, '.')) {
    s->at++;
    if (!scan_digits(s)) return false;
  }
  if (next_is(s, 'e') || next_is(s, 'E')) {
    s->at++;
    if (next_is(s, '+') || next_is(s, '-')) s->at++;
    if (!scan_digits(s)) return false;
  }
  if (s->at - first > MAX_NUMBER) return refuse(s, "a number of more than 63 characters");
  return true;
}

/* The four digits of a \u escape, from `at` on. */
static bool scan_hex4(scanner *s, unsigned *code) {
  *code = 0;
  for (int i = 0; i < 4; i++, s->at++) {
    unsigned c = s->at < s->end ? *s->at : 0;
    unsigned digit;
    if (c >= '0' && c <= '9') {
      digit = c - '0';
    } else if ((c | 32) >= 'a' && (c | 32) <= 'f') {
      digit = (c | 32) - 'a' + 10;
    } else {
      return refuse(s, "expected four hexadecimal digits after \\u");
    }
    *code = *code << 4 | digit;
  }
  return true;
}

static bool scan_escape(scanner *s) {
  s->at++; /* the backslash */
  if (s->at < s->end && *s->at != '\0' && strchr("\"\\/bfnrt", *s->at) != NULL) {
    s->at++;
    return true;
  }
  if (!next_is(s, 'u')) return refuse(s, "unknown escape in a string");
  s->at++;
  unsigned code, low;
  if (!scan_hex4(s, &code)) return false;
  if (code == 0) return refuse(s, "\\u0000 in a string");
  if (code < 0xd800 || code > 0xdfff) return true;
  if (code > 0xdbff || s->end - s->at < 2 || s->at[0] != '\\' || s->at[1] != 'u')
    return refuse(s, "half a surrogate pair in a string");
  s->at += 2;
  if (!scan_hex4(s, &low)) return false;
  if (low < 0xdc00 || low > 0xdfff) return refuse(s, "half a surrogate pair in a string");
  return true;
}

static bool scan_string(scanner *s) {
  s->at++; /* the opening quote */
  while (s->at < s->end && *s->at != '"') {
    if (*s->at < 0x20) return refuse(s, "control character in a string");
    if (*s->at == '\\') {
      if (!scan_escape(s)) return false;
    } else {
      const size_t n = rst_utf8_length((const char *)s->at, (size_t)(s->end - s->at));
      if (n == 0) return refuse(s, "invalid UTF-8");
      s->at += n;
    }
  }
  if (s->at == s->end) return refuse(s, "the text ends inside a string");
  s->at++;
  return true;
}

static bool scan_key(scanner *s) {
  if (!next_is(s, '"')) return refuse(s, "expected a key in double quotes");
  if (!scan_string(s)) return false;
  skip_space(s);
  if (!next_is(s, ':')) return refuse(s, "expected ':' after a key");
  s->at++;
  skip_space(s);
  return true;
}

/* An array, or an object where `keys`. */
static bool scan_entries(scanner *s, bool keys, unsigned char close) {
  if (++s->depth > RST_JSON_MAX_DEPTH) return refuse(s, "nested too deeply");
  s->at++;
  skip_space(s);
  if (!next_is(s, close)) {
    for (;;) {
      if (keys && !scan_key(s)) return false;
      if (!scan_value(s)) return false;
      skip_space(s);
      if (!next_is(s, ',')) break;
      s->at++;
      skip_space(s);
    }
    if (!next_is(s, close)) return refuse(s, keys ? "expected ',' or '}'" : "expected ',' or ']'");
  }
  s->at++;
  s->depth--;
  return true;
}

static bool scan_value(scanner *s) {
  if (s->at == s->end) return refuse(s, "the text ends where a value is expected");
  if (*s->at == '{') return scan_entries(s, true, '}');
  if (*s->at == '[') return scan_entries(s, false, ']');
  if (*s->at == '"') return scan_string(s);
  if (*s->at == '-' || is_digit(s)) return scan_number(s);
  static const char *const words[] = {"true", "false", "null"};
  for (size_t i = 0; i < 3; i++) {
    size_t n = strlen(words[i]);
    if ((size_t)(s->end - s->at) >= n && memcmp(s->at, words[i], n) == 0) {
      s->at += n;
      return true;
    }
  }
  return refuse(s, "expected a value");
}

rst_status rst_json_check(const char *text, size_t size, const char *path, rst_error *err) {
  if (size > RST_JSON_MAX_BYTES)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: %zu bytes of JSON, expected at most %zu", path, size,
                    RST_JSON_MAX_BYTES);
  const unsigned char *start = (const unsigned char *)(size > 0 ? text : "");
  scanner s = {start, start, start + size, path, err, 0};
  if (size >= 3 && memcmp(start, "\xef\xbb\xbf", 3) == 0) {
    refuse(&s, "a byte order mark, expected UTF-8 without one");
    return RST_ERROR_WEIGHTS;
  }
  skip_space(&s);
  if (!scan_value(&s)) return RST_ERROR_WEIGHTS;
  skip_space(&s);
  if (s.at < s.end) {
    refuse(&s, "more text after the end of the value");
    return RST_ERROR_WEIGHTS;
  }
  return RST_OK;
}
