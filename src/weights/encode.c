#include "weights/encode.h"

#include <string.h>

#include "base/bfloat16.h"

static const uint32_t INFINITE = 0x7f800000u; /* the bits of +infinity; larger ones are NaNs */

static void store16(uint8_t *out, uint32_t bits) {
  out[0] = (uint8_t)bits;
  out[1] = (uint8_t)(bits >> 8);
}

static bool encode_f32(uint32_t bits, uint8_t *out) {
  if ((bits & 0x7fffffffu) >= INFINITE) return false;
  store16(out, bits);
  store16(out + 2, bits >> 16);
  return true;
}

static bool encode_bf16(uint32_t bits, uint8_t *out) {
  const uint16_t rounded = rst_bits_to_bf16(bits);
  store16(out, rounded);
  return (rounded & 0x7fffu) < INFINITE >> 16;
}

/* The magnitude of a float32 below 2^-14 in steps of 2^-24, the unit of float16's subnormals. */
static uint32_t subnormal_f16(uint32_t magnitude) {
  uint32_t shift = 126u - (magnitude >> 23); /* from the float32's last place to that unit; 14 or more */
  if (shift > 24u) return 0u;                /* below half a unit */
  uint32_t mantissa = (magnitude & 0x7fffffu) | 0x800000u;
  uint32_t units = mantissa >> shift, rest = mantissa & ((1u << shift) - 1u), half = 1u << (shift - 1u);
  return units + (rest > half || (rest == half && (units & 1u)) ? 1u : 0u);
}

static bool encode_f16(uint32_t bits, uint8_t *out) {
  uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
  if (magnitude >= 0x477ff000u) return false; /* 65520, which would round to infinity */
  uint32_t half;
  if (magnitude < 0x38800000u) /* 2^-14 */
    half = subnormal_f16(magnitude);
  else /* move the exponent's bias from 127 to 15; a carry out of the mantissa raises it, as it should */
    half = (magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1u)) >> 13;
  store16(out, sign | half);
  return true;
}

size_t rst_encode(rst_dtype dtype, const float *values, size_t count, uint8_t *out) {
  bool (*encode)(uint32_t, uint8_t *) = dtype == RST_DTYPE_F32   ? encode_f32
                                        : dtype == RST_DTYPE_F16 ? encode_f16
                                                                 : encode_bf16;
  size_t size = rst_dtype_size(dtype);
  for (size_t i = 0; i < count; i++) {
    uint32_t bits;
    memcpy(&bits, &values[i], sizeof bits);
    if (!encode(bits, out + i * size)) return i;
  }
  return count;
}
