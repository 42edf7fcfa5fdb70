/* oracle.c - see oracle.h. */
#include "support/oracle.h"

#include <stdio.h>
#include <stdlib.h>

/* The tensor `prefix`.`suffix`; free it. */
static double *fetch(const oracle_model *model, const char *prefix, const char *suffix, size_t elements) {
  char name[192];
  snprintf(name, sizeof name, "%s.%s", prefix, suffix);
  double *values = oracle_alloc(elements);
  model->fetch(model->user, name, elements, values);
  return values;
}

/* The same, or NULL where the architecture has no such tensor. */
static double *fetch_if(bool present, const oracle_model *model, const char *prefix, const char *suffix,
                        size_t elements) {
  return present ? fetch(model, prefix, suffix, elements) : NULL;
}

/* Each of these four returns a new map and leaves its input alone. */

static double *norm(const oracle_model *model, const char *prefix, const char *weight_name,
                    const char *bias_name, const double *x, size_t channels, size_t pixels) {
  double *weight = fetch(model, prefix, weight_name, channels);
  double *bias = fetch_if(model->architecture.norm_bias, model, prefix, bias_name, channels);
  double *out = oracle_alloc(channels * pixels);
  oracle_layer_norm(x, channels, pixels, weight, bias, out);
  free(weight);
  free(bias);
  return out;
}

static double *conv1x1(const oracle_model *model, const char *prefix, bool has_bias, const double *x,
                       size_t in_channels, size_t pixels, size_t out_channels) {
  double *weight = fetch(model, prefix, "weight", out_channels * in_channels);
  double *bias = fetch_if(has_bias, model, prefix, "bias", out_channels);
  double *out = oracle_alloc(out_channels * pixels);
  oracle_conv1x1(x, in_channels, pixels, weight, bias, out_channels, out);
  free(weight);
  free(bias);
  return out;
}

static double *conv3x3(const oracle_model *model, const char *prefix, bool has_bias, const double *x,
                       size_t in_channels, size_t height, size_t width, size_t out_channels) {
  double *weight = fetch(model, prefix, "weight", out_channels * in_channels * 9);
  double *bias = fetch_if(has_bias, model, prefix, "bias", out_channels);
  double *out = oracle_alloc(out_channels * height * width);
  oracle_conv3x3(x, in_channels, height, width, weight, bias, out_channels, out);
  free(weight);
  free(bias);
  return out;
}

static double *dwconv3x3(const oracle_model *model, const char *prefix, bool has_bias, const double *x,
                         size_t channels, size_t height, size_t width) {
  double *weight = fetch(model, prefix, "weight", channels * 9);
  double *bias = fetch_if(has_bias, model, prefix, "bias", channels);
  double *out = oracle_alloc(channels * height * width);
  oracle_dwconv3x3(x, channels, height, width, weight, bias, out);
  free(weight);
  free(bias);
  return out;
}

/* x += y, and y is freed. */
static void add(double *x, double *y, size_t count) {
  for (size_t i = 0; i < count; i++) x[i] += y[i];
  free(y);
}

/* x += attn(norm1(x)), multi-Dconv head transposed attention. */
static void add_attention(const oracle_model *model, const char *prefix, int level, size_t channels,
                          size_t heads, size_t height, size_t width, double *x) {
  const bool bias = model->architecture.bias;
  const size_t pixels = height * width;
  char name[128];
  double *normed = norm(model, prefix, "norm1.body.weight", "norm1.body.bias", x, channels, pixels);
  snprintf(name, sizeof name, "%s.attn.qkv", prefix);
  double *projected = conv1x1(model, name, bias, normed, channels, pixels, 3 * channels);
  snprintf(name, sizeof name, "%s.attn.qkv_dwconv", prefix);
  double *qkv = dwconv3x3(model, name, bias, projected, 3 * channels, height, width);
  double *temperature = fetch(model, prefix, "attn.temperature", heads);
  double *attended = oracle_alloc(channels * pixels);
  oracle_attention(qkv, qkv + channels * pixels, qkv + 2 * channels * pixels, channels, heads, height, width,
                   temperature, model->window >> level, attended);
  snprintf(name, sizeof name, "%s.attn.project_out", prefix);
  add(x, conv1x1(model, name, bias, attended, channels, pixels, channels), channels * pixels);
  free(normed);
  free(projected);
  free(qkv);
  free(temperature);
  free(attended);
}

/* x += ffn(norm2(x)), the gated-Dconv feed-forward network. */
static void add_ffn(const oracle_model *model, const char *prefix, size_t channels, size_t hidden,
                    size_t height, size_t width, double *x) {
  const bool bias = model->architecture.bias;
  const size_t pixels = height * width;
  char name[128];
  double *normed = norm(model, prefix, "norm2.body.weight", "norm2.body.bias", x, channels, pixels);
  snprintf(name, sizeof name, "%s.ffn.project_in", prefix);
  double *projected = conv1x1(model, name, bias, normed, channels, pixels, 2 * hidden);
  snprintf(name, sizeof name, "%s.ffn.dwconv", prefix);
  double *halves = dwconv3x3(model, name, bias, projected, 2 * hidden, height, width);
  double *gated = oracle_alloc(hidden * pixels);
  oracle_gate(halves, hidden, pixels, gated);
  snprintf(name, sizeof name, "%s.ffn.project_out", prefix);
  add(x, conv1x1(model, name, bias, gated, hidden, pixels, channels), channels * pixels);
  free(normed);
  free(projected);
  free(halves);
  free(gated);
}

void oracle_block(const oracle_model *model, const char *prefix, int level, int width_level, size_t height,
                  size_t width, double *x) {
  const rst_architecture *a = &model->architecture;
  const size_t channels = (size_t)a->dim << width_level;
  if (a->attention[level])
    add_attention(model, prefix, level, channels, (size_t)a->heads[level], height, width, x);
  add_ffn(model, prefix, channels, (size_t)a->ffn_hidden[width_level], height, width, x);
}

static void blocks(const oracle_model *model, const char *stage, int count, int level, int width_level,
                   size_t height, size_t width, double *x) {
  char prefix[96];
  for (int n = 0; n < count; n++) {
    snprintf(prefix, sizeof prefix, "%s.%d", stage, n);
    oracle_block(model, prefix, level, width_level, height, width, x);
  }
}

/* From level l (counted from 0) to l + 1: x is freed, the new map has twice the channels at half the size. */
static double *down(const oracle_model *model, int l, double *x, size_t channels, size_t height,
                    size_t width) {
  char name[64];
  snprintf(name, sizeof name, "down%d_%d.body.0", l + 1, l + 2);
  double *half = conv3x3(model, name, false, x, channels, height, width, channels / 2);
  double *out = oracle_alloc(channels / 2 * height * width);
  oracle_pixel_unshuffle(half, channels / 2, height, width, out);
  free(half);
  free(x);
  return out;
}

/* The prompt of a level for its map x: [dim][height][width]. */
static double *make_prompt(const oracle_model *model, int level, const double *x, size_t channels,
                           size_t height, size_t width) {
  const rst_prompt *prompt = &model->architecture.prompts[level];
  const size_t length = (size_t)prompt->length, dim = (size_t)prompt->dim, size = (size_t)prompt->size;
  const size_t component = dim * size * size, pixels = height * width;
  double *mean = oracle_alloc(channels), *mixed = oracle_alloc(component),
         *resized = oracle_alloc(dim * pixels);
  char name[64];
  for (size_t i = 0; i < channels * pixels; i++) mean[i / pixels] += x[i] / (double)pixels;
  snprintf(name, sizeof name, "prompt%d.linear_layer", level);
  double *shares = conv1x1(model, name, true, mean, channels, 1, length);
  oracle_softmax(shares, length);
  snprintf(name, sizeof name, "prompt%d", level);
  double *components = fetch(model, name, "prompt_param", length * component);
  for (size_t i = 0; i < length * component; i++)
    mixed[i % component] += shares[i / component] * components[i];
  oracle_resize(mixed, dim, size, size, height, width, resized);
  snprintf(name, sizeof name, "prompt%d.conv3x3", level);
  double *out = conv3x3(model, name, false, resized, dim, height, width, dim);
  free(mean);
  free(shares);
  free(components);
  free(mixed);
  free(resized);
  return out;
}

/* A level's prompt and what joins the two: x is freed, the result has as many channels as *channels becomes.
 */
static double *prompted(const oracle_model *model, int level, double *x, size_t *channels, size_t height,
                        size_t width) {
  const rst_prompt *prompt = &model->architecture.prompts[level];
  const size_t before = *channels * height * width, dim = (size_t)prompt->dim, joined = *channels + dim;
  char name[64];
  double *made = make_prompt(model, level, x, *channels, height, width);
  double *both = oracle_alloc(joined * height * width);
  for (size_t i = 0; i < before; i++) both[i] = x[i];
  for (size_t i = 0; i < dim * height * width; i++) both[before + i] = made[i];
  free(x);
  free(made);
  snprintf(name, sizeof name, "noise_level%d", level);
  add_attention(model, name, level, joined, (size_t)prompt->heads, height, width, both);
  add_ffn(model, name, joined, (size_t)prompt->ffn_hidden, height, width, both);
  *channels = (size_t)prompt->out_channels;
  snprintf(name, sizeof name, "reduce_noise_level%d", level);
  double *out = conv1x1(model, name, model->architecture.bias, both, joined, height * width, *channels);
  free(both);
  return out;
}

/* From level l + 1 to l, joined with that level's encoder output `skip`: x [below][height][width] and skip
 * [C][2 height][2 width] are freed; the result has C channels, 2C on level 0. */
static double *up(const oracle_model *model, int l, double *x, size_t below, double *skip, size_t channels,
                  size_t height, size_t width) {
  const size_t pixels = 4 * height * width, risen = below / 2;
  char name[64];
  snprintf(name, sizeof name, "up%d_%d.body.0", l + 2, l + 1);
  double *twice = conv3x3(model, name, false, x, below, height, width, 2 * below);
  double *joined = oracle_alloc((risen + channels) * pixels);
  oracle_pixel_shuffle(twice, 2 * below, height, width, joined);
  for (size_t i = 0; i < channels * pixels; i++) joined[risen * pixels + i] = skip[i];
  free(x);
  free(skip);
  free(twice);
  if (l == 0) return joined;
  snprintf(name, sizeof name, "reduce_chan_level%d", l + 1);
  double *reduced =
      conv1x1(model, name, model->architecture.bias, joined, risen + channels, pixels, channels);
  free(joined);
  return reduced;
}

/* The U: encoder, latent and decoder. x [dim][height][width] is freed; the result has the width of the
 * refinement. */
static double *levels(const oracle_model *model, double *x, size_t height, size_t width) {
  const rst_architecture *a = &model->architecture;
  const int last = a->levels - 1;
  double *skip[RST_MAX_LEVELS] = {NULL};
  char stage[64];
  for (int l = 0; l < last; l++) {
    const size_t channels = (size_t)a->dim << l, h = height >> l, w = width >> l;
    snprintf(stage, sizeof stage, "encoder_level%d", l + 1);
    blocks(model, stage, a->num_blocks[l], l, l, h, w, x);
    skip[l] = oracle_alloc(channels * h * w);
    for (size_t i = 0; i < channels * h * w; i++) skip[l][i] = x[i];
    x = down(model, l, x, channels, h, w);
  }
  blocks(model, "latent", a->num_blocks[last], last, last, height >> last, width >> last, x);
  for (int l = last - 1; l >= 0; l--) {
    const size_t h = height >> (l + 1), w = width >> (l + 1);
    size_t below = (size_t)a->dim << (l + 1);
    if (a->prompts[l + 1].length > 0) x = prompted(model, l + 1, x, &below, h, w);
    x = up(model, l, x, below, skip[l], (size_t)a->dim << l, h, w);
    snprintf(stage, sizeof stage, "decoder_level%d", l + 1);
    blocks(model, stage, a->num_blocks[l], l, l == 0 ? 1 : l, height >> l, width >> l, x);
  }
  return x;
}

void oracle_network(const oracle_model *model, const float *input, size_t height, size_t width,
                    double *output) {
  const rst_architecture *a = &model->architecture;
  const size_t multiple = (size_t)1 << (a->levels - 1);
  const size_t h = (height + multiple - 1) / multiple * multiple,
               w = (width + multiple - 1) / multiple * multiple;
  const size_t in_channels = (size_t)a->in_channels, out_channels = (size_t)a->out_channels,
               dim = (size_t)a->dim;
  const int top = a->levels > 1 ? 1 : 0; /* decoder level 1 and refinement have the width of this level */

  double *padded = oracle_alloc(in_channels * h * w);
  for (size_t c = 0; c < in_channels; c++)
    for (size_t y = 0; y < h; y++)
      for (size_t x = 0; x < w; x++)
        padded[(c * h + y) * w + x] =
            (double)input[(c * height + oracle_reflect(y, height)) * width + oracle_reflect(x, width)];

  double *embedded = conv3x3(model, "patch_embed.proj", false, padded, in_channels, h, w, dim);
  double *x = oracle_alloc(dim * h * w);
  for (size_t i = 0; i < dim * h * w; i++) x[i] = embedded[i];
  x = levels(model, x, h, w);
  blocks(model, "refinement", a->num_refinement_blocks, 0, top, h, w, x);
  if (a->dual_pixel) {
    double *skip = conv1x1(model, "skip_conv", a->bias, embedded, dim, h * w, dim << top);
    add(x, skip, (dim << top) * h * w);
  }
  double *out = conv3x3(model, "output", a->bias, x, dim << top, h, w, out_channels);

  for (size_t c = 0; c < out_channels; c++)
    for (size_t y = 0; y < height; y++)
      for (size_t column = 0; column < width; column++) {
        const size_t from = (c * h + y) * w + column;
        output[(c * height + y) * width + column] = out[from] + (a->residual ? padded[from] : 0);
      }
  free(padded);
  free(embedded);
  free(x);
  free(out);
}
