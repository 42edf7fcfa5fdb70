#include "weights/checkpoint/state_dict.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

static const char LANDMARK[] = "patch_embed.proj.weight"; /* every network has it */
static const char *const wrappers[] = {"params_ema", "params", "state_dict", "model"};
static const char *const prefixes[] = {"module.", "net_g.", "netG.", "model.", "_orig_mod."};
enum {
  WRAPPERS = sizeof wrappers / sizeof wrappers[0],
  PREFIXES = sizeof prefixes / sizeof prefixes[0],
  MAX_DEPTH = 3,
  MAX_NAME = 255 /* bytes; of longer ones, which are compared again and again, no network has any */
};

/* Beginnings of the names of a network's tensors, and of the names of what is trained with it. */
static const char *const own_names[] = {"patch_embed.", "encoder_level", "down",          "latent.",
                                        "up",           "reduce_chan_",  "decoder_level", "refinement.",
                                        "output.",      "skip_conv."};
static const char *const foreign_names[] = {"net_d.", "netD.",    "discriminator.", "criterion.",
                                            "loss.",  "cri_",     "perceptual",     "vgg.",
                                            "lpips.", "optimizer"};

static bool begins_with(rst_text text, const char *beginning) {
  size_t n = strlen(beginning);
  return text.length >= n && memcmp(text.bytes, beginning, n) == 0;
}

static bool begins_with_any(rst_text text, const char *const list[], size_t count) {
  for (size_t i = 0; i < count; i++)
    if (begins_with(text, list[i])) return true;
  return false;
}

static rst_text without(rst_text text, size_t n) {
  return (rst_text){text.bytes + n, text.length - n};
}

/* True when `text` is nothing but known prefixes. */
static bool is_prefix(rst_text text) {
  while (text.length > 0) {
    size_t i = 0;
    while (i < PREFIXES && !begins_with(text, prefixes[i])) i++;
    if (i == PREFIXES) return false;
    text = without(text, strlen(prefixes[i]));
  }
  return true;
}

/* ---- Finding it -------------------------------------------------------------------------------- */

typedef struct search {
  const char *where;
  const rst_value *dict; /* NULL until it is found */
  rst_text prefix;
} search;

/* Looks at the names of one dict. */
static rst_status look_in(search *s, const rst_value *dict, rst_error *err) {
  size_t n = sizeof LANDMARK - 1;
  for (size_t i = 0; i < dict->as.list.count; i += 2) {
    const rst_value *key = dict->as.list.items[i];
    if (key->kind != RST_VALUE_STRING || key->as.text.length < n || key->as.text.length > MAX_NAME) continue;
    rst_text prefix = {key->as.text.bytes, key->as.text.length - n};
    if (!rst_text_is(without(key->as.text, prefix.length), LANDMARK) || !is_prefix(prefix)) continue;
    if (s->dict != NULL && rst_text_compare(s->prefix, prefix) != 0)
      return rst_fail(err, RST_ERROR_WEIGHTS, "%s: holds more than one network: %.*s%s and %.*s%s", s->where,
                      rst_text_shown(s->prefix), s->prefix.bytes, LANDMARK, rst_text_shown(prefix),
                      prefix.bytes, LANDMARK);
    s->dict = dict;
    s->prefix = prefix;
  }
  return RST_OK;
}

/* The depth is bounded, so a dict that holds itself does no harm. */
static rst_status look_below(search *s, const rst_value *dict, int depth, rst_error *err) {
  rst_status status = look_in(s, dict, err);
  for (size_t i = 0; i < WRAPPERS && depth < MAX_DEPTH && status == RST_OK && s->dict == NULL; i++) {
    const rst_value *below = rst_value_get(dict, wrappers[i]);
    if (below != NULL && below->kind == RST_VALUE_DICT) status = look_below(s, below, depth + 1, err);
  }
  return status;
}

static rst_status find_network(search *s, const rst_value *root, rst_error *err) {
  if (root->kind == RST_VALUE_OBJECT)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: holds an object of %.*s.%.*s, expected a dict of tensors",
                    s->where, rst_text_shown(root->as.global.module), root->as.global.module.bytes,
                    rst_text_shown(root->as.global.name), root->as.global.name.bytes);
  if (root->kind != RST_VALUE_DICT)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: holds %s, expected a dict of tensors", s->where,
                    rst_value_kind_name(root->kind));
  rst_status status = look_below(s, root, 0, err);
  if (status == RST_OK && s->dict == NULL)
    return rst_fail(
        err, RST_ERROR_WEIGHTS,
        "%s: holds no Restormer network: expected a tensor %s at the top or under params_ema, params, "
        "state_dict or model, with or without a prefix module., net_g., netG. or model.",
        s->where, LANDMARK);
  return status;
}

/* ---- Its entries -------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b) {
  return rst_text_compare(((const rst_state_entry *)a)->name, ((const rst_state_entry *)b)->name);
}

/* Adds one item of the dict, unless it belongs to something else. */
static rst_status add_entry(const search *s, rst_text key, const rst_value *value, rst_state_dict *dict,
                            rst_error *err) {
  if (key.length < s->prefix.length || memcmp(key.bytes, s->prefix.bytes, s->prefix.length) != 0)
    return RST_OK;
  rst_text name = without(key, s->prefix.length);
  bool own = begins_with_any(name, own_names, sizeof own_names / sizeof own_names[0]);
  bool foreign = begins_with_any(name, foreign_names, sizeof foreign_names / sizeof foreign_names[0]);
  if (value->kind == RST_VALUE_TENSOR) {
    if (!foreign && key.length > MAX_NAME)
      return rst_fail(err, RST_ERROR_WEIGHTS, "%s: tensor %.*s...: a name of %zu bytes, expected at most %d",
                      s->where, rst_text_shown(name), name.bytes, key.length, MAX_NAME);
    if (!foreign) dict->entries[dict->count++] = (rst_state_entry){name, &value->as.tensor};
    return RST_OK;
  }
  if (!own) return RST_OK; /* epoch, optimizer, ... */
  return rst_fail(err, RST_ERROR_WEIGHTS, "%s: %.*s is %s, expected a tensor", s->where, rst_text_shown(name),
                  name.bytes, rst_value_kind_name(value->kind));
}

static rst_status collect(const search *s, rst_state_dict *dict, rst_error *err) {
  dict->entries = rst_alloc(s->dict->as.list.count / 2, sizeof *dict->entries);
  if (dict->entries == NULL) return rst_fail_memory(err, "the names of tensors");
  for (size_t i = 0; i < s->dict->as.list.count; i += 2) {
    const rst_value *key = s->dict->as.list.items[i];
    if (key->kind != RST_VALUE_STRING) continue;
    rst_status status = add_entry(s, key->as.text, s->dict->as.list.items[i + 1], dict, err);
    if (status != RST_OK) return status;
  }
  qsort(dict->entries, dict->count, sizeof *dict->entries, by_name);
  for (size_t i = 1; i < dict->count; i++)
    if (by_name(&dict->entries[i - 1], &dict->entries[i]) == 0)
      return rst_fail(err, RST_ERROR_WEIGHTS, "%s: tensor %.*s is there twice", s->where,
                      rst_text_shown(dict->entries[i].name), dict->entries[i].name.bytes);
  return RST_OK;
}

rst_status rst_state_dict_find(const rst_value *root, const char *where, rst_state_dict *dict,
                               rst_error *err) {
  search s = {.where = where};
  *dict = (rst_state_dict){0};
  rst_status status = find_network(&s, root, err);
  if (status == RST_OK) status = collect(&s, dict, err);
  if (status != RST_OK) rst_state_dict_free(dict);
  return status;
}

void rst_state_dict_free(rst_state_dict *dict) {
  rst_free(dict->entries);
  *dict = (rst_state_dict){0};
}

const rst_tensor_view *rst_state_dict_get(const rst_state_dict *dict, const char *name) {
  rst_state_entry wanted = {.name = {name, strlen(name)}};
  const rst_state_entry *found = bsearch(&wanted, dict->entries, dict->count, sizeof wanted, by_name);
  return found != NULL ? found->tensor : NULL;
}
