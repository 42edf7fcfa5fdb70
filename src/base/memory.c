#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 }; /* a cache line, and the widest vector */

void *rst_alloc(size_t count, size_t size) {
  size_t bytes;
  if (!rst_mul(count, size, &bytes) || bytes > PTRDIFF_MAX - ALIGNMENT) return NULL;
  /* aligned_alloc wants a multiple of the alignment; 0 bytes become one unit. */
  return aligned_alloc(ALIGNMENT, bytes / ALIGNMENT * ALIGNMENT + ALIGNMENT);
}

void *rst_alloc_zeroed(size_t count, size_t size) {
  void *p = rst_alloc(count, size);
  if (p != NULL) memset(p, 0, count * size);
  return p;
}

void rst_free(void *memory) {
  free(memory);
}

void *rst_place_take(rst_place *place, size_t bytes) {
  const size_t rest = (ALIGNMENT - bytes % ALIGNMENT) % ALIGNMENT;
  uint8_t *at = place->base == NULL ? NULL : place->base + place->used;
  if (!rst_add(place->used, bytes, &place->used) || !rst_add(place->used, rest, &place->used))
    place->used = SIZE_MAX;
  return at;
}

char *rst_string_copy(const char *s) {
  size_t n = strlen(s) + 1;
  char *copy = rst_alloc(n, 1);
  if (copy != NULL) memcpy(copy, s, n);
  return copy;
}
