/* test_random_model.c - the models that other tests rely on: the same on every machine, and the same in
 * memory, in a safetensors file of any type and in the manifest itself. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/cmocka_all.h"
#include "support/fixture.h"
#include "support/random_model.h"

static random_model new_model(const rst_architecture *architecture, rst_dtype dtype) {
  random_model model;
  rst_error err;
  if (random_model_init(&model, architecture, 5, dtype, &err) != RST_OK) fail_msg("%s", err.message);
  return model;
}

static void numbers_are_fixed(void **state) {
  (void)state;
  assert_true(random_bits(0, 0) == UINT64_C(0x4e17cf67001b3979));
  assert_true(random_bits(7, 123456789) == UINT64_C(0x48ccecfc0d7bc03a));
  const rst_architecture a = architecture_small(8, 2);
  random_model model = new_model(&a, RST_DTYPE_F32);
  double temperature[1];
  random_model_fetch(&model, "latent.0.attn.temperature", 1, temperature);
  if (temperature[0] != 0x1.338c76p+0) fail_msg("temperature %a", temperature[0]);
  random_model_free(&model);
}

static void numbers_are_spread_evenly(void **state) {
  (void)state;
  enum { COUNT = 1 << 16 };
  double mean = 0, square = 0, neighbours = 0;
  for (uint64_t i = 0; i < COUNT; i++) {
    const double x = (double)random_unit(3, i);
    assert_true(x >= -1 && x < 1);
    mean += x / COUNT;
    square += x * x / COUNT;
    neighbours += x * (double)random_unit(3, i + 1) / COUNT;
  }
  /* Five standard deviations. */
  assert_true(fabs(mean) < 5 * sqrt(1.0 / 3 / COUNT));
  assert_true(fabs(square - 1.0 / 3) < 5 * sqrt(4.0 / 45 / COUNT));
  assert_true(fabs(neighbours) < 5 * sqrt(1.0 / 9 / COUNT));
}

static void published_architecture_has_its_parameters(void **state) {
  (void)state;
  rst_architecture a = architecture_published();
  for (int i = 0; i < 2; i++) {
    a.norm_bias = i == 0;
    random_model model = new_model(&a, RST_DTYPE_F32);
    size_t parameters = 0;
    for (size_t t = 0; t < model.count; t++) parameters += model.specs[t].elements;
    assert_int_equal(parameters, i == 0 ? 26126644 : 26111668);
    random_model_free(&model);
  }
}

/* What was written opens as the same architecture with the same values. */
static void check_file(const random_model *model, bool in_manifest) {
  char *folder = fixture_folder();
  char path[1024];
  snprintf(path, sizeof path, "%s/w.json", folder);
  rst_error err;
  rst_weights *weights;
  rst_status status =
      in_manifest ? random_model_write_inline(model, path, &err) : random_model_write(model, path, &err);
  if (status == RST_OK) status = rst_weights_open(path, &weights, &err);
  if (status != RST_OK) fail_msg("%s", err.message);
  if (rst_weights_verify(weights, &err) != RST_OK) fail_msg("%s", err.message);
  assert_memory_equal(rst_weights_architecture(weights), &model->architecture, sizeof model->architecture);
  for (size_t t = 0; t < model->count; t++) {
    const rst_tensor_spec *spec = &model->specs[t];
    const rst_tensor *tensor = rst_weights_tensor(weights, spec->name);
    assert_non_null(tensor);
    assert_int_equal(tensor->dtype, in_manifest ? RST_DTYPE_F32 : model->dtype);
    assert_int_equal(tensor->elements, spec->elements);
    float *found = fixture_alloc(spec->elements, sizeof *found);
    float *expected = fixture_alloc(spec->elements, sizeof *expected);
    rst_tensor_read(tensor, NULL, 0, spec->elements, found, NULL);
    random_model_values(model, spec, 0, spec->elements, expected);
    assert_memory_equal(found, expected, spec->elements * sizeof *found);
    free(found);
    free(expected);
  }
  rst_weights_close(weights);
  fixture_remove_folder(folder);
}

static void files_hold_the_same_values(void **state) {
  (void)state;
  rst_architecture a = architecture_small(6, 3);
  a.heads[2] = 4;
  a.bias = true;
  a.dual_pixel = true;
  a.in_channels = 6;
  a.residual = false;
  a.attention[1] = false;
  static const rst_dtype dtypes[] = {RST_DTYPE_F32, RST_DTYPE_F16, RST_DTYPE_BF16};
  for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
    random_model model = new_model(&a, dtypes[i]);
    check_file(&model, false);
    check_file(&model, true);
    random_model_free(&model);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(numbers_are_fixed),
      cmocka_unit_test(numbers_are_spread_evenly),
      cmocka_unit_test(published_architecture_has_its_parameters),
      cmocka_unit_test(files_hold_the_same_values),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
