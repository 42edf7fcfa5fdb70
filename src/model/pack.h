/* pack.h - from the tensors of a state dict to the layouts that the kernels read. */
#ifndef RST_MODEL_PACK_H
#define RST_MODEL_PACK_H

#include "model/model.h"

enum { RST_NO_SOURCE = -1 };

/* A packed matrix: k i comes from the element ks[i] of each row of the tensor, or is zero where that is
 * RST_NO_SOURCE. */
typedef struct rst_packed {
  const ptrdiff_t *ks; /* [k] */
  size_t k;
  void *w;     /* elements, as rst_gemm has them */
  float *bias; /* [panels * 16], or NULL */
} rst_packed;

/* A layer norm's weights ahead of the matrix, folded in: W diag(weight), and W bias into the bias. */
typedef struct rst_fold {
  const float *weight; /* [row length of the tensor] */
  const float *bias;   /* the same, or NULL */
} rst_fold;

/* Packs `count` matrices from the same rows of `tensor`: column c of each from rows[c], zero where that is
 * RST_NO_SOURCE. Biases are those of `tensor_bias` (or 0) and of the fold. `bf16` tells the element type.
 * RST_ERROR_WEIGHTS names a tensor with a value that is not finite. */
rst_status rst_pack_linear(const char *path, const rst_tensor *tensor, const rst_tensor *tensor_bias,
                           const ptrdiff_t *rows, size_t panels, const rst_fold *fold, bool bf16,
                           const rst_packed *to, size_t count, rst_error *err);

/* Fills depthwise weights [columns / 16][9][16] and bias [columns] from rows rows[c] of [n, 1, 3, 3]. */
rst_status rst_pack_depthwise(const char *path, const rst_tensor *tensor, const rst_tensor *tensor_bias,
                              const ptrdiff_t *rows, size_t columns, float *weights, float *bias,
                              rst_error *err);

/* All of a tensor as floats, checked to be finite. */
rst_status rst_pack_vector(const char *path, const rst_tensor *tensor, float *out, rst_error *err);

#endif
