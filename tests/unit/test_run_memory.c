/* test_run_memory.c - memory of models, plans and runs: buffers that hold what sweeps ask for (which
 * AddressSanitizer sees), and plans. test_out_of_memory.c lets allocations fail. */
#include <stdlib.h>
#include <string.h>

#include "support/cmocka_all.h"
#include "support/model_fixture.h"

/* ---- Buffers ------------------------------------------------------------------------------------------- */

/* Upsampling to the first level runs in parts, which are cut into bands of their own: at 450 rows of the
 * second level the tallest band of a part has more rows than any of the whole. Without blocks no other sweep
 * needs more. */
static void bands_of_a_part_taller_than_of_the_whole(void **state) {
  (void)state;
  enum { WIDTH = 3, HEIGHT = 900, SAMPLES = 3 * WIDTH * HEIGHT };
  rst_architecture a = architecture_small(8, 2);
  a.num_blocks[0] = a.num_blocks[1] = a.num_refinement_blocks = 0;
  random_model weights = fixture_random(&a, 1);
  rst_model *model = fixture_model(&weights, RST_ISA_AUTO, RST_PRECISION_F32);
  float *input = fixture_samples(1, SAMPLES), *one = fixture_alloc(SAMPLES, sizeof *one),
        *two = fixture_alloc(SAMPLES, sizeof *two);
  fixture_restore(model, input, HEIGHT, WIDTH, 1, one);
  fixture_restore(model, input, HEIGHT, WIDTH, 2, two);
  assert_memory_equal(one, two, SAMPLES * sizeof *one);
  free(two);
  free(one);
  free(input);
  rst_model_free(model);
  random_model_free(&weights);
}

/* Maps that change their width, and statistics by chunks: the same for every number of threads. */
static void prompts_do_not_depend_on_the_threads(void **state) {
  (void)state;
  enum { WIDTH = 90, HEIGHT = 203, SAMPLES = 3 * WIDTH * HEIGHT };
  const rst_architecture a = architecture_prompted(8, 3);
  random_model weights = fixture_random(&a, 2);
  rst_model *model = fixture_model(&weights, RST_ISA_AUTO, RST_PRECISION_F32);
  float *input = fixture_samples(2, SAMPLES), *one = fixture_alloc(SAMPLES, sizeof *one),
        *more = fixture_alloc(SAMPLES, sizeof *more);
  fixture_restore(model, input, HEIGHT, WIDTH, 1, one);
  for (int threads = 2; threads <= 5; threads++) {
    fixture_restore(model, input, HEIGHT, WIDTH, threads, more);
    assert_memory_equal(one, more, SAMPLES * sizeof *one);
  }
  free(more);
  free(one);
  free(input);
  rst_model_free(model);
  random_model_free(&weights);
}

/* ---- Plans --------------------------------------------------------------------------------------------- */

static rst_status plan(const rst_architecture *a, size_t width, size_t height, rst_session_options options,
                       rst_plan *p, rst_error *err) {
  options.threads = 1;
  return rst_plan_restore(a, NULL, width, height, &options, p, err);
}

/* A side near SIZE_MAX must not wrap when it is padded to whole tiles. */
static void sizes_that_wrap(void **state) {
  (void)state;
  const rst_architecture a = architecture_small(8, 4);
  static const size_t sides[][2] = {
      {SIZE_MAX, 1}, {1, SIZE_MAX}, {SIZE_MAX - 6, 1}, {(size_t)1 << 40, (size_t)1 << 30}};
  for (size_t i = 0; i < sizeof sides / sizeof *sides; i++)
    for (size_t tile = 0; tile <= 8; tile += 8) {
      rst_plan p = {.struct_size = sizeof p};
      rst_error err;
      assert_int_equal(
          plan(&a, sides[i][0], sides[i][1], (rst_session_options){SESSION, .tile = tile}, &p, &err),
          RST_ERROR_MEMORY);
      assert_string_equal(err.message, "out of memory for the feature maps");
    }
}

static void architectures_that_are_none(void **state) {
  (void)state;
  rst_architecture a = architecture_small(8, 2);
  a.heads[0] = 0;
  rst_plan p = {.struct_size = sizeof p, .bytes = 1};
  rst_error err;
  assert_int_equal(plan(&a, 8, 8, (rst_session_options){SESSION}, &p, &err), RST_ERROR_WEIGHTS);
  assert_string_equal(err.message, "the model: heads[0] 0, expected a divisor of the level's width, 8");
  assert_true(p.bytes == 0);
  assert_int_equal(rst_architecture_macs(&a, 8, 8), 0);
  a = (rst_architecture){0};
  assert_int_equal(plan(&a, 8, 8, (rst_session_options){SESSION}, &p, &err), RST_ERROR_WEIGHTS);
  a.levels = 1000;
  assert_int_equal(rst_architecture_macs(&a, 8, 8), 0);
}

static void tiles_asked_for_keep_the_limit(void **state) {
  (void)state;
  const rst_architecture a = architecture_published();
  rst_session_options options = {SESSION, .tile = 256, .overlap = 32};
  rst_plan free_plan = {.struct_size = sizeof free_plan}, p = free_plan;
  rst_error err;
  assert_int_equal(plan(&a, 640, 480, options, &free_plan, &err), RST_OK);
  options.budget = fixture_budget(free_plan.bytes);
  assert_int_equal(plan(&a, 640, 480, options, &p, &err), RST_OK);
  assert_memory_equal(&p, &free_plan, sizeof p);
  rst_budget_free(options.budget);
  options.budget = fixture_budget(100 * 1000 * 1000);
  assert_int_equal(plan(&a, 640, 480, options, &p, &err), RST_ERROR_MEMORY);
  assert_non_null(strstr(err.message, "tiles of 256 pixels take "));
  assert_non_null(strstr(err.message, " MB, allowed are 100 MB"));
  rst_budget_free(options.budget);
}

/* Along an axis on which the picture is shorter, a tile is no longer than the picture. */
static void tiles_larger_than_the_picture_take_no_more(void **state) {
  (void)state;
  const rst_architecture a = architecture_small(8, 2);
  rst_plan wide = {.struct_size = sizeof wide}, fitting = wide;
  rst_error err;
  assert_int_equal(plan(&a, 64, 64, (rst_session_options){SESSION, .tile = 4096}, &wide, &err), RST_OK);
  assert_int_equal(plan(&a, 64, 64, (rst_session_options){SESSION, .tile = 64}, &fitting, &err), RST_OK);
  assert_true(wide.bytes == fitting.bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sizes_that_wrap),
      cmocka_unit_test(architectures_that_are_none),
      cmocka_unit_test(tiles_asked_for_keep_the_limit),
      cmocka_unit_test(tiles_larger_than_the_picture_take_no_more),
      cmocka_unit_test(bands_of_a_part_taller_than_of_the_whole),
      cmocka_unit_test(prompts_do_not_depend_on_the_threads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
