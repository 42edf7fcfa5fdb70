#include "weights/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

rst_status rst_json_parse(const char *text, size_t size, const char *path, cJSON **root, rst_error *err) {
  *root = NULL;
  rst_status status = rst_json_check(text, size, path, err);
  if (status != RST_OK) return status;
  /* The text is sound, so only memory can be missing. */
  *root = cJSON_ParseWithLength(text, size);
  return *root != NULL ? RST_OK : rst_fail_memory(err, path);
}

static const char *type_name(const cJSON *value) {
  if (cJSON_IsObject(value)) return "an object";
  if (cJSON_IsArray(value)) return "an array";
  if (cJSON_IsString(value)) return "a string";
  if (cJSON_IsNumber(value)) return "a number";
  if (cJSON_IsBool(value)) return "true or false";
  return "null";
}

/* `key` is NULL where `where` already names the value. */
static rst_status wrong_type(const cJSON *value, const char *where, const char *key, const char *expected,
                             rst_error *err) {
  if (key == NULL)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: %s, expected %s", where, type_name(value), expected);
  return rst_fail(err, RST_ERROR_WEIGHTS, "%s: %s is %s, expected %s", where, key, type_name(value),
                  expected);
}

static const rst_json_field *find_field(const char *key, const rst_json_field *fields, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(fields[i].key, key) == 0) return &fields[i];
  return NULL;
}

rst_status rst_json_object(const cJSON *value, const char *where, const rst_json_field *fields, size_t count,
                           rst_error *err) {
  for (size_t i = 0; i < count; i++) *fields[i].value = NULL;
  if (!cJSON_IsObject(value)) return wrong_type(value, where, NULL, "an object", err);
  for (const cJSON *item = value->child; item != NULL; item = item->next) {
    const rst_json_field *field = find_field(item->string, fields, count);
    if (field == NULL)
      return rst_fail(err, RST_ERROR_WEIGHTS, "%s: unknown key \"%.128s\"", where, item->string);
    if (*field->value != NULL)
      return rst_fail(err, RST_ERROR_WEIGHTS, "%s: key \"%s\" appears twice", where, field->key);
    *field->value = item;
  }
  for (size_t i = 0; i < count; i++)
    if (fields[i].required && *fields[i].value == NULL)
      return rst_fail(err, RST_ERROR_WEIGHTS, "%s: key \"%s\" is missing", where, fields[i].key);
  return RST_OK;
}

rst_status rst_json_array(const cJSON *value, const char *where, const char *key, size_t low, size_t high,
                          size_t *count, rst_error *err) {
  *count = 0;
  if (!cJSON_IsArray(value)) return wrong_type(value, where, key, "an array", err);
  size_t n = 0;
  for (const cJSON *item = value->child; item != NULL; item = item->next) n++;
  if (n < low || n > high) {
    char range[64];
    if (low == high) {
      snprintf(range, sizeof range, "%zu", low);
    } else {
      snprintf(range, sizeof range, "%zu to %zu", low, high);
    }
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: %s has %zu entries, expected %s", where, key, n, range);
  }
  *count = n;
  return RST_OK;
}

rst_status rst_json_string(const cJSON *value, const char *where, const char *key, const char **out,
                           rst_error *err) {
  *out = NULL;
  if (!cJSON_IsString(value)) return wrong_type(value, where, key, "a string", err);
  *out = value->valuestring;
  return RST_OK;
}

rst_status rst_json_bool(const cJSON *value, const char *where, const char *key, bool *out, rst_error *err) {
  *out = false;
  if (!cJSON_IsBool(value)) return wrong_type(value, where, key, "true or false", err);
  *out = cJSON_IsTrue(value);
  return RST_OK;
}

rst_status rst_json_number(const cJSON *value, const char *where, const char *key, double *out,
                           rst_error *err) {
  *out = 0;
  if (!cJSON_IsNumber(value)) return wrong_type(value, where, key, "a number", err);
  if (!isfinite(value->valuedouble))
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: %s is a number too large for a double", where, key);
  *out = value->valuedouble;
  return RST_OK;
}

rst_status rst_json_integer(const cJSON *value, const char *where, const char *key, int64_t low, int64_t high,
                            int64_t *out, rst_error *err) {
  *out = 0;
  if (!cJSON_IsNumber(value)) return wrong_type(value, where, key, "a whole number", err);
  double number = value->valuedouble;
  if (!(fabs(number) <= (double)RST_JSON_MAX_INTEGER))
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: %s %.17g, expected a number below 2^53", where, key, number);
  if (number != trunc(number))
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: %s %.17g, expected a whole number", where, key, number);
  int64_t integer = (int64_t)number;
  if (integer < low || integer > high)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: %s %lld, expected %lld to %lld", where, key,
                    (long long)integer, (long long)low, (long long)high);
  *out = integer;
  return RST_OK;
}

rst_status rst_json_shape(const cJSON *value, const char *where, int dims, int *ndim,
                          size_t shape[RST_TENSOR_DIMS], size_t *elements, rst_error *err) {
  size_t count, product = 1;
  rst_status status = rst_json_array(value, where, "shape", 0, (size_t)dims, &count, err);
  if (status != RST_OK) return status;
  for (int i = 0; i < RST_TENSOR_DIMS; i++) shape[i] = 1;
  *ndim = 0;
  for (const cJSON *item = value->child; item != NULL; item = item->next) {
    int64_t side;
    status = rst_json_integer(item, where, "shape entry", 0, RST_JSON_MAX_INTEGER, &side, err);
    if (status != RST_OK) return status;
    if (*ndim < RST_TENSOR_DIMS) shape[*ndim] = (size_t)side;
    ++*ndim;
    if (!rst_mul(product, (size_t)side, &product))
      return rst_fail(err, RST_ERROR_WEIGHTS, "%s: shape has more elements than memory can hold", where);
  }
  *elements = product;
  return RST_OK;
}

void rst_shape_text(int ndim, const size_t shape[], char text[RST_SHAPE_TEXT]) {
  size_t used = 1;
  text[0] = '[';
  for (int i = 0; i < ndim; i++)
    used += (size_t)snprintf(text + used, RST_SHAPE_TEXT - used, "%s%zu", i > 0 ? ", " : "", shape[i]);
  snprintf(text + used, RST_SHAPE_TEXT - used, "]");
}
