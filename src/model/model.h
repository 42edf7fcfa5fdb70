/* model.h - a network packed for one table of kernels. */
#ifndef RST_MODEL_MODEL_H
#define RST_MODEL_MODEL_H

#include "kernels/kernels.h"
#include "weights/weights.h"

/* A 1x1 convolution, packed for rst_gemm: k inputs, panels of 16 outputs. */
typedef struct rst_linear {
  const void *w; /* elements; one panel after the other */
  size_t k, panels;
  const float *bias; /* [panels * 16], or NULL */
} rst_linear;

/* A 3x3 convolution: one rst_linear per kernel row, over the padded channels of three neighbours. */
typedef struct rst_conv3x3 {
  rst_linear row[3]; /* the bias, if any, is in row[0] */
} rst_conv3x3;

typedef struct rst_depthwise {
  const float *weights, *bias; /* as rst_dwconv has them */
  size_t channels;
} rst_depthwise;

/* A transformer block. Layer norms' weights and biases are folded into the products that follow them.
 * Channels are padded to groups: q | k side by side, x1 | x2 (the gate's two halves) side by side. */
typedef struct rst_block {
  char prefix[RST_TENSOR_NAME]; /* of its tensors' names: "encoder_level1.0." */
  size_t channels, hidden, heads;
  bool attention;
  rst_linear qk, v;
  rst_depthwise qk_dwconv, v_dwconv;
  const float *temperature; /* [heads] */
  rst_linear attention_out; /* always float32: the attention matrix is multiplied into it */
  rst_linear ffn_in, ffn_out;
  rst_depthwise ffn_dwconv;
} rst_block;

/* A run of blocks at one place of the network. */
typedef struct rst_stage {
  rst_block *blocks;
  size_t count;
} rst_stage;

struct rst_model {
  rst_architecture architecture;
  const rst_kernels *kernels;
  const rst_kernels *exact; /* float32 table of the same instruction set */
  rst_conv3x3 patch_embed, output;
  rst_conv3x3 down[RST_MAX_LEVELS], up[RST_MAX_LEVELS]; /* from level l to l + 1; from l + 1 to l */
  /* reduce_chan's halves; the bias is in the first. */
  rst_linear reduce_up[RST_MAX_LEVELS], reduce_skip[RST_MAX_LEVELS];
  rst_linear skip_conv;
  rst_stage encoder[RST_MAX_LEVELS]; /* the last level's is `latent` */
  rst_stage decoder[RST_MAX_LEVELS];
  rst_stage refinement;
  rst_block *blocks; /* of all stages */
  size_t block_count;
  void *arena; /* all packed weights */
  size_t arena_bytes;
  rst_budget *budget; /* that they count in, or NULL */
};

/* A model of the architecture without its weights: places and sizes are set, pointers to weights are NULL.
 * `options` are complete. Ends, also on failure, with rst_model_free. RST_ERROR_USAGE or RST_ERROR_MEMORY. */
rst_status rst_model_outline(const rst_architecture *architecture, const rst_model_options *options,
                             rst_model **model, rst_error *err);

static inline size_t rst_padded(size_t channels) {
  return rst_round_up(channels, RST_GROUP);
}

/* Width of the decoder's first level and the refinement. */
static inline size_t rst_top_channels(const rst_architecture *a) {
  return (size_t)a->dim * (a->levels > 1 ? 2 : 1);
}

#endif
