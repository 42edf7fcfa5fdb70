/* state_dict.h - finds the network among all that a checkpoint holds, and reads its architecture off the
 * tensors. */
#ifndef RST_WEIGHTS_CHECKPOINT_STATE_DICT_H
#define RST_WEIGHTS_CHECKPOINT_STATE_DICT_H

#include "model/architecture.h"
#include "weights/checkpoint/value.h"

enum { RST_SEARCH_DEPTH = 4, RST_PLACE = 128 };

typedef struct rst_state_entry {
  rst_text name; /* without the prefix */
  const rst_tensor_view *tensor;
} rst_state_entry;

/* A dict that holds a network. */
typedef struct rst_network {
  const rst_value *dict;
  rst_text prefix; /* of its tensors' names in the dict: "net.", or "" */
  const rst_tensor_view *landmark;
  char place[RST_PLACE]; /* for messages: keys on the way to the dict, then the prefix: "state_dict: net." */
  bool averaged;         /* a word of the place says so: "params_ema", "generator_ema." */
  unsigned rank;         /* smaller ones are what trainers mean when they save several */
} rst_network;

/* What was found, and what was not taken, for those who want to know. */
typedef struct rst_state_dict {
  rst_state_entry *entries; /* sorted by name, each name once */
  size_t count;
  rst_network network, other; /* the one that was taken; other.dict is NULL unless there was one more */
  rst_text left_out;          /* the first of them */
  size_t left_out_count;      /* tensors that are no part of the network */
} rst_state_dict;

/* Looks for networks: for dicts, the root itself or up to RST_SEARCH_DEPTH levels down in dicts, lists and
 * tuples of any names, with a tensor patch_embed.proj.weight in them, whose name may have any prefix that
 * ends in a dot. Of several, averaged weights (EMA) are preferred to those of the last training step, then
 * the root itself, then what stands under params, state_dict and model, in that order; where that does not
 * tell, it is an error. Tensors without the prefix, those of discriminators and losses, and counters that
 * profilers and trainers leave among the weights are no part of it. `where` begins messages.
 * RST_ERROR_WEIGHTS or RST_ERROR_MEMORY. */
rst_status rst_state_dict_find(const rst_value *root, const char *where, rst_state_dict *dict,
                               rst_error *err);
/* Its first half: which network. */
rst_status rst_network_find(const rst_value *root, const char *where, rst_network *network,
                            rst_network *other, rst_error *err);
const char *rst_network_place(const rst_network *network); /* for messages: its place, or "its top" */
void rst_state_dict_free(rst_state_dict *dict);

const rst_tensor_view *rst_state_dict_get(const rst_state_dict *dict, const char *name); /* or NULL */

/* Reads every hyper-parameter off the tensors' names and shapes. ffn_hidden is taken as it is; where a level
 * has no blocks to read heads or ffn_hidden from, no tensor depends on them and they become 1 and the
 * usual 2.66 times the width. The state dict does not tell whether there is a residual connection: a network
 * has it unless it is a dual-pixel one or has other channels out than in. RST_ERROR_WEIGHTS. */
rst_status rst_state_dict_architecture(const rst_state_dict *dict, const char *where,
                                       rst_architecture *architecture, rst_error *err);

/* Compares names and shapes with what the architecture asks for, in both directions, and checks that every
 * tensor lies in its storage and has a type that can be read. views[i] is then the tensor of specs[i]; free
 * *specs and *views with rst_free. RST_ERROR_WEIGHTS or RST_ERROR_MEMORY. */
rst_status rst_state_dict_match(const rst_state_dict *dict, const char *where,
                                const rst_architecture *architecture, rst_tensor_spec **specs,
                                const rst_tensor_view ***views, size_t *count, rst_error *err);

#endif
