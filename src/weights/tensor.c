#include <string.h>

#include "base/bfloat16.h"
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

/* Files are little-endian. Byte by byte, compilers would not make vectors of the loops below. */
static uint16_t load16(const uint8_t *p) {
  uint16_t value;
  memcpy(&value, p, sizeof value);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  value = __builtin_bswap16(value);
#endif
  return value;
}

static uint32_t load32(const uint8_t *p) {
  uint32_t value;
  memcpy(&value, p, sizeof value);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  value = __builtin_bswap32(value);
#endif
  return value;
}

static uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

/* All cases are worked out and one of them is masked in, without a branch: compilers make vectors of that. */
static float half_to_float(uint16_t half) {
  const uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half & 0x7c00, mantissa = half & 0x3ff;
  const uint32_t tiny = bits_of((float)(int32_t)mantissa * 0x1p-24f); /* zero and subnormals: exact */
  const uint32_t special = 0 - (uint32_t)(exponent == 0x7c00);        /* Inf, or NaN with its payload */
  const uint32_t normal = (((exponent | mantissa) << 13) + (112u << 23)) | (special & 0x7f800000);
  const uint32_t is_tiny = 0 - (uint32_t)(exponent == 0);
  return from_bits(sign | (is_tiny & tiny) | (~is_tiny & normal));
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
      for (size_t i = 0; i < count; i++) out[i] = rst_bf16_to_f32(load16(p + 2 * i));
      break;
  }
}

void rst_tensor_release(const rst_tensor *tensor) {
  if (tensor->mapped) rst_mapping_release(tensor->data, tensor->elements * rst_dtype_size(tensor->dtype));
}
