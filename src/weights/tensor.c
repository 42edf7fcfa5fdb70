#include <string.h>

#include "base/file.h"
#include "weights/weights.h"

size_t rst_dtype_size(rst_dtype dtype) {
  return dtype == RST_DTYPE_F32 ? 4 : 2;
}

const char *rst_dtype_name(rst_dtype dtype) {
  switch (dtype) {
    case RST_DTYPE_F32:
      return "F32";
    case RST_DTYPE_F16:
      return "F16";
    case RST_DTYPE_BF16:
      return "BF16";
  }
  return "?";
}

static float from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static uint16_t load16(const uint8_t *p) {
  return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t load32(const uint8_t *p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static float half_to_float(uint16_t half) {
  uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, mantissa = half & 1023;
  if (exponent == 31) return from_bits(sign | 0x7f800000 | mantissa << 13); /* Inf, or NaN with its payload */
  if (exponent > 0) return from_bits(sign | (exponent + 127 - 15) << 23 | mantissa << 13);
  float magnitude = (float)mantissa * 0x1p-24f; /* zero and subnormals: exact in float32 */
  return sign != 0 ? -magnitude : magnitude;
}

void rst_tensor_read(const rst_tensor *tensor, size_t first, size_t count, float *out) {
  const uint8_t *p = (const uint8_t *)tensor->data + first * rst_dtype_size(tensor->dtype);
  switch (tensor->dtype) {
    case RST_DTYPE_F32:
      for (size_t i = 0; i < count; i++) out[i] = from_bits(load32(p + 4 * i));
      break;
    case RST_DTYPE_F16:
      for (size_t i = 0; i < count; i++) out[i] = half_to_float(load16(p + 2 * i));
      break;
    case RST_DTYPE_BF16:
      for (size_t i = 0; i < count; i++) out[i] = from_bits((uint32_t)load16(p + 2 * i) << 16);
      break;
  }
}

void rst_tensor_release(const rst_tensor *tensor) {
  if (tensor->mapped) rst_mapping_release(tensor->data, tensor->elements * rst_dtype_size(tensor->dtype));
}
