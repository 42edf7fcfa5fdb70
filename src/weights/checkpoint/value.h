/* value.h - what a pickle builds: a graph of inert values. Nothing in it ever runs; texts point into the
 * pickle. */
#ifndef RST_WEIGHTS_CHECKPOINT_VALUE_H
#define RST_WEIGHTS_CHECKPOINT_VALUE_H

#include "weights/weights.h"

/* ---- Memory of a pickle: freed all at once, so that cycles do no harm --------------------------------- */

typedef struct rst_heap {
  struct rst_heap_chunk *chunks; /* newest first */
  size_t used;                   /* bytes handed out, all chunks together */
  size_t limit;                  /* of `used` */
} rst_heap;

/* count * size bytes, zeroed. RST_ERROR_MEMORY when there is none, RST_ERROR_WEIGHTS when the limit is
 * reached; `where` begins the message. */
rst_status rst_heap_alloc(rst_heap *heap, const char *where, size_t count, size_t size, void **out,
                          rst_error *err);
void rst_heap_free(rst_heap *heap);

/* ---- Values ------------------------------------------------------------------------------------------- */

typedef enum rst_value_kind {
  RST_VALUE_NONE,
  RST_VALUE_BOOL,        /* integer */
  RST_VALUE_INTEGER,     /* integer */
  RST_VALUE_BIG_INTEGER, /* text: more than 8 bytes as the pickle has them */
  RST_VALUE_FLOAT,       /* number */
  RST_VALUE_STRING,      /* text */
  RST_VALUE_BYTES,       /* text */
  RST_VALUE_TUPLE,       /* list */
  RST_VALUE_LIST,        /* list */
  RST_VALUE_DICT,        /* list: key, value, key, value, ... */
  RST_VALUE_GLOBAL,      /* global: a class or function that is known by name */
  RST_VALUE_OBJECT,      /* global: something of that class, of which nothing is kept */
  RST_VALUE_STORAGE,     /* storage */
  RST_VALUE_TENSOR       /* tensor */
} rst_value_kind;

/* Not terminated, and may hold anything. */
typedef struct rst_text {
  const char *bytes;
  size_t length;
} rst_text;

/* A run of bytes in the checkpoint; tensors are views of it and may share it. */
typedef struct rst_storage {
  rst_text key; /* its name in the checkpoint */
  rst_dtype dtype;
  size_t bytes;
  const uint8_t *data;              /* `bytes` of them, where the checkpoint has them in memory, else NULL */
  struct rst_storage *left, *right; /* smaller and larger keys: see storages.c */
  unsigned level;
} rst_storage;

enum { RST_STORAGE_DIMS = 64 };

typedef struct rst_tensor_view {
  const rst_storage *storage;
  rst_dtype dtype;
  size_t start, end; /* the part of the storage that it may use, in bytes */
  size_t offset;     /* from start to its first element, in elements */
  size_t ndim;
  const size_t *size, *stride; /* ndim each, in elements */
} rst_tensor_view;

typedef struct rst_value rst_value;
struct rst_value {
  rst_value_kind kind;
  union {
    int64_t integer;
    double number;
    rst_text text;
    struct {
      rst_value **items;
      size_t count, capacity;
    } list;
    struct {
      rst_text module, name;
      int role; /* of RST_VALUE_GLOBAL, what objects.c does with it */
      rst_dtype dtype;
    } global;
    struct {
      const rst_storage *root;
      size_t start, end; /* bytes of the root: all of it but for views */
    } storage;
    rst_tensor_view tensor;
  } as;
};

bool rst_text_is(rst_text text, const char *s);
int rst_text_compare(rst_text a, rst_text b); /* as strcmp */
int rst_text_shown(rst_text text); /* the precision for "%.*s": its length, cut to what a message can take */

/* "a tensor", "a str", ...: for messages. */
const char *rst_value_kind_name(rst_value_kind kind);

rst_status rst_value_new(rst_heap *heap, const char *where, rst_value_kind kind, rst_value **out,
                         rst_error *err);
/* Adds to a tuple, list or dict. */
rst_status rst_value_append(rst_heap *heap, const char *where, rst_value *list, rst_value *item,
                            rst_error *err);
/* The value of the last pair with that str as its key, or NULL. */
const rst_value *rst_value_get(const rst_value *dict, const char *key);

#endif
