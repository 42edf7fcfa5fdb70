#include "weights/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "weights/json.h"
#include "weights/kind.h"

enum { MAX_DIMS = 64 /* PyTorch's */, START = 512 /* bytes that tell what a file is */ };

static const char metadata_key[] = "__metadata__";

static uint64_t data_end(const rst_tensor *t) {
  return t->offset + t->elements * rst_dtype_size(t->dtype);
}

static int compare_names(const void *a, const void *b) {
  return strcmp(((const rst_tensor *)a)->name, ((const rst_tensor *)b)->name);
}

/* Empty tensors come before the one that begins where they are; names make the order, and messages, unique.
 */
static int compare_places(const void *a, const void *b) {
  const rst_tensor *x = a, *y = b;
  if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
  const uint64_t p = data_end(x), q = data_end(y);
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

/* data_offsets, counted from the end of the header. */
static rst_status read_place(const cJSON *value, const char *where, const rst_safetensors *file,
                             rst_tensor *tensor, rst_error *err) {
  const uint64_t size = file->size - file->begin;
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
                    "%s: data_offsets [%lld, %lld], expected a range inside the file's %llu data bytes%s",
                    where, (long long)begin, (long long)end, (unsigned long long)size,
                    end < begin ? "" : " (is it cut short?)");
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
  tensor->offset = file->begin + (uint64_t)begin;
  return RST_OK;
}

static rst_status read_tensor(const cJSON *entry, const rst_safetensors *file, rst_tensor *tensor,
                              rst_error *err) {
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
  return read_place(offsets, where, file, tensor, err);
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

static rst_status read_header(const cJSON *header, rst_safetensors *file, rst_error *err) {
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
      status = read_tensor(entry, file, tensor, err);
    }
    if (status != RST_OK) return status;
  }
  return RST_OK;
}

/* No name twice; and the ranges, put in order, cover the data from its first byte to its last. */
static rst_status check_together(rst_safetensors *file, rst_error *err) {
  rst_tensor *t = file->tensors;
  qsort(t, file->count, sizeof *t, compare_names);
  for (size_t i = 1; i < file->count; i++)
    if (strcmp(t[i - 1].name, t[i].name) == 0)
      return rst_fail(err, RST_ERROR_WEIGHTS, "%s: tensor %.128s appears twice", file->path, t[i].name);
  qsort(t, file->count, sizeof *t, compare_places);
  uint64_t expected = file->begin;
  for (size_t i = 0; i < file->count; i++) {
    if (t[i].offset != expected)
      return rst_fail(err, RST_ERROR_WEIGHTS, "%s: tensor %.128s: data begin at %llu, expected %llu: they %s",
                      file->path, t[i].name, (unsigned long long)(t[i].offset - file->begin),
                      (unsigned long long)(expected - file->begin),
                      t[i].offset < expected ? "overlap with another tensor's" : "leave a gap");
    expected = data_end(&t[i]);
  }
  if (expected != file->size)
    return rst_fail(err, RST_ERROR_WEIGHTS,
                    "%s: %llu data bytes, expected %llu: the last ones belong to no tensor", file->path,
                    (unsigned long long)(file->size - file->begin),
                    (unsigned long long)(expected - file->begin));
  return RST_OK;
}

/* From the first bytes of a file of file->size bytes: says what it is when it is something else, and where
 * the header, which follows these 8 bytes, ends. */
static rst_status read_start(rst_safetensors *file, const uint8_t *start, size_t count, rst_error *err) {
  char kind[RST_KIND_TEXT];
  /* A Git LFS pointer in the place of a manifest's file, above all. */
  if ((count <= 8 || start[8] != '{') && rst_file_kind(start, count, kind))
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: is %s, expected a safetensors file", file->path, kind);
  if (count < 8)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: %zu bytes, expected a safetensors file of at least 8",
                    file->path, count);
  uint64_t length = 0;
  for (int i = 7; i >= 0; i--) length = length << 8 | start[i];
  const uint64_t most = file->size - 8 < RST_JSON_MAX_BYTES ? file->size - 8 : RST_JSON_MAX_BYTES;
  if (length > most)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: safetensors header of %llu bytes, expected at most %llu",
                    file->path, (unsigned long long)length, (unsigned long long)most);
  if (length == 0 || start[8] != '{')
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: the safetensors header does not begin with '{'", file->path);
  file->begin = 8 + length;
  return RST_OK;
}

static rst_status parse(rst_safetensors *file, const char *header, rst_error *err) {
  char where[RST_JSON_WHERE];
  snprintf(where, sizeof where, "%s: header", file->path);
  cJSON *root;
  rst_status status = rst_json_parse(header, (size_t)file->begin - 8, where, &root, err);
  if (status == RST_OK) status = read_header(root, file, err);
  if (status == RST_OK) status = check_together(file, err);
  cJSON_Delete(root);
  return status;
}

static rst_status open_input(rst_safetensors *file, uint64_t bytes, rst_error *err) {
  uint8_t start[START];
  rst_status status = rst_input_open(file->path, &file->input, err);
  if (status != RST_OK) return status;
  file->size = file->input.size;
  const size_t count = file->size < START ? (size_t)file->size : START;
  status = rst_input_read(&file->input, 0, start, count, err);
  if (status == RST_OK && bytes != RST_ANY_BYTES && bytes != file->size) {
    char kind[RST_KIND_TEXT]; /* what it is says more than how long it is */
    if ((count > 8 && start[8] == '{') || !rst_file_kind(start, count, kind))
      return rst_fail(err, RST_ERROR_WEIGHTS, "%s: %llu bytes, expected %llu", file->path,
                      (unsigned long long)file->size, (unsigned long long)bytes);
  }
  if (status == RST_OK) status = read_start(file, start, count, err);
  if (status != RST_OK) return status;
  char *header = rst_alloc((size_t)file->begin - 8, 1);
  if (header == NULL) return rst_fail_memory(err, file->path);
  status = rst_input_read(&file->input, 8, header, (size_t)file->begin - 8, err);
  if (status == RST_OK) status = parse(file, header, err);
  for (size_t i = 0; i < file->count; i++) file->tensors[i].file = &file->input;
  rst_free(header);
  return status;
}

rst_status rst_safetensors_open(const char *path, uint64_t bytes, rst_safetensors_kind kind,
                                rst_safetensors *file, rst_error *err) {
  *file = (rst_safetensors){.path = rst_string_copy(path), .kind = kind};
  rst_status status = file->path != NULL ? open_input(file, bytes, err) : rst_fail_memory(err, path);
  if (status != RST_OK) rst_safetensors_close(file);
  return status;
}

rst_status rst_safetensors_scan(const char *path, const uint8_t *data, size_t size, rst_safetensors_kind kind,
                                rst_safetensors *file, rst_error *err) {
  *file = (rst_safetensors){.path = rst_string_copy(path), .kind = kind, .size = size};
  rst_status status = file->path != NULL ? read_start(file, data, size, err) : rst_fail_memory(err, path);
  if (status == RST_OK) status = parse(file, (const char *)data + 8, err);
  for (size_t i = 0; i < file->count; i++) file->tensors[i].data = data + file->tensors[i].offset;
  if (status != RST_OK) rst_safetensors_close(file);
  return status;
}

void rst_safetensors_close(rst_safetensors *file) {
  rst_input_close(&file->input);
  rst_free(file->tensors);
  rst_free(file->names);
  rst_free(file->path);
  *file = (rst_safetensors){0};
}
