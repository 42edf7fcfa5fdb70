/* The plain form, of PyTorch before 1.6: five pickles (a magic number, a protocol number, facts about the
 * machine, the object, the list of the storages' keys), then for each key an 8-byte count of elements and the
 * elements. */
#include <string.h>

#include "base/error.h"
#include "weights/checkpoint/checkpoint.h"

enum { PROTOCOL = 1001 };

/* 0x1950a86a20f9469cfc6c */
static const char MAGIC[10] = {0x6c, (char)0xfc, (char)0x9c, 0x46, (char)0xf9,
                               0x20, 0x6a,       (char)0xa8, 0x50, 0x19};

static rst_status next(rst_checkpoint *c, size_t *pos, const rst_value **value, rst_error *err) {
  size_t used;
  rst_status status =
      rst_pickle_read(&c->pickle, c->file.data + *pos, c->file.size - *pos, value, &used, err);
  *pos += used;
  return status;
}

static bool is_magic(const rst_value *value) {
  return value->kind == RST_VALUE_BIG_INTEGER && value->as.text.length == sizeof MAGIC &&
         memcmp(value->as.text.bytes, MAGIC, sizeof MAGIC) == 0;
}

static rst_status read_preamble(rst_checkpoint *c, size_t *pos, rst_error *err) {
  const rst_value *value;
  rst_status status = next(c, pos, &value, err);
  if (status != RST_OK) return status;
  if (!is_magic(value))
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: is a pickle, but not one that torch.save wrote", c->path);
  status = next(c, pos, &value, err);
  if (status != RST_OK) return status;
  if (value->kind != RST_VALUE_INTEGER || value->as.integer != PROTOCOL)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: protocol of PyTorch's plain form is not %d", c->path,
                    PROTOCOL);
  status = next(c, pos, &value, err);
  if (status != RST_OK) return status;
  const rst_value *little = value->kind == RST_VALUE_DICT ? rst_value_get(value, "little_endian") : NULL;
  if (little == NULL || little->kind != RST_VALUE_BOOL)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: does not tell its byte order", c->path);
  if (!little->as.integer)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: byte order \"big\", expected \"little\"", c->path);
  return RST_OK;
}

/* Points the storage into the file. */
static rst_status place_storage(rst_checkpoint *c, rst_text key, size_t *pos, rst_error *err) {
  int shown = rst_text_shown(key);
  rst_storage *storage = rst_pickle_storage(&c->pickle, key);
  if (storage == NULL || storage->data != NULL)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: storage %.*s is %s", c->path, shown, key.bytes,
                    storage == NULL ? "listed, but no tensor uses it" : "listed twice");
  const uint8_t *p = c->file.data + *pos;
  size_t left = c->file.size - *pos;
  if (left < 8 || left - 8 < storage->bytes)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: ends in the middle of storage %.*s", c->path, shown,
                    key.bytes);
  uint64_t count = 0;
  for (int i = 7; i >= 0; i--) count = count << 8 | p[i];
  size_t expected = storage->bytes / rst_dtype_size(storage->dtype);
  if (count != expected)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: storage %.*s: %llu elements, expected %zu", c->path, shown,
                    key.bytes, (unsigned long long)count, expected);
  storage->data = p + 8;
  *pos += 8 + storage->bytes;
  return RST_OK;
}

rst_status rst_checkpoint_open_legacy(rst_checkpoint *c, rst_error *err) {
  size_t pos = 0;
  const rst_value *keys = NULL;
  rst_status status = read_preamble(c, &pos, err);
  if (status == RST_OK) status = next(c, &pos, &c->root, err);
  if (status == RST_OK) status = next(c, &pos, &keys, err);
  if (status == RST_OK && keys->kind != RST_VALUE_LIST)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: %s in place of the list of its storages", c->path,
                    rst_value_kind_name(keys->kind));
  for (size_t i = 0; status == RST_OK && i < keys->as.list.count; i++) {
    const rst_value *key = keys->as.list.items[i];
    if (key->kind != RST_VALUE_STRING)
      return rst_fail(err, RST_ERROR_WEIGHTS, "%s: the key of a storage is %s, expected a str", c->path,
                      rst_value_kind_name(key->kind));
    status = place_storage(c, key->as.text, &pos, err);
  }
  return status;
}
