/* part.h - the one description of the network: its parts, in the order in which they run and in which the
 * state dict has their tensors, and what each kind of part is. A kind is one file: its tensors, how they are
 * packed, how it runs, and what a checkpoint tells of it. */
#ifndef RST_MODEL_PART_H
#define RST_MODEL_PART_H

#include "base/tensor.h"
#include "restormer.h"

typedef struct rst_part rst_part;
typedef struct rst_packer rst_packer;                       /* pack.h */
typedef struct rst_run rst_run;                             /* run.h */
typedef struct rst_checkpoint_shapes rst_checkpoint_shapes; /* below */

/* ---- Kinds --------------------------------------------------------------------------------- */

/* Tensors of a layer, whose names begin with those of the part and the layer. */
typedef enum rst_form {
  RST_CONV,      /* ".weight" [out, in, side, side], ".bias" [out] */
  RST_LINEAR,    /* ".weight" [out, in], ".bias" [out]; once for a picture */
  RST_NORM,      /* ".body.weight" [out], ".body.bias" [out] */
  RST_SCALE,     /* "" [out, 1, 1] */
  RST_COMPONENTS /* "" [1, out, in, side, side] */
} rst_form;

typedef struct rst_layer {
  const char *name;     /* ".attn.qkv" */
  size_t out, in, side; /* `in` of a group */
  rst_form form;
  bool bias;
} rst_layer;

enum { RST_MAX_LAYERS = 5 };

typedef struct rst_kind {
  const char *title; /* of a block's: "MDTA" */
  /* The layers, in the order of the state dict; returns how many. */
  size_t (*layers)(const rst_part *part, rst_layer layers[RST_MAX_LAYERS]);
  /* Sets the hyper-parameters that the shapes of its tensors tell and that are not yet known (0 or false);
   * NULL: nothing that others do not tell. */
  void (*derive)(const rst_part *part, const rst_checkpoint_shapes *shapes, rst_architecture *architecture);
  size_t packed_size; /* of what part->packed points to */
  void (*pack)(rst_packer *packer, const rst_part *part);
  rst_status (*run)(rst_run *run, const rst_part *part,
                    rst_error *err); /* NULL: the part before it does it */
  int sweeps;                        /* that it makes over its level */
} rst_kind;

/* x += MDTA(norm1(x)) and x += GDFN(norm2(x)) make a transformer block. */
extern const rst_kind rst_patch_embed, rst_mdta, rst_gdfn, rst_down, rst_up, rst_reduce_chan, rst_skip_conv,
    rst_output, rst_prompt_gen, rst_reduce_noise;

/* ---- Parts --------------------------------------------------------------------------------- */

/* Where a block is; the one behind a prompt is no stage's, and has no number in its tensors' names. */
typedef enum rst_side { RST_BETWEEN, RST_PROMPTED, RST_ENCODER, RST_DECODER, RST_REFINEMENT } rst_side;

struct rst_part {
  const rst_kind *kind;
  char stage[24];  /* "encoder_level1" (of blocks), "down1_2", ... */
  rst_side side;   /* of blocks; the latent ones are the encoder's last */
  int block;       /* index in its stage */
  int level;       /* of the resolution that it runs at */
  int width_level; /* of blocks: the level whose width they have */
  size_t in, out;  /* channels */
  size_t heads, hidden;
  rst_prompt prompt; /* of a prompt */
  bool bias, norm_bias;
  void *packed; /* what kind->pack fills; NULL in the bare description */
  size_t place; /* of its weights in the model's arena */
};

/* Calls `visit` with every part of the network. */
typedef void rst_part_visit(void *user, const rst_part *part);
void rst_parts_visit(const rst_architecture *architecture, rst_part_visit *visit, void *user);

static inline bool rst_part_is_of_stage(const rst_part *part) {
  return part->side >= RST_ENCODER;
}

/* Where the architecture has the heads and the hidden width of a block. */
int *rst_part_heads(const rst_part *part, rst_architecture *architecture);
int *rst_part_hidden(const rst_part *part, rst_architecture *architecture);

/* The name of a layer's weight, or of its bias. */
void rst_layer_tensor_name(const rst_part *part, const rst_layer *layer, bool bias,
                           char name[RST_TENSOR_NAME]);

/* Multiply-accumulates of a part for a pixel of its level, the convolutions alone: these multiply every
 * weight once, whatever their groups. The papers' 140.99 GMAC for 256 x 256 are without q k^T and A v (2 C^2
 * / heads per pixel and block), which would make it 154.88. */
uint64_t rst_part_macs(const rst_part *part);

/* ---- A checkpoint's shapes, for kind->derive ----------------------------------------------- */

struct rst_checkpoint_shapes {
  /* The sizes of the tensor of that name, or NULL. */
  const size_t *(*find)(const void *dict, const char *name, size_t *ndim);
  const void *dict;
};

/* Dimension `dim` of the weight of layer `layer`, at most INT_MAX; 0 when there is no such tensor or
 * dimension. */
int rst_found_size(const rst_checkpoint_shapes *shapes, const rst_part *part, size_t layer, size_t dim);
bool rst_found_bias(const rst_checkpoint_shapes *shapes, const rst_part *part, size_t layer);
/* Any tensor of the part. */
bool rst_found_any(const rst_checkpoint_shapes *shapes, const rst_part *part);

#endif
