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

/* The bits of a float32, or of a vector of them, rounded to nearest, ties to even. A NaN stays a NaN: where
 * its payload is all in the low half, cutting would make an infinity, so the quiet bit is set. `nan` is all
 * ones for NaNs and 0 for numbers. */
#define RST_BF16_ROUND(bits, nan) \
  ((((nan) & ((bits) | 0x400000)) | (~(nan) & ((bits) + 0x7fff + ((bits) >> 16 & 1)))) >> 16)

static inline uint16_t rst_bits_to_bf16(uint32_t bits) {
  const uint32_t nan = (bits & 0x7fffffff) > 0x7f800000 ? UINT32_MAX : 0;
  return (uint16_t)RST_BF16_ROUND(bits, nan);
}

#endif
