/* tensor.h - a tensor as files hold it: C-contiguous, little-endian, not necessarily aligned. */
#ifndef RST_BASE_TENSOR_H
#define RST_BASE_TENSOR_H

#include <stdbool.h>
#include <stddef.h>

enum { RST_TENSOR_NAME = 64, RST_TENSOR_DIMS = 4 };

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
  const void *data;
  bool mapped; /* data is in a mapped file */
} rst_tensor;

size_t rst_dtype_size(rst_dtype dtype);      /* bytes */
const char *rst_dtype_name(rst_dtype dtype); /* as safetensors has it: "F32", "F16", "BF16", ... */
static inline bool rst_dtype_is_weight(rst_dtype dtype) {
  return dtype <= RST_DTYPE_F64;
}

/* out[i] = element first + i of an rst_dtype_is_weight, as float32: exact but for F64, which is rounded (what
 * is too large becomes an infinity). */
void rst_tensor_read(const rst_tensor *tensor, size_t first, size_t count, float *out);

/* A hint that the tensor will not be read soon: its pages of a mapped file leave the process's memory. */
void rst_tensor_release(const rst_tensor *tensor);

#endif
