/* test_window.c - test-time local statistics: whole networks against the float64 oracle, with windows that
 * tile the picture, that overlap evenly and raggedly, that are larger than one side or both. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/cmocka_all.h"
#include "support/model_fixture.h"
#include "support/oracle.h"

static const double TOLERANCE = 4e-6; /* as in test_network.c */

typedef struct window_case {
  size_t height, width, window;
} window_case;

static void restore(const rst_model *model, const float *input, const window_case *c, int threads,
                    float *output) {
  const rst_architecture *a = rst_model_architecture(model);
  const rst_pixels from = fixture_planar(input, RST_SAMPLE_F32, a->in_channels, c->height, c->width);
  const rst_pixels to = fixture_planar(output, RST_SAMPLE_F32, a->out_channels, c->height, c->width);
  const rst_session_options options = {SESSION, .threads = threads, .window = c->window};
  rst_error err;
  if (rst_restore(model, &from, &to, &options, &err) != RST_OK) fail_msg("%s", err.message);
}

static void check_case(const random_model *weights, rst_model *const *models, const window_case *c) {
  const rst_architecture *a = &weights->architecture;
  const size_t pixels = c->height * c->width, count = (size_t)a->out_channels * pixels;
  random_model copy = *weights;
  const oracle_model oracle = {
      .architecture = *a, .fetch = random_model_fetch, .user = &copy, .window = c->window};
  float *input = fixture_samples(c->window, (size_t)a->in_channels * pixels);
  float *output = fixture_alloc(count, sizeof *output), *again = fixture_alloc(count, sizeof *again);
  double *expected = oracle_alloc(count);
  oracle_network(&oracle, input, c->height, c->width, expected);
  for (int isa = 0; isa < RST_ISA_COUNT; isa++) {
    if (models[isa] == NULL) continue;
    restore(models[isa], input, c, 1, output);
    for (size_t i = 0; i < count; i++)
      if (!(fabs((double)output[i] - expected[i]) <= TOLERANCE))
        fail_msg("%zu x %zu, window %zu, %d levels on %s: sample %zu is %.9g, expected %.9g", c->width,
                 c->height, c->window, a->levels, rst_isa_name((rst_isa)isa), i, (double)output[i],
                 expected[i]);
    restore(models[isa], input, c, 3, again);
    assert_memory_equal(again, output, count * sizeof *output);
  }
  free(input);
  free(output);
  free(again);
  free(expected);
}

static void check(const rst_architecture *a, const window_case *cases, size_t count) {
  random_model weights = fixture_random(a, 17);
  rst_weights *opened = fixture_weights(&weights);
  rst_model *models[RST_ISA_COUNT] = {NULL};
  for (int isa = RST_ISA_BASELINE; isa < RST_ISA_COUNT; isa++)
    if (rst_isa_available((rst_isa)isa)) models[isa] = fixture_pack(opened, (rst_isa)isa, RST_PRECISION_F32);
  rst_weights_close(opened);
  for (size_t i = 0; i < count; i++) check_case(&weights, models, &cases[i]);
  for (int isa = 0; isa < RST_ISA_COUNT; isa++) rst_model_free(models[isa]);
  random_model_free(&weights);
}

static void four_levels(void **state) {
  (void)state;
  static const window_case cases[] = {
      {32, 32, 16},   /* windows side by side */
      {40, 56, 24},   /* overlapping */
      {37, 45, 20},   /* ragged, and 20 / 8 is no whole number */
      {61, 83, 32},   /* as the authors' ragged case */
      {24, 100, 64},  /* one axis only */
      {30, 21, 1000}, /* larger than both */
      {33, 33, 8},    /* one pixel at the deepest level */
      {1, 50, 9},
  };
  rst_architecture a = architecture_small(8, 4);
  a.heads[1] = a.heads[2] = 2;
  a.heads[3] = 4;
  check(&a, cases, sizeof cases / sizeof *cases);
}

static void a_flat_stack(void **state) {
  (void)state;
  static const window_case cases[] = {{9, 11, 1},   {16, 17, 2}, {20, 31, 7},
                                      {33, 65, 32}, {70, 6, 33}, {1, 1, 1}};
  rst_architecture a = architecture_small(7, 1);
  a.bias = true;
  check(&a, cases, sizeof cases / sizeof *cases);
}

static void attention_on_some_levels(void **state) {
  (void)state;
  static const window_case cases[] = {{29, 38, 13}};
  rst_architecture a = architecture_small(12, 3);
  a.norm_bias = false;
  a.attention[1] = false;
  check(&a, cases, sizeof cases / sizeof *cases);
}

/* Of which only attention looks at windows: what mixes a prompt is the mean of all of the map. */
static void prompts(void **state) {
  (void)state;
  static const window_case cases[] = {{37, 45, 20}, {70, 24, 16}};
  const rst_architecture a = architecture_prompted(8, 3);
  check(&a, cases, sizeof cases / sizeof *cases);
}

/* A window that is no smaller than the padded picture changes not a byte. */
static void a_window_over_everything_is_none(void **state) {
  (void)state;
  const rst_architecture a = architecture_small(8, 3);
  random_model weights = fixture_random(&a, 17);
  rst_model *model = fixture_model(&weights, RST_ISA_AUTO, RST_PRECISION_F32);
  enum { HEIGHT = 31, WIDTH = 42, COUNT = 3 * HEIGHT * WIDTH };
  float *input = fixture_samples(1, COUNT);
  float *whole = fixture_alloc(COUNT, sizeof *whole), *windowed = fixture_alloc(COUNT, sizeof *windowed);
  restore(model, input, &(window_case){HEIGHT, WIDTH, 0}, 1, whole);
  restore(model, input, &(window_case){HEIGHT, WIDTH, 44}, 1, windowed);
  assert_memory_equal(windowed, whole, COUNT * sizeof *whole);
  restore(model, input, &(window_case){HEIGHT, WIDTH, 20}, 1, windowed);
  assert_memory_not_equal(windowed, whole, COUNT * sizeof *whole);
  free(input);
  free(whole);
  free(windowed);
  rst_model_free(model);
  random_model_free(&weights);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(four_levels),
      cmocka_unit_test(a_flat_stack),
      cmocka_unit_test(attention_on_some_levels),
      cmocka_unit_test(prompts),
      cmocka_unit_test(a_window_over_everything_is_none),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
