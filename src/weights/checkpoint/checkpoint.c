#include "weights/checkpoint/checkpoint.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "weights/kind.h"

enum { TAR_MAGIC = 257 }; /* where a tar file has "ustar" */
static const uint64_t MAX_FILE = (uint64_t)1
                                 << 34; /* bytes; with an optimizer, the published ones have 0.3 GB */

static bool is_zip(const rst_contents *m) {
  return m->size >= 4 && memcmp(m->data, "PK\3\4", 4) == 0;
}

static bool is_tar(const rst_contents *m) {
  return m->size >= TAR_MAGIC + 5 && memcmp(m->data + TAR_MAGIC, "ustar", 5) == 0;
}

/* The length of the header can begin with the byte that begins a pickle, so this is asked first. */
static bool is_safetensors(const rst_contents *m) {
  if (m->size < 10 || m->data[8] != '{') return false;
  uint64_t length = 0;
  for (int i = 7; i >= 0; i--) length = length << 8 | m->data[i];
  return length <= m->size - 8;
}

rst_status rst_checkpoint_parse(rst_checkpoint *c, rst_error *err) {
  if (is_zip(&c->file)) return rst_checkpoint_open_zip(c, err);
  if (is_safetensors(&c->file)) return rst_checkpoint_open_safetensors(c, err);
  if (is_tar(&c->file))
    return rst_fail(
        err, RST_ERROR_WEIGHTS,
        "%s: is a tar file, the form of PyTorch before 0.1.10, which is not read; loading it and saving "
        "it again with a newer PyTorch helps",
        c->path);
  if (c->file.size > 0 && c->file.data[0] == 0x80) return rst_checkpoint_open_legacy(c, err);
  char kind[RST_KIND_TEXT];
  if (!rst_file_kind(c->file.data, c->file.size, kind))
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: is neither a PyTorch checkpoint nor a safetensors file",
                    c->path);
  return rst_fail(err, RST_ERROR_WEIGHTS, "%s: is %s, expected a PyTorch checkpoint or a safetensors file",
                  c->path, kind);
}

rst_status rst_checkpoint_load(const char *path, bool (*cancelled)(void *user), void *user,
                               rst_checkpoint *checkpoint, rst_error *err) {
  *checkpoint = (rst_checkpoint){.path = path};
  rst_pickle_init(&checkpoint->pickle, path);
  checkpoint->pickle.cancelled = cancelled;
  checkpoint->pickle.user = user;
  const rst_reading reading = {
      .status = RST_ERROR_WEIGHTS, .limit = MAX_FILE, .cancelled = cancelled, .user = user};
  return rst_file_read(path, &reading, &checkpoint->file, err);
}

void rst_checkpoint_close(rst_checkpoint *checkpoint) {
  rst_checkpoint_close_zip(checkpoint);
  rst_safetensors_close(&checkpoint->safetensors);
  rst_pickle_free(&checkpoint->pickle);
  rst_free(checkpoint->loaded_data);
  rst_free(checkpoint->program);
  rst_contents_free(&checkpoint->file);
  *checkpoint = (rst_checkpoint){0};
}

size_t rst_checkpoint_allowance(const rst_checkpoint *checkpoint) {
  enum { GROWTH = 64, SMALL = 1 << 20 }; /* deflated weights are seldom half as large */
  size_t bytes;
  return rst_mul(checkpoint->file.size, GROWTH, &bytes) && rst_add(bytes, SMALL, &bytes) ? bytes : SIZE_MAX;
}

rst_status rst_checkpoint_data(rst_checkpoint *checkpoint, const rst_storage *storage, const uint8_t **data,
                               rst_error *err) {
  if (storage->data == NULL && checkpoint->zip == NULL)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: storage %.*s is missing", checkpoint->path,
                    rst_text_shown(storage->key), storage->key.bytes);
  if (storage->data == NULL && checkpoint->loaded != storage) {
    rst_free(checkpoint->loaded_data);
    checkpoint->loaded = NULL;
    rst_status status = rst_checkpoint_read_zip(checkpoint, storage, &checkpoint->loaded_data, err);
    if (status != RST_OK) return status;
    checkpoint->loaded = storage;
  }
  *data = storage->data != NULL ? storage->data : checkpoint->loaded_data;
  return RST_OK;
}
