/* pack.h - from the tensors of a state dict to the layouts that the kernels read. */
#ifndef RST_MODEL_PACK_H
#define RST_MODEL_PACK_H

#include "model/model.h"

enum { RST_NO_SOURCE = -1 };

/* Where the packed matrix takes its columns (outputs) and k's (inputs) from: column c comes from row rows[c]
 * of the tensor, k from the element ks[k] of that row; RST_NO_SOURCE is padding, zero. */
typedef struct rst_matrix_map {
  const ptrdiff_t *rows; /* [panels * 16] */
  const ptrdiff_t *ks;   /* [k] */
} rst_matrix_map;

/* A layer norm's weights ahead of the matrix, folded in: W diag(weight), and W bias into the bias. */
typedef struct rst_fold {
  const float *weight; /* [row length of the tensor] */
  const float *bias;   /* the same, or NULL */
} rst_fold;

/* Fills `panels` panels w from `tensor`, and `bias` (where it is not NULL) from `tensor_bias` (or 0) and the
 * fold. `bf16` tells the element type. RST_ERROR_WEIGHTS names a tensor with a value that is not finite. */
rst_status rst_pack_linear(const char *path, const rst_tensor *tensor, const rst_tensor *tensor_bias,
                           rst_matrix_map map, const rst_fold *fold, bool bf16, size_t k, size_t panels,
                           void *w, float *bias, rst_error *err);

/* Fills depthwise weights [columns / 16][9][16] and bias [columns] from rows rows[c] of [n, 1, 3, 3]. */
rst_status rst_pack_depthwise(const char *path, const rst_tensor *tensor, const rst_tensor *tensor_bias,
                              const ptrdiff_t *rows, size_t columns, float *weights, float *bias,
                              rst_error *err);

/* All of a tensor as floats, checked to be finite. */
rst_status rst_pack_vector(const char *path, const rst_tensor *tensor, float *out, rst_error *err);

#endif
