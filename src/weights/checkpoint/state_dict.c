#include "weights/checkpoint/state_dict.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

enum { MAX_NAME = 255 /* bytes; of longer ones, which are compared again and again, no network has any */ };

/* Beginnings of the names of a network's tensors, and of the names of what is trained with it or, in
 * PromptIR's program, made and never run. */
static const char *const own_names[] = {"patch_embed.",  "encoder_level", "latent.",           "reduce_chan_",
                                        "decoder_level", "refinement.",   "output.",           "skip_conv.",
                                        "prompt",        "noise_level",   "reduce_noise_level"};
static const char *const own_numbered[] = {"down", "up"}; /* and then the number of a level */
static const char *const foreign_names[] = {"net_d.", "netD.",     "discriminator.", "criterion.",
                                            "loss.",  "cri_",      "perceptual",     "vgg.",
                                            "lpips.", "optimizer", "chnl_reduce",    "reduce_noise_channel_"};
/* What the profiler thop leaves in every module: the last part of the name. */
static const char *const profiled[] = {"total_ops", "total_params"};

static bool begins_with_any(rst_text text, const char *const list[], size_t count) {
  for (size_t i = 0; i < count; i++) {
    size_t n = strlen(list[i]);
    if (text.length >= n && memcmp(text.bytes, list[i], n) == 0) return true;
  }
  return false;
}

static bool is_own(rst_text name) {
  for (size_t i = 0; i < sizeof own_numbered / sizeof own_numbered[0]; i++) {
    const size_t n = strlen(own_numbered[i]);
    if (begins_with_any(name, &own_numbered[i], 1) && name.length > n &&
        isdigit((unsigned char)name.bytes[n]))
      return true;
  }
  return begins_with_any(name, own_names, sizeof own_names / sizeof own_names[0]);
}

static rst_text last_part(rst_text name) {
  size_t n = name.length;
  while (n > 0 && name.bytes[n - 1] != '.') n--;
  return (rst_text){name.bytes + n, name.length - n};
}

static int by_name(const void *a, const void *b) {
  return rst_text_compare(((const rst_state_entry *)a)->name, ((const rst_state_entry *)b)->name);
}

/* A single number that no layer of the network is made of: a counter (num_batches_tracked, n_averaged, step),
 * or one of a loss or a metric. Within the network's own modules a float could be a weight that is not known
 * here, and is not passed over. */
static bool is_scalar_of_others(const rst_tensor_view *tensor, bool own) {
  if (tensor->ndim > 1 || (tensor->ndim == 1 && tensor->size[0] != 1)) return false;
  return !own || !rst_dtype_is_weight(tensor->dtype);
}

static bool is_no_part(rst_text name, const rst_tensor_view *tensor, bool own) {
  if (begins_with_any(name, foreign_names, sizeof foreign_names / sizeof foreign_names[0])) return true;
  for (size_t i = 0; i < sizeof profiled / sizeof profiled[0]; i++)
    if (rst_text_is(last_part(name), profiled[i])) return true;
  return is_scalar_of_others(tensor, own);
}

/* Adds one item of the dict, unless it belongs to something else. */
static rst_status add_entry(rst_state_dict *dict, const char *where, rst_text key, const rst_value *value,
                            rst_error *err) {
  const rst_text prefix = dict->network.prefix;
  const bool inside = key.length >= prefix.length && memcmp(key.bytes, prefix.bytes, prefix.length) == 0;
  const size_t skip = inside ? prefix.length : 0;
  const rst_text name = {key.bytes + skip, key.length - skip};
  const bool own = inside && is_own(name);
  if (value->kind != RST_VALUE_TENSOR) {
    if (!own) return RST_OK; /* epoch, optimizer, ... */
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: %.*s is %s, expected a tensor", where, rst_text_shown(name),
                    name.bytes, rst_value_kind_name(value->kind));
  }
  if (!inside || is_no_part(name, &value->as.tensor, own)) {
    if (dict->left_out_count++ == 0) dict->left_out = key;
    return RST_OK;
  }
  if (key.length > MAX_NAME)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: tensor %.*s...: a name of %zu bytes, expected at most %d",
                    where, rst_text_shown(name), name.bytes, key.length, MAX_NAME);
  dict->entries[dict->count++] = (rst_state_entry){name, &value->as.tensor};
  return RST_OK;
}

static rst_status collect(rst_state_dict *dict, const char *where, rst_error *err) {
  const rst_value *items = dict->network.dict;
  dict->entries = rst_alloc(items->as.list.count / 2, sizeof *dict->entries);
  if (dict->entries == NULL) return rst_fail_memory(err, "the names of tensors");
  for (size_t i = 0; i < items->as.list.count; i += 2) {
    const rst_value *key = items->as.list.items[i];
    if (key->kind != RST_VALUE_STRING) continue;
    rst_status status = add_entry(dict, where, key->as.text, items->as.list.items[i + 1], err);
    if (status != RST_OK) return status;
  }
  qsort(dict->entries, dict->count, sizeof *dict->entries, by_name);
  for (size_t i = 1; i < dict->count; i++)
    if (by_name(&dict->entries[i - 1], &dict->entries[i]) == 0)
      return rst_fail(err, RST_ERROR_WEIGHTS, "%s: tensor %.*s is there twice", where,
                      rst_text_shown(dict->entries[i].name), dict->entries[i].name.bytes);
  return RST_OK;
}

rst_status rst_state_dict_find(const rst_value *root, const char *where, rst_state_dict *dict,
                               rst_error *err) {
  *dict = (rst_state_dict){0};
  rst_status status = rst_network_find(root, where, &dict->network, &dict->other, err);
  if (status == RST_OK) status = collect(dict, where, err);
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
