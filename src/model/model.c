/* model.c - building a model: every packed weight gets its place in one arena, then all are filled in. */
#include "model/model.h"

#include <stdio.h>
#include <string.h>

#include "base/budget.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/pages.h"
#include "base/threads.h"
#include "model/pack.h"

/* ---- Places -------------------------------------------------------------------------------- */

/* Hands out the arena; with base NULL it only counts. */
typedef struct place {
  uint8_t *base;
  size_t used;
} place;

static void *take(place *p, size_t count, size_t size) {
  void *at = p->base == NULL ? NULL : p->base + p->used;
  p->used += rst_round_up(count * size, 64);
  return at;
}

static rst_linear take_linear(place *p, size_t k, size_t outputs, size_t element, bool bias) {
  /* bf16 products take two k's at a time. */
  rst_linear l = {.k = element == sizeof(float) ? k : rst_round_up(k, 2),
                  .panels = rst_padded(outputs) / RST_GROUP};
  l.w = take(p, l.k * l.panels * RST_GROUP, element);
  if (bias) l.bias = take(p, l.panels * RST_GROUP, sizeof(float));
  return l;
}

static rst_depthwise take_depthwise(place *p, size_t channels) {
  rst_depthwise d = {.channels = channels};
  d.weights = take(p, channels * RST_TAPS, sizeof(float));
  d.bias = take(p, channels, sizeof(float));
  return d;
}

static rst_conv3x3 take_conv(place *p, size_t in, size_t outputs, size_t element, bool bias) {
  rst_conv3x3 c;
  for (int i = 0; i < 3; i++) c.row[i] = take_linear(p, 3 * rst_padded(in), outputs, element, bias && i == 0);
  return c;
}

static void take_block(place *p, const rst_model *m, rst_block *b) {
  const rst_architecture *a = &m->architecture;
  const size_t c = rst_padded(b->channels), h = rst_padded(b->hidden), element = m->kernels->element;
  const bool folded_bias = a->bias || a->norm_bias;
  if (b->attention) {
    b->qk = take_linear(p, b->channels, 2 * c, element, folded_bias);
    b->v = take_linear(p, b->channels, c, element, folded_bias);
    b->qk_dwconv = take_depthwise(p, 2 * c);
    b->v_dwconv = take_depthwise(p, c);
    b->temperature = take(p, b->heads, sizeof(float));
    b->attention_out = take_linear(p, b->channels, c, sizeof(float), a->bias);
  }
  b->ffn_in = take_linear(p, b->channels, 2 * h, element, folded_bias);
  b->ffn_dwconv = take_depthwise(p, 2 * h);
  b->ffn_out = take_linear(p, b->hidden, c, element, a->bias);
}

static void take_all(place *p, rst_model *m) {
  const rst_architecture *a = &m->architecture;
  const size_t element = m->kernels->element, dim = (size_t)a->dim, top = rst_top_channels(a);
  m->patch_embed = take_conv(p, (size_t)a->in_channels, dim, element, false);
  for (int l = 0; l + 1 < a->levels; l++) {
    const size_t c = dim << l;
    m->down[l] = take_conv(p, c, c / 2, element, false);
    /* Four groups of outputs, one per place in the 2 x 2 pixels that an input pixel becomes. */
    m->up[l] = take_conv(p, 2 * c, 4 * rst_padded(c), element, false);
    if (l > 0) {
      m->reduce_up[l] = take_linear(p, c, c, element, a->bias);
      m->reduce_skip[l] = take_linear(p, c, c, element, false);
    }
  }
  if (a->dual_pixel) m->skip_conv = take_linear(p, dim, top, element, a->bias);
  m->output = take_conv(p, top, (size_t)a->out_channels, element, a->bias);
  for (size_t i = 0; i < m->block_count; i++) take_block(p, m, &m->blocks[i]);
}

/* ---- Filling ------------------------------------------------------------------------------- */

typedef struct filler {
  const rst_weights *weights;
  const rst_model *model;
  ptrdiff_t *rows, *ks; /* scratch, as long as the longest map */
  float *norm;          /* scratch: weight, then bias */
} filler;

/* The tensor "<prefix><name><suffix>", or NULL. */
static const rst_tensor *tensor_of(const filler *f, const char *prefix, const char *name,
                                   const char *suffix) {
  char full[3 * RST_TENSOR_NAME];
  snprintf(full, sizeof full, "%s%s%s", prefix, name, suffix);
  return rst_weights_tensor(f->weights, full);
}

/* map[at ..] = first, first + 1, ... for `count`, then padding up to `padded`. */
static void map_range(ptrdiff_t *map, size_t at, size_t first, size_t count, size_t padded) {
  for (size_t i = 0; i < padded; i++) map[at + i] = i < count ? (ptrdiff_t)(first + i) : RST_NO_SOURCE;
}

static bool is_bf16(const filler *f) {
  return f->model->kernels->precision == RST_PRECISION_BF16;
}

/* The arena is ours: what the model calls const is written here, once. */
static rst_packed packed(const rst_linear *l, const ptrdiff_t *ks) {
  return (rst_packed){.ks = ks, .k = l->k, .w = (void *)(uintptr_t)l->w, .bias = (float *)(uintptr_t)l->bias};
}

/* Packs the 1x1 convolution `name` with the columns that f->rows holds; inputs [first, first + count). */
static rst_status fill_linear(filler *f, const rst_linear *l, const char *prefix, const char *name,
                              size_t first, size_t count, const rst_fold *fold, bool bf16, rst_error *err) {
  map_range(f->ks, 0, first, count, l->k);
  const rst_packed to = packed(l, f->ks);
  return rst_pack_linear(rst_weights_path(f->weights), tensor_of(f, prefix, name, ".weight"),
                         l->bias == NULL ? NULL : tensor_of(f, prefix, name, ".bias"), f->rows, l->panels,
                         fold, bf16, &to, 1, err);
}

static rst_status fill_depthwise(filler *f, const rst_depthwise *d, const char *prefix, const char *name,
                                 rst_error *err) {
  return rst_pack_depthwise(rst_weights_path(f->weights), tensor_of(f, prefix, name, ".weight"),
                            tensor_of(f, prefix, name, ".bias"), f->rows, d->channels,
                            (float *)(uintptr_t)d->weights, (float *)(uintptr_t)d->bias, err);
}

/* Packs a 3x3 convolution with the columns that f->rows holds. */
static rst_status fill_conv(filler *f, const rst_conv3x3 *c, const char *name, rst_error *err) {
  const rst_tensor *t = tensor_of(f, "", name, ".weight");
  const size_t in = t->shape[1], padded = rst_padded(in);
  rst_packed to[3];
  for (size_t row = 0; row < 3; row++) {
    ptrdiff_t *ks = f->ks + row * 3 * padded;
    for (size_t column = 0; column < 3; column++)
      for (size_t i = 0; i < padded; i++)
        ks[column * padded + i] = i < in ? (ptrdiff_t)(i * RST_TAPS + row * 3 + column) : RST_NO_SOURCE;
    to[row] = packed(&c->row[row], ks);
  }
  return rst_pack_linear(rst_weights_path(f->weights), t,
                         c->row[0].bias == NULL ? NULL : tensor_of(f, "", name, ".bias"), f->rows,
                         c->row[0].panels, NULL, is_bf16(f), to, 3, err);
}

/* Reads a layer norm into the scratch. */
static rst_status read_norm(filler *f, const char *prefix, const char *name, size_t channels, rst_fold *fold,
                            rst_error *err) {
  const char *path = rst_weights_path(f->weights);
  *fold = (rst_fold){.weight = f->norm};
  rst_status status = rst_pack_vector(path, tensor_of(f, prefix, name, ".body.weight"), f->norm, err);
  if (status == RST_OK && f->model->architecture.norm_bias) {
    fold->bias = f->norm + channels;
    status = rst_pack_vector(path, tensor_of(f, prefix, name, ".body.bias"), f->norm + channels, err);
  }
  return status;
}

static rst_status fill_attention(filler *f, const rst_block *b, rst_error *err) {
  const char *prefix = b->prefix;
  const size_t c = b->channels, padded = rst_padded(c);
  const bool bf16 = is_bf16(f);
  rst_fold norm;
  rst_status status = read_norm(f, prefix, "norm1", c, &norm, err);
  if (status != RST_OK) return status;
  map_range(f->rows, 0, 0, c, padded);
  map_range(f->rows, padded, c, c, padded);
  status = fill_linear(f, &b->qk, prefix, "attn.qkv", 0, c, &norm, bf16, err);
  if (status == RST_OK) status = fill_depthwise(f, &b->qk_dwconv, prefix, "attn.qkv_dwconv", err);
  if (status != RST_OK) return status;
  map_range(f->rows, 0, 2 * c, c, padded);
  status = fill_linear(f, &b->v, prefix, "attn.qkv", 0, c, &norm, bf16, err);
  if (status == RST_OK) status = fill_depthwise(f, &b->v_dwconv, prefix, "attn.qkv_dwconv", err);
  if (status != RST_OK) return status;
  map_range(f->rows, 0, 0, c, padded);
  status = fill_linear(f, &b->attention_out, prefix, "attn.project_out", 0, c, NULL, false, err);
  if (status != RST_OK) return status;
  return rst_pack_vector(rst_weights_path(f->weights), tensor_of(f, prefix, "attn.temperature", ""),
                         (float *)(uintptr_t)b->temperature, err);
}

static rst_status fill_block(filler *f, const rst_block *b, rst_error *err) {
  const char *prefix = b->prefix;
  const size_t c = b->channels, h = b->hidden, padded = rst_padded(h);
  rst_status status = b->attention ? fill_attention(f, b, err) : RST_OK;
  rst_fold norm;
  if (status == RST_OK) status = read_norm(f, prefix, "norm2", c, &norm, err);
  if (status != RST_OK) return status;
  map_range(f->rows, 0, 0, h, padded);
  map_range(f->rows, padded, h, h, padded);
  status = fill_linear(f, &b->ffn_in, prefix, "ffn.project_in", 0, c, &norm, is_bf16(f), err);
  if (status == RST_OK) status = fill_depthwise(f, &b->ffn_dwconv, prefix, "ffn.dwconv", err);
  if (status != RST_OK) return status;
  map_range(f->rows, 0, 0, c, rst_padded(c));
  return fill_linear(f, &b->ffn_out, prefix, "ffn.project_out", 0, h, NULL, is_bf16(f), err);
}

/* Everything outside the blocks. */
static rst_status fill_frame(filler *f, rst_error *err) {
  const rst_model *m = f->model;
  const rst_architecture *a = &m->architecture;
  const size_t dim = (size_t)a->dim, top = rst_top_channels(a);
  char name[RST_TENSOR_NAME];
  map_range(f->rows, 0, 0, dim, rst_padded(dim));
  rst_status status = fill_conv(f, &m->patch_embed, "patch_embed.proj", err);
  for (int l = 0; l + 1 < a->levels && status == RST_OK; l++) {
    const size_t c = dim << l, padded = rst_padded(c);
    map_range(f->rows, 0, 0, c / 2, rst_padded(c / 2));
    snprintf(name, sizeof name, "down%d_%d.body.0", l + 1, l + 2);
    status = fill_conv(f, &m->down[l], name, err);
    if (status != RST_OK) break;
    /* Pixel-shuffle takes output channel 4 i + corner: gather the channels of each corner. */
    for (size_t corner = 0; corner < 4; corner++)
      for (size_t i = 0; i < padded; i++)
        f->rows[corner * padded + i] = i < c ? (ptrdiff_t)(4 * i + corner) : RST_NO_SOURCE;
    snprintf(name, sizeof name, "up%d_%d.body.0", l + 2, l + 1);
    status = fill_conv(f, &m->up[l], name, err);
    if (status != RST_OK || l == 0) continue;
    map_range(f->rows, 0, 0, c, padded);
    snprintf(name, sizeof name, "reduce_chan_level%d", l + 1);
    status = fill_linear(f, &m->reduce_up[l], "", name, 0, c, NULL, is_bf16(f), err);
    if (status == RST_OK) status = fill_linear(f, &m->reduce_skip[l], "", name, c, c, NULL, is_bf16(f), err);
  }
  if (status == RST_OK && a->dual_pixel) {
    map_range(f->rows, 0, 0, top, rst_padded(top));
    status = fill_linear(f, &m->skip_conv, "", "skip_conv", 0, dim, NULL, is_bf16(f), err);
  }
  if (status != RST_OK) return status;
  map_range(f->rows, 0, 0, (size_t)a->out_channels, rst_padded((size_t)a->out_channels));
  return fill_conv(f, &m->output, "output", err);
}

/* The longest maps: columns of the hidden layers, inputs of nine pixels. */
static size_t longest_map(const rst_model *m) {
  size_t longest = RST_MAX_CHANNELS * RST_GROUP;
  for (int l = 0; l < m->architecture.levels; l++) {
    const size_t c = rst_padded((size_t)m->architecture.dim << l);
    const size_t h = rst_padded((size_t)m->architecture.ffn_hidden[l]);
    longest = longest > RST_TAPS * c ? longest : RST_TAPS * c;
    longest = longest > 2 * h ? longest : 2 * h;
  }
  return longest;
}

/* Task 0 is the frame, task i the block i - 1. */
static rst_status fill_task(const rst_weights *weights, const rst_model *m, size_t task, rst_error *err) {
  const size_t longest = longest_map(m);
  filler f = {.weights = weights, .model = m};
  f.rows = rst_alloc(longest, sizeof *f.rows);
  f.ks = rst_alloc(longest, sizeof *f.ks);
  f.norm = rst_alloc(longest, sizeof *f.norm);
  rst_status status;
  if (f.rows == NULL || f.ks == NULL || f.norm == NULL) {
    status = rst_fail_memory(err, "packing weights");
  } else if (task == 0) {
    status = fill_frame(&f, err);
  } else {
    status = fill_block(&f, &m->blocks[task - 1], err);
  }
  rst_free(f.rows);
  rst_free(f.ks);
  rst_free(f.norm);
  return status;
}

static rst_status fill_all(const rst_weights *weights, const rst_model *m, int threads, rst_error *err) {
  rst_status status = RST_OK;
  const size_t tasks = m->block_count + 1;
  size_t failed = tasks; /* the first of them, so that the message does not depend on the threads */
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
  for (size_t task = 0; task < tasks; task++) {
    rst_error mine = {{0}};
    rst_status s = fill_task(weights, m, task, &mine);
    if (s != RST_OK) {
#pragma omp critical(rst_fill)
      if (task < failed) {
        failed = task;
        status = s;
        if (err != NULL) *err = mine;
      }
    }
  }
  return status;
}

/* ---- Stages -------------------------------------------------------------------------------- */

static rst_stage next_stage(rst_model *m, size_t *used, const char *name, int count, int level,
                            size_t channels, int hidden_level) {
  rst_stage stage = {m->blocks + *used, (size_t)count};
  for (size_t i = 0; i < stage.count; i++) {
    rst_block *b = &stage.blocks[i];
    *b = (rst_block){.channels = channels,
                     .hidden = (size_t)m->architecture.ffn_hidden[hidden_level],
                     .heads = (size_t)m->architecture.heads[level],
                     .attention = m->architecture.attention[level]};
    snprintf(b->prefix, sizeof b->prefix, "%s.%zu.", name, i);
  }
  *used += stage.count;
  return stage;
}

static void lay_out_stages(rst_model *m) {
  const rst_architecture *a = &m->architecture;
  size_t used = 0;
  const int top_hidden = a->levels > 1 ? 1 : 0; /* width 2 * dim is that of the second level */
  char name[RST_TENSOR_NAME / 2];
  for (int l = 0; l < a->levels; l++) {
    snprintf(name, sizeof name, "encoder_level%d", l + 1);
    m->encoder[l] = next_stage(m, &used, l == a->levels - 1 ? "latent" : name, a->num_blocks[l], l,
                               (size_t)a->dim << l, l);
  }
  for (int l = a->levels - 2; l >= 0; l--) {
    snprintf(name, sizeof name, "decoder_level%d", l + 1);
    m->decoder[l] = next_stage(m, &used, name, a->num_blocks[l], l,
                               l > 0 ? (size_t)a->dim << l : rst_top_channels(a), l > 0 ? l : top_hidden);
  }
  m->refinement =
      next_stage(m, &used, "refinement", a->num_refinement_blocks, 0, rst_top_channels(a), top_hidden);
}

static size_t count_blocks(const rst_architecture *a) {
  size_t n = (size_t)a->num_refinement_blocks;
  for (int l = 0; l < a->levels; l++) n += (size_t)a->num_blocks[l] * (l == a->levels - 1 ? 1 : 2);
  return n;
}

rst_status rst_model_outline(const rst_architecture *architecture, const rst_model_options *options,
                             rst_model **model, rst_error *err) {
  *model = NULL;
  const rst_kernels *kernels = rst_kernels_for(options->isa, options->precision);
  if (kernels == NULL)
    return rst_fail(err, RST_ERROR_USAGE,
                    "instruction set %s: not available on this processor or in this build",
                    rst_isa_name(options->isa));
  rst_model *m = rst_alloc_zeroed(1, sizeof *m);
  if (m == NULL) return rst_fail_memory(err, "the model");
  m->architecture = *architecture;
  m->kernels = kernels;
  m->exact = rst_kernels_for(options->isa, RST_PRECISION_F32);
  m->block_count = count_blocks(architecture);
  m->blocks = rst_alloc_zeroed(m->block_count, sizeof *m->blocks);
  if (m->blocks == NULL) {
    rst_model_free(m);
    return rst_fail_memory(err, "the model");
  }
  lay_out_stages(m);
  place count = {0};
  take_all(&count, m);
  m->arena_bytes = count.used;
  *model = m;
  return RST_OK;
}

rst_status rst_model_create(const rst_weights *weights, const rst_model_options *options, rst_model **model,
                            rst_error *err) {
  rst_model_options o;
  rst_model_options_init(&o);
  *model = NULL;
  rst_status status = rst_options_read(&o, sizeof o, options, "rst_model_options", err);
  if (status == RST_OK) status = rst_model_outline(rst_weights_architecture(weights), &o, model, err);
  if (status != RST_OK) return status;
  rst_model *m = *model;
  status = rst_budget_claim(o.budget, m->arena_bytes, "the packed weights", err);
  if (status == RST_OK) {
    m->budget = o.budget;
    m->arena = rst_pages_alloc(m->arena_bytes);
    if (m->arena == NULL) status = rst_fail_memory(err, "the packed weights");
  }
  if (status == RST_OK) {
    place fill = {.base = m->arena};
    take_all(&fill, m);
    status = fill_all(weights, m, rst_threads(o.threads), err);
  }
  if (status != RST_OK) {
    rst_model_free(m);
    *model = NULL;
  }
  return rst_end(err, status);
}

void rst_model_free(rst_model *m) {
  if (m == NULL) return;
  rst_pages_free(m->arena, m->arena_bytes);
  rst_budget_give(m->budget, m->arena_bytes);
  rst_free(m->blocks);
  rst_free(m);
}

const rst_architecture *rst_model_architecture(const rst_model *m) {
  return &m->architecture;
}
