#include "weights/writer.h"

#include <float.h>
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/output.h"
#include "base/sha256.h"
#include "weights/encode.h"
#include "weights/manifest.h"

enum {
  PIECE = 16384,      /* values encoded at a time */
  HEADER_ENTRY = 256, /* bytes that one tensor's entry in the safetensors header needs at most */
  MAX_TEXT = 1 << 16  /* bytes of a name, ...: a manifest may not be larger than what is read */
};

/* ---- Names and texts ------------------------------------------------------------------------------------
 */

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash != NULL ? slash + 1 : path;
}

rst_status rst_tensors_path(const char *manifest_path, char **tensors_path, rst_error *err) {
  static const char ENDING[] = ".safetensors";
  *tensors_path = NULL;
  size_t n = strlen(manifest_path);
  if (n < 6 || strcmp(manifest_path + n - 5, ".json") != 0 || manifest_path[n - 6] == '/')
    return rst_fail(err, RST_ERROR_USAGE, "%s: the name of a manifest has to end in .json", manifest_path);
  if (!rst_manifest_can_name(base_name(manifest_path)))
    return rst_fail(
        err, RST_ERROR_USAGE,
        "%s: the name of a manifest cannot have backslashes or control characters, for the name of its "
        "tensors would have them, too",
        manifest_path);
  n -= 5;
  char *path = rst_alloc(n + sizeof ENDING, 1);
  if (path == NULL) return rst_fail_memory(err, "a file name");
  memcpy(path, manifest_path, n);
  memcpy(path + n, ENDING, sizeof ENDING);
  *tensors_path = path;
  return RST_OK;
}

/* Bytes of the UTF-8 character at s, 0 when it is none (overlong, a surrogate, too large, cut short). */
static size_t utf8_length(const unsigned char *s) {
  if (s[0] < 0x80) return 1;
  size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
  if (s[0] < 0xc2 || s[0] > 0xf4) return 0;
  for (size_t i = 1; i < n; i++)
    if ((s[i] & 0xc0) != 0x80) return 0;
  if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f)) return 0;
  if ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f)) return 0;
  return n;
}

bool rst_is_utf8(const char *text) {
  for (const unsigned char *s = (const unsigned char *)text; *s != '\0';) {
    size_t n = utf8_length(s);
    if (n == 0) return false;
    s += n;
  }
  return true;
}

static rst_status check_texts(const rst_writing *w, const char *tensors_path, rst_error *err) {
  const char *const texts[][2] = {{"name", w->name},
                                  {"task", w->task},
                                  {"license", w->license},
                                  {"source", w->source},
                                  {"the file name of the tensors", base_name(tensors_path)}};
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

typedef struct tensor_file {
  rst_output output;
  rst_sha256 hash;
  uint64_t bytes;
} tensor_file;

static rst_status put(tensor_file *file, const void *data, size_t size, rst_error *err) {
  if (!rst_output_write(&file->output, data, size))
    return rst_output_commit(&file->output, err); /* says why */
  rst_sha256_update(&file->hash, data, size);
  file->bytes += size;
  return RST_OK;
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
static rst_status put_header(tensor_file *file, const rst_tensor_spec *specs, size_t count, rst_dtype dtype,
                             rst_error *err) {
  static const char METADATA[] = "{\"__metadata__\":{\"format\":\"pt\"}";
  char *header =
      rst_alloc(count + 1, HEADER_ENTRY); /* the extra one is for METADATA, length, brace and padding */
  if (header == NULL) return rst_fail_memory(err, "the header of a safetensors file");
  size_t n = 8, offset = 0;
  memcpy(header + n, METADATA, sizeof METADATA - 1);
  n += sizeof METADATA - 1;
  for (size_t i = 0; i < count; i++) {
    size_t end = offset + specs[i].elements * rst_dtype_size(dtype);
    n += header_entry(header + n, &specs[i], rst_dtype_name(dtype), offset, end);
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

typedef struct piece {
  float values[PIECE];
  uint8_t encoded[PIECE * sizeof(float)];
} piece;

static rst_status put_tensor(tensor_file *file, const rst_writing *w, size_t index,
                             const rst_tensor_spec *spec, piece *p, rst_error *err) {
  for (size_t first = 0; first < spec->elements; first += PIECE) {
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

static rst_status put_tensors(tensor_file *file, const rst_writing *w, rst_error *err) {
  rst_tensor_spec *specs = NULL;
  size_t count = 0;
  rst_status status = rst_architecture_tensors(w->architecture, &specs, &count, err);
  if (status != RST_OK) return status;
  piece *p = rst_alloc(1, sizeof *p);
  status =
      p != NULL ? put_header(file, specs, count, w->dtype, err) : rst_fail_memory(err, "a piece of a tensor");
  for (size_t i = 0; i < count && status == RST_OK; i++) status = put_tensor(file, w, i, &specs[i], p, err);
  rst_free(p);
  rst_free(specs);
  return status;
}

/* ---- The manifest ---------------------------------------------------------------------------------------
 */

static void put_string(FILE *out, const char *text) {
  fputc('"', out);
  for (const unsigned char *s = (const unsigned char *)text; *s != '\0'; s++) {
    if (*s == '"' || *s == '\\')
      fprintf(out, "\\%c", *s);
    else if (*s < 0x20 || *s == 0x7f)
      fprintf(out, "\\u%04x", *s);
    else
      fputc(*s, out);
  }
  fputc('"', out);
}

static void put_text(FILE *out, const char *key, const char *text) {
  if (text == NULL) return;
  fprintf(out, "  \"%s\": ", key);
  put_string(out, text);
  fputs(",\n", out);
}

static void put_manifest(FILE *out, const rst_writing *w, const char *tensors_path, uint64_t bytes,
                         const char *sha256) {
  fputs("{\n  \"format\": \"restormer-weights\",\n  \"version\": 1,\n", out);
  put_text(out, "name", w->name);
  put_text(out, "task", w->task);
  put_text(out, "license", w->license);
  put_text(out, "source", w->source);
  char model[RST_ARCHITECTURE_JSON];
  rst_architecture_json(w->architecture, model, sizeof model);
  fprintf(out, "  \"model\": %s,\n", model);
  fputs("  \"files\": [\n    {\n      \"path\": ", out);
  put_string(out, base_name(tensors_path));
  fprintf(out, ",\n      \"bytes\": %" PRIu64 ",\n      \"sha256\": \"%s\"\n    }\n  ]\n}\n", bytes, sha256);
}

static rst_status write_manifest(rst_output *output, const rst_writing *w, tensor_file *tensors,
                                 rst_error *err) {
  uint8_t digest[RST_SHA256_BYTES];
  char hex[RST_SHA256_HEX];
  rst_sha256_final(&tensors->hash, digest);
  rst_sha256_hex(digest, hex);
  put_manifest(output->stream, w, tensors->output.path, tensors->bytes, hex);
  if (fflush(output->stream) != 0 || ferror(output->stream))
    return rst_output_commit(output, err); /* says why */
  return RST_OK;
}

/* ---- Both -----------------------------------------------------------------------------------------------
 */

rst_status rst_weights_write(const rst_writing *w, rst_error *err) {
  tensor_file tensors = {0};
  rst_output manifest = {0};
  char *tensors_path = NULL;
  rst_status status = rst_tensors_path(w->manifest_path, &tensors_path, err);
  if (status == RST_OK) status = check_texts(w, tensors_path, err);
  if (status == RST_OK) status = rst_architecture_check(w->architecture, w->where, err);
  if (status == RST_OK) status = rst_output_open(w->manifest_path, &manifest, err);
  if (status == RST_OK) status = rst_output_open(tensors_path, &tensors.output, err);
  rst_sha256_init(&tensors.hash);
  if (status == RST_OK) status = put_tensors(&tensors, w, err);
  /* The manifest is complete on the disk before the tensors take their name: only renames are left to fail.
   */
  if (status == RST_OK) status = write_manifest(&manifest, w, &tensors, err);
  if (status == RST_OK) status = rst_output_commit(&tensors.output, err);
  if (status == RST_OK) status = rst_output_commit(&manifest, err);
  rst_output_discard(&manifest);
  rst_output_discard(&tensors.output);
  rst_free(tensors_path);
  return status;
}
