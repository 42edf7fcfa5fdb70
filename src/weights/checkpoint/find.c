/* Which network, of all that a checkpoint holds: every trainer wraps its state dicts in names of its own. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "weights/checkpoint/state_dict.h"

static const char LANDMARK[] = "patch_embed.proj.weight"; /* every network has it */
enum {
  LANDMARK_LENGTH = sizeof LANDMARK - 1,
  MAX_NAME = 255,
  MAX_ITEMS = 1 << 22 /* of all dicts and lists; a large checkpoint has some thousands */
};

typedef struct search {
  const char *where;
  rst_network best, other; /* dict: NULL until there is one */
  bool tied;               /* nothing tells best and other apart */
  size_t items;            /* looked at */
  size_t tensors;          /* seen */
  rst_text first;          /* name of the first of them */
} search;

/* ---- Places ------------------------------------------------------------------------------------- */

/* A way down: the names of all levels. */
typedef struct way {
  char text[RST_PLACE / 2]; /* "checkpoint, params_ema", cut where it is too long */
  bool averaged;
  unsigned rank, weight; /* in digits of KINDS, one for each level from the top */
} way;

static const char *const known[] = {"params", "state_dict", "model"};
enum { KNOWN = sizeof known / sizeof known[0], KINDS = KNOWN + 2 /* nothing, known ones, others */ };

/* "ema" or the like as a word of its own, in any case: params_ema, params-ema, ema_model, netEMA; not schema.
 */
static bool says_averaged(rst_text text) {
  static const char *const words[] = {"ema", "swa", "averaged"};
  for (size_t w = 0; w < sizeof words / sizeof words[0]; w++) {
    const size_t n = strlen(words[w]);
    for (size_t i = 0; i + n <= text.length; i++) {
      const unsigned char *s = (const unsigned char *)text.bytes + i;
      size_t same = 0;
      while (same < n && tolower(s[same]) == words[w][same]) same++;
      if (same < n) continue;
      const bool begins = i == 0 || !isalpha(s[-1]) || (isupper(s[0]) && islower(s[-1]));
      const bool ends = i + n == text.length || !islower(s[n]);
      if (begins && ends) return true;
    }
  }
  return false;
}

static void step_down(way *w, rst_text name) {
  unsigned kind = 0;
  while (kind < KNOWN && !rst_text_is(name, known[kind])) kind++;
  const size_t n = strlen(w->text);
  snprintf(w->text + n, sizeof w->text - n, n == 0 ? "%.*s" : ", %.*s", rst_text_shown(name), name.bytes);
  w->averaged = w->averaged || says_averaged(name);
  w->rank += (kind + 1) * w->weight;
  w->weight /= KINDS;
}

/* ---- Candidates --------------------------------------------------------------------------------- */

/* Modules that have the same one under two names have its tensors twice in their state dict. */
static bool same_network(const rst_network *a, const rst_network *b) {
  return a->landmark->storage == b->landmark->storage && a->landmark->start == b->landmark->start &&
         a->landmark->offset == b->landmark->offset;
}

static void add_candidate(search *s, const rst_network *found) {
  if (s->best.dict == NULL) {
    s->best = *found;
    return;
  }
  if (same_network(&s->best, found)) return;
  const bool better = found->averaged != s->best.averaged ? found->averaged : found->rank < s->best.rank;
  const bool worse = found->averaged != s->best.averaged ? s->best.averaged : found->rank > s->best.rank;
  if (better) {
    s->other = s->best;
    s->best = *found;
    s->tied = false;
  } else if (s->other.dict == NULL || (!worse && !s->tied)) {
    s->other = *found;
    s->tied = !worse;
  }
}

static void look_at_tensor(search *s, const way *w, const rst_value *dict, rst_text name,
                           const rst_tensor_view *tensor) {
  if (s->tensors++ == 0) s->first = name;
  if (name.length < LANDMARK_LENGTH || name.length > MAX_NAME) return;
  const rst_text prefix = {name.bytes, name.length - LANDMARK_LENGTH};
  if (memcmp(name.bytes + prefix.length, LANDMARK, LANDMARK_LENGTH) != 0) return;
  if (prefix.length > 0 && prefix.bytes[prefix.length - 1] != '.') return;
  rst_network found = {.dict = dict,
                       .prefix = prefix,
                       .landmark = tensor,
                       .averaged = w->averaged || says_averaged(prefix),
                       .rank = w->rank};
  snprintf(found.place, sizeof found.place, "%s%s%.*s", w->text,
           w->text[0] != '\0' && prefix.length > 0 ? ": " : "", rst_text_shown(prefix), prefix.bytes);
  add_candidate(s, &found);
}

/* ---- The walk ----------------------------------------------------------------------------------- */

static rst_status look_below(search *s, const way *w, const rst_value *value, int depth, rst_error *err);

static rst_status look_at_item(search *s, const way *w, const rst_value *list, rst_text name,
                               const rst_value *item, int depth, rst_error *err) {
  if (item->kind == RST_VALUE_TENSOR && list->kind == RST_VALUE_DICT)
    look_at_tensor(s, w, list, name, &item->as.tensor);
  const bool holds =
      item->kind == RST_VALUE_DICT || item->kind == RST_VALUE_LIST || item->kind == RST_VALUE_TUPLE;
  if (!holds || depth == RST_SEARCH_DEPTH) return RST_OK;
  way further = *w;
  step_down(&further, name);
  return look_below(s, &further, item, depth + 1, err);
}

/* Dicts may hold themselves, and each other often: depth and work are bounded. */
static rst_status look_below(search *s, const way *w, const rst_value *value, int depth, rst_error *err) {
  const size_t step = value->kind == RST_VALUE_DICT ? 2 : 1;
  rst_status status = RST_OK;
  for (size_t i = 0; i < value->as.list.count && status == RST_OK; i += step) {
    if (++s->items > MAX_ITEMS)
      return rst_fail(err, RST_ERROR_WEIGHTS, "%s: its dicts and lists hold each other too often", s->where);
    const rst_value *key = value->as.list.items[i];
    char number[24];
    rst_text name = {number, (size_t)snprintf(number, sizeof number, "[%zu]", i)};
    if (step == 2 && key->kind != RST_VALUE_STRING) continue; /* an optimizer's, by number */
    if (step == 2) name = key->as.text;
    status = look_at_item(s, w, value, name, value->as.list.items[i + step - 1], depth, err);
  }
  return status;
}

static rst_status fail_kind(const search *s, const rst_value *root, rst_error *err) {
  if (root->kind == RST_VALUE_OBJECT)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: holds an object of %.*s.%.*s, expected a dict of tensors",
                    s->where, rst_text_shown(root->as.global.module), root->as.global.module.bytes,
                    rst_text_shown(root->as.global.name), root->as.global.name.bytes);
  return rst_fail(err, RST_ERROR_WEIGHTS, "%s: holds %s, expected a dict of tensors", s->where,
                  rst_value_kind_name(root->kind));
}

const char *rst_network_place(const rst_network *network) {
  return network->place[0] != '\0' ? network->place : "its top";
}

rst_status rst_network_find(const rst_value *root, const char *where, rst_network *network,
                            rst_network *other, rst_error *err) {
  search s = {.where = where};
  way top = {.weight = 1};
  for (int depth = 1; depth < RST_SEARCH_DEPTH; depth++) top.weight *= KINDS;
  if (root->kind != RST_VALUE_DICT && root->kind != RST_VALUE_LIST && root->kind != RST_VALUE_TUPLE)
    return fail_kind(&s, root, err);
  rst_status status = look_below(&s, &top, root, 0, err);
  if (status != RST_OK) return status;
  if (s.best.dict == NULL && root->kind != RST_VALUE_DICT) return fail_kind(&s, root, err);
  if (s.best.dict == NULL && s.tensors == 0)
    return rst_fail(err, RST_ERROR_WEIGHTS,
                    "%s: holds no Restormer network: there are no tensors with names in it", where);
  if (s.best.dict == NULL)
    return rst_fail(
        err, RST_ERROR_WEIGHTS,
        "%s: holds no Restormer network: none of its %zu tensors is %s, with any prefix; the first is "
        "%.*s",
        where, s.tensors, LANDMARK, rst_text_shown(s.first), s.first.bytes);
  if (s.tied)
    return rst_fail(err, RST_ERROR_WEIGHTS,
                    "%s: holds more than one network, and nothing tells which to take: %s and %s", where,
                    rst_network_place(&s.best), rst_network_place(&s.other));
  *network = s.best;
  *other = s.other;
  return RST_OK;
}
