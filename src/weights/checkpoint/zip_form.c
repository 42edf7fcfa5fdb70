/* The zip form, of PyTorch from 1.6 on: FOLDER/data.pkl with the object, FOLDER/data/KEY with the storages,
 * FOLDER/byteorder from 2.0 on. */
#include <string.h>
#include <zip.h>

#include "base/error.h"
#include "base/memory.h"
#include "weights/checkpoint/checkpoint.h"

enum {
  MAX_PROGRAM =
      64 << 20,    /* bytes of data.pkl; a full-size model with its optimizer has less than one million */
  CHUNK = 1 << 20, /* bytes inflated at a time: a few milliseconds */
  MAX_NAME = 512
};
static const size_t MAX_STORAGE = (size_t)1 << 31; /* bytes: twenty times the largest published model */
static rst_status fail_record(const rst_checkpoint *c, const char *name, const char *reason, rst_error *err) {
  return rst_fail(err, RST_ERROR_WEIGHTS, "%s: record %s: %s", c->path, name, reason);
}

/* Reads to the end, which is where libzip compares the checksum. */
static rst_status read_open_record(const rst_checkpoint *c, const char *name, zip_file_t *file, uint8_t *data,
                                   size_t size, rst_error *err) {
  size_t got = 0;
  zip_int64_t n = 1;
  while (got < size && n > 0) {
    if (c->pickle.cancelled != NULL && c->pickle.cancelled(c->pickle.user))
      return rst_fail(err, RST_CANCELLED, "cancelled");
    n = zip_fread(file, data + got, size - got < CHUNK ? size - got : CHUNK);
    if (n > 0) got += (size_t)n;
  }
  uint8_t more;
  if (got == size && n >= 0) n = zip_fread(file, &more, 1);
  if (n < 0) return fail_record(c, name, zip_file_strerror(file), err);
  if (got < size || n > 0)
    return fail_record(c, name, "is not as long as the directory of the zip file says", err);
  return RST_OK;
}

/* `expected` is the size that it must have, or SIZE_MAX for any up to `limit`. Counted each time that a
 * record is read: tensors that take turns between two storages would have both inflated again and again. */
static rst_status read_record(rst_checkpoint *c, const char *name, size_t expected, size_t limit,
                              uint8_t **data, size_t *size, rst_error *err) {
  zip_stat_t st;
  *data = NULL;
  if (zip_stat(c->zip, name, ZIP_FL_ENC_RAW, &st) != 0 || (st.valid & ZIP_STAT_SIZE) == 0)
    return fail_record(c, name, "is missing", err);
  if (expected != SIZE_MAX && st.size != expected)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: record %s: %llu bytes, expected %zu", c->path, name,
                    (unsigned long long)st.size, expected);
  if (st.size > limit)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: record %s: %llu bytes, expected at most %zu", c->path, name,
                    (unsigned long long)st.size, limit);
  const size_t allowance = rst_checkpoint_allowance(c);
  if (st.size > allowance - c->inflated)
    return rst_fail(err, RST_ERROR_WEIGHTS,
                    "%s: record %s: %llu bytes, which make more than %zu of a file of %zu bytes", c->path,
                    name, (unsigned long long)st.size, allowance, c->file.size);
  c->inflated += (size_t)st.size;
  zip_file_t *file = zip_fopen_index(c->zip, st.index, 0);
  if (file == NULL) return fail_record(c, name, zip_strerror(c->zip), err);
  *size = (size_t)st.size;
  *data = rst_alloc(*size, 1);
  rst_status status = *data != NULL ? read_open_record(c, name, file, *data, *size, err)
                                    : rst_fail_memory(err, "a record of a zip file");
  zip_fclose(file);
  if (status != RST_OK) {
    rst_free(*data);
    *data = NULL;
  }
  return status;
}

/* FOLDER/suffix, with FOLDER as the zip has it. */
static bool record_name(const rst_checkpoint *c, const char *suffix, rst_text key, char name[MAX_NAME]) {
  size_t folder = strlen(c->folder), n = strlen(suffix);
  if (key.length >= MAX_NAME || folder + n + key.length >= MAX_NAME ||
      memchr(key.bytes, '\0', key.length) != NULL)
    return false;
  memcpy(name, c->folder, folder);
  memcpy(name + folder, suffix, n);
  memcpy(name + folder + n, key.bytes, key.length);
  name[folder + n + key.length] = '\0';
  return true;
}

static bool has_record(const rst_checkpoint *c, const char *suffix) {
  char name[MAX_NAME];
  return record_name(c, suffix, (rst_text){"", 0}, name) &&
         zip_name_locate(c->zip, name, ZIP_FL_ENC_RAW) >= 0;
}

/* The folder is that of the one data.pkl. */
static rst_status find_folder(rst_checkpoint *c, rst_error *err) {
  static const char PROGRAM[] = "data.pkl";
  zip_int64_t count = zip_get_num_entries(c->zip, 0);
  for (zip_int64_t i = 0; i < count; i++) {
    const char *name = zip_get_name(c->zip, (zip_uint64_t)i, ZIP_FL_ENC_RAW);
    size_t n = name != NULL ? strlen(name) : 0;
    if (n < sizeof PROGRAM - 1 || n >= MAX_NAME) continue;
    size_t folder = n - (sizeof PROGRAM - 1);
    if (strcmp(name + folder, PROGRAM) != 0 || (folder > 0 && name[folder - 1] != '/')) continue;
    if (c->folder != NULL)
      return rst_fail(err, RST_ERROR_WEIGHTS, "%s: is a zip file with more than one data.pkl", c->path);
    c->folder = rst_alloc_zeroed(folder + 1, 1);
    if (c->folder == NULL) return rst_fail_memory(err, "the name of a folder");
    memcpy(c->folder, name, folder);
  }
  if (c->folder != NULL) return RST_OK;
  const char *first = count > 0 ? zip_get_name(c->zip, 0, ZIP_FL_ENC_RAW) : NULL;
  return rst_fail(
      err, RST_ERROR_WEIGHTS,
      "%s: is a zip file, but not a PyTorch checkpoint: it has no data.pkl; the first in it is %.200s",
      c->path, first != NULL ? first : "nothing");
}

static rst_status check_byte_order(rst_checkpoint *c, rst_error *err) {
  char name[MAX_NAME];
  uint8_t *order;
  size_t size;
  if (!has_record(c, "byteorder")) return RST_OK;
  record_name(c, "byteorder", (rst_text){"", 0}, name);
  rst_status status = read_record(c, name, SIZE_MAX, MAX_NAME, &order, &size, err);
  if (status != RST_OK) return status;
  if (size != 6 || memcmp(order, "little", 6) != 0)
    status = rst_fail(err, RST_ERROR_WEIGHTS, "%s: byte order \"%.*s\", expected \"little\"", c->path,
                      (int)size, (const char *)order);
  rst_free(order);
  return status;
}

static rst_status open_archive(rst_checkpoint *c, rst_error *err) {
  zip_error_t reason;
  zip_error_init(&reason);
  zip_source_t *source = zip_source_buffer_create(c->file.data, c->file.size, 0, &reason);
  if (source != NULL) {
    c->zip = zip_open_from_source(source, ZIP_RDONLY, &reason);
    if (c->zip == NULL) zip_source_free(source);
  }
  rst_status status = RST_OK;
  if (c->zip == NULL && (source == NULL || zip_error_code_zip(&reason) == ZIP_ER_MEMORY))
    status = rst_fail_memory(err, "the directory of a zip file");
  else if (c->zip == NULL && zip_error_code_zip(&reason) == ZIP_ER_NOZIP)
    status =
        rst_fail(err, RST_ERROR_WEIGHTS,
                 "%s: is a zip file that is cut short: the directory at its end is missing (an incomplete "
                 "download?)",
                 c->path);
  else if (c->zip == NULL)
    status = rst_fail(err, RST_ERROR_WEIGHTS, "%s: is a zip file that cannot be read: %s", c->path,
                      zip_error_strerror(&reason));
  zip_error_fini(&reason);
  return status;
}

rst_status rst_checkpoint_open_zip(rst_checkpoint *c, rst_error *err) {
  char name[MAX_NAME];
  size_t size = 0, used;
  rst_status status = open_archive(c, err);
  if (status == RST_OK) status = find_folder(c, err);
  if (status == RST_OK) status = check_byte_order(c, err);
  if (status != RST_OK) return status;
  if (has_record(c, "constants.pkl"))
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: is a TorchScript archive, expected a checkpoint of weights",
                    c->path);
  record_name(c, "data.pkl", (rst_text){"", 0}, name);
  status = read_record(c, name, SIZE_MAX, MAX_PROGRAM, &c->program, &size, err);
  return status == RST_OK ? rst_pickle_read(&c->pickle, c->program, size, &c->root, &used, err) : status;
}

void rst_checkpoint_close_zip(rst_checkpoint *c) {
  if (c->zip != NULL) zip_discard(c->zip);
  rst_free(c->folder);
  c->zip = NULL;
  c->folder = NULL;
}

rst_status rst_checkpoint_read_zip(rst_checkpoint *c, const rst_storage *storage, uint8_t **data,
                                   rst_error *err) {
  char name[MAX_NAME];
  size_t size;
  *data = NULL;
  if (!record_name(c, "data/", storage->key, name))
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: pickle has a storage whose name is not one of a record",
                    c->path);
  return read_record(c, name, storage->bytes, MAX_STORAGE, data, &size, err);
}
