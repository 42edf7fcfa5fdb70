#include "base/tensor.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/bfloat16.h"
#include "base/error.h"

static const struct {
  const char *name;
  size_t size;
} dtypes[RST_DTYPE_COUNT] = {[RST_DTYPE_F32] = {"F32", 4},         [RST_DTYPE_F16] = {"F16", 2},
                             [RST_DTYPE_BF16] = {"BF16", 2},       [RST_DTYPE_F64] = {"F64", 8},
                             [RST_DTYPE_I64] = {"I64", 8},         [RST_DTYPE_I32] = {"I32", 4},
                             [RST_DTYPE_I16] = {"I16", 2},         [RST_DTYPE_I8] = {"I8", 1},
                             [RST_DTYPE_U64] = {"U64", 8},         [RST_DTYPE_U32] = {"U32", 4},
                             [RST_DTYPE_U16] = {"U16", 2},         [RST_DTYPE_U8] = {"U8", 1},
                             [RST_DTYPE_BOOL] = {"BOOL", 1},       [RST_DTYPE_C64] = {"C64", 8},
                             [RST_DTYPE_C128] = {"C128", 16},      [RST_DTYPE_F8_E4M3] = {"F8_E4M3", 1},
                             [RST_DTYPE_F8_E5M2] = {"F8_E5M2", 1}, [RST_DTYPE_BYTES] = {"untyped", 1}};

size_t rst_dtype_size(rst_dtype dtype) {
  return dtypes[dtype].size;
}

const char *rst_dtype_name(rst_dtype dtype) {
  return dtypes[dtype].name;
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

/* Rounds to nearest; what is beyond float32 becomes an infinity, which C leaves undefined in a conversion. */
static float load_f64(const uint8_t *p) {
  const uint64_t bits = (uint64_t)load32(p + 4) << 32 | load32(p);
  double value;
  memcpy(&value, &bits, sizeof value);
  if (fabs(value) > (double)FLT_MAX) return value > 0 ? INFINITY : -INFINITY;
  return (float)value;
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

void rst_decode(rst_dtype dtype, const void *bytes, size_t count, float *out) {
  const uint8_t *p = bytes;
  switch (dtype) {
    case RST_DTYPE_F32:
      for (size_t i = 0; i < count; i++) out[i] = from_bits(load32(p + 4 * i));
      break;
    case RST_DTYPE_F16:
      for (size_t i = 0; i < count; i++) out[i] = half_to_float(load16(p + 2 * i));
      break;
    case RST_DTYPE_BF16:
      for (size_t i = 0; i < count; i++) out[i] = rst_bf16_to_f32(load16(p + 2 * i));
      break;
    case RST_DTYPE_F64:
      for (size_t i = 0; i < count; i++) out[i] = load_f64(p + 8 * i);
      break;
    default: /* no weights: callers have asked rst_dtype_is_weight */
      memset(out, 0, count * sizeof *out);
  }
}

/* ---- Reading ------------------------------------------------------------------------------- */

/* Makes `first` and as many elements after it as there is room for those that `ahead` holds. */
static rst_status fill(const rst_tensor *t, rst_read_ahead *ahead, size_t first, rst_error *err) {
  const size_t size = rst_dtype_size(t->dtype), room = RST_READ_AHEAD / size, left = t->elements - first;
  ahead->first = first;
  ahead->count = left < room ? left : room;
  rst_status status =
      rst_input_read(t->file, t->offset + (uint64_t)first * size, ahead->bytes, ahead->count * size, err);
  ahead->tensor = status == RST_OK ? t : NULL;
  return status;
}

rst_status rst_tensor_read(const rst_tensor *t, rst_read_ahead *ahead, size_t first, size_t count, float *out,
                           rst_error *err) {
  const size_t size = rst_dtype_size(t->dtype);
  if (t->file == NULL) {
    rst_decode(t->dtype, (const uint8_t *)t->data + first * size, count, out);
    return RST_OK;
  }
  rst_read_ahead own;
  own.tensor = NULL;
  if (ahead == NULL) ahead = &own;
  while (count > 0) {
    if (ahead->tensor != t || first < ahead->first || first - ahead->first >= ahead->count) {
      rst_status status = fill(t, ahead, first, err);
      if (status != RST_OK) return status;
    }
    const size_t skip = first - ahead->first, held = ahead->count - skip, n = count < held ? count : held;
    rst_decode(t->dtype, ahead->bytes + skip * size, n, out);
    first += n;
    count -= n;
    out += n;
  }
  return RST_OK;
}

static bool all_finite(const float *values, size_t count) {
  uint32_t bad = 0;
  for (size_t i = 0; i < count; i++)
    bad |= (bits_of(values[i]) & 0x7f800000) + 0x00800000; /* the top bit where the exponent is all ones */
  return bad >> 31 == 0;
}

rst_status rst_tensor_read_finite(const rst_tensor *t, rst_read_ahead *ahead, const char *where, size_t first,
                                  size_t count, float *out, rst_error *err) {
  rst_status status = rst_tensor_read(t, ahead, first, count, out, err);
  if (status != RST_OK || all_finite(out, count)) return status;
  size_t i = 0;
  while (isfinite(out[i])) i++;
  return rst_fail(err, RST_ERROR_WEIGHTS, "%s: tensor %s: element %zu is %s, expected a finite number", where,
                  t->name, first + i,
                  isnan(out[i]) ? "NaN"
                  : out[i] > 0  ? "Inf"
                                : "-Inf");
}
