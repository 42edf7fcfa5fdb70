#include "weights/checkpoint/value.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"

enum { CHUNK = 64 * 1024, GRAIN = 16 };

typedef struct rst_heap_chunk {
  struct rst_heap_chunk *next;
  size_t used, size; /* bytes of `data` */
  _Alignas(GRAIN) unsigned char data[];
} rst_heap_chunk;

static rst_heap_chunk *chunk_with(rst_heap *heap, size_t bytes) {
  rst_heap_chunk *chunk = heap->chunks;
  if (chunk != NULL && chunk->size - chunk->used >= bytes) return chunk;
  size_t size = bytes > CHUNK ? bytes : CHUNK;
  chunk = rst_alloc_zeroed(sizeof *chunk + size, 1);
  if (chunk == NULL) return NULL;
  *chunk = (rst_heap_chunk){.next = heap->chunks, .used = 0, .size = size};
  heap->chunks = chunk;
  return chunk;
}

rst_status rst_heap_alloc(rst_heap *heap, const char *where, size_t count, size_t size, void **out,
                          rst_error *err) {
  size_t bytes;
  *out = NULL;
  if (!rst_mul(count, size, &bytes) || bytes > heap->limit - heap->used)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: its pickle needs more than %zu bytes of memory", where,
                    heap->limit);
  bytes = (bytes + GRAIN - 1) / GRAIN * GRAIN;
  rst_heap_chunk *chunk = chunk_with(heap, bytes);
  if (chunk == NULL) return rst_fail_memory(err, "the contents of a checkpoint");
  *out = chunk->data + chunk->used;
  chunk->used += bytes;
  heap->used = bytes < heap->limit - heap->used ? heap->used + bytes : heap->limit;
  return RST_OK;
}

void rst_heap_free(rst_heap *heap) {
  while (heap->chunks != NULL) {
    rst_heap_chunk *next = heap->chunks->next;
    rst_free(heap->chunks);
    heap->chunks = next;
  }
  heap->used = 0;
}

bool rst_text_is(rst_text text, const char *s) {
  return text.length == strlen(s) && memcmp(text.bytes, s, text.length) == 0;
}

int rst_text_compare(rst_text a, rst_text b) {
  size_t n = a.length < b.length ? a.length : b.length;
  int order = n > 0 ? memcmp(a.bytes, b.bytes, n) : 0;
  return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

int rst_text_shown(rst_text text) {
  return text.length > 200 ? 200 : (int)text.length;
}

const char *rst_value_kind_name(rst_value_kind kind) {
  static const char *const names[] = {
      [RST_VALUE_NONE] = "None",          [RST_VALUE_BOOL] = "a bool",    [RST_VALUE_INTEGER] = "an int",
      [RST_VALUE_BIG_INTEGER] = "an int", [RST_VALUE_FLOAT] = "a float",  [RST_VALUE_STRING] = "a str",
      [RST_VALUE_BYTES] = "bytes",        [RST_VALUE_TUPLE] = "a tuple",  [RST_VALUE_LIST] = "a list",
      [RST_VALUE_DICT] = "a dict",        [RST_VALUE_GLOBAL] = "a class", [RST_VALUE_OBJECT] = "an object",
      [RST_VALUE_STORAGE] = "a storage",  [RST_VALUE_TENSOR] = "a tensor"};
  return names[kind];
}

rst_status rst_value_new(rst_heap *heap, const char *where, rst_value_kind kind, rst_value **out,
                         rst_error *err) {
  void *p;
  rst_status status = rst_heap_alloc(heap, where, 1, sizeof **out, &p, err);
  *out = p;
  if (status == RST_OK) (*out)->kind = kind;
  return status;
}

rst_status rst_value_append(rst_heap *heap, const char *where, rst_value *list, rst_value *item,
                            rst_error *err) {
  if (list->as.list.count == list->as.list.capacity) {
    size_t capacity = list->as.list.capacity == 0 ? 4 : 2 * list->as.list.capacity;
    void *items;
    rst_status status = rst_heap_alloc(heap, where, capacity, sizeof(rst_value *), &items, err);
    if (status != RST_OK) return status;
    if (list->as.list.count > 0)
      memcpy(items, list->as.list.items, list->as.list.count * sizeof(rst_value *));
    list->as.list.items = items;
    list->as.list.capacity = capacity;
  }
  list->as.list.items[list->as.list.count++] = item;
  return RST_OK;
}

const rst_value *rst_value_get(const rst_value *dict, const char *key) {
  for (size_t i = dict->as.list.count; i >= 2; i -= 2) {
    const rst_value *k = dict->as.list.items[i - 2];
    if (k->kind == RST_VALUE_STRING && rst_text_is(k->as.text, key)) return dict->as.list.items[i - 1];
  }
  return NULL;
}
