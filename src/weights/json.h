/* json.h - JSON text from strangers, read strictly: cJSON builds the tree, but only of a text that has passed
 * a check of its own, because cJSON accepts much that is not JSON and cannot say why it refuses the rest. */
#ifndef RST_WEIGHTS_JSON_H
#define RST_WEIGHTS_JSON_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "restormer.h"
#include "weights/weights.h"

/* A text longer than this is refused: a tree takes up to 40 times the memory of its text. */
#define RST_JSON_MAX_BYTES ((size_t)16 << 20)

enum { RST_JSON_MAX_DEPTH = 16, RST_JSON_WHERE = 512 };

/* Largest whole number that cJSON's doubles tell from its neighbours. */
#define RST_JSON_MAX_INTEGER INT64_C(9007199254740991) /* 2^53 - 1 */

/* RFC 8259 and not a byte more: UTF-8 without a byte order mark, one value, no "\u0000", no lone surrogates,
 * depth up to RST_JSON_MAX_DEPTH, numbers up to 63 characters. `path` begins the message, which has line and
 * column. RST_ERROR_WEIGHTS. */
rst_status rst_json_check(const char *text, size_t size, const char *path, rst_error *err);

/* rst_json_check, then the tree; free it with cJSON_Delete. RST_ERROR_WEIGHTS or RST_ERROR_MEMORY. */
rst_status rst_json_parse(const char *text, size_t size, const char *path, cJSON **root, rst_error *err);

/* ---- Values. `where` begins the message ("weights/x.json: model"); all fail with RST_ERROR_WEIGHTS. ---- */

typedef struct rst_json_field {
  const char *key;
  bool required;
  const cJSON **value; /* set to the key's value, or to NULL when it is not there */
} rst_json_field;

/* Takes an object apart. Keys that are not in `fields` (case counts), keys that appear twice, and required
 * ones that are missing are errors. At most 32 fields. */
rst_status rst_json_object(const cJSON *value, const char *where, const rst_json_field *fields, size_t count,
                           rst_error *err);
/* The entries of an array, `low` to `high` of them. */
rst_status rst_json_array(const cJSON *value, const char *where, const char *key, size_t low, size_t high,
                          size_t *count, rst_error *err);
/* The string lives as long as the tree. */
rst_status rst_json_string(const cJSON *value, const char *where, const char *key, const char **out,
                           rst_error *err);
rst_status rst_json_bool(const cJSON *value, const char *where, const char *key, bool *out, rst_error *err);
/* Finite. */
rst_status rst_json_number(const cJSON *value, const char *where, const char *key, double *out,
                           rst_error *err);
rst_status rst_json_integer(const cJSON *value, const char *where, const char *key, int64_t low, int64_t high,
                            int64_t *out, rst_error *err);

/* "[2042, 384, 1, 1]", for messages; cut where `text` is too small. */
enum { RST_SHAPE_TEXT = 96 };
void rst_shape_text(int ndim, const size_t shape[], char text[RST_SHAPE_TEXT]);

/* Reads a shape of up to `dims` dimensions, key "shape", and counts its elements. Dimensions beyond
 * RST_TENSOR_DIMS count, but are not kept; the entries of `shape` beyond *ndim become 1. */
rst_status rst_json_shape(const cJSON *value, const char *where, int dims, int *ndim,
                          size_t shape[RST_TENSOR_DIMS], size_t *elements, rst_error *err);

#endif
