/* test_tiles.c - plans, and pictures restored in tiles. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/cmocka_all.h"
#include "support/model_fixture.h"

enum { WIDTH = 200, HEIGHT = 136, CHANNELS = 3, SAMPLES = WIDTH * HEIGHT * CHANNELS };

static rst_model *make_model(bool attention) {
  rst_architecture a = architecture_small(8, 2);
  for (int l = 0; l < a.levels; l++) a.attention[l] = attention;
  random_model weights = fixture_random(&a, 5);
  rst_model *model = fixture_model(&weights, RST_ISA_AUTO, RST_PRECISION_F32);
  random_model_free(&weights);
  return model;
}

static float *smooth_picture(void) {
  float *samples = fixture_alloc(SAMPLES, sizeof *samples);
  for (size_t c = 0; c < CHANNELS; c++)
    for (size_t y = 0; y < HEIGHT; y++)
      for (size_t x = 0; x < WIDTH; x++)
        samples[(c * HEIGHT + y) * WIDTH + x] =
            0.3f + 0.001f * (float)x + 0.0015f * (float)y + 0.05f * (float)c;
  return samples;
}

static float *noisy_picture(void) {
  float *samples = smooth_picture();
  for (size_t i = 0; i < SAMPLES; i++) samples[i] += 0.2f * random_unit(3, i);
  return samples;
}

static float *restored(const rst_model *model, const float *input, const rst_session_options *options) {
  float *output = fixture_alloc(SAMPLES, sizeof *output);
  const rst_pixels in = fixture_planar(input, RST_SAMPLE_F32, CHANNELS, HEIGHT, WIDTH);
  const rst_pixels out = fixture_planar(output, RST_SAMPLE_F32, CHANNELS, HEIGHT, WIDTH);
  rst_error err;
  if (rst_restore(model, &in, &out, options, &err) != RST_OK) fail_msg("%s", err.message);
  return output;
}

/* The larger one, or NaN where one is; fmax would drop it. */
static double larger(double a, double b) {
  return isnan(a) || a >= b ? a : b;
}

static double largest_difference(const float *a, const float *b) {
  double most = 0;
  for (size_t i = 0; i < SAMPLES; i++) most = larger(most, fabs((double)a[i] - (double)b[i]));
  return most;
}

/* ---- What tiles compute -------------------------------------------------------------------------------- */

/* The convolutions of two levels with a block each reach 17 pixels: patch_embed, output and four dwconv at
 * the first level, down and up, two dwconv at half size. The blend leaves a third of the overlap out on
 * either side. */
static void without_attention_tiles_change_only_rounding(void **state) {
  (void)state;
  rst_model *model = make_model(false);
  float *input = noisy_picture(), *whole = restored(model, input, NULL);
  const size_t tiles[] = {72, 96, 128};
  for (size_t i = 0; i < sizeof tiles / sizeof *tiles; i++) {
    const rst_session_options options = {SESSION, .tile = tiles[i], .overlap = 60};
    float *tiled = restored(model, input, &options);
    assert_true(largest_difference(whole, tiled) < 2e-6);
    free(tiled);
  }
  free(whole);
  free(input);
  rst_model_free(model);
}

static void without_overlap_tiles_show(void **state) {
  (void)state;
  rst_model *model = make_model(false);
  float *input = noisy_picture(), *whole = restored(model, input, NULL);
  const rst_session_options options = {SESSION, .tile = 64};
  float *tiled = restored(model, input, &options);
  assert_true(largest_difference(whole, tiled) > 1e-4);
  free(tiled);
  free(whole);
  free(input);
  rst_model_free(model);
}

/* A seam is a jump between neighbours that the whole picture does not have: the largest step, along rows, of
 * the difference to it. */
static double seam(const float *tiled, const float *whole) {
  double most = 0;
  for (size_t row = 0; row < CHANNELS * HEIGHT; row++)
    for (size_t x = 1; x < WIDTH; x++) {
      const float *t = tiled + row * WIDTH + x, *w = whole + row * WIDTH + x;
      most = larger(most, fabs(((double)t[0] - (double)w[0]) - ((double)t[-1] - (double)w[-1])));
    }
  return most;
}

static void a_smooth_picture_shows_no_seam(void **state) {
  (void)state;
  rst_model *model = make_model(true);
  float *input = smooth_picture(), *whole = restored(model, input, NULL);
  const rst_session_options blended = {SESSION, .tile = 96, .overlap = 72}, cut = {SESSION, .tile = 96};
  float *good = restored(model, input, &blended), *bad = restored(model, input, &cut);
  assert_true(seam(bad, whole) > 0.1); /* the test can see seams */
  assert_true(3 * seam(good, whole) < seam(bad, whole));
  free(bad);
  free(good);
  free(whole);
  free(input);
  rst_model_free(model);
}

static void a_tile_that_holds_the_picture_is_the_whole_run(void **state) {
  (void)state;
  rst_model *model = make_model(true);
  float *input = noisy_picture(), *whole = restored(model, input, NULL);
  const rst_session_options options = {SESSION, .tile = 256, .overlap = 32};
  float *tiled = restored(model, input, &options);
  assert_memory_equal(whole, tiled, SAMPLES * sizeof *whole);
  free(tiled);
  free(whole);
  free(input);
  rst_model_free(model);
}

static void uniform_blend_is_the_mean(void **state) {
  (void)state;
  rst_model *model = make_model(true);
  float *input = noisy_picture();
  const rst_session_options ramp = {SESSION, .tile = 104, .overlap = 8},
                            uniform = {SESSION, .tile = 104, .overlap = 8, .blend = RST_BLEND_UNIFORM};
  float *a = restored(model, input, &ramp), *b = restored(model, input, &uniform);
  assert_true(largest_difference(a, b) > 1e-5);
  /* Tiles start at 0 and 96: outside the overlap [96, 104) both are the same tile. */
  for (size_t x = 0; x < 96; x++) assert_float_equal(a[x], b[x], 1e-6);
  free(b);
  free(a);
  free(input);
  rst_model_free(model);
}

/* ---- Plans --------------------------------------------------------------------------------------------- */

static rst_plan plan(size_t width, size_t height, const rst_session_options *options) {
  const rst_architecture a = architecture_published();
  rst_plan p = {.struct_size = sizeof p};
  rst_error err;
  if (rst_plan_restore(&a, NULL, width, height, options, &p, &err) != RST_OK) fail_msg("%s", err.message);
  return p;
}

/* The same within a limit. */
static rst_plan plan_within(size_t width, size_t height, int threads, uint64_t limit) {
  rst_budget *budget = fixture_budget(limit);
  const rst_plan p =
      plan(width, height, &(rst_session_options){SESSION, .threads = threads, .budget = budget});
  rst_budget_free(budget);
  return p;
}

/* As large as fit with 16 threads, that is: see below. */
static void a_limit_is_kept_by_tiles_as_large_as_fit(void **state) {
  (void)state;
  const rst_plan whole = plan(1280, 720, &(rst_session_options){SESSION, .threads = 16});
  assert_int_equal(whole.tile, 0);
  assert_int_equal(whole.tiles, 1);
  assert_int_equal(plan_within(1280, 720, 16, whole.bytes).tile, 0);
  const rst_plan tiled = plan_within(1280, 720, 16, whole.bytes - 1);
  assert_true(tiled.tile >= 512 && tiled.tiles >= 2 && tiled.tiles <= 6);
  assert_true(tiled.bytes <= whole.bytes - 1);
  assert_true(tiled.overlap > 0 && tiled.overlap % 8 == 0);
}

static void tiles_do_not_depend_on_threads(void **state) {
  (void)state;
  const rst_plan whole = plan(1280, 720, &(rst_session_options){SESSION, .threads = 2});
  for (uint64_t limit = whole.bytes + whole.bytes / 10; limit > whole.bytes / 2; limit -= whole.bytes / 20) {
    const rst_plan one = plan_within(1280, 720, 1, limit);
    for (int threads = 2; threads <= 16; threads += 2) {
      const rst_plan p = plan_within(1280, 720, threads, limit);
      assert_int_equal(p.tile, one.tile);
      assert_int_equal(p.overlap, one.overlap);
      assert_true(p.bytes <= limit);
    }
  }
}

static void what_the_caller_takes_counts(void **state) {
  (void)state;
  rst_session_options options = {SESSION, .threads = 16};
  options.budget = fixture_budget(plan(1280, 720, &options).bytes + 1000);
  assert_true(rst_budget_take(options.budget, 1000));
  assert_int_equal(plan(1280, 720, &options).tile, 0);
  assert_true(rst_budget_take(options.budget, 1));
  assert_true(plan(1280, 720, &options).tile > 0);
  rst_budget_free(options.budget);
}

static void the_published_model_needs_what_was_promised(void **state) {
  (void)state;
  const rst_session_options two = {SESSION, .threads = 2};
  assert_true((double)plan(256, 256, &two).bytes < 180e6);
  assert_true((double)plan(1280, 720, &two).bytes < 600e6);
  assert_true((double)plan(3840, 2160, &two).bytes < 3.7e9);
}

static void what_cannot_be_is_refused(void **state) {
  (void)state;
  const rst_architecture a = architecture_published();
  const struct {
    rst_session_options options;
    rst_status status;
    const char *message;
  } cases[] = {
      {{SESSION, .tile = 12}, RST_ERROR_USAGE, "tile 12: expected a multiple of 8 with 4 levels"},
      {{SESSION, .tile = 16, .overlap = 16},
       RST_ERROR_USAGE,
       "overlap 16: expected 8 or less with tiles of 16 and 4 levels"},
      {{SESSION, .window = 7}, RST_ERROR_USAGE, "window 7: expected 8 or more with 4 levels"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    rst_plan p = {.struct_size = sizeof p};
    rst_error err;
    assert_int_equal(rst_plan_restore(&a, NULL, 64, 64, &cases[i].options, &p, &err), cases[i].status);
    assert_string_equal(err.message, cases[i].message);
  }
  const rst_session_options little = {SESSION, .budget = fixture_budget(1000000)};
  rst_plan p = {.struct_size = sizeof p};
  rst_error err;
  assert_int_equal(rst_plan_restore(&a, NULL, 64, 64, &little, &p, &err), RST_ERROR_MEMORY);
  assert_non_null(strstr(err.message, "even in the smallest tiles, allowed are 1 MB"));
  rst_budget_free(little.budget);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(without_attention_tiles_change_only_rounding),
      cmocka_unit_test(without_overlap_tiles_show),
      cmocka_unit_test(a_smooth_picture_shows_no_seam),
      cmocka_unit_test(a_tile_that_holds_the_picture_is_the_whole_run),
      cmocka_unit_test(uniform_blend_is_the_mean),
      cmocka_unit_test(a_limit_is_kept_by_tiles_as_large_as_fit),
      cmocka_unit_test(tiles_do_not_depend_on_threads),
      cmocka_unit_test(what_the_caller_takes_counts),
      cmocka_unit_test(the_published_model_needs_what_was_promised),
      cmocka_unit_test(what_cannot_be_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
