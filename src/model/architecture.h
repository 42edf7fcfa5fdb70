/* architecture.h - what a set of hyper-parameters means: its tensors and MACs. */
#ifndef RST_MODEL_ARCHITECTURE_H
#define RST_MODEL_ARCHITECTURE_H

#include "base/tensor.h"
#include "restormer.h"

enum { RST_MAX_CHANNELS = 64 /* of the picture, in and out */ };
enum { RST_MAX_HIDDEN = (1 << 20) - 1, RST_MAX_PROMPT_LENGTH = 64, RST_MAX_PROMPT_SIZE = 256 };

typedef struct rst_tensor_spec {
  char name[RST_TENSOR_NAME]; /* the state dict's */
  int ndim;
  size_t shape[RST_TENSOR_DIMS]; /* 1 beyond ndim */
  size_t elements;
} rst_tensor_spec;

/* Checks that every field is in its range (channels 1..64 in and out, dim 1..4096, widths below 2^20, heads
 * that divide the width, block counts 0..256 (at least one tensor-bearing block is not required), ...).
 * `where` begins the message. RST_ERROR_WEIGHTS. */
rst_status rst_architecture_check(const rst_architecture *architecture, const char *where, rst_error *err);

/* All tensors in the order of the state dict; free *specs with rst_free. */
rst_status rst_architecture_tensors(const rst_architecture *architecture, rst_tensor_spec **specs,
                                    size_t *count, rst_error *err);

/* Sides are padded to multiples of this: 2^(levels - 1). */
size_t rst_architecture_multiple(const rst_architecture *architecture);

#endif
