/* From tensors to an architecture, and back to check it. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "weights/checkpoint/state_dict.h"

enum { MAX_BLOCKS = 1000, STAGE_NAME = 32, SHAPE_TEXT = 128 };
/* Forty times the largest published model: a view with strides of 0 makes any number of one. */
static const size_t MAX_PARAMETERS = (size_t)1 << 30;
static const double USUAL_EXPANSION = 2.66;

/* ---- Deriving ----------------------------------------------------------------------------------- */

/* Dimension `dim` of a tensor, 0 when there is no such tensor or dimension, never more than INT_MAX. */
static int dimension(const rst_state_dict *dict, const char *stage, const char *name, size_t dim) {
  char full[RST_TENSOR_NAME + STAGE_NAME];
  snprintf(full, sizeof full, "%s%s", stage, name);
  const rst_tensor_view *tensor = rst_state_dict_get(dict, full);
  if (tensor == NULL || dim >= tensor->ndim) return 0;
  return tensor->size[dim] > INT32_MAX ? INT32_MAX : (int)tensor->size[dim];
}

static bool is_there(const rst_state_dict *dict, const char *stage, const char *name) {
  char full[RST_TENSOR_NAME + STAGE_NAME];
  snprintf(full, sizeof full, "%s%s", stage, name);
  return rst_state_dict_get(dict, full) != NULL;
}

/* The block that `name` belongs to, -1 when it is not one of the stage's ("latent."). */
static int block_of(rst_text name, const char *stage) {
  size_t n = strlen(stage);
  if (name.length <= n || memcmp(name.bytes, stage, n) != 0) return -1;
  int block = 0;
  size_t i = n;
  for (; i < name.length && name.bytes[i] >= '0' && name.bytes[i] <= '9'; i++)
    block = block < MAX_BLOCKS ? 10 * block + (name.bytes[i] - '0') : MAX_BLOCKS;
  return i > n && i < name.length && name.bytes[i] == '.' ? block : -1;
}

/* One more than the highest index under the stage. */
static int count_blocks(const rst_state_dict *dict, const char *stage) {
  int count = 0;
  for (size_t i = 0; i < dict->count; i++) {
    int block = block_of(dict->entries[i].name, stage);
    if (block >= count) count = block + 1;
  }
  return count;
}

static int count_levels(const rst_state_dict *dict) {
  int levels = 1;
  for (; levels < RST_MAX_LEVELS; levels++) {
    char name[STAGE_NAME];
    snprintf(name, sizeof name, "down%d_%d.body.0.weight", levels, levels + 1);
    if (!is_there(dict, "", name)) break;
  }
  return levels;
}

static void stage_name(char out[STAGE_NAME], const char *side, int level, int levels) {
  if (level == levels - 1)
    snprintf(out, STAGE_NAME, "latent.");
  else
    snprintf(out, STAGE_NAME, "%s_level%d.", side, level + 1);
}

/* A block of the stage has a tensor of attention. Asked of all blocks: one that is missing must be noticed.
 */
static bool has_attention(const rst_state_dict *dict, const char *stage) {
  static const char ATTENTION[] = "attn.";
  for (size_t i = 0; i < dict->count; i++) {
    rst_text name = dict->entries[i].name;
    if (block_of(name, stage) < 0) continue;
    const char *rest = memchr(name.bytes + strlen(stage), '.', name.length - strlen(stage));
    size_t left = name.length - (size_t)(rest + 1 - name.bytes);
    if (left >= sizeof ATTENTION - 1 && memcmp(rest + 1, ATTENTION, sizeof ATTENTION - 1) == 0) return true;
  }
  return false;
}

/* Stages that share a level's heads and attention, or its ffn_hidden, until one has blocks. */
static const char *first_with_blocks(const rst_state_dict *dict, const char *const stages[], size_t count) {
  for (size_t i = 0; i < count; i++)
    if (count_blocks(dict, stages[i]) > 0) return stages[i];
  return NULL;
}

static int or_else(int value, int otherwise) {
  return value > 0 ? value : otherwise;
}

/* Where project_out is missing, that is to be the error, and not the shapes of all others. */
static int hidden_width(const rst_state_dict *dict, const char *stage) {
  int width = dimension(dict, stage, "0.ffn.project_out.weight", 1);
  return or_else(width, or_else(dimension(dict, stage, "0.ffn.project_in.weight", 0) / 2, 1));
}

static void derive_level(const rst_state_dict *dict, rst_architecture *a, int level) {
  char encoder[STAGE_NAME], decoder[STAGE_NAME];
  stage_name(encoder, "encoder", level, a->levels);
  stage_name(decoder, "decoder", level, a->levels);
  a->num_blocks[level] = count_blocks(dict, encoder);

  /* The decoder of level 0 and the refinement have the heads of level 0 and the width of level 1. */
  const char *const same_heads[] = {encoder, decoder, "refinement."};
  const char *stage = first_with_blocks(dict, same_heads, level == 0 ? 3 : 2);
  a->attention[level] = stage == NULL || has_attention(dict, stage);
  a->heads[level] = stage == NULL ? 1 : or_else(dimension(dict, stage, "0.attn.temperature", 0), 1);

  const char *same_width[4];
  size_t count = 0;
  same_width[count++] = encoder;
  if (level > 0) same_width[count++] = decoder;
  if (level == 1) same_width[count++] = "decoder_level1.";
  if (level == 1 || a->levels == 1) same_width[count++] = "refinement.";
  stage = first_with_blocks(dict, same_width, count);
  double width = (double)a->dim * (1 << level);
  int usual = width < 1e6 ? or_else((int)(width * USUAL_EXPANSION), 1) : 1;
  a->ffn_hidden[level] = stage == NULL ? usual : hidden_width(dict, stage);
}

/* Whether any block, in the stage that comes first, has the tensor. */
static bool derive_flag(const rst_state_dict *dict, const rst_architecture *a, const char *name) {
  char stages[RST_MAX_LEVELS][STAGE_NAME];
  const char *list[RST_MAX_LEVELS + 2];
  size_t count = 0;
  for (int level = 0; level < a->levels; level++) {
    stage_name(stages[level], "encoder", level, a->levels);
    list[count++] = stages[level];
  }
  list[count++] = "decoder_level1.";
  list[count++] = "refinement.";
  const char *stage = first_with_blocks(dict, list, count);
  return stage != NULL && is_there(dict, stage, name);
}

rst_status rst_state_dict_architecture(const rst_state_dict *dict, const char *where, rst_architecture *a,
                                       rst_error *err) {
  *a = (rst_architecture){.in_channels = dimension(dict, "", "patch_embed.proj.weight", 1),
                          .dim = dimension(dict, "", "patch_embed.proj.weight", 0),
                          .out_channels = dimension(dict, "", "output.weight", 0),
                          .levels = count_levels(dict),
                          .num_refinement_blocks = count_blocks(dict, "refinement."),
                          .dual_pixel = is_there(dict, "", "skip_conv.weight")};
  if (!is_there(dict, "", "output.weight"))
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: tensor output.weight is missing", where);
  for (int level = 0; level < a->levels; level++) derive_level(dict, a, level);
  a->bias = derive_flag(dict, a, "0.ffn.project_in.bias") || is_there(dict, "", "reduce_chan_level2.bias");
  a->norm_bias = derive_flag(dict, a, "0.norm2.body.bias");
  a->residual = !a->dual_pixel;
  return rst_architecture_check(a, where, err);
}

/* ---- Checking ----------------------------------------------------------------------------------- */

static void print_shape(char out[SHAPE_TEXT], const size_t *size, size_t ndim) {
  size_t n = (size_t)snprintf(out, SHAPE_TEXT, "[");
  for (size_t i = 0; i < ndim && n < SHAPE_TEXT - 1; i++)
    n += (size_t)snprintf(out + n, SHAPE_TEXT - n, i == 0 ? "%zu" : ", %zu", size[i]);
  if (n < SHAPE_TEXT - 1) snprintf(out + n, SHAPE_TEXT - n, "]");
}

static bool same_shape(const rst_tensor_view *view, const rst_tensor_spec *spec) {
  if (view->ndim != (size_t)spec->ndim) return false;
  for (size_t i = 0; i < view->ndim; i++)
    if (view->size[i] != spec->shape[i]) return false;
  return true;
}

/* The last element is in the part of the storage that the tensor may use. No size is 0. */
static bool is_inside(const rst_tensor_view *view) {
  size_t last = view->offset, step, end;
  for (size_t i = 0; i < view->ndim; i++)
    if (!rst_mul(view->size[i] - 1, view->stride[i], &step) || !rst_add(last, step, &last)) return false;
  return rst_add(last, 1, &end) && rst_mul(end, rst_dtype_size(view->dtype), &end) &&
         end <= view->end - view->start;
}

static rst_status check_tensor(const char *where, const rst_tensor_spec *spec, const rst_tensor_view *view,
                               rst_error *err) {
  if (view == NULL) return rst_fail(err, RST_ERROR_WEIGHTS, "%s: tensor %s is missing", where, spec->name);
  if (!same_shape(view, spec)) {
    char found[SHAPE_TEXT], expected[SHAPE_TEXT];
    print_shape(found, view->size, view->ndim);
    print_shape(expected, spec->shape, (size_t)spec->ndim);
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: tensor %s: shape %s, expected %s", where, spec->name, found,
                    expected);
  }
  if (!rst_dtype_is_weight(view->dtype))
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: tensor %s: type %s, expected F32, F16, BF16 or F64", where,
                    spec->name, rst_dtype_name(view->dtype));
  if (!is_inside(view))
    return rst_fail(err, RST_ERROR_WEIGHTS,
                    "%s: tensor %s: reaches beyond its storage %.*s, which has %zu bytes for it", where,
                    spec->name, rst_text_shown(view->storage->key), view->storage->key.bytes,
                    view->end - view->start);
  return RST_OK;
}

/* Names the first tensor that is there and not asked for. */
static rst_status check_extra(const rst_state_dict *dict, const char *where, const rst_tensor_spec *specs,
                              size_t count, rst_error *err) {
  if (dict->count == count) return RST_OK; /* all that are asked for are there */
  for (size_t i = 0; i < dict->count; i++) {
    rst_text name = dict->entries[i].name;
    size_t k = 0;
    while (k < count && !rst_text_is(name, specs[k].name)) k++;
    if (k == count)
      return rst_fail(err, RST_ERROR_WEIGHTS, "%s: tensor %.*s does not belong to the network", where,
                      rst_text_shown(name), name.bytes);
  }
  return RST_OK;
}

static rst_status check_parameters(const char *where, const rst_tensor_spec *specs, size_t count,
                                   rst_error *err) {
  size_t sum = 0;
  for (size_t i = 0; i < count; i++)
    if (!rst_add(sum, specs[i].elements, &sum) || sum > MAX_PARAMETERS)
      return rst_fail(err, RST_ERROR_WEIGHTS, "%s: a network of more than %zu parameters", where,
                      MAX_PARAMETERS);
  return RST_OK;
}

rst_status rst_state_dict_match(const rst_state_dict *dict, const char *where,
                                const rst_architecture *architecture, rst_tensor_spec **specs,
                                const rst_tensor_view ***views, size_t *count, rst_error *err) {
  *specs = NULL;
  *views = NULL;
  rst_status status = rst_architecture_tensors(architecture, specs, count, err);
  if (status != RST_OK) return status;
  status = check_parameters(where, *specs, *count, err);
  if (status == RST_OK) *views = rst_alloc(*count, sizeof(rst_tensor_view *));
  if (status == RST_OK && *views == NULL) status = rst_fail_memory(err, "the list of tensors");
  for (size_t i = 0; status == RST_OK && i < *count; i++) {
    (*views)[i] = rst_state_dict_get(dict, (*specs)[i].name);
    status = check_tensor(where, &(*specs)[i], (*views)[i], err);
  }
  if (status == RST_OK) status = check_extra(dict, where, *specs, *count, err);
  if (status == RST_OK) return RST_OK;
  rst_free(*specs);
  rst_free(*views);
  *specs = NULL;
  *views = NULL;
  return status;
}
