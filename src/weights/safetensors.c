#include "weights/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "weights/json.h"
#include "weights/kind.h"

enum { MAX_DIMS = 64 /* PyTorch's */ };

static const char metadata_key[] = "__metadata__";

static const uint8_t *data_end(const rst_tensor *t) {
  return (const uint8_t *)t->data + t->elements * rst_dtype_size(t->dtype);
}

static int compare_names(const void *a, const void *b) {
  return strcmp(((const rst_tensor *)a)->name, ((const rst_tensor *)b)->name);
}

/* Empty tensors come before the one that begins where they are; names make the order, and messages, unique.
 */
static int compare_places(const void *a, const void *b) {
  const rst_tensor *x = a, *y = b;
  const uint8_t *p = x->data, *q = y->data;
  if (p != q) return p < q ? -1 : 1;
  p = data_end(x);
  q = data_end(y);
  if (p != q) return p < q ? -1 : 1;
  return strcmp(x->name, y->name);
}

static rst_status read_metadata(const cJSON *metadata, rst_safetensors *file, rst_error *err) {
  char where[RST_JSON_WHERE];
  snprintf(where, sizeof where, "%s: %s", file->path, metadata_key);
  if (!cJSON_IsObject(metadata))
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s is not an object of strings", where);
  for (const cJSON *item = metadata->child; item != NULL; item = item->next)
    if (!cJSON_IsString(item))
      return rst_fail(err, RST_ERROR_WEIGHTS, "%s: \"%.128s\" is not a string", where, item->string);
    else if (strcmp(item->string, RST_DATA_SHA256) == 0)
      snprintf(file->data_sha256, sizeof file->data_sha256, "%s", item->valuestring);
  return RST_OK;
}

static rst_status read_dtype(const cJSON *value, const char *where, rst_safetensors_kind kind,
                             rst_dtype *dtype, rst_error *err) {
  const char *name;
  rst_status status = rst_json_string(value, where, "dtype", &name, err);
  if (status != RST_OK) return status;
  const rst_dtype end = kind == RST_SAFETENSORS_WEIGHTS ? RST_DTYPE_F64 : RST_DTYPE_BYTES;
  for (*dtype = 0; *dtype < end; ++*dtype)
    if (strcmp(name, rst_dtype_name(*dtype)) == 0) return RST_OK;
  if (kind == RST_SAFETENSORS_ANY) return RST_OK;
  return rst_fail(err, RST_ERROR_WEIGHTS, "%s: dtype \"%.32s\", expected F32, F16 or BF16", where, name);
}

/* data_offsets, counted from `data`, which holds `size` bytes. */
static rst_status read_place(const cJSON *value, const char *where, const uint8_t *data, size_t size,
                             rst_tensor *tensor, rst_error *err) {
  size_t count;
  int64_t begin, end;
  rst_status status = rst_json_array(value, where, "data_offsets", 2, 2, &count, err);
  if (status != RST_OK) return status;
  status = rst_json_integer(value->child, where, "data_offsets[0]", 0, RST_JSON_MAX_INTEGER, &begin, err);
  if (status != RST_OK) return status;
  status = rst_json_integer(value->child->next, where, "data_offsets[1]", 0, RST_JSON_MAX_INTEGER, &end, err);
  if (status != RST_OK) return status;
  if (end < begin || (uint64_t)end > size)
    return rst_fail(err, RST_ERROR_WEIGHTS,
                    "%s: data_offsets [%lld, %lld], expected a range inside the file's %zu data bytes%s",
                    where, (long long)begin, (long long)end, size, end < begin ? "" : " (is it cut short?)");
  size_t bytes;
  if (tensor->dtype == RST_DTYPE_BYTES) tensor->elements = (size_t)(end - begin);
  if (!rst_mul(tensor->elements, rst_dtype_size(tensor->dtype), &bytes) || (uint64_t)(end - begin) != bytes) {
    char shape[RST_SHAPE_TEXT];
    rst_shape_text(tensor->ndim, tensor->shape, shape);
    return rst_fail(err, RST_ERROR_WEIGHTS,
                    "%s: data_offsets [%lld, %lld] hold %lld bytes, which is not what shape %s of %s takes",
                    where, (long long)begin, (long long)end, (long long)(end - begin), shape,
                    rst_dtype_name(tensor->dtype));
  }
  tensor->data = data + begin;
  return RST_OK;
}

static rst_status read_tensor(const cJSON *entry, const rst_safetensors *file, const uint8_t *data,
                              size_t size, rst_tensor *tensor, rst_error *err) {
  char where[RST_JSON_WHERE];
  snprintf(where, sizeof where, "%s: tensor %.128s", file->path, entry->string);
  const cJSON *dtype, *shape, *offsets;
  const rst_json_field fields[] = {
      {"dtype", true, &dtype}, {"shape", true, &shape}, {"data_offsets", true, &offsets}};
  rst_status status = rst_json_object(entry, where, fields, sizeof fields / sizeof fields[0], err);
  if (status != RST_OK) return status;
  status = read_dtype(dtype, where, file->kind, &tensor->dtype, err);
  if (status != RST_OK) return status;
  const int dims = file->kind == RST_SAFETENSORS_WEIGHTS ? RST_TENSOR_DIMS : MAX_DIMS;
  status = rst_json_shape(shape, where, dims, &tensor->ndim, tensor->shape, &tensor->elements, err);
  if (status != RST_OK) return status;
  return read_place(offsets, where, data, size, tensor, err);
}

/* Makes room for the tensors of the header, and their names. */
static rst_status allocate(const cJSON *header, rst_safetensors *file, rst_error *err) {
  size_t count = 0, name_bytes = 0;
  for (const cJSON *entry = header->child; entry != NULL; entry = entry->next) {
    count++;
    name_bytes += strlen(entry->string) + 1; /* shorter than the header: no overflow */
  }
  file->tensors = rst_alloc_zeroed(count, sizeof *file->tensors);
  file->names = rst_alloc(name_bytes, 1);
  if (file->tensors == NULL || file->names == NULL) return rst_fail_memory(err, file->path);
  return RST_OK;
}

static rst_status read_header(const cJSON *header, const uint8_t *data, size_t size, rst_safetensors *file,
                              rst_error *err) {
  rst_status status = allocate(header, file, err);
  if (status != RST_OK) return status;
  bool metadata_seen = false;
  char *name = file->names;
  for (const cJSON *entry = header->child; entry != NULL; entry = entry->next) {
    if (strcmp(entry->string, metadata_key) == 0) {
      if (metadata_seen)
        return rst_fail(err, RST_ERROR_WEIGHTS, "%s: key \"%s\" appears twice", file->path, metadata_key);
      metadata_seen = true;
      status = read_metadata(entry, file, err);
    } else {
      rst_tensor *tensor = &file->tensors[file->count++];
      size_t name_size = strlen(entry->string) + 1;
      memcpy(name, entry->string, name_size);
      tensor->name = name;
      name += name_size;
      status = read_tensor(entry, file, data, size, tensor, err);
    }
    if (status != RST_OK) return status;
  }
  return RST_OK;
}

/* No name twice; and the ranges, put in order, cover the data from its first byte to its last. */
static rst_status check_together(rst_safetensors *file, const uint8_t *data, size_t size, rst_error *err) {
  rst_tensor *t = file->tensors;
  qsort(t, file->count, sizeof *t, compare_names);
  for (size_t i = 1; i < file->count; i++)
    if (strcmp(t[i - 1].name, t[i].name) == 0)
      return rst_fail(err, RST_ERROR_WEIGHTS, "%s: tensor %.128s appears twice", file->path, t[i].name);
  qsort(t, file->count, sizeof *t, compare_places);
  const uint8_t *expected = data;
  for (size_t i = 0; i < file->count; i++) {
    const uint8_t *begin = t[i].data;
    if (begin != expected)
      return rst_fail(err, RST_ERROR_WEIGHTS, "%s: tensor %.128s: data begin at %zu, expected %zu: they %s",
                      file->path, t[i].name, (size_t)(begin - data), (size_t)(expected - data),
                      begin < expected ? "overlap with another tensor's" : "leave a gap");
    expected = data_end(&t[i]);
  }
  if (expected != data + size)
    return rst_fail(err, RST_ERROR_WEIGHTS,
                    "%s: %zu data bytes, expected %zu: the last ones belong to no tensor", file->path, size,
                    (size_t)(expected - data));
  return RST_OK;
}

static rst_status read_file(rst_safetensors *file, rst_error *err) {
  const rst_mapping *m = &file->mapping;
  if (m->size < 8)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: %zu bytes, expected a safetensors file of at least 8",
                    file->path, m->size);
  uint64_t length = 0;
  for (int i = 0; i < 8; i++) length |= (uint64_t)m->data[i] << (8 * i);
  size_t most = m->size - 8 < RST_JSON_MAX_BYTES ? m->size - 8 : RST_JSON_MAX_BYTES;
  if (length > most)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: safetensors header of %llu bytes, expected at most %zu",
                    file->path, (unsigned long long)length, most);
  const char *text = (const char *)m->data + 8;
  if (length == 0 || text[0] != '{')
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: the safetensors header does not begin with '{'", file->path);
  const uint8_t *data = m->data + 8 + length;
  size_t size = m->size - 8 - (size_t)length;
  char where[RST_JSON_WHERE];
  snprintf(where, sizeof where, "%s: header", file->path);
  cJSON *header;
  rst_status status = rst_json_parse(text, (size_t)length, where, &header, err);
  if (status == RST_OK) status = read_header(header, data, size, file, err);
  if (status == RST_OK) status = check_together(file, data, size, err);
  cJSON_Delete(header);
  return status;
}

/* A Git LFS pointer in the place of a manifest's file, above all. */
static rst_status check_kind(const rst_safetensors *file, rst_error *err) {
  char kind[RST_KIND_TEXT];
  const rst_mapping *m = &file->mapping;
  if ((m->size > 8 && m->data[8] == '{') || !rst_file_kind(m->data, m->size, kind)) return RST_OK;
  return rst_fail(err, RST_ERROR_WEIGHTS, "%s: is %s, expected a safetensors file", file->path, kind);
}

rst_status rst_safetensors_open(const char *path, uint64_t bytes, rst_safetensors_kind kind,
                                rst_safetensors *file, rst_error *err) {
  *file = (rst_safetensors){.path = rst_string_copy(path), .kind = kind};
  if (file->path == NULL) return rst_fail_memory(err, path);
  rst_status status = rst_map_file(path, RST_ERROR_WEIGHTS, &file->mapping, err);
  if (status == RST_OK) status = check_kind(file, err);
  if (status == RST_OK && bytes != RST_ANY_BYTES && bytes != file->mapping.size)
    status = rst_fail(err, RST_ERROR_WEIGHTS, "%s: %zu bytes, expected %llu", path, file->mapping.size,
                      (unsigned long long)bytes);
  if (status == RST_OK) status = read_file(file, err);
  if (status != RST_OK) rst_safetensors_close(file);
  return status;
}

void rst_safetensors_close(rst_safetensors *file) {
  rst_unmap_file(&file->mapping);
  rst_free(file->tensors);
  rst_free(file->names);
  rst_free(file->path);
  *file = (rst_safetensors){0};
}
