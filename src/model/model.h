/* model.h - a network packed for one table of kernels. */
#ifndef RST_MODEL_MODEL_H
#define RST_MODEL_MODEL_H

#include "model/architecture.h"
#include "model/pack.h"

struct rst_model {
  rst_architecture architecture;
  const rst_kernels *kernels;
  const rst_kernels *plain; /* the same, or with int8 products bf16's or float32's, which is faster: of the
                               convolutions around the blocks, and of Gram matrices */
  const rst_kernels *exact; /* float32 table of the same instruction set */
  bool calibrated;          /* int8: the parts' evenings have seen what they are made from */
  uint64_t calibration;     /* bytes that it takes, before any run; 0 where there is none */
  rst_part *parts;          /* in the order that they run */
  size_t part_count;
  uint8_t *packed; /* what the parts' `packed` point into */
  void *arena;     /* all packed weights */
  size_t arena_bytes;
  rst_budget *budget; /* that they count in, or NULL */
};

/* Where the tensors of an architecture are found. */
typedef struct rst_tensor_source {
  const rst_tensor *(*find)(const rst_weights *weights, const char *name);
  const rst_weights *weights;
  const char *path; /* for messages */
} rst_tensor_source;

/* A model of the architecture without its weights: places and sizes are set, pointers to weights are NULL.
 * `options` are complete. Ends, also on failure, with rst_model_free. RST_ERROR_USAGE or RST_ERROR_MEMORY. */
rst_status rst_model_outline(const rst_architecture *architecture, const rst_model_options *options,
                             rst_model **model, rst_error *err);

/* Packs the weights of an outline, made with the same options. RST_ERROR_WEIGHTS or RST_ERROR_MEMORY. */
rst_status rst_model_fill(rst_model *model, const rst_tensor_source *source, const rst_model_options *options,
                          rst_error *err);

#endif
