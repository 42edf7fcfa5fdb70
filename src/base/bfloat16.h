/* bfloat16.h - the upper half of a float32. */
#ifndef RST_BASE_BFLOAT16_H
#define RST_BASE_BFLOAT16_H

#include <stdint.h>
#include <string.h>

static inline float rst_bf16_to_f32(uint16_t h) {
  uint32_t bits = (uint32_t)h << 16;
  float f;
  memcpy(&f, &bits, sizeof f);
  return f;
}

/* Rounds to nearest, ties to even. A NaN stays a NaN: where its payload is all in the low half, cutting would
 * make an infinity, so the quiet bit is set. */
static inline uint16_t rst_f32_to_bf16(float f) {
  uint32_t bits;
  memcpy(&bits, &f, sizeof bits);
  if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

#endif
