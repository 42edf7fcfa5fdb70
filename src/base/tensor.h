/* tensor.h - a tensor as files hold it: C-contiguous, little-endian, not necessarily aligned. */
#ifndef RST_BASE_TENSOR_H
#define RST_BASE_TENSOR_H

#include "base/input.h"

enum { RST_TENSOR_NAME = 64, RST_TENSOR_DIMS = 5 };

/* The first three are those that a manifest's files may have, the first four those that weights are converted
 * from; the rest stands beside the weights in checkpoints. */
typedef enum rst_dtype {
  RST_DTYPE_F32,
  RST_DTYPE_F16,
  RST_DTYPE_BF16,
  RST_DTYPE_F64,
  RST_DTYPE_I64,
  RST_DTYPE_I32,
  RST_DTYPE_I16,
  RST_DTYPE_I8,
  RST_DTYPE_U64,
  RST_DTYPE_U32,
  RST_DTYPE_U16,
  RST_DTYPE_U8,
  RST_DTYPE_BOOL,
  RST_DTYPE_C64,
  RST_DTYPE_C128,
  RST_DTYPE_F8_E4M3,
  RST_DTYPE_F8_E5M2,
  RST_DTYPE_BYTES, /* of a type that is not known, or that others know */
  RST_DTYPE_COUNT
} rst_dtype;

typedef struct rst_tensor {
  const char *name;
  rst_dtype dtype;
  int ndim;
  size_t shape[RST_TENSOR_DIMS]; /* 1 beyond ndim */
  size_t elements;
  const void *data; /* in memory, or NULL when it is in a file: */
  const rst_input *file;
  uint64_t offset; /* of the data in it */
} rst_tensor;

size_t rst_dtype_size(rst_dtype dtype);      /* bytes */
const char *rst_dtype_name(rst_dtype dtype); /* as safetensors has it: "F32", "F16", "BF16", ... */
static inline bool rst_dtype_is_weight(rst_dtype dtype) {
  return dtype <= RST_DTYPE_F64;
}

/* out[i] = the i-th of `count` elements at `bytes` of an rst_dtype_is_weight, as float32: exact but for F64,
 * which is rounded (what is too large becomes an infinity). */
void rst_decode(rst_dtype dtype, const void *bytes, size_t count, float *out);

/* Read ahead for those who read a tensor in small pieces, one behind the other. A zeroed one is empty. */
enum { RST_READ_AHEAD = 1 << 14 };
typedef struct rst_read_ahead {
  const rst_tensor *tensor; /* what the bytes are of */
  size_t first, count;      /* elements */
  uint8_t bytes[RST_READ_AHEAD];
} rst_read_ahead;

/* out[i] = element first + i, decoded. `ahead` may be NULL. RST_ERROR_WEIGHTS when the file cannot be read,
 * or is no longer as long as it was. */
rst_status rst_tensor_read(const rst_tensor *tensor, rst_read_ahead *ahead, size_t first, size_t count,
                           float *out, rst_error *err);
/* The same; a value that is NaN or infinite is RST_ERROR_WEIGHTS. `where` begins that message. */
rst_status rst_tensor_read_finite(const rst_tensor *tensor, rst_read_ahead *ahead, const char *where,
                                  size_t first, size_t count, float *out, rst_error *err);

#endif
