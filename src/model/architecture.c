#include "model/architecture.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/options.h"
#include "model/part.h"

enum { MAX_DIM = 4096, MAX_BLOCKS = 256 };

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

typedef struct range {
  const char *key;
  int value, low, high;
} range;

static rst_status check_prompt(const rst_architecture *a, int level, const char *where, rst_error *err) {
  const rst_prompt *p = &a->prompts[level];
  if (p->length == 0) return RST_OK;
  if (level == 0)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: prompts[0]: level 0, which is not upsampled, has no prompt",
                    where);
  const range ranges[] = {{"length", p->length, 1, RST_MAX_PROMPT_LENGTH},
                          {"dim", p->dim, 1, MAX_DIM},
                          {"size", p->size, 1, RST_MAX_PROMPT_SIZE},
                          {"ffn_hidden", p->ffn_hidden, 1, RST_MAX_HIDDEN},
                          {"out_channels", p->out_channels, 2, MAX_DIM << (RST_MAX_LEVELS - 1)}};
  for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
    char key[48];
    snprintf(key, sizeof key, "prompts[%d].%s", level, ranges[i].key);
    rst_status status = check_range(where, key, ranges[i].value, ranges[i].low, ranges[i].high, err);
    if (status != RST_OK) return status;
  }
  const int joined = (a->dim << level) + p->dim;
  if (p->heads < 1 || joined % p->heads != 0)
    return rst_fail(err, RST_ERROR_WEIGHTS,
                    "%s: prompts[%d].heads %d, expected a divisor of level and prompt's width, %d", where,
                    level, p->heads, joined);
  if (level == 1 && p->out_channels != 2 * a->dim) /* the decoder's last level joins two maps of width dim */
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: prompts[1].out_channels %d, expected %d, twice dim", where,
                    p->out_channels, 2 * a->dim);
  if (p->out_channels % 2 != 0)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: prompts[%d].out_channels %d, expected an even number", where,
                    level, p->out_channels);
  return RST_OK;
}

rst_status rst_architecture_check(const rst_architecture *a, const char *where, rst_error *err) {
  const range ranges[] = {
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
    if (status == RST_OK) status = check_prompt(a, level, where, err);
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

/* ---- Tensors ------------------------------------------------------------------------------- */

/* The tensors seen so far, which are written to `specs` unless that is NULL. */
typedef struct tensor_list {
  rst_tensor_spec *specs;
  size_t count;
  bool overflow;
} tensor_list;

static void add_tensor(tensor_list *list, const rst_part *part, const rst_layer *layer, bool bias) {
  const size_t out = layer->out, in = layer->in, side = layer->side;
  const rst_tensor_spec forms[] = {[RST_CONV] = {.ndim = 4, .shape = {out, in, side, side, 1}},
                                   [RST_LINEAR] = {.ndim = 2, .shape = {out, in, 1, 1, 1}},
                                   [RST_NORM] = {.ndim = 1, .shape = {out, 1, 1, 1, 1}},
                                   [RST_SCALE] = {.ndim = 3, .shape = {out, 1, 1, 1, 1}},
                                   [RST_COMPONENTS] = {.ndim = 5, .shape = {1, out, in, side, side}}};
  rst_tensor_spec spec = forms[bias ? RST_NORM : layer->form];
  spec.elements = 1;
  for (int i = 0; i < spec.ndim; i++)
    if (!rst_mul(spec.elements, spec.shape[i], &spec.elements)) list->overflow = true;
  rst_layer_tensor_name(part, layer, bias, spec.name);
  if (list->specs != NULL) list->specs[list->count] = spec;
  list->count++;
}

static void add_tensors(void *user, const rst_part *part) {
  rst_layer layers[RST_MAX_LAYERS];
  const size_t count = part->kind->layers(part, layers);
  for (size_t i = 0; i < count; i++) {
    add_tensor(user, part, &layers[i], false);
    if (layers[i].bias) add_tensor(user, part, &layers[i], true);
  }
}

rst_status rst_architecture_tensors(const rst_architecture *architecture, rst_tensor_spec **specs,
                                    size_t *count, rst_error *err) {
  *specs = NULL;
  *count = 0;
  tensor_list list = {0};
  rst_parts_visit(architecture, add_tensors, &list);
  if (list.overflow) return rst_fail_memory(err, "the tensors of the model");
  *specs = rst_alloc(list.count, sizeof **specs);
  if (*specs == NULL) return rst_fail_memory(err, "the list of tensors");
  *count = list.count;
  list = (tensor_list){.specs = *specs};
  rst_parts_visit(architecture, add_tensors, &list);
  return RST_OK;
}

/* ---- Sizes and costs ----------------------------------------------------------------------- */

size_t rst_architecture_multiple(const rst_architecture *architecture) {
  return (size_t)1 << (architecture->levels - 1);
}

/* a * b + c, or the largest number where that does not fit. */
static uint64_t multiply_add(uint64_t a, uint64_t b, uint64_t c) {
  uint64_t product, sum;
  if (__builtin_mul_overflow(a, b, &product) || __builtin_add_overflow(product, c, &sum)) return UINT64_MAX;
  return sum;
}

static void add_macs(void *user, const rst_part *part) {
  uint64_t *macs_per_pixel = user; /* of each level */
  macs_per_pixel[part->level] += rst_part_macs(part);
}

uint64_t rst_architecture_macs(const rst_architecture *architecture, size_t width, size_t height) {
  uint64_t macs_per_pixel[RST_MAX_LEVELS] = {0}, macs = 0;
  if (rst_architecture_check(architecture, "", NULL) != RST_OK) return 0;
  rst_parts_visit(architecture, add_macs, macs_per_pixel);
  /* Sides of the deepest level, rounded up; every level above it has twice that. */
  uint64_t multiple = rst_architecture_multiple(architecture);
  uint64_t deep_width = width / multiple + (width % multiple != 0);
  uint64_t deep_height = height / multiple + (height % multiple != 0);
  for (int level = 0; level < architecture->levels; level++) {
    uint64_t scale = multiple >> level;
    uint64_t pixels =
        multiply_add(multiply_add(deep_width, scale, 0), multiply_add(deep_height, scale, 0), 0);
    macs = multiply_add(macs_per_pixel[level], pixels, macs);
  }
  return macs;
}

/* ---- For people and files ------------------------------------------------------------------ */

/* Stages seen so far, and the one that is looked for. */
typedef struct stage_search {
  size_t index, count;
  rst_part last; /* of a block */
  rst_stage_info info;
} stage_search;

static void look_for_stage(void *user, const rst_part *part) {
  stage_search *s = user;
  if (part->side == RST_BETWEEN) return;
  if (strcmp(part->stage, s->last.stage) != 0) s->count++;
  s->last = *part;
  if (s->count != s->index + 1) return;
  rst_stage_info *info = &s->info;
  memcpy(info->name, part->stage, sizeof info->name);
  info->level = part->level;
  info->width = (int)part->in;
  info->blocks = part->block + 1;
  info->ffn_hidden = (int)part->hidden;
  if (part->kind == &rst_mdta) info->heads = (int)part->heads;
  const size_t used = strlen(info->block);
  if (part->block == 0)
    snprintf(info->block + used, sizeof info->block - used, "%s%s", used > 0 ? ", " : "", part->kind->title);
}

bool rst_architecture_stage(const rst_architecture *architecture, size_t index, rst_stage_info *info) {
  stage_search s = {.index = index, .info = {.struct_size = sizeof s.info}};
  if (rst_architecture_check(architecture, "", NULL) == RST_OK)
    rst_parts_visit(architecture, look_for_stage, &s);
  rst_info_write(info, &s.info, sizeof s.info);
  return s.count > index;
}

typedef struct json_text {
  char *at;
  size_t left;
} json_text;

static void put(json_text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(json_text *t, const char *format, ...) {
  va_list args;
  va_start(args, format);
  const int n = vsnprintf(t->at, t->left, format, args);
  va_end(args);
  const size_t step = n > 0 && (size_t)n < t->left ? (size_t)n : t->left - 1; /* cut: the rest is not there */
  t->at += step;
  t->left -= step;
}

static void put_numbers(json_text *t, const char *key, const int *values, int count) {
  put(t, "    \"%s\": [", key);
  for (int i = 0; i < count; i++) put(t, "%s%d", i > 0 ? ", " : "", values[i]);
  put(t, "],\n");
}

/* Nothing in a network without prompts: manifests of before there were any are the same. */
static void put_prompts(json_text *t, const rst_architecture *a) {
  bool any = false;
  for (int l = 0; l < a->levels; l++) any = any || a->prompts[l].length > 0;
  if (!any) return;
  put(t, ",\n    \"prompts\": [");
  for (int l = 0; l < a->levels; l++) {
    const rst_prompt *p = &a->prompts[l];
    put(t, "%s\n      ", l > 0 ? "," : "");
    if (p->length == 0)
      put(t, "null");
    else
      put(t,
          "{\"length\": %d, \"dim\": %d, \"size\": %d, \"heads\": %d, \"ffn_hidden\": %d, \"out_channels\": "
          "%d}",
          p->length, p->dim, p->size, p->heads, p->ffn_hidden, p->out_channels);
  }
  put(t, "\n    ]");
}

void rst_architecture_json(const rst_architecture *a, char *text, size_t size) {
  static const char *const TRUTH[] = {"false", "true"};
  if (size == 0) return;
  json_text t = {.left = size};
  t.at = text;
  put(&t, "{\n    \"in_channels\": %d,\n    \"out_channels\": %d,\n    \"dim\": %d,\n", a->in_channels,
      a->out_channels, a->dim);
  put_numbers(&t, "num_blocks", a->num_blocks, a->levels);
  put(&t, "    \"num_refinement_blocks\": %d,\n", a->num_refinement_blocks);
  put_numbers(&t, "heads", a->heads, a->levels);
  put_numbers(&t, "ffn_hidden", a->ffn_hidden, a->levels);
  put(&t, "    \"bias\": %s,\n    \"layer_norm\": \"%s\",\n    \"attention\": [", TRUTH[a->bias],
      a->norm_bias ? "WithBias" : "BiasFree");
  for (int l = 0; l < a->levels; l++)
    put(&t, "%s\"%s\"", l > 0 ? ", " : "", a->attention[l] ? "mdta" : "none");
  put(&t, "],\n    \"dual_pixel\": %s,\n    \"residual\": %s", TRUTH[a->dual_pixel], TRUTH[a->residual]);
  put_prompts(&t, a);
  put(&t, "\n  }");
}
