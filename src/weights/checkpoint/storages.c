/* All storages that pickles have asked for, by key: a balanced tree, for the keys may have been chosen by
 * somebody who knows what makes a hash table slow. An AA tree (Andersson 1993): a red-black tree that has
 * levels in place of colours, and red nodes, those of the level of their parent, on the right only. */
#include "weights/checkpoint/pickle.h"

static unsigned level_of(const rst_storage *node) {
  return node != NULL ? node->level : 0;
}

/* A red node on the left goes up. */
static rst_storage *skew(rst_storage *node) {
  rst_storage *left = node->left;
  if (level_of(left) < node->level) return node;
  node->left = left->right;
  left->right = node;
  return left;
}

/* Of two red nodes in a row, the middle one goes up and is of the next level. */
static rst_storage *split(rst_storage *node) {
  rst_storage *right = node->right;
  if (right == NULL || level_of(right->right) < node->level) return node;
  node->right = right->left;
  right->left = node;
  right->level++;
  return right;
}

/* As deep as the tree is high: at most twice the logarithm of the number of storages. */
static rst_storage *insert(rst_storage *node, rst_storage *fresh) {
  if (node == NULL) return fresh;
  if (rst_text_compare(fresh->key, node->key) < 0)
    node->left = insert(node->left, fresh);
  else
    node->right = insert(node->right, fresh);
  return split(skew(node));
}

rst_storage *rst_pickle_storage(const rst_pickle *pickle, rst_text key) {
  rst_storage *node = pickle->storages;
  for (int order; node != NULL && (order = rst_text_compare(key, node->key)) != 0;)
    node = order < 0 ? node->left : node->right;
  return node;
}

rst_status rst_pickle_add_storage(rst_pickle *pickle, rst_text key, rst_dtype dtype, size_t bytes,
                                  rst_storage **storage, rst_error *err) {
  *storage = rst_pickle_storage(pickle, key);
  if (*storage != NULL) return RST_OK;
  void *fresh;
  rst_status status = rst_heap_alloc(&pickle->heap, pickle->where, 1, sizeof **storage, &fresh, err);
  if (status != RST_OK) return status;
  *storage = fresh;
  **storage = (rst_storage){.key = key, .dtype = dtype, .bytes = bytes, .level = 1};
  pickle->storages = insert(pickle->storages, *storage);
  return RST_OK;
}
