/* From tensors to an architecture, and back to check it. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "model/part.h"
#include "weights/checkpoint/state_dict.h"

enum { MAX_BLOCKS = 1000, SHAPE_TEXT = 128 };
/* Forty times the largest published model: a view with strides of 0 makes any number of one. */
static const size_t MAX_PARAMETERS = (size_t)1 << 30;
static const double USUAL_EXPANSION = 2.66;

/* ---- Deriving ----------------------------------------------------------------------------------- */

typedef struct derivation {
  const rst_state_dict *dict;
  rst_checkpoint_shapes shapes;
  rst_architecture found;
  bool level_has_blocks[RST_MAX_LEVELS]; /* that have its heads */
  char missing[RST_TENSOR_NAME];         /* the output's tensor, when it is */
} derivation;

static const size_t *find_shape(const void *dict, const char *name, size_t *ndim) {
  const rst_tensor_view *tensor = rst_state_dict_get(dict, name);
  if (tensor == NULL) return NULL;
  *ndim = tensor->ndim;
  return tensor->size;
}

/* The block that `name` belongs to, -1 when it is not one of the stage's. */
static int block_of(rst_text name, const char *stage) {
  const size_t n = strlen(stage);
  if (name.length <= n || memcmp(name.bytes, stage, n) != 0 || name.bytes[n] != '.') return -1;
  int block = 0;
  size_t i = n + 1;
  for (; i < name.length && name.bytes[i] >= '0' && name.bytes[i] <= '9'; i++)
    block = block < MAX_BLOCKS ? 10 * block + (name.bytes[i] - '0') : MAX_BLOCKS;
  return i > n + 1 && i < name.length && name.bytes[i] == '.' ? block : -1;
}

/* One more than the highest index in the stage. */
static int count_blocks(const rst_state_dict *dict, const char *stage) {
  int count = 0;
  for (size_t i = 0; i < dict->count; i++) {
    int block = block_of(dict->entries[i].name, stage);
    if (block >= count) count = block + 1;
  }
  return count;
}

/* Levels are as many as there are downsamplings, without a gap. */
static void derive_levels(void *user, const rst_part *part) {
  derivation *d = user;
  if (part->kind == &rst_down && part->level == d->found.levels - 1 && rst_found_any(&d->shapes, part))
    d->found.levels++;
}

/* A network with everything that a part list can have shows where to look. Blocks are asked one after the
 * other, so that one that lacks a tensor is an error of its own and not one of all others. */
static void derive_part(void *user, const rst_part *part) {
  derivation *d = user;
  rst_part p = *part;
  const int blocks = rst_part_is_of_stage(&p) ? count_blocks(d->dict, p.stage) : 1;
  if (p.side == RST_ENCODER) d->found.num_blocks[p.level] = blocks;
  if (p.side == RST_REFINEMENT) d->found.num_refinement_blocks = blocks;
  if (rst_part_is_of_stage(&p) && blocks > 0) d->level_has_blocks[p.level] = true;
  if (p.kind == &rst_output && !rst_found_any(&d->shapes, &p)) {
    rst_layer layers[RST_MAX_LAYERS];
    p.kind->layers(&p, layers);
    rst_layer_tensor_name(&p, &layers[0], false, d->missing);
  }
  for (p.block = 0; p.kind->derive != NULL && p.block < blocks; p.block++)
    p.kind->derive(&p, &d->shapes, &d->found);
}

static void default_to(int *value, int usual) {
  if (*value == 0) *value = usual;
}

/* What no tensor tells: because none depends on it or, of prompts, because one is missing, which is told
 * then. */
static void fill_in(derivation *d, int level) {
  rst_architecture *a = &d->found;
  const double usual = (double)a->dim * (1 << level) * USUAL_EXPANSION;
  default_to(&a->heads[level], 1);
  default_to(&a->ffn_hidden[level], usual >= 1 && usual < 1e6 ? (int)usual : 1);
  if (!d->level_has_blocks[level]) a->attention[level] = true;
  rst_prompt *prompt = &a->prompts[level];
  if (prompt->length == 0) {
    *prompt = (rst_prompt){0};
    return;
  }
  default_to(&prompt->heads, 1);
  default_to(&prompt->ffn_hidden, 1);
  default_to(&prompt->out_channels, a->dim <= INT_MAX >> level ? a->dim << level : 0);
}

rst_status rst_state_dict_architecture(const rst_state_dict *dict, const char *where, rst_architecture *a,
                                       rst_error *err) {
  derivation d = {.dict = dict, .shapes = {find_shape, dict}, .found = {.levels = 1}};
  rst_architecture all = {.levels = RST_MAX_LEVELS, .num_refinement_blocks = 1, .dual_pixel = true};
  for (int level = 0; level < RST_MAX_LEVELS; level++)
    all.num_blocks[level] = 1, all.attention[level] = true, all.prompts[level].length = level > 0;
  rst_parts_visit(&all, derive_levels, &d);
  all.levels = d.found.levels;
  rst_parts_visit(&all, derive_part, &d);
  if (d.missing[0] != '\0')
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: tensor %s is missing", where, d.missing);
  for (int level = 0; level < all.levels; level++) fill_in(&d, level);
  *a = d.found;
  a->residual = !a->dual_pixel && a->in_channels == a->out_channels;
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
