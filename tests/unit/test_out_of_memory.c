/* test_out_of_memory.c - packing, planning and restoring with each allocation failing in turn. */
#include <stdlib.h>

#include "support/cmocka_all.h"
#include "support/fail_alloc.h"
#include "support/model_fixture.h"
#include "support/pictures.h"

enum { HEIGHT = 9, WIDTH = 14 };

/* Models of two levels: sides are multiples of 2. */
static rst_model *rgb, *dual;

static int make_models(void **state) {
  (void)state;
  rgb = fixture_channels(3, 3, false, 2);
  dual = fixture_channels(6, 3, true, 2);
  return 0;
}

static int free_models(void **state) {
  (void)state;
  rst_model_free(rgb);
  rst_model_free(dual);
  return 0;
}

/* ---- Memory ----------------------------------------------------------------------------------------------
 */

static rst_status create(void *user, rst_error *err) {
  rst_weights *weights = user;
  const rst_model_options options = {.struct_size = sizeof options, .threads = 1};
  rst_model *model = rgb;
  const rst_status status = rst_model_create(weights, &options, &model, err);
  assert_int_equal(model == NULL, status != RST_OK);
  rst_model_free(model);
  return status;
}

static void model_without_memory(void **state) {
  (void)state;
  const rst_architecture a = architecture_small(4, 2);
  random_model random = fixture_random(&a, 2);
  rst_weights *weights = fixture_weights(&random);
  assert_true(fail_each_alloc(create, weights) > 5);
  rst_weights_close(weights);
  random_model_free(&random);
}

static rst_status restore_with(void *user, rst_error *err) {
  float in[3 * HEIGHT * WIDTH] = {0}, out[3 * HEIGHT * WIDTH] = {0};
  const rst_pixels from = fixture_planar(in, RST_SAMPLE_F32, 3, HEIGHT, WIDTH);
  const rst_pixels to = fixture_planar(out, RST_SAMPLE_F32, 3, HEIGHT, WIDTH);
  return rst_restore(rgb, &from, &to, user, err);
}

static void restore_without_memory(void **state) {
  (void)state;
  rst_session_options options[] = {{SESSION, .threads = 1},
                                   {SESSION, .threads = 1, .window = 4},
                                   {SESSION, .threads = 1, .tile = 8, .overlap = 4}};
  for (size_t i = 0; i < sizeof options / sizeof *options; i++)
    assert_true(fail_each_alloc(restore_with, &options[i]) > 5);
}

static rst_status plan_with(void *user, rst_error *err) {
  rst_plan plan = {.struct_size = sizeof plan};
  return rst_plan_restore(rst_model_architecture(rgb), NULL, WIDTH, HEIGHT, user, &plan, err);
}

static void plan_without_memory(void **state) {
  (void)state;
  rst_session_options options[] = {{SESSION, .threads = 1}, {SESSION, .threads = 1, .tile = 8, .overlap = 4}};
  for (size_t i = 0; i < sizeof options / sizeof *options; i++)
    assert_true(fail_each_alloc(plan_with, &options[i]) > 2);
}

typedef struct picture_run {
  const rst_model *model;
  rst_image input;
  const rst_image *right;
} picture_run;

static rst_image new_picture(size_t width, size_t height, int channels) {
  rst_image p = {.width = width, .height = height, .channels = channels, .sample = RST_SAMPLE_F32};
  p.samples = fixture_alloc(width * height * (size_t)channels, sizeof(float));
  return p;
}

static rst_status restore_picture_with(void *user, rst_error *err) {
  const picture_run *r = user;
  rst_image output;
  const rst_session_options options = {SESSION, .threads = 1};
  const rst_status status =
      picture_restore(r->model, &r->input, r->right, RST_SAMPLE_U8, &output, &options, err);
  assert_int_equal(output.samples == NULL, status != RST_OK);
  rst_image_clear(&output);
  return status;
}

static void restore_picture_without_memory(void **state) {
  (void)state;
  picture_run grey = {.model = rgb, .input = new_picture(WIDTH, HEIGHT, 2)};
  picture_run views = {.model = dual, .input = new_picture(WIDTH, HEIGHT, 3)};
  views.right = &views.input;
  assert_true(fail_each_alloc(restore_picture_with, &grey) > 5);
  assert_true(fail_each_alloc(restore_picture_with, &views) > 5);
  rst_image_clear(&grey.input);
  rst_image_clear(&views.input);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(model_without_memory),
      cmocka_unit_test(restore_without_memory),
      cmocka_unit_test(plan_without_memory),
      cmocka_unit_test(restore_picture_without_memory),
  };
  return cmocka_run_group_tests(tests, make_models, free_models);
}
