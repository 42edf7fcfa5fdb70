/* pack.h - weights in the layouts that the kernels read. */
#ifndef RST_MODEL_PACK_H
#define RST_MODEL_PACK_H

#include "kernels/kernels.h"
#include "model/part.h"

static inline size_t rst_padded(size_t channels) {
  return rst_round_up(channels, RST_GROUP);
}

/* ---- Packed layers ------------------------------------------------------------------------- */

/* What makes the channels of an int8 product even: operands are multiplied by one factor per channel and the
 * weights divided by it, so that neither has channels far larger than the rest, whose scale all share. */
typedef struct rst_evening {
  bool open;      /* the network runs for calibration: the largest sizes are still being gathered */
  size_t k;       /* padded */
  float values[]; /* [k] factors of the operands; [k] largest sizes of operands; [k] of weights */
} rst_evening;

/* A 1x1 convolution: k inputs, panels of 16 outputs. */
typedef struct rst_linear {
  const rst_kernels *kernels; /* the table it is packed for, which says how numbers are stored */
  const void *w;              /* as rst_gemm has it; one panel after the other */
  size_t k, panels;
  const float *bias;    /* [panels * 16], or NULL */
  rst_evening *evening; /* of an int8 matrix, else NULL */
} rst_linear;

/* A 3x3 convolution: one rst_linear per kernel row, over the padded channels of three neighbours. */
typedef struct rst_conv3x3 {
  rst_linear row[3]; /* the bias, if any, is in row[0] */
} rst_conv3x3;

typedef struct rst_depthwise {
  const float *weights, *bias; /* as rst_dwconv has them */
  size_t channels;
} rst_depthwise;

static inline size_t rst_linear_outputs(const rst_linear *linear) {
  return linear->panels * RST_GROUP;
}

/* Makes operands, floats where the table quantizes and otherwise left as they are, what rst_linear_run takes.
 */
void rst_linear_prepare(const rst_linear *linear, void *a, size_t a_pitch, size_t pixels);

/* out (+)= a * linear, for pixels whose rows are `a_pitch` and `out_pitch` long. */
void rst_linear_run(const rst_linear *linear, const void *a, size_t a_pitch, size_t pixels, void *out,
                    size_t out_pitch, rst_into into);

/* out = the convolution of `pixels` pixels; rows[i] point at the left neighbour of the first one, `pitch`
 * elements from pixel to pixel: three neighbours are one left operand. `scratch` has rst_conv3x3_scratch
 * floats for each pixel. */
void rst_conv3x3_run(const rst_conv3x3 *conv, const void *const rows[3], size_t pitch, size_t pixels,
                     void *scratch, float *out);

/* Neighbours share pixels, but not their scales: where products are int8, left operands are made apart. */
static inline size_t rst_conv3x3_scratch(const rst_conv3x3 *conv) {
  return conv->row[0].evening == NULL ? 0 : conv->row[0].k;
}

/* ---- Packing ------------------------------------------------------------------------------- */

/* The tensors of a layer; bias is NULL when it has none. */
typedef struct rst_layer_tensors {
  const rst_tensor *weight, *bias;
} rst_layer_tensors;

/* Hands out places in the memory of a part and fills them. While `base` is NULL, nothing is read, and the
 * pointers to weights become NULL. */
struct rst_packer {
  const rst_kernels *kernels; /* of the products in blocks */
  const rst_kernels *plain;   /* of what is around them: not int8 */
  const rst_kernels *exact;   /* float32 */
  bool again;                 /* filled for the second time: what was calibrated is applied */
  rst_layer layers[RST_MAX_LAYERS];
  size_t layer_count;
  rst_layer_tensors tensors[RST_MAX_LAYERS];
  const char *path; /* for messages */
  rst_read_ahead weights, biases;
  uint8_t *base;
  size_t used;       /* bytes */
  rst_status status; /* the first error; nothing is filled after it */
  rst_error *err;
};

/* Which outputs of a layer become columns: `groups` times `count` of them, from `first` on, each group padded
 * to whole groups of 16. */
typedef struct rst_columns {
  size_t first, count, groups;
  bool interleaved; /* the first output of all groups, the second of all groups, ... */
} rst_columns;

/* What becomes an rst_linear. */
typedef struct rst_matrix {
  size_t layer;
  rst_columns columns;
  size_t first_input, inputs;
  const rst_layer
      *norm; /* the packer's of a layer norm ahead, folded in: W diag(weight), W bias in the bias */
  bool without_bias;
  const rst_kernels *kernels; /* NULL: the packer's */
} rst_matrix;

/* NULL where the products in blocks are not int8. */
rst_evening *rst_pack_evening(rst_packer *packer, size_t inputs);
/* While it is open: notes the sizes of weights, rows of 16. Then: divides them by the operands' factors. */
void rst_evening_weights(rst_evening *evening, float (*rows)[RST_GROUP], size_t k);

rst_linear rst_pack_linear(rst_packer *packer, const rst_matrix *matrix);
rst_conv3x3 rst_pack_conv(rst_packer *packer, size_t layer, rst_columns columns, const rst_kernels *kernels);
rst_depthwise rst_pack_depthwise(rst_packer *packer, size_t layer, rst_columns columns);
/* The `count` values of a layer's weight. */
const float *rst_pack_values(rst_packer *packer, size_t layer, size_t count);

#endif
