#include "model/part.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

/* ---- Parts --------------------------------------------------------------------------------- */

typedef struct walk {
  const rst_architecture *a;
  rst_part_visit *visit;
  void *user;
} walk;

static rst_part part_of(const rst_architecture *a, int level, size_t in, size_t out, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

static rst_part part_of(const rst_architecture *a, int level, size_t in, size_t out, const char *format,
                        ...) {
  rst_part part = {.level = level, .in = in, .out = out, .bias = a->bias, .norm_bias = a->norm_bias};
  va_list args;
  va_start(args, format);
  vsnprintf(part.stage, sizeof part.stage, format, args);
  va_end(args);
  return part;
}

static void tell(const walk *w, const rst_kind *kind, rst_part part) {
  part.kind = kind;
  w->visit(w->user, &part);
}

/* The blocks of a stage, as wide as `width_level` is. */
static void tell_stage(const walk *w, rst_side side, int blocks, int width_level, rst_part part) {
  part.side = side;
  part.width_level = width_level;
  part.in = part.out = (size_t)w->a->dim << width_level;
  part.heads = (size_t)w->a->heads[part.level];
  part.hidden = (size_t)w->a->ffn_hidden[width_level];
  for (part.block = 0; part.block < blocks; part.block++) {
    if (w->a->attention[part.level]) tell(w, &rst_mdta, part);
    tell(w, &rst_gdfn, part);
  }
}

/* A level's prompt, the block that joins it with the map of `width` channels, and the way back from their
 * sum. Returns how many channels the map has then; without a prompt it stays as it is. */
static size_t tell_prompt(const walk *w, int level, size_t width) {
  const rst_prompt *prompt = &w->a->prompts[level];
  const size_t joined = width + (size_t)prompt->dim, out = (size_t)prompt->out_channels;
  if (prompt->length == 0) return width;
  rst_part part = part_of(w->a, level, width, joined, "prompt%d", level);
  part.prompt = *prompt;
  tell(w, &rst_prompt_gen, part);
  part = part_of(w->a, level, joined, joined, "noise_level%d", level);
  part.side = RST_PROMPTED;
  part.heads = (size_t)prompt->heads;
  part.hidden = (size_t)prompt->ffn_hidden;
  tell(w, &rst_mdta, part);
  tell(w, &rst_gdfn, part);
  tell(w, &rst_reduce_noise, part_of(w->a, level, joined, out, "reduce_noise_level%d", level));
  return out;
}

void rst_parts_visit(const rst_architecture *a, rst_part_visit *visit, void *user) {
  const walk w = {a, visit, user};
  const size_t dim = (size_t)a->dim;
  const int last = a->levels - 1, top = last > 0 ? 1 : 0; /* decoder_level1 joins two maps of width dim */
  tell(&w, &rst_patch_embed, part_of(a, 0, (size_t)a->in_channels, dim, "patch_embed"));
  for (int l = 0; l < last; l++) {
    const size_t c = dim << l;
    tell_stage(&w, RST_ENCODER, a->num_blocks[l], l, part_of(a, l, c, c, "encoder_level%d", l + 1));
    tell(&w, &rst_down, part_of(a, l, c, c / 2, "down%d_%d", l + 1, l + 2));
  }
  tell_stage(&w, RST_ENCODER, a->num_blocks[last], last, part_of(a, last, 0, 0, "latent"));
  for (int l = last - 1; l >= 0; l--) {
    const size_t c = dim << l, below = tell_prompt(&w, l + 1, 2 * c);
    tell(&w, &rst_up, part_of(a, l + 1, below, 2 * below, "up%d_%d", l + 2, l + 1));
    if (l > 0) tell(&w, &rst_reduce_chan, part_of(a, l, below / 2 + c, c, "reduce_chan_level%d", l + 1));
    tell_stage(&w, RST_DECODER, a->num_blocks[l], l > 0 ? l : top,
               part_of(a, l, 0, 0, "decoder_level%d", l + 1));
  }
  tell_stage(&w, RST_REFINEMENT, a->num_refinement_blocks, top, part_of(a, 0, 0, 0, "refinement"));
  if (a->dual_pixel) tell(&w, &rst_skip_conv, part_of(a, 0, dim, dim << top, "skip_conv"));
  tell(&w, &rst_output, part_of(a, 0, dim << top, (size_t)a->out_channels, "output"));
}

int *rst_part_heads(const rst_part *part, rst_architecture *a) {
  return part->side == RST_PROMPTED ? &a->prompts[part->level].heads : &a->heads[part->level];
}

int *rst_part_hidden(const rst_part *part, rst_architecture *a) {
  return part->side == RST_PROMPTED ? &a->prompts[part->level].ffn_hidden : &a->ffn_hidden[part->width_level];
}

/* ---- Tensors ------------------------------------------------------------------------------- */

void rst_layer_tensor_name(const rst_part *part, const rst_layer *layer, bool bias,
                           char name[RST_TENSOR_NAME]) {
  static const char *const ENDINGS[][2] = {[RST_CONV] = {".weight", ".bias"},
                                           [RST_LINEAR] = {".weight", ".bias"},
                                           [RST_NORM] = {".body.weight", ".body.bias"},
                                           [RST_SCALE] = {"", ""},
                                           [RST_COMPONENTS] = {"", ""}};
  char block[16] = "";
  if (rst_part_is_of_stage(part)) snprintf(block, sizeof block, ".%d", part->block);
  snprintf(name, RST_TENSOR_NAME, "%s%s%s%s", part->stage, block, layer->name, ENDINGS[layer->form][bias]);
}

uint64_t rst_part_macs(const rst_part *part) {
  rst_layer layers[RST_MAX_LAYERS];
  const size_t count = part->kind->layers(part, layers);
  uint64_t macs = 0;
  for (size_t i = 0; i < count; i++)
    if (layers[i].form == RST_CONV)
      macs += (uint64_t)layers[i].out * layers[i].in * layers[i].side * layers[i].side;
  return macs;
}

/* ---- What a checkpoint tells --------------------------------------------------------------- */

static const size_t *find(const rst_checkpoint_shapes *shapes, const rst_part *part, size_t layer, bool bias,
                          size_t *ndim) {
  rst_layer layers[RST_MAX_LAYERS];
  char name[RST_TENSOR_NAME];
  part->kind->layers(part, layers);
  rst_layer_tensor_name(part, &layers[layer], bias, name);
  return shapes->find(shapes->dict, name, ndim);
}

int rst_found_size(const rst_checkpoint_shapes *shapes, const rst_part *part, size_t layer, size_t dim) {
  size_t ndim;
  const size_t *sizes = find(shapes, part, layer, false, &ndim);
  if (sizes == NULL || dim >= ndim) return 0;
  return sizes[dim] > INT_MAX ? INT_MAX : (int)sizes[dim];
}

bool rst_found_bias(const rst_checkpoint_shapes *shapes, const rst_part *part, size_t layer) {
  size_t ndim;
  return find(shapes, part, layer, true, &ndim) != NULL;
}

bool rst_found_any(const rst_checkpoint_shapes *shapes, const rst_part *part) {
  rst_layer layers[RST_MAX_LAYERS];
  const size_t count = part->kind->layers(part, layers);
  size_t ndim;
  bool any = false;
  for (size_t i = 0; i < count; i++)
    any = any || find(shapes, part, i, false, &ndim) != NULL || find(shapes, part, i, true, &ndim) != NULL;
  return any;
}
