/* memory.h - allocation in one place, and size arithmetic that cannot wrap. */
#ifndef RST_BASE_MEMORY_H
#define RST_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "restormer.h"

/* *out = a * b (a + b); false, with *out unchanged, when that does not fit. */
static inline bool rst_mul(size_t a, size_t b, size_t *out) {
  size_t r;
  if (__builtin_mul_overflow(a, b, &r)) return false;
  *out = r;
  return true;
}
static inline bool rst_add(size_t a, size_t b, size_t *out) {
  size_t r;
  if (__builtin_add_overflow(a, b, &r)) return false;
  *out = r;
  return true;
}

static inline size_t rst_min(size_t a, size_t b) {
  return a < b ? a : b;
}

static inline size_t rst_max(size_t a, size_t b) {
  return a > b ? a : b;
}

/* count * size bytes, uninitialised / zeroed, aligned to 64 bytes. NULL when the product does not fit or
 * there is no memory. A product of 0 gives a valid pointer. Free with rst_free (restormer.h). */
void *rst_alloc(size_t count, size_t size);
void *rst_alloc_zeroed(size_t count, size_t size);

/* Hands out pieces of one block of memory, one after the other, aligned to 64 bytes. While `base` is NULL,
 * pieces are NULL and only counted; `used` is SIZE_MAX when they do not fit. */
typedef struct rst_place {
  uint8_t *base; /* aligned */
  size_t used;   /* bytes */
} rst_place;
void *rst_place_take(rst_place *place, size_t bytes);

/* A copy of the string, NULL when there is no memory. */
char *rst_string_copy(const char *s);

#endif
