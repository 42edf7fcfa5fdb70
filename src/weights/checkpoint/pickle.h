/* pickle.h - reads Python pickles, protocols 0 to 5, as far as checkpoints of weights use them. A pickle is a
 * program for a small stack machine that may call anything in Python; this one runs the machine, but the only
 * things it can call are the few in objects.c, which make inert values. Everything else is refused by name.
 */
#ifndef RST_WEIGHTS_CHECKPOINT_PICKLE_H
#define RST_WEIGHTS_CHECKPOINT_PICKLE_H

#include "weights/checkpoint/value.h"

/* Owns all that its pickles have built. */
typedef struct rst_pickle {
  const char *where; /* begins every message: the checkpoint's path */
  rst_heap heap;
  bool (*cancelled)(void *user); /* may be NULL; asked every now and then, true to stop */
  void *user;                    /* passed to cancelled */
  rst_storage
      *storages; /* all that were asked for, each once: the root of a tree, NULL when there are none */
} rst_pickle;

void rst_pickle_init(rst_pickle *pickle, const char *where);
void rst_pickle_free(rst_pickle *pickle); /* an initialised or zeroed one */

/* Reads the pickle at the start of data, which must live as long as the values do. *used is its length. */
rst_status rst_pickle_read(rst_pickle *pickle, const uint8_t *data, size_t size, const rst_value **value,
                           size_t *used, rst_error *err);

/* The storage with that key, or NULL. */
rst_storage *rst_pickle_storage(const rst_pickle *pickle, rst_text key);
/* The same; a new one of that type and size is made where there is none. */
rst_status rst_pickle_add_storage(rst_pickle *pickle, rst_text key, rst_dtype dtype, size_t bytes,
                                  rst_storage **storage, rst_error *err);

#endif
