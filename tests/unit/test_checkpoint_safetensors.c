/* Safetensors files as checkpoints: types and tensors that no manifest's file may have. */
#include <stdio.h>
#include <string.h>

#include "support/checkpoint_builder.h"
#include "support/cmocka_all.h"

/* A file of the model's tensors as float64 and one more tensor, described by `more`, of `more_bytes` zeros.
 */
static void write_file(const workshop *w, const char *more, size_t more_bytes) {
  bytes header = {0}, data = {0}, file = {0};
  char entry[256];
  bytes_add_text(&header, "{");
  for (size_t i = 0; i < w->model.count; i++) {
    const rst_tensor_spec *spec = &w->model.specs[i];
    const size_t begin = data.size;
    for (size_t k = 0; k < spec->elements; k++) {
      float value;
      random_model_values(&w->model, spec, k, 1, &value);
      const double wide = (double)value;
      bytes_add(&data, &wide, sizeof wide);
    }
    snprintf(entry, sizeof entry, "\"%s\":{\"dtype\":\"F64\",\"shape\":[", spec->name);
    bytes_add_text(&header, entry);
    for (int d = 0; d < spec->ndim; d++) {
      snprintf(entry, sizeof entry, d == 0 ? "%zu" : ",%zu", spec->shape[d]);
      bytes_add_text(&header, entry);
    }
    snprintf(entry, sizeof entry, "],\"data_offsets\":[%zu,%zu]},", begin, data.size);
    bytes_add_text(&header, entry);
  }
  snprintf(entry, sizeof entry, "%s,\"data_offsets\":[%zu,%zu]}}", more, data.size, data.size + more_bytes);
  bytes_add_text(&header, entry);
  const uint8_t zeros[64] = {0};
  bytes_add(&data, zeros, more_bytes);
  const uint64_t length = header.size;
  bytes_add(&file, &length, sizeof length);
  bytes_add(&file, header.data, header.size);
  bytes_add(&file, data.data, data.size);
  bytes_write(&file, w->input);
  bytes_free(&header);
  bytes_free(&data);
  bytes_free(&file);
}

/* Counters and losses of a trainer stand beside the network; of their types nothing needs to be known. */
static void float64_beside_tensors_of_others(void **state) {
  workshop *w = *state;
  static const char *const dtypes[] = {
      "F64", "I64", "I32", "I16",  "I8",      "U64",     "U32",
      "U16", "U8",  "F32", "BOOL", "F8_E4M3", "F8_E5M2", "F4_FROM_THE_FUTURE"};
  static const size_t sizes[] = {8, 8, 4, 2, 1, 8, 4, 2, 1, 4, 1, 1, 1, 3};
  for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
    char more[128];
    snprintf(more, sizeof more, "\"loss.step\":{\"dtype\":\"%s\",\"shape\":[]", dtypes[i]);
    write_file(w, more, sizes[i]);
    assert_converts(w);
  }
  write_file(w, "\"loss.six\":{\"dtype\":\"C64\",\"shape\":[1,1,2,1,1,2]", 32);
  assert_converts(w);
}

static void tensors_that_the_network_does_not_have(void **state) {
  workshop *w = *state;
  write_file(w, "\"output.six\":{\"dtype\":\"I16\",\"shape\":[1,1,2,1,1,2]", 8);
  assert_refused(w, "tensor output.six does not belong to the network");
}

static void a_known_type_of_another_size(void **state) {
  workshop *w = *state;
  write_file(w, "\"loss.step\":{\"dtype\":\"I64\",\"shape\":[2]", 8);
  rst_error err;
  assert_int_equal(rst_weights_convert(w->input, w->manifest, NULL, &err), RST_ERROR_WEIGHTS);
  assert_non_null(strstr(err.message, "tensor loss.step: data_offsets ["));
  assert_non_null(strstr(err.message, "hold 8 bytes, which is not what shape [2] of I64 takes"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, workshop_open, workshop_close)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(float64_beside_tensors_of_others),
      TEST(tensors_that_the_network_does_not_have),
      TEST(a_known_type_of_another_size),
  };
  return cmocka_run_group_tests_name("checkpoint safetensors", tests, NULL, NULL);
}
