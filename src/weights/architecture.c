#include "weights/architecture.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"
#include "base/memory.h"

enum { MAX_DIM = 4096, MAX_BLOCKS = 256 };
enum { STAGE_NAME = 40 };

/* ---- Ranges -------------------------------------------------------------------------------- */

static rst_status check_range(const char *where, const char *key, int value, int low, int high,
                              rst_error *err) {
  if (value >= low && value <= high) return RST_OK;
  return rst_fail(err, RST_ERROR_WEIGHTS, "%s: %s %d, expected %d to %d", where, key, value, low, high);
}

static rst_status check_level(const rst_architecture *a, int level, const char *where, rst_error *err) {
  int width = a->dim << level;
  char key[32];
  snprintf(key, sizeof key, "num_blocks[%d]", level);
  rst_status status = check_range(where, key, a->num_blocks[level], 0, MAX_BLOCKS, err);
  if (status != RST_OK) return status;
  snprintf(key, sizeof key, "ffn_hidden[%d]", level);
  status = check_range(where, key, a->ffn_hidden[level], 1, RST_MAX_HIDDEN, err);
  if (status != RST_OK) return status;
  if (a->heads[level] < 1 || width % a->heads[level] != 0)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: heads[%d] %d, expected a divisor of the level's width, %d",
                    where, level, a->heads[level], width);
  return RST_OK;
}

rst_status rst_architecture_check(const rst_architecture *a, const char *where, rst_error *err) {
  const struct {
    const char *key;
    int value, low, high;
  } ranges[] = {
      {"in_channels", a->in_channels, 1, RST_MAX_CHANNELS},
      {"out_channels", a->out_channels, 1, RST_MAX_CHANNELS},
      {"dim", a->dim, 1, MAX_DIM},
      {"number of levels", a->levels, 1, RST_MAX_LEVELS},
      {"num_refinement_blocks", a->num_refinement_blocks, 0, MAX_BLOCKS},
  };
  for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
    rst_status status =
        check_range(where, ranges[i].key, ranges[i].value, ranges[i].low, ranges[i].high, err);
    if (status != RST_OK) return status;
  }
  /* The downsampling convolution halves the channels. */
  if (a->levels > 1 && a->dim % 2 != 0)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: dim %d, expected an even number with more than one level",
                    where, a->dim);
  for (int level = 0; level < a->levels; level++) {
    rst_status status = check_level(a, level, where, err);
    if (status != RST_OK) return status;
  }
  if (a->dual_pixel && a->in_channels % 2 != 0)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: in_channels %d, expected an even number with dual_pixel",
                    where, a->in_channels);
  if (a->residual && a->in_channels != a->out_channels)
    return rst_fail(err, RST_ERROR_WEIGHTS,
                    "%s: out_channels %d, expected %d, as many as in_channels, with residual", where,
                    a->out_channels, a->in_channels);
  return RST_OK;
}

/* ---- One walk over the network, in the order of the state dict ------------------------------ */

/* Counts tensors and multiply-accumulates, and fills in `specs` unless that is NULL. */
typedef struct walk {
  const rst_architecture *architecture;
  rst_tensor_spec *specs;
  size_t count;
  int level;                               /* resolution that the layers now walked over run at */
  uint64_t macs_per_pixel[RST_MAX_LEVELS]; /* of a pixel of that level */
  bool overflow;
} walk;

typedef struct block_shape {
  size_t width, heads, hidden;
  bool attention;
} block_shape;

static void emit(walk *w, int ndim, const size_t shape[], const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void emit(walk *w, int ndim, const size_t shape[], const char *format, ...) {
  rst_tensor_spec spec = {.ndim = ndim, .elements = 1};
  for (int i = 0; i < RST_TENSOR_DIMS; i++) {
    spec.shape[i] = i < ndim ? shape[i] : 1;
    if (!rst_mul(spec.elements, spec.shape[i], &spec.elements)) w->overflow = true;
  }
  /* A convolution multiplies every weight once per output pixel, whatever its groups. The papers' 140.99 GMAC
   * for 256 x 256 are the convolutions alone; q k^T and A v (2 C^2 / heads per pixel and block) would make it
   * 154.88. */
  if (ndim == 4) w->macs_per_pixel[w->level] += spec.elements;
  if (w->specs != NULL) {
    va_list args;
    va_start(args, format);
    vsnprintf(spec.name, sizeof spec.name, format, args);
    va_end(args);
    w->specs[w->count] = spec;
  }
  w->count++;
}

static void emit_conv(walk *w, const char *prefix, const char *name, size_t out, size_t in_per_group,
                      size_t kernel, bool bias) {
  emit(w, 4, (size_t[]){out, in_per_group, kernel, kernel}, "%s%s.weight", prefix, name);
  if (bias) emit(w, 1, (size_t[]){out}, "%s%s.bias", prefix, name);
}

static void emit_norm(walk *w, const char *prefix, const char *name, size_t width) {
  emit(w, 1, (size_t[]){width}, "%s%s.body.weight", prefix, name);
  if (w->architecture->norm_bias) emit(w, 1, (size_t[]){width}, "%s%s.body.bias", prefix, name);
}

static void emit_block(walk *w, const char *prefix, const block_shape *shape) {
  bool bias = w->architecture->bias;
  size_t c = shape->width, hidden = shape->hidden;
  if (shape->attention) {
    emit_norm(w, prefix, "norm1", c);
    emit(w, 3, (size_t[]){shape->heads, 1, 1}, "%sattn.temperature", prefix);
    emit_conv(w, prefix, "attn.qkv", 3 * c, c, 1, bias);
    emit_conv(w, prefix, "attn.qkv_dwconv", 3 * c, 1, 3, bias);
    emit_conv(w, prefix, "attn.project_out", c, c, 1, bias);
  }
  emit_norm(w, prefix, "norm2", c);
  emit_conv(w, prefix, "ffn.project_in", 2 * hidden, c, 1, bias);
  emit_conv(w, prefix, "ffn.dwconv", 2 * hidden, 1, 3, bias);
  emit_conv(w, prefix, "ffn.project_out", c, hidden, 1, bias);
}

static void emit_stage(walk *w, const char *stage, int blocks, const block_shape *shape) {
  for (int i = 0; i < blocks; i++) {
    char prefix[RST_TENSOR_NAME];
    snprintf(prefix, sizeof prefix, "%s.%d.", stage, i);
    emit_block(w, prefix, shape);
  }
}

/* Blocks of a level at its own width, dim * 2^level. */
static block_shape level_shape(const rst_architecture *a, int level) {
  return (block_shape){(size_t)a->dim << level, (size_t)a->heads[level], (size_t)a->ffn_hidden[level],
                       a->attention[level]};
}

/* Blocks of decoder level 0 and of the refinement: of level 0, but at width 2 * dim where there is a decoder.
 */
static block_shape top_shape(const rst_architecture *a) {
  block_shape shape = level_shape(a, 0);
  if (a->levels > 1) {
    shape.width *= 2;
    shape.hidden = (size_t)a->ffn_hidden[1];
  }
  return shape;
}

static void walk_encoder(walk *w) {
  const rst_architecture *a = w->architecture;
  char name[STAGE_NAME];
  for (w->level = 0; w->level < a->levels - 1; w->level++) {
    block_shape shape = level_shape(a, w->level);
    snprintf(name, sizeof name, "encoder_level%d", w->level + 1);
    emit_stage(w, name, a->num_blocks[w->level], &shape);
    snprintf(name, sizeof name, "down%d_%d.body.0", w->level + 1, w->level + 2);
    emit_conv(w, "", name, shape.width / 2, shape.width, 3, false); /* before the unshuffle: at this level */
  }
  block_shape shape = level_shape(a, w->level);
  emit_stage(w, "latent", a->num_blocks[w->level], &shape);
}

static void walk_decoder(walk *w) {
  const rst_architecture *a = w->architecture;
  char name[STAGE_NAME];
  for (int level = a->levels - 2; level >= 0; level--) {
    size_t below = (size_t)a->dim << (level + 1);
    w->level = level + 1; /* before the shuffle */
    snprintf(name, sizeof name, "up%d_%d.body.0", level + 2, level + 1);
    emit_conv(w, "", name, 2 * below, below, 3, false);
    w->level = level;
    block_shape shape = level > 0 ? level_shape(a, level) : top_shape(a);
    if (level > 0) {
      snprintf(name, sizeof name, "reduce_chan_level%d", level + 1);
      emit_conv(w, "", name, shape.width, 2 * shape.width, 1, a->bias);
    }
    snprintf(name, sizeof name, "decoder_level%d", level + 1);
    emit_stage(w, name, a->num_blocks[level], &shape);
  }
}

static void walk_network(walk *w) {
  const rst_architecture *a = w->architecture;
  size_t dim = (size_t)a->dim;
  block_shape top = top_shape(a);
  emit_conv(w, "", "patch_embed.proj", dim, (size_t)a->in_channels, 3, false);
  walk_encoder(w);
  walk_decoder(w);
  emit_stage(w, "refinement", a->num_refinement_blocks, &top);
  if (a->dual_pixel) emit_conv(w, "", "skip_conv", top.width, dim, 1, a->bias);
  emit_conv(w, "", "output", (size_t)a->out_channels, top.width, 3, a->bias);
}

rst_status rst_architecture_tensors(const rst_architecture *architecture, rst_tensor_spec **specs,
                                    size_t *count, rst_error *err) {
  *specs = NULL;
  *count = 0;
  walk w = {.architecture = architecture};
  walk_network(&w);
  if (w.overflow) return rst_fail_memory(err, "the tensors of the model");
  rst_tensor_spec *list = rst_alloc(w.count, sizeof *list);
  if (list == NULL) return rst_fail_memory(err, "the list of tensors");
  w = (walk){.architecture = architecture, .specs = list};
  walk_network(&w);
  *specs = list;
  *count = w.count;
  return RST_OK;
}

size_t rst_architecture_multiple(const rst_architecture *architecture) {
  return (size_t)1 << (architecture->levels - 1);
}

/* a * b + c, or the largest number where that does not fit. */
static uint64_t multiply_add(uint64_t a, uint64_t b, uint64_t c) {
  uint64_t product, sum;
  if (__builtin_mul_overflow(a, b, &product) || __builtin_add_overflow(product, c, &sum)) return UINT64_MAX;
  return sum;
}

uint64_t rst_architecture_macs(const rst_architecture *architecture, size_t width, size_t height) {
  walk w = {.architecture = architecture};
  walk_network(&w);
  /* Sides of the deepest level, rounded up; every level above it has twice that. */
  uint64_t multiple = rst_architecture_multiple(architecture);
  uint64_t deep_width = width / multiple + (width % multiple != 0);
  uint64_t deep_height = height / multiple + (height % multiple != 0);
  uint64_t macs = 0;
  for (int level = 0; level < architecture->levels; level++) {
    uint64_t scale = multiple >> level;
    uint64_t pixels =
        multiply_add(multiply_add(deep_width, scale, 0), multiply_add(deep_height, scale, 0), 0);
    macs = multiply_add(w.macs_per_pixel[level], pixels, macs);
  }
  return macs;
}
