/* state_dict.h - finds the network among all that a checkpoint holds, and reads its architecture off the
 * tensors. */
#ifndef RST_WEIGHTS_CHECKPOINT_STATE_DICT_H
#define RST_WEIGHTS_CHECKPOINT_STATE_DICT_H

#include "weights/architecture.h"
#include "weights/checkpoint/value.h"

typedef struct rst_state_entry {
  rst_text name; /* without the prefix */
  const rst_tensor_view *tensor;
} rst_state_entry;

typedef struct rst_state_dict {
  rst_state_entry *entries; /* sorted by name, each name once */
  size_t count;
} rst_state_dict;

/* Looks for a dict with patch_embed.proj.weight in it: the root itself, else, up to three levels down, what
 * stands under params_ema, params, state_dict or model. They are tried in that order, so that averaged
 * weights are preferred to those of the last training step. The name may have a prefix put together from
 * module., net_g., netG., model. and _orig_mod.; then tensors without it belong to others (discriminators,
 * losses) and are left out. `where` begins messages. RST_ERROR_WEIGHTS or RST_ERROR_MEMORY. */
rst_status rst_state_dict_find(const rst_value *root, const char *where, rst_state_dict *dict,
                               rst_error *err);
void rst_state_dict_free(rst_state_dict *dict);

const rst_tensor_view *rst_state_dict_get(const rst_state_dict *dict, const char *name); /* or NULL */

/* Reads every hyper-parameter off the tensors' names and shapes. ffn_hidden is taken as it is; where a level
 * has no blocks to read heads or ffn_hidden from, no tensor depends on them and they become 1 and the
 * usual 2.66 times the width. A network has the residual connection unless it is a dual-pixel one: the state
 * dict does not tell. RST_ERROR_WEIGHTS. */
rst_status rst_state_dict_architecture(const rst_state_dict *dict, const char *where,
                                       rst_architecture *architecture, rst_error *err);

/* Compares names and shapes with what the architecture asks for, in both directions, and checks that every
 * tensor lies in its storage and has a type that can be read. views[i] is then the tensor of specs[i]; free
 * *specs and *views with rst_free. RST_ERROR_WEIGHTS or RST_ERROR_MEMORY. */
rst_status rst_state_dict_match(const rst_state_dict *dict, const char *where,
                                const rst_architecture *architecture, rst_tensor_spec **specs,
                                const rst_tensor_view ***views, size_t *count, rst_error *err);

#endif
