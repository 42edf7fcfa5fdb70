#include "weights/weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/options.h"
#include "weights/json.h"
#include "weights/manifest.h"
#include "weights/safetensors.h"

struct rst_weights {
  rst_manifest manifest;
  rst_safetensors *files; /* as many as the manifest has */
  rst_tensor_spec
      *specs;           /* of the architecture, in the order of the state dict; they own the tensors' names */
  rst_tensor *tensors;  /* sorted by name */
  size_t count;         /* of specs and of tensors */
  uint8_t *inline_data; /* float32, little-endian, of all inline tensors */
};

/* ---- The model's tensors, at first without data -------------------------------------------- */

static int compare_names(const void *a, const void *b) {
  return strcmp(((const rst_tensor *)a)->name, ((const rst_tensor *)b)->name);
}

static rst_tensor *find_tensor(const rst_weights *w, const char *name) {
  rst_tensor key = {.name = name};
  return bsearch(&key, w->tensors, w->count, sizeof key, compare_names);
}

static rst_status list_tensors(rst_weights *w, rst_error *err) {
  rst_status status = rst_architecture_tensors(&w->manifest.architecture, &w->specs, &w->count, err);
  if (status != RST_OK) return status;
  w->tensors = rst_alloc_zeroed(w->count, sizeof *w->tensors);
  if (w->tensors == NULL) return rst_fail_memory(err, w->manifest.path);
  for (size_t i = 0; i < w->count; i++) {
    rst_tensor *t = &w->tensors[i];
    t->name = w->specs[i].name;
    t->ndim = w->specs[i].ndim;
    t->elements = w->specs[i].elements;
    memcpy(t->shape, w->specs[i].shape, sizeof t->shape);
  }
  qsort(w->tensors, w->count, sizeof *w->tensors, compare_names);
  return RST_OK;
}

static bool is_given(const rst_tensor *tensor) {
  return tensor->data != NULL || tensor->file != NULL;
}

/* Finds the place of a tensor that `path` has, and checks that it is free and of that shape. */
static rst_status find_place(const rst_weights *w, const char *path, const char *name, int ndim,
                             const size_t shape[], rst_tensor **place, rst_error *err) {
  rst_tensor *t = find_tensor(w, name);
  if (t == NULL)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: tensor %.128s: the model has no tensor of that name", path,
                    name);
  if (is_given(t)) return rst_fail(err, RST_ERROR_WEIGHTS, "%s: tensor %s: given twice", path, t->name);
  if (t->ndim != ndim || memcmp(t->shape, shape, sizeof t->shape) != 0) {
    char found[RST_SHAPE_TEXT], expected[RST_SHAPE_TEXT];
    rst_shape_text(ndim, shape, found);
    rst_shape_text(t->ndim, t->shape, expected);
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: tensor %s: shape %s, expected %s", path, t->name, found,
                    expected);
  }
  *place = t;
  return RST_OK;
}

/* ---- From files ---------------------------------------------------------------------------- */

static rst_status open_file(rst_weights *w, size_t index, rst_error *err) {
  const rst_manifest_file *listed = &w->manifest.files[index];
  rst_safetensors *file = &w->files[index];
  rst_status status = rst_safetensors_open(listed->path, listed->bytes, RST_SAFETENSORS_WEIGHTS, file, err);
  /* Sizes and shapes are those of any model of this architecture; this tells them apart without reading it
   * all. */
  if (status == RST_OK && listed->data_sha256[0] != '\0' &&
      strcmp(listed->data_sha256, file->data_sha256) != 0)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: %s \"%s\" in its header, expected %s: of another model",
                    listed->path, RST_DATA_SHA256, file->data_sha256, listed->data_sha256);
  for (size_t i = 0; i < file->count && status == RST_OK; i++) {
    const rst_tensor *found = &file->tensors[i];
    rst_tensor *place = NULL;
    status = find_place(w, listed->path, found->name, found->ndim, found->shape, &place, err);
    if (status != RST_OK) break;
    place->dtype = found->dtype;
    place->file = found->file;
    place->offset = found->offset;
  }
  return status;
}

static rst_status open_files(rst_weights *w, rst_error *err) {
  w->files = rst_alloc_zeroed(w->manifest.file_count, sizeof *w->files);
  if (w->files == NULL) return rst_fail_memory(err, w->manifest.path);
  rst_status status = RST_OK;
  for (size_t i = 0; i < w->manifest.file_count && status == RST_OK; i++) status = open_file(w, i, err);
  return status;
}

/* ---- From the manifest itself -------------------------------------------------------------- */

typedef struct inline_tensor {
  const cJSON *data;
  int ndim;
  size_t shape[RST_TENSOR_DIMS], elements;
} inline_tensor;

static rst_status read_inline(const cJSON *entry, const char *where, inline_tensor *tensor, rst_error *err) {
  const cJSON *shape;
  const rst_json_field fields[] = {{"shape", true, &shape}, {"data", true, &tensor->data}};
  size_t count;
  rst_status status = rst_json_object(entry, where, fields, 2, err);
  if (status == RST_OK)
    status =
        rst_json_shape(shape, where, RST_TENSOR_DIMS, &tensor->ndim, tensor->shape, &tensor->elements, err);
  if (status == RST_OK)
    status = rst_json_array(tensor->data, where, "data", tensor->elements, tensor->elements, &count, err);
  return status;
}

static void store_float(float value, uint8_t out[4]) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  for (int i = 0; i < 4; i++) out[i] = (uint8_t)(bits >> (8 * i));
}

/* Rounds to float32. */
static rst_status store_values(const cJSON *data, const char *where, uint8_t *out, rst_error *err) {
  size_t index = 0;
  for (const cJSON *item = data->child; item != NULL; item = item->next, index++) {
    char key[32];
    double value;
    snprintf(key, sizeof key, "data[%zu]", index);
    rst_status status = rst_json_number(item, where, key, &value, err);
    if (status != RST_OK) return status;
    if (!isfinite((float)value))
      return rst_fail(err, RST_ERROR_WEIGHTS, "%s: %s %g, expected a number that float32 can hold", where,
                      key, value);
    store_float((float)value, out + 4 * index);
  }
  return RST_OK;
}

/* Numbers in all inline tensors: at most half as many as the manifest has bytes. */
static size_t count_inline_values(const cJSON *tensors) {
  size_t count = 0;
  for (const cJSON *entry = tensors->child; entry != NULL; entry = entry->next) {
    const cJSON *data = cJSON_IsObject(entry) ? cJSON_GetObjectItemCaseSensitive(entry, "data") : NULL;
    for (const cJSON *item = data != NULL && cJSON_IsArray(data) ? data->child : NULL; item != NULL;
         item = item->next)
      count++;
  }
  return count;
}

static rst_status read_inline_tensors(rst_weights *w, rst_error *err) {
  const cJSON *tensors = w->manifest.tensors;
  if (tensors == NULL) return RST_OK;
  if (!cJSON_IsObject(tensors))
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: tensors is not an object", w->manifest.path);
  w->inline_data = rst_alloc(count_inline_values(tensors), sizeof(float));
  if (w->inline_data == NULL) return rst_fail_memory(err, w->manifest.path);
  uint8_t *out = w->inline_data;
  for (const cJSON *entry = tensors->child; entry != NULL; entry = entry->next) {
    char where[RST_JSON_WHERE];
    snprintf(where, sizeof where, "%s: tensor %.128s", w->manifest.path, entry->string);
    inline_tensor tensor;
    rst_tensor *place = NULL;
    rst_status status = read_inline(entry, where, &tensor, err);
    if (status == RST_OK)
      status = find_place(w, w->manifest.path, entry->string, tensor.ndim, tensor.shape, &place, err);
    if (status == RST_OK) status = store_values(tensor.data, where, out, err);
    if (status != RST_OK) return status;
    place->dtype = RST_DTYPE_F32;
    place->data = out;
    out += 4 * tensor.elements;
  }
  return RST_OK;
}

/* ---- The whole ----------------------------------------------------------------------------- */

static rst_status check_complete(const rst_weights *w, rst_error *err) {
  const char *first = NULL;
  size_t missing = 0;
  for (size_t i = 0; i < w->count; i++) {
    if (is_given(find_tensor(w, w->specs[i].name))) continue;
    if (first == NULL) first = w->specs[i].name;
    missing++;
  }
  if (missing == 0) return RST_OK;
  if (missing == 1)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: tensor %s: missing", w->manifest.path, first);
  return rst_fail(err, RST_ERROR_WEIGHTS, "%s: tensor %s: missing, and %zu more", w->manifest.path, first,
                  missing - 1);
}

rst_status rst_weights_open(const char *manifest_path, rst_weights **weights, rst_error *err) {
  *weights = NULL;
  rst_weights *w = rst_alloc_zeroed(1, sizeof *w);
  if (w == NULL) return rst_fail_memory(err, manifest_path);
  rst_status status = rst_manifest_read(manifest_path, &w->manifest, err);
  if (status == RST_OK) status = list_tensors(w, err);
  if (status == RST_OK) status = open_files(w, err);
  if (status == RST_OK) status = read_inline_tensors(w, err);
  if (status == RST_OK) status = check_complete(w, err);
  rst_manifest_drop_tree(&w->manifest);
  if (status != RST_OK) {
    rst_weights_close(w);
    return status;
  }
  *weights = w;
  return rst_end(err, RST_OK);
}

void rst_weights_close(rst_weights *w) {
  if (w == NULL) return;
  for (size_t i = 0; w->files != NULL && i < w->manifest.file_count; i++) rst_safetensors_close(&w->files[i]);
  rst_free(w->files);
  rst_free(w->tensors);
  rst_free(w->specs);
  rst_free(w->inline_data);
  rst_manifest_free(&w->manifest);
  rst_free(w);
}

const rst_tensor *rst_weights_tensor(const rst_weights *weights, const char *name) {
  return find_tensor(weights, name);
}

const rst_architecture *rst_weights_architecture(const rst_weights *weights) {
  return &weights->manifest.architecture;
}

const char *rst_weights_path(const rst_weights *weights) {
  return weights->manifest.path;
}

void rst_weights_get_info(const rst_weights *weights, rst_weights_info *info) {
  const rst_manifest *m = &weights->manifest;
  rst_weights_info all = {.name = m->name,
                          .task = m->task,
                          .license = m->license,
                          .source = m->source,
                          .sha256 = m->sha256,
                          .architecture = &m->architecture,
                          .dtype = rst_dtype_name(weights->tensors[0].dtype)};
  for (size_t i = 0; i < weights->count; i++) {
    const rst_tensor *t = &weights->tensors[i];
    all.parameters += t->elements;
    all.bytes += t->elements * rst_dtype_size(t->dtype);
    if (t->dtype != weights->tensors[0].dtype) all.dtype = "mixed";
  }
  rst_info_write(info, &all, sizeof all);
}

/* ---- Hashes and values --------------------------------------------------------------------- */

static rst_status hash(const rst_input *input, char hex[RST_SHA256_HEX], rst_error *err) {
  enum { PIECE = 1 << 16 };
  rst_sha256 sha;
  uint8_t piece[PIECE], digest[RST_SHA256_BYTES];
  rst_sha256_init(&sha);
  for (uint64_t at = 0; at < input->size; at += PIECE) {
    const size_t n = input->size - at < PIECE ? (size_t)(input->size - at) : PIECE;
    rst_status status = rst_input_read(input, at, piece, n, err);
    if (status != RST_OK) return status;
    rst_sha256_update(&sha, piece, n);
  }
  rst_sha256_final(&sha, digest);
  rst_sha256_hex(digest, hex);
  return RST_OK;
}

static rst_status verify_hash(const rst_manifest_file *listed, const rst_input *input, rst_error *err) {
  char found[RST_SHA256_HEX];
  rst_status status = hash(input, found, err);
  if (status != RST_OK || memcmp(found, listed->sha256, sizeof found) == 0) return status;
  return rst_fail(err, RST_ERROR_WEIGHTS, "%s: SHA-256 %s, expected %s", listed->path, found, listed->sha256);
}

static rst_status verify_values(const rst_tensor *tensor, const char *path, rst_error *err) {
  enum { PIECE = 4096 };
  float piece[PIECE];
  rst_status status = RST_OK;
  for (size_t first = 0; first < tensor->elements && status == RST_OK; first += PIECE) {
    const size_t left = tensor->elements - first, count = left < PIECE ? left : PIECE;
    status = rst_tensor_read_finite(tensor, NULL, path, first, count, piece, err);
  }
  return status;
}

/* Inline tensors have neither hashes nor, since they were opened, values that are not finite. */
rst_status rst_weights_verify(const rst_weights *weights, rst_error *err) {
  rst_status status = RST_OK;
  for (size_t i = 0; i < weights->manifest.file_count && status == RST_OK; i++) {
    const rst_safetensors *file = &weights->files[i];
    status = verify_hash(&weights->manifest.files[i], &file->input, err);
    for (size_t t = 0; t < file->count && status == RST_OK; t++)
      status = verify_values(&file->tensors[t], file->path, err);
  }
  return rst_end(err, status);
}
