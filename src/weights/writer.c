#include "weights/writer.h"

#include <float.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/output.h"
#include "base/sha256.h"
#include "base/text.h"
#include "weights/encode.h"
#include "weights/manifest.h"
#include "weights/safetensors.h"

enum {
  PIECE = 16384,      /* values encoded at a time */
  HEADER_ENTRY = 256, /* bytes that one tensor's entry in the safetensors header needs at most */
  SHOWN_HASH = 16,    /* digits of a hash in a file name */
  MAX_TEXT = 1 << 16  /* bytes of a name, ...: a manifest may not be larger than what is read */
};

/* ---- Names and texts ------------------------------------------------------------------------------------
 */

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash != NULL ? slash + 1 : path;
}

rst_status rst_manifest_path_check(const char *path, rst_error *err) {
  const size_t n = strlen(path);
  if (n < 6 || strcmp(path + n - 5, ".json") != 0 || path[n - 6] == '/')
    return rst_fail(err, RST_ERROR_USAGE, "%s: the name of a manifest has to end in .json", path);
  if (!rst_manifest_can_name(base_name(path)))
    return rst_fail(
        err, RST_ERROR_USAGE,
        "%s: the name of a manifest cannot have backslashes or control characters, for the name of its "
        "tensors would have them, too",
        path);
  return RST_OK;
}

/* NAME.json -> NAME.safetensors, or NAME-HASH.safetensors where `hash` is not NULL. */
static rst_status tensors_path(const char *manifest_path, const char *hash, char **tensors, rst_error *err) {
  static const char ENDING[] = ".safetensors";
  const size_t n = strlen(manifest_path) - 5, size = n + 1 + SHOWN_HASH + sizeof ENDING;
  char *path = *tensors = rst_alloc(size, 1);
  if (path == NULL) return rst_fail_memory(err, "a file name");
  memcpy(path, manifest_path, n);
  if (hash != NULL)
    snprintf(path + n, size - n, "-%.*s%s", SHOWN_HASH, hash, ENDING);
  else
    memcpy(path + n, ENDING, sizeof ENDING);
  return RST_OK;
}

static rst_status check_texts(const rst_writing *w, rst_error *err) {
  const char *const texts[][2] = {{"name", w->name},
                                  {"task", w->task},
                                  {"license", w->license},
                                  {"source", w->source},
                                  {"the file name", base_name(w->manifest_path)}};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    if (texts[i][1] != NULL && !rst_is_utf8(texts[i][1]))
      return rst_fail(err, RST_ERROR_USAGE, "%s: %s is not valid UTF-8", w->manifest_path, texts[i][0]);
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    if (texts[i][1] != NULL && strlen(texts[i][1]) > MAX_TEXT)
      return rst_fail(err, RST_ERROR_USAGE, "%s: %s has %zu bytes, expected at most %d", w->manifest_path,
                      texts[i][0], strlen(texts[i][1]), (int)MAX_TEXT);
  return RST_OK;
}

/* ---- The safetensors file -------------------------------------------------------------------------------
 */

/* The file is gone through twice: its header has the hash of the data behind it. */
typedef struct tensor_file {
  const rst_writing *writing;
  rst_tensor_spec *specs;
  size_t count;
  struct piece *piece;
  rst_output output; /* stream: NULL while the data is only hashed */
  rst_sha256 hash;
  uint64_t bytes;
} tensor_file;

typedef struct piece {
  float values[PIECE];
  uint8_t encoded[PIECE * sizeof(float)];
} piece;

static rst_status put(tensor_file *file, const void *data, size_t size, rst_error *err) {
  if (file->output.stream != NULL && !rst_output_write(&file->output, data, size))
    return rst_output_commit(&file->output, err); /* says why */
  rst_sha256_update(&file->hash, data, size);
  file->bytes += size;
  return RST_OK;
}

static void take_hash(tensor_file *file, char hex[RST_SHA256_HEX]) {
  uint8_t digest[RST_SHA256_BYTES];
  rst_sha256_final(&file->hash, digest);
  rst_sha256_hex(digest, hex);
  rst_sha256_init(&file->hash);
}

/* One entry: "name":{"dtype":"F32","shape":[a,b],"data_offsets":[x,y]} */
static size_t header_entry(char *out, const rst_tensor_spec *spec, const char *dtype, size_t begin,
                           size_t end) {
  int n = snprintf(out, HEADER_ENTRY, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", spec->name, dtype);
  for (int i = 0; i < spec->ndim; i++)
    n += snprintf(out + n, HEADER_ENTRY - (size_t)n, i == 0 ? "%zu" : ",%zu", spec->shape[i]);
  n += snprintf(out + n, HEADER_ENTRY - (size_t)n, "],\"data_offsets\":[%zu,%zu]}", begin, end);
  return (size_t)n;
}

/* The length in 8 bytes, little-endian, and the JSON, padded with spaces so that the data is aligned to 8
 * bytes. */
static rst_status put_header(tensor_file *file, const char *data_sha256, rst_error *err) {
  const rst_dtype dtype = file->writing->dtype;
  char *header =
      rst_alloc(file->count + 1, HEADER_ENTRY); /* the extra one is for metadata, length, brace and padding */
  if (header == NULL) return rst_fail_memory(err, "the header of a safetensors file");
  size_t n = 8, offset = 0;
  n += (size_t)snprintf(header + n, HEADER_ENTRY, "{\"__metadata__\":{\"format\":\"pt\",\"%s\":\"%s\"}",
                        RST_DATA_SHA256, data_sha256);
  for (size_t i = 0; i < file->count; i++) {
    size_t end = offset + file->specs[i].elements * rst_dtype_size(dtype);
    n += header_entry(header + n, &file->specs[i], rst_dtype_name(dtype), offset, end);
    offset = end;
  }
  header[n++] = '}';
  while (n % 8 != 0) header[n++] = ' ';
  for (size_t i = 0; i < 8; i++) header[i] = (char)(unsigned char)((n - 8) >> (8 * i));
  rst_status status = put(file, header, n, err);
  rst_free(header);
  return status;
}

static rst_status value_error(const rst_writing *w, const rst_tensor_spec *spec, size_t element, float value,
                              rst_error *err) {
  if (!(value >= -FLT_MAX && value <= FLT_MAX))
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: tensor %s: element %zu is %s, which is not a finite number",
                    w->where, spec->name, element,
                    value != value ? "NaN"
                    : value > 0    ? "Inf"
                                   : "-Inf");
  return rst_fail(err, RST_ERROR_WEIGHTS, "%s: tensor %s: element %zu is %g, which does not fit %s", w->where,
                  spec->name, element, (double)value, rst_dtype_name(w->dtype));
}

static rst_status put_tensor(tensor_file *file, size_t index, rst_error *err) {
  const rst_writing *w = file->writing;
  const rst_tensor_spec *spec = &file->specs[index];
  piece *p = file->piece;
  for (size_t first = 0; first < spec->elements; first += PIECE) {
    if (w->cancelled != NULL && w->cancelled(w->caller)) return rst_fail(err, RST_CANCELLED, "cancelled");
    size_t count = spec->elements - first < PIECE ? spec->elements - first : PIECE;
    rst_status status = w->values(w->user, index, spec, first, count, p->values, err);
    if (status != RST_OK) return status;
    size_t good = rst_encode(w->dtype, p->values, count, p->encoded);
    if (good < count) return value_error(w, spec, first + good, p->values[good], err);
    status = put(file, p->encoded, count * rst_dtype_size(w->dtype), err);
    if (status != RST_OK) return status;
  }
  return RST_OK;
}

static rst_status put_data(tensor_file *file, rst_error *err) {
  rst_status status = RST_OK;
  for (size_t i = 0; i < file->count && status == RST_OK; i++) status = put_tensor(file, i, err);
  return status;
}

/* Puts the hash of the data into `hex`; from then on, `file` is for writing. */
static rst_status prepare(tensor_file *file, const rst_writing *w, char hex[RST_SHA256_HEX], rst_error *err) {
  *file = (tensor_file){.writing = w};
  rst_status status = rst_architecture_tensors(w->architecture, &file->specs, &file->count, err);
  if (status != RST_OK) return status;
  file->piece = rst_alloc(1, sizeof *file->piece);
  if (file->piece == NULL) return rst_fail_memory(err, "a piece of a tensor");
  rst_sha256_init(&file->hash);
  status = put_data(file, err);
  take_hash(file, hex);
  file->bytes = 0;
  return status;
}

/* Whether the file at `path` is of that size and hash. */
static bool is_same(const char *path, uint64_t bytes, const char *sha256) {
  enum { CHUNK = 1 << 14 };
  struct stat st;
  FILE *stream = stat(path, &st) == 0 && S_ISREG(st.st_mode) ? fopen(path, "rbe") : NULL;
  uint8_t chunk[CHUNK], digest[RST_SHA256_BYTES];
  char hex[RST_SHA256_HEX] = "";
  rst_sha256 hash;
  rst_sha256_init(&hash);
  if (stream != NULL) {
    size_t n;
    while (bytes > 0 && (n = fread(chunk, 1, CHUNK, stream)) > 0 && n <= bytes) {
      rst_sha256_update(&hash, chunk, n);
      bytes -= n;
    }
    rst_sha256_final(&hash, digest);
    rst_sha256_hex(digest, hex);
  }
  const bool same = bytes == 0 && stream != NULL && fgetc(stream) == EOF && strcmp(hex, sha256) == 0;
  if (stream != NULL) fclose(stream);
  return same;
}

/* ---- The manifest ---------------------------------------------------------------------------------------
 */

static void put_text(FILE *out, const char *key, const char *text) {
  if (text == NULL) return;
  fprintf(out, "  \"%s\": ", key);
  rst_print_json_string(out, text);
  fputs(",\n", out);
}

typedef struct tensor_facts {
  const char *path;
  uint64_t bytes;
  char sha256[RST_SHA256_HEX], data_sha256[RST_SHA256_HEX];
} tensor_facts;

static void put_manifest(FILE *out, const rst_writing *w, const tensor_facts *tensors) {
  char model[RST_ARCHITECTURE_JSON];
  rst_architecture_json(w->architecture, model, sizeof model);
  fputs("{\n  \"format\": \"restormer-weights\",\n  \"version\": 1,\n", out);
  put_text(out, "name", w->name);
  put_text(out, "task", w->task);
  put_text(out, "license", w->license);
  put_text(out, "source", w->source);
  fprintf(out, "  \"model\": %s,\n  \"files\": [\n    {\n      \"path\": ", model);
  rst_print_json_string(out, base_name(tensors->path));
  fprintf(out, ",\n      \"bytes\": %" PRIu64 ",\n      \"sha256\": \"%s\",\n", tensors->bytes,
          tensors->sha256);
  fprintf(out, "      \"%s\": \"%s\"\n    }\n  ]\n}\n", RST_DATA_SHA256, tensors->data_sha256);
}

static rst_status write_manifest(rst_output *output, const rst_writing *w, const tensor_facts *tensors,
                                 rst_error *err) {
  put_manifest(output->stream, w, tensors);
  if (fflush(output->stream) != 0 || ferror(output->stream))
    return rst_output_commit(output, err); /* says why */
  return RST_OK;
}

/* ---- Both -----------------------------------------------------------------------------------------------
 */

/* No file that a manifest may be using is overwritten: the old model is there, whole, until the new manifest
 * takes its place. The one exception, a file with the name of its own contents, is replaced by the same. */
static rst_status write_tensors(tensor_file *file, const char *plain, const char *hashed, tensor_facts *facts,
                                rst_error *err) {
  const bool taken = access(plain, F_OK) == 0;
  facts->path = taken ? hashed : plain;
  rst_status status = rst_output_open(facts->path, &file->output, err);
  if (!taken) file->output.otherwise = hashed;
  if (status == RST_OK) status = put_header(file, facts->data_sha256, err);
  if (status == RST_OK) status = put_data(file, err);
  if (status != RST_OK) return status;
  facts->bytes = file->bytes;
  take_hash(file, facts->sha256);
  if (taken && is_same(plain, facts->bytes, facts->sha256)) {
    rst_output_discard(&file->output);
    facts->path = plain;
  }
  return RST_OK;
}

static void tell(const rst_writing *w, const tensor_facts *tensors, const char *plain) {
  rst_error line;
  if (w->notice == NULL || tensors->path == plain) return;
  rst_error_format(&line, "%s: is there already and is left as it is; the tensors are in %s", plain,
                   base_name(tensors->path));
  w->notice(w->caller, line.message);
}

/* Another one has written tensors of that name meanwhile, which stay: the manifest names these instead. */
static rst_status name_again(rst_output *manifest, const rst_writing *w, const tensor_facts *facts,
                             rst_error *err) {
  rst_output_discard(manifest);
  rst_status status = rst_output_open(w->manifest_path, manifest, err);
  return status == RST_OK ? write_manifest(manifest, w, facts, err) : status;
}

rst_status rst_weights_write(const rst_writing *w, rst_error *err) {
  tensor_file tensors = {0};
  tensor_facts facts = {0};
  rst_output manifest = {0};
  char *plain = NULL, *hashed = NULL;
  rst_status status = rst_manifest_path_check(w->manifest_path, err);
  if (status == RST_OK) status = tensors_path(w->manifest_path, NULL, &plain, err);
  if (status == RST_OK) status = check_texts(w, err);
  if (status == RST_OK) status = rst_architecture_check(w->architecture, w->where, err);
  if (status == RST_OK) status = rst_output_open(w->manifest_path, &manifest, err);
  if (status == RST_OK) status = prepare(&tensors, w, facts.data_sha256, err);
  if (status == RST_OK) status = tensors_path(w->manifest_path, facts.data_sha256, &hashed, err);
  if (status == RST_OK) status = write_tensors(&tensors, plain, hashed, &facts, err);
  /* The manifest is complete on the disk before the tensors take their name: only renames are left to fail.
   */
  if (status == RST_OK) status = write_manifest(&manifest, w, &facts, err);
  if (status == RST_OK && tensors.output.stream != NULL) status = rst_output_commit(&tensors.output, err);
  if (status == RST_OK && tensors.output.appeared) {
    facts.path = hashed;
    status = name_again(&manifest, w, &facts, err);
  }
  if (status == RST_OK) status = rst_output_commit(&manifest, err);
  if (status == RST_OK) tell(w, &facts, plain);
  rst_output_discard(&manifest);
  rst_output_discard(&tensors.output);
  rst_free(tensors.specs);
  rst_free(tensors.piece);
  rst_free(plain);
  rst_free(hashed);
  return status;
}
