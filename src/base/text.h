/* text.h - texts from strangers: UTF-8, control characters, JSON strings. */
#ifndef RST_BASE_TEXT_H
#define RST_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Bytes of the UTF-8 character at `s`, of which `size` bytes (1 or more) can be read; 0 when there is none:
 * no overlong form, no surrogate, nothing beyond U+10FFFF, not cut short (RFC 3629). */
size_t rst_utf8_length(const char *s, size_t size);
/* True when all of the text is UTF-8, as JSON has to be. */
bool rst_is_utf8(const char *text);

/* Replaces what could drive a terminal, or begin a second line, by '?': control characters, U+0080 to U+009F
 * among them. */
void rst_make_printable(char *text);

/* The text as a JSON string with its quotes, control characters escaped; bytes that are no UTF-8 become
 * U+FFFD. */
void rst_print_json_string(FILE *stream, const char *text);

#endif
