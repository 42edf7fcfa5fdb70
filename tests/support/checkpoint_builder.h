/* checkpoint_builder.h - PyTorch checkpoints of random models, built byte by byte, with what a test wants to
 * be wrong in them. Fails the running test when there is no memory or a file cannot be written. */
#ifndef TESTS_SUPPORT_CHECKPOINT_BUILDER_H
#define TESTS_SUPPORT_CHECKPOINT_BUILDER_H

#include "support/random_model.h"

/* ---- Bytes that grow ---------------------------------------------------------------------------------- */

typedef struct bytes {
  uint8_t *data;
  size_t size, capacity;
} bytes;

void bytes_add(bytes *b, const void *data, size_t size);
void bytes_add_text(bytes *b, const char *text); /* without its final 0 */
void bytes_free(bytes *b);
void bytes_write(const bytes *b, const char *path);
void bytes_read(bytes *b, const char *path);

/* ---- Parts of pickles --------------------------------------------------------------------------------- */

void pickle_string(bytes *b, const char *text);
void pickle_integer(bytes *b, int64_t value);

/* A tensor over storage `key` of that type ("FloatStorage"). */
typedef struct pickled_tensor {
  const char *type, *key;
  int64_t storage_elements;
  int64_t offset;
  size_t ndim;
  int64_t size[RST_TENSOR_DIMS], stride[RST_TENSOR_DIMS]; /* stride of all 0: contiguous */
} pickled_tensor;

void pickle_tensor(bytes *b, const pickled_tensor *tensor);

/* ---- Checkpoints -------------------------------------------------------------------------------------- */

typedef struct recipe {
  const random_model *model;
  const char *wrapper; /* NULL: the tensors are in the root itself */
  const char *prefix;  /* NULL: none */
  const char *omit;    /* a tensor that is left out, or NULL */
  bytes inner,
      outer; /* more keys and values, pickled, for the dict of tensors and for the root; freed by build */
} recipe;

typedef struct built_storage {
  char key[32];
  size_t element_size;
  bytes data;
} built_storage;

/* The pickle, and the storages "0", "1", ... of the model's tensors in their order, float32. */
typedef struct built {
  bytes program;
  built_storage *storages;
  size_t count;
} built;

built build(recipe *r);
void built_free(built *b);
/* Adds a storage of float32, or replaces the one of that key. */
void built_storage_set(built *b, const char *key, const float *values, size_t count);

typedef struct zip_options {
  const char *folder;           /* NULL: "archive/" */
  const char *byte_order;       /* NULL: no such record */
  const char *more, *more_data; /* one more record, or NULL */
  const char *without;          /* a record that is left out, or NULL */
  bool deflate;
} zip_options;
void write_zip(const built *b, const char *path, const zip_options *options); /* NULL: all zero */
/* Magic number, protocol and facts about the machine as they should be. */
void legacy_preamble(bytes *out);
/* All of a file in the plain form. */
void legacy_file(const built *b, bytes *out);

/* ---- Converting --------------------------------------------------------------------------------------- */

/* A folder with a model for tests of conversions. */
typedef struct workshop {
  char *folder;
  char input[256], manifest[256], tensors[256]; /* FOLDER/x.pth, FOLDER/w.json, FOLDER/w.safetensors */
  random_model model;
} workshop;

int workshop_open(
    void **state); /* cmocka's setup: *state is the workshop; the model has dim 2 and 2 levels */
int workshop_close(void **state);
void workshop_model(workshop *w, const rst_architecture *architecture); /* another one */

/* Each is done twice, in the process itself and in a helper. Converting `input` must work and give the values
 * of the model, in every tensor, and its architecture. */
void assert_converts(workshop *w);
/* It must fail so; `message` is what follows the input's path and ": ". No file is left. */
void assert_refused(workshop *w, const char *message);
/* The same for the recipe in the zip form. */
void assert_recipe_converts(workshop *w, recipe *r);
void assert_recipe_refused(workshop *w, recipe *r, const char *message);

#endif
