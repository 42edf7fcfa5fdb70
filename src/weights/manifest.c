#include "weights/manifest.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "model/architecture.h"
#include "weights/json.h"
#include "weights/kind.h"
#include "weights/safetensors.h"

enum { MAX_FILES = 1000 };

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- model --------------------------------------------------------------------------------- */

typedef struct model_keys {
  const cJSON *in_channels, *out_channels, *dim, *num_blocks, *num_refinement_blocks, *heads;
  const cJSON *ffn_expansion_factor, *ffn_hidden, *bias, *layer_norm, *attention, *dual_pixel, *residual,
      *prompts;
} model_keys;

static rst_status read_int(const cJSON *value, const char *where, const char *key, int *out, rst_error *err) {
  int64_t number;
  rst_status status = rst_json_integer(value, where, key, 0, INT_MAX, &number, err);
  *out = (int)number;
  return status;
}

/* One number for each level; the architecture has its levels already. */
static rst_status read_ints(const cJSON *array, const char *where, const char *key, int levels, int *out,
                            rst_error *err) {
  size_t count;
  rst_status status = rst_json_array(array, where, key, (size_t)levels, (size_t)levels, &count, err);
  if (status != RST_OK) return status;
  const cJSON *item = array->child;
  for (int level = 0; level < levels && status == RST_OK; level++, item = item->next) {
    char entry[48];
    snprintf(entry, sizeof entry, "%s[%d]", key, level);
    status = read_int(item, where, entry, &out[level], err);
  }
  return status;
}

/* int(C * factor), as the authors' program rounds it. */
static rst_status derive_hidden(const cJSON *value, const char *where, rst_architecture *a, rst_error *err) {
  double factor;
  rst_status status = rst_json_number(value, where, "ffn_expansion_factor", &factor, err);
  if (status != RST_OK) return status;
  for (int level = 0; level < a->levels; level++) {
    double hidden = (double)a->dim * (1 << level) * factor;
    if (!(hidden >= 1 && hidden < RST_MAX_HIDDEN + 1.0))
      return rst_fail(err, RST_ERROR_WEIGHTS,
                      "%s: ffn_expansion_factor %g, expected one that makes hidden widths of 1 to %d", where,
                      factor, (int)RST_MAX_HIDDEN);
    a->ffn_hidden[level] = (int)hidden;
  }
  return RST_OK;
}

static rst_status read_hidden(const model_keys *k, const char *where, rst_architecture *a, rst_error *err) {
  if ((k->ffn_hidden != NULL) == (k->ffn_expansion_factor != NULL))
    return rst_fail(err, RST_ERROR_WEIGHTS,
                    "%s: %s ffn_expansion_factor %s ffn_hidden, expected one of the two", where,
                    k->ffn_hidden != NULL ? "both" : "neither", k->ffn_hidden != NULL ? "and" : "nor");
  if (k->ffn_hidden != NULL)
    return read_ints(k->ffn_hidden, where, "ffn_hidden", a->levels, a->ffn_hidden, err);
  return derive_hidden(k->ffn_expansion_factor, where, a, err);
}

/* Whether a string is `yes` rather than `no`; anything else is an error. */
static rst_status read_choice(const cJSON *value, const char *where, const char *key, const char *yes,
                              const char *no, bool *out, rst_error *err) {
  const char *text;
  rst_status status = rst_json_string(value, where, key, &text, err);
  if (status != RST_OK) return status;
  *out = strcmp(text, yes) == 0;
  if (*out || strcmp(text, no) == 0) return RST_OK;
  return rst_fail(err, RST_ERROR_WEIGHTS, "%s: %s \"%.64s\", expected \"%s\" or \"%s\"", where, key, text,
                  yes, no);
}

/* One choice for all levels, or an array with one for each. */
static rst_status read_attention(const cJSON *value, const char *where, rst_architecture *a, rst_error *err) {
  size_t count;
  if (cJSON_IsString(value)) {
    bool all = false;
    rst_status status = read_choice(value, where, "attention", "mdta", "none", &all, err);
    for (int level = 0; level < a->levels; level++) a->attention[level] = all;
    return status;
  }
  if (!cJSON_IsArray(value))
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: attention is neither a string nor an array of strings",
                    where);
  rst_status status =
      rst_json_array(value, where, "attention", (size_t)a->levels, (size_t)a->levels, &count, err);
  if (status != RST_OK) return status;
  const cJSON *item = value->child;
  for (int level = 0; level < a->levels && status == RST_OK; level++, item = item->next) {
    char entry[48];
    snprintf(entry, sizeof entry, "attention[%d]", level);
    status = read_choice(item, where, entry, "mdta", "none", &a->attention[level], err);
  }
  return status;
}

/* A level's prompt, null where it has none. */
static rst_status read_prompt(const cJSON *value, const char *where, int level, rst_prompt *prompt,
                              rst_error *err) {
  const cJSON *values[6] = {NULL};
  const struct {
    const char *key;
    int *out;
  } numbers[] = {{"length", &prompt->length},
                 {"dim", &prompt->dim},
                 {"size", &prompt->size},
                 {"heads", &prompt->heads},
                 {"ffn_hidden", &prompt->ffn_hidden},
                 {"out_channels", &prompt->out_channels}};
  rst_json_field fields[COUNT(numbers)];
  char entry[RST_JSON_WHERE + 24];
  if (cJSON_IsNull(value)) return RST_OK;
  snprintf(entry, sizeof entry, "%s: prompts[%d]", where, level);
  for (size_t i = 0; i < COUNT(numbers); i++) fields[i] = (rst_json_field){numbers[i].key, true, &values[i]};
  rst_status status = rst_json_object(value, entry, fields, COUNT(fields), err);
  for (size_t i = 0; i < COUNT(numbers) && status == RST_OK; i++)
    status = read_int(values[i], entry, numbers[i].key, numbers[i].out, err);
  if (status == RST_OK && prompt->length == 0) /* which means that there is none */
    status =
        rst_fail(err, RST_ERROR_WEIGHTS, "%s: length 0, expected 1 to %d", entry, (int)RST_MAX_PROMPT_LENGTH);
  return status;
}

static rst_status read_prompts(const cJSON *value, const char *where, rst_architecture *a, rst_error *err) {
  size_t count;
  if (value == NULL) return RST_OK;
  rst_status status =
      rst_json_array(value, where, "prompts", (size_t)a->levels, (size_t)a->levels, &count, err);
  if (status != RST_OK) return status;
  const cJSON *item = value->child;
  for (int level = 0; level < a->levels && status == RST_OK; level++, item = item->next)
    status = read_prompt(item, where, level, &a->prompts[level], err);
  return status;
}

static rst_status read_flags(const model_keys *k, const char *where, rst_architecture *a, rst_error *err) {
  rst_status status = rst_json_bool(k->bias, where, "bias", &a->bias, err);
  if (status == RST_OK)
    status = read_choice(k->layer_norm, where, "layer_norm", "WithBias", "BiasFree", &a->norm_bias, err);
  if (status == RST_OK) status = rst_json_bool(k->dual_pixel, where, "dual_pixel", &a->dual_pixel, err);
  if (status == RST_OK) status = rst_json_bool(k->residual, where, "residual", &a->residual, err);
  return status;
}

static rst_status read_sizes(const model_keys *k, const char *where, rst_architecture *a, rst_error *err) {
  size_t levels;
  rst_status status = read_int(k->in_channels, where, "in_channels", &a->in_channels, err);
  if (status == RST_OK) status = read_int(k->out_channels, where, "out_channels", &a->out_channels, err);
  if (status == RST_OK) status = read_int(k->dim, where, "dim", &a->dim, err);
  if (status == RST_OK)
    status =
        read_int(k->num_refinement_blocks, where, "num_refinement_blocks", &a->num_refinement_blocks, err);
  if (status == RST_OK)
    status = rst_json_array(k->num_blocks, where, "num_blocks", 1, RST_MAX_LEVELS, &levels, err);
  if (status != RST_OK) return status;
  a->levels = (int)levels;
  status = read_ints(k->num_blocks, where, "num_blocks", a->levels, a->num_blocks, err);
  if (status == RST_OK) status = read_ints(k->heads, where, "heads", a->levels, a->heads, err);
  if (status == RST_OK) status = read_hidden(k, where, a, err);
  return status;
}

static rst_status read_model(const cJSON *model, const char *path, rst_architecture *a, rst_error *err) {
  char where[RST_JSON_WHERE];
  snprintf(where, sizeof where, "%s: model", path);
  model_keys k;
  const rst_json_field fields[] = {
      {"in_channels", true, &k.in_channels},
      {"out_channels", true, &k.out_channels},
      {"dim", true, &k.dim},
      {"num_blocks", true, &k.num_blocks},
      {"num_refinement_blocks", true, &k.num_refinement_blocks},
      {"heads", true, &k.heads},
      {"ffn_expansion_factor", false, &k.ffn_expansion_factor},
      {"ffn_hidden", false, &k.ffn_hidden},
      {"bias", true, &k.bias},
      {"layer_norm", true, &k.layer_norm},
      {"attention", true, &k.attention},
      {"dual_pixel", true, &k.dual_pixel},
      {"residual", true, &k.residual},
      {"prompts", false, &k.prompts},
  };
  rst_status status = rst_json_object(model, where, fields, COUNT(fields), err);
  if (status == RST_OK) status = read_sizes(&k, where, a, err);
  if (status == RST_OK) status = read_flags(&k, where, a, err);
  if (status == RST_OK) status = read_attention(k.attention, where, a, err);
  if (status == RST_OK) status = read_prompts(k.prompts, where, a, err);
  if (status == RST_OK) status = rst_architecture_check(a, where, err);
  return status;
}

/* ---- files --------------------------------------------------------------------------------- */

bool rst_manifest_can_name(const char *path) {
  for (const unsigned char *c = (const unsigned char *)path; *c != '\0'; c++)
    if (*c < 0x20 || *c == 0x7f || *c == '\\') return false;
  for (const char *name = path;;) {
    size_t n = strcspn(name, "/");
    if (n == 0 || (n == 1 && name[0] == '.') || (n == 2 && memcmp(name, "..", 2) == 0)) return false;
    if (name[n] == '\0') return true;
    name += n + 1;
  }
}

/* `path` in the folder of `manifest_path`; NULL when there is no memory. */
static char *path_beside(const char *manifest_path, const char *path) {
  const char *slash = strrchr(manifest_path, '/');
  size_t folder = slash != NULL ? (size_t)(slash - manifest_path) + 1 : 0;
  size_t length = strlen(path) + 1, size;
  if (!rst_add(folder, length, &size)) return NULL;
  char *joined = rst_alloc(size, 1);
  if (joined == NULL) return NULL;
  memcpy(joined, manifest_path, folder);
  memcpy(joined + folder, path, length);
  return joined;
}

static rst_status read_sha256(const cJSON *value, const char *where, const char *key,
                              char out[RST_SHA256_HEX], rst_error *err) {
  const char *text;
  rst_status status = rst_json_string(value, where, key, &text, err);
  if (status != RST_OK) return status;
  if (strlen(text) != RST_SHA256_HEX - 1 || strspn(text, "0123456789abcdef") != RST_SHA256_HEX - 1)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: %s \"%.80s\", expected 64 digits 0-9 and a-f", where, key,
                    text);
  memcpy(out, text, RST_SHA256_HEX);
  return RST_OK;
}

static rst_status read_file_entry(const cJSON *entry, const char *where, rst_manifest *manifest,
                                  rst_error *err) {
  const cJSON *path, *bytes, *sha256, *data_sha256;
  const rst_json_field fields[] = {{"path", true, &path},
                                   {"bytes", true, &bytes},
                                   {"sha256", true, &sha256},
                                   {RST_DATA_SHA256, false, &data_sha256}};
  rst_manifest_file *file = &manifest->files[manifest->file_count];
  const char *path_text;
  int64_t size;
  rst_status status = rst_json_object(entry, where, fields, COUNT(fields), err);
  if (status == RST_OK) status = rst_json_string(path, where, "path", &path_text, err);
  if (status == RST_OK) status = rst_json_integer(bytes, where, "bytes", 0, RST_JSON_MAX_INTEGER, &size, err);
  if (status == RST_OK) status = read_sha256(sha256, where, "sha256", file->sha256, err);
  if (status == RST_OK && data_sha256 != NULL)
    status = read_sha256(data_sha256, where, RST_DATA_SHA256, file->data_sha256, err);
  if (status != RST_OK) return status;
  if (!rst_manifest_can_name(path_text))
    return rst_fail(
        err, RST_ERROR_WEIGHTS,
        "%s: path \"%.256s\", expected a relative one with '/' that stays in the manifest's folder", where,
        path_text);
  file->path = path_beside(manifest->path, path_text);
  if (file->path == NULL) return rst_fail_memory(err, where);
  file->bytes = (uint64_t)size;
  for (size_t i = 0; i < manifest->file_count; i++)
    if (strcmp(manifest->files[i].path, file->path) == 0) {
      rst_free(file->path);
      return rst_fail(err, RST_ERROR_WEIGHTS, "%s: path \"%.256s\" is listed twice", where, path_text);
    }
  manifest->file_count++;
  return RST_OK;
}

static rst_status read_files(const cJSON *files, rst_manifest *manifest, rst_error *err) {
  size_t count;
  rst_status status = rst_json_array(files, manifest->path, "files", 0, MAX_FILES, &count, err);
  if (status != RST_OK) return status;
  manifest->files = rst_alloc_zeroed(count, sizeof *manifest->files);
  if (manifest->files == NULL) return rst_fail_memory(err, manifest->path);
  size_t index = 0;
  for (const cJSON *entry = files->child; entry != NULL && status == RST_OK; entry = entry->next) {
    char where[RST_JSON_WHERE];
    snprintf(where, sizeof where, "%s: files[%zu]", manifest->path, index++);
    status = read_file_entry(entry, where, manifest, err);
  }
  return status;
}

/* ---- The whole ----------------------------------------------------------------------------- */

static rst_status check_format(const cJSON *root, const char *path, rst_error *err) {
  /* Before all else, so that some other JSON is called what it is, and not a manifest with unknown keys. */
  const cJSON *format = cJSON_IsObject(root) ? cJSON_GetObjectItemCaseSensitive(root, "format") : NULL;
  if (format == NULL || !cJSON_IsString(format) || strcmp(format->valuestring, "restormer-weights") != 0)
    return rst_fail(err, RST_ERROR_WEIGHTS,
                    "%s: not a weight manifest: expected an object with \"format\": "
                    "\"restormer-weights\"",
                    path);
  const cJSON *version = cJSON_GetObjectItemCaseSensitive(root, "version");
  if (version == NULL) return rst_fail(err, RST_ERROR_WEIGHTS, "%s: key \"version\" is missing", path);
  int64_t number;
  rst_status status = rst_json_integer(version, path, "version", 0, RST_JSON_MAX_INTEGER, &number, err);
  if (status == RST_OK && number != 1)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: version %lld, expected 1", path, (long long)number);
  return status;
}

static rst_status copy_text(const cJSON *value, const char *path, const char *key, char **out,
                            rst_error *err) {
  const char *text = "";
  rst_status status = value != NULL ? rst_json_string(value, path, key, &text, err) : RST_OK;
  if (status != RST_OK) return status;
  *out = rst_string_copy(text);
  return *out != NULL ? RST_OK : rst_fail_memory(err, path);
}

static rst_status read_root(rst_manifest *m, rst_error *err) {
  const cJSON *format, *version, *name, *task, *license, *source, *model, *files;
  const rst_json_field fields[] = {
      {"format", true, &format}, {"version", true, &version},  {"name", false, &name},
      {"task", false, &task},    {"license", false, &license}, {"source", false, &source},
      {"model", true, &model},   {"files", false, &files},     {"tensors", false, &m->tensors},
  };
  rst_status status = check_format(m->root, m->path, err);
  if (status == RST_OK) status = rst_json_object(m->root, m->path, fields, COUNT(fields), err);
  if (status == RST_OK) status = copy_text(name, m->path, "name", &m->name, err);
  if (status == RST_OK) status = copy_text(task, m->path, "task", &m->task, err);
  if (status == RST_OK) status = copy_text(license, m->path, "license", &m->license, err);
  if (status == RST_OK) status = copy_text(source, m->path, "source", &m->source, err);
  if (status == RST_OK) status = read_model(model, m->path, &m->architecture, err);
  if (status == RST_OK && files == NULL && m->tensors == NULL)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: neither files nor tensors, expected at least one of them",
                    m->path);
  if (status == RST_OK && files != NULL) status = read_files(files, m, err);
  return status;
}

/* What people give by mistake gets a message that helps. */
static rst_status check_kind(const rst_contents *text, const char *path, rst_error *err) {
  char kind[RST_KIND_TEXT];
  if (!rst_file_kind(text->data, text->size, kind)) return RST_OK;
  /* Of these, the JSON reader knows line and column. */
  if (strcmp(kind, RST_KIND_JSON) == 0 || strncmp(kind, RST_KIND_PLAIN, sizeof RST_KIND_PLAIN - 1) == 0)
    return RST_OK;
  return rst_fail(err, RST_ERROR_WEIGHTS,
                  "%s: is %s, expected a manifest, which restormer-weights convert makes of a checkpoint",
                  path, kind);
}

static void hash_text(const rst_contents *text, char hex[RST_SHA256_HEX]) {
  rst_sha256 hash;
  uint8_t digest[RST_SHA256_BYTES];
  rst_sha256_init(&hash);
  rst_sha256_update(&hash, text->data, text->size);
  rst_sha256_final(&hash, digest);
  rst_sha256_hex(digest, hex);
}

rst_status rst_manifest_read(const char *path, rst_manifest *manifest, rst_error *err) {
  *manifest = (rst_manifest){.path = rst_string_copy(path)};
  if (manifest->path == NULL) return rst_fail_memory(err, path);
  const rst_reading reading = {.status = RST_ERROR_WEIGHTS, .limit = RST_JSON_MAX_BYTES};
  rst_contents text;
  rst_status status = rst_file_read(path, &reading, &text, err);
  if (status == RST_OK) status = check_kind(&text, path, err);
  if (status == RST_OK)
    status = rst_json_parse((const char *)text.data, text.size, path, &manifest->root, err);
  if (status == RST_OK) hash_text(&text, manifest->sha256);
  rst_contents_free(&text);
  if (status == RST_OK) status = read_root(manifest, err);
  if (status != RST_OK) rst_manifest_free(manifest);
  return status;
}

void rst_manifest_drop_tree(rst_manifest *manifest) {
  cJSON_Delete(manifest->root);
  manifest->root = NULL;
  manifest->tensors = NULL;
}

void rst_manifest_free(rst_manifest *manifest) {
  rst_manifest_drop_tree(manifest);
  for (size_t i = 0; i < manifest->file_count; i++) rst_free(manifest->files[i].path);
  rst_free(manifest->files);
  rst_free(manifest->name);
  rst_free(manifest->task);
  rst_free(manifest->license);
  rst_free(manifest->source);
  rst_free(manifest->path);
  *manifest = (rst_manifest){0};
}
