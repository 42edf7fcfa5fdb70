/* Safetensors: a dict of tensors, each with a storage of its own. */
#include <string.h>

#include "weights/checkpoint/checkpoint.h"

static rst_status make_storage(rst_pickle *pickle, const rst_tensor *tensor, rst_storage **out,
                               rst_error *err) {
  void *storage;
  rst_status status = rst_heap_alloc(&pickle->heap, pickle->where, 1, sizeof **out, &storage, err);
  *out = storage;
  if (status != RST_OK) return status;
  **out = (rst_storage){.key = {tensor->name, strlen(tensor->name)},
                        .dtype = tensor->dtype,
                        .bytes = tensor->elements * rst_dtype_size(tensor->dtype),
                        .data = tensor->data};
  return RST_OK;
}

static rst_status make_tensor(rst_pickle *pickle, const rst_tensor *tensor, rst_value **out, rst_error *err) {
  rst_storage *storage;
  void *dims;
  const size_t ndim = (size_t)tensor->ndim;
  rst_status status = make_storage(pickle, tensor, &storage, err);
  if (status == RST_OK)
    status = rst_heap_alloc(&pickle->heap, pickle->where, 2 * ndim, sizeof(size_t), &dims, err);
  if (status == RST_OK) status = rst_value_new(&pickle->heap, pickle->where, RST_VALUE_TENSOR, out, err);
  if (status != RST_OK) return status;
  size_t *size = dims, *stride = size + ndim, step = 1;
  for (size_t i = ndim; i-- > 0;) {
    size[i] = i < RST_TENSOR_DIMS ? tensor->shape[i] : 0; /* no network has tensors of so many dimensions */
    stride[i] = step;
    step *= size[i];
  }
  (*out)->as.tensor = (rst_tensor_view){.storage = storage,
                                        .dtype = storage->dtype,
                                        .end = storage->bytes,
                                        .ndim = ndim,
                                        .size = size,
                                        .stride = stride};
  return RST_OK;
}

rst_status rst_checkpoint_open_safetensors(rst_checkpoint *c, rst_error *err) {
  rst_pickle *pickle = &c->pickle;
  rst_value *dict = NULL, *key, *value;
  rst_status status =
      rst_safetensors_scan(c->path, c->file.data, c->file.size, RST_SAFETENSORS_ANY, &c->safetensors, err);
  if (status == RST_OK) status = rst_value_new(&pickle->heap, c->path, RST_VALUE_DICT, &dict, err);
  for (size_t i = 0; status == RST_OK && i < c->safetensors.count; i++) {
    const rst_tensor *tensor = &c->safetensors.tensors[i];
    status = rst_value_new(&pickle->heap, c->path, RST_VALUE_STRING, &key, err);
    if (status == RST_OK) key->as.text = (rst_text){tensor->name, strlen(tensor->name)};
    if (status == RST_OK) status = make_tensor(pickle, tensor, &value, err);
    if (status == RST_OK) status = rst_value_append(&pickle->heap, c->path, dict, key, err);
    if (status == RST_OK) status = rst_value_append(&pickle->heap, c->path, dict, value, err);
  }
  c->root = dict;
  return status;
}
