/* test_session.c - sessions: runs that follow each other, other sizes, pictures that share memory, progress
 * within a part of the network, and results that are not finite. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/threads.h"
#include "support/cmocka_all.h"
#include "support/fail_alloc.h"
#include "support/model_fixture.h"

enum { HEIGHT = 37, WIDTH = 50, SAMPLES = 3 * HEIGHT * WIDTH };

/* Widths that are no multiples of 16 leave channels between pixels that nothing may come into. */
static rst_model *make_model(rst_precision precision) {
  rst_architecture a = architecture_small(6, 3);
  a.heads[2] = 2;
  random_model weights = fixture_random(&a, 11);
  rst_model *model = fixture_model(&weights, RST_ISA_AUTO, precision);
  random_model_free(&weights);
  return model;
}

static rst_session *make_session(const rst_model *model, size_t width, size_t height,
                                 rst_session_options options) {
  rst_session *session;
  rst_error err;
  if (rst_session_create(model, width, height, &options, &session, &err) != RST_OK)
    fail_msg("%s", err.message);
  return session;
}

static void run(rst_session *session, const float *input, size_t height, size_t width, float *output) {
  const rst_pixels from = fixture_planar(input, RST_SAMPLE_F32, 3, height, width);
  const rst_pixels to = fixture_planar(output, RST_SAMPLE_F32, 3, height, width);
  rst_error err;
  if (rst_session_run(session, &from, &to, &err) != RST_OK) fail_msg("%s", err.message);
  assert_string_equal(err.message, "");
}

static const rst_session_options KINDS[] = {{SESSION, .threads = 2},
                                            {SESSION, .threads = 1, .window = 12},
                                            {SESSION, .threads = 2, .tile = 24, .overlap = 8}};
enum { KIND_COUNT = sizeof KINDS / sizeof *KINDS };

/* ---- Runs that follow each other -------------------------------------------------------------------------
 */

static void earlier_runs_leave_no_trace(void **state) {
  (void)state;
  for (int precision = RST_PRECISION_F32; precision < RST_PRECISION_COUNT; precision++) {
    rst_model *model = make_model((rst_precision)precision);
    float *a = fixture_samples(1, SAMPLES), *b = fixture_alloc(SAMPLES, sizeof *b),
          *expected = fixture_alloc(SAMPLES, sizeof *expected),
          *found = fixture_alloc(SAMPLES, sizeof *found);
    for (size_t i = 0; i < SAMPLES; i++) b[i] = 1000 * random_unit(3, i);
    for (size_t k = 0; k < KIND_COUNT; k++) {
      rst_session *session = make_session(model, WIDTH, HEIGHT, KINDS[k]);
      run(session, a, HEIGHT, WIDTH, expected);
      run(session, b, HEIGHT, WIDTH, found);
      assert_true(memcmp(found, expected, SAMPLES * sizeof *found) != 0); /* NOLINT: bytes */
      run(session, a, HEIGHT, WIDTH, found);
      assert_memory_equal(found, expected, SAMPLES * sizeof *found);
      rst_session_free(session);
    }
    free(a);
    free(b);
    free(expected);
    free(found);
    rst_model_free(model);
  }
}

/* Everything is there before the first run. */
static void runs_allocate_nothing(void **state) {
  (void)state;
  rst_model *model = make_model(RST_PRECISION_F32);
  float *input = fixture_samples(1, SAMPLES), *output = fixture_alloc(SAMPLES, sizeof *output);
  for (size_t k = 0; k < KIND_COUNT; k++) {
    rst_session *session = make_session(model, WIDTH, HEIGHT, KINDS[k]);
    fail_alloc_after(0);
    run(session, input, HEIGHT, WIDTH, output);
    run(session, input, HEIGHT, WIDTH, output);
    assert_false(fail_alloc_stop());
    rst_session_free(session);
  }
  free(input);
  free(output);
  rst_model_free(model);
}

static void other_sizes(void **state) {
  (void)state;
  static const size_t sizes[][2] = {{50, 37}, {8, 120}, {64, 64}, {1, 1}, {50, 37}};
  rst_model *model = make_model(RST_PRECISION_F32);
  for (size_t k = 0; k < KIND_COUNT; k++) {
    rst_session_options options = KINDS[k];
    options.budget = fixture_budget((uint64_t)1 << 40);
    rst_session *session = make_session(model, 0, 0, options);
    rst_plan plan = {.struct_size = sizeof plan};
    rst_session_plan(session, &plan);
    assert_true(plan.bytes == 0 && rst_budget_used(options.budget) == 0);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
      const size_t width = sizes[i][0], height = sizes[i][1], count = 3 * width * height;
      float *input = fixture_samples(i, count), *found = fixture_alloc(count, sizeof *found),
            *expected = fixture_alloc(count, sizeof *expected);
      assert_int_equal(rst_session_resize(session, width, height, NULL), RST_OK);
      rst_session_plan(session, &plan);
      assert_int_equal(rst_budget_used(options.budget), plan.working_bytes);
      run(session, input, height, width, found);
      rst_session *fresh = make_session(model, width, height, KINDS[k]);
      run(fresh, input, height, width, expected);
      assert_memory_equal(found, expected, count * sizeof *found);
      rst_session_free(fresh);
      free(input);
      free(found);
      free(expected);
    }
    rst_session_free(session);
    assert_int_equal(rst_budget_used(options.budget), 0);
    rst_budget_free(options.budget);
  }
  rst_model_free(model);
}

static void a_size_that_cannot_be_leaves_none(void **state) {
  (void)state;
  rst_model *model = make_model(RST_PRECISION_F32);
  rst_session_options options = {SESSION, .budget = fixture_budget(20000000)};
  rst_session *session = make_session(model, WIDTH, HEIGHT, options);
  rst_error err;
  assert_int_equal(rst_session_resize(session, 100000, 100000, &err), RST_ERROR_MEMORY);
  assert_int_equal(rst_budget_used(options.budget), 0);
  float *samples = fixture_samples(1, SAMPLES), *output = fixture_alloc(SAMPLES, sizeof *output);
  const rst_pixels from = fixture_planar(samples, RST_SAMPLE_F32, 3, HEIGHT, WIDTH);
  const rst_pixels to = fixture_planar(output, RST_SAMPLE_F32, 3, HEIGHT, WIDTH);
  assert_int_equal(rst_session_run(session, &from, &to, &err), RST_ERROR_USAGE);
  assert_string_equal(err.message, "input is 50 x 37, the session 0 x 0");
  assert_int_equal(rst_session_resize(session, WIDTH, HEIGHT, &err), RST_OK);
  assert_int_equal(rst_session_run(session, &from, &to, &err), RST_OK);
  rst_session_free(session);
  rst_budget_free(options.budget);
  free(samples);
  free(output);
  rst_model_free(model);
}

static rst_status create_and_resize(void *user, rst_error *err) {
  rst_session *session;
  const rst_session_options options = {SESSION, .threads = 1, .tile = 24, .overlap = 8};
  rst_status status = rst_session_create(user, WIDTH, HEIGHT, &options, &session, err);
  if (status == RST_OK) status = rst_session_resize(session, 30, 20, err);
  rst_session_free(session);
  return status;
}

static void without_memory(void **state) {
  (void)state;
  rst_model *model = make_model(RST_PRECISION_F32);
  assert_true(fail_each_alloc(create_and_resize, model) > 10);
  rst_model_free(model);
}

static void options_of_another_version(void **state) {
  (void)state;
  rst_model *model = make_model(RST_PRECISION_F32);
  rst_session *session = NULL;
  rst_error err;
  assert_int_equal(
      rst_session_create(model, WIDTH, HEIGHT, &(rst_session_options){.threads = 1}, &session, &err),
      RST_ERROR_USAGE);
  assert_null(session);
  assert_non_null(strstr(err.message, "rst_session_options"));
  rst_model_free(model);
}

/* ---- Pictures
 * ---------------------------------------------------------------------------------------------- */

static void note_plan(void *user, const rst_plan *plan) {
  *(size_t *)user += plan->tiles;
}

/* One session for pictures of several sizes and kinds; what it gives counts until it is freed. */
static void pictures_count_in_the_budget(void **state) {
  (void)state;
  rst_model *model = make_model(RST_PRECISION_F32);
  size_t tiles = 0;
  rst_session_options options = {SESSION, .budget = fixture_budget(100000000), .planned = note_plan};
  options.planned_user = &tiles;
  rst_session *session = make_session(model, 0, 0, options);
  static const int channels[] = {3, 1, 4};
  for (size_t i = 0; i < 3; i++) {
    const size_t width = 30 + 10 * (i / 2), height = 20;
    const uint64_t bytes = (uint64_t)width * height * (size_t)channels[i];
    rst_image *input, *output;
    rst_error err;
    assert_int_equal(rst_image_create(width, height, channels[i], RST_SAMPLE_U8, &input, &err), RST_OK);
    assert_int_equal(rst_image_count(input, options.budget, &err), RST_OK);
    if (rst_session_restore(session, input, NULL, RST_SAMPLE_U16, &output, &err) != RST_OK)
      fail_msg("%s", err.message);
    assert_int_equal(rst_image_channels(output), channels[i]);
    rst_plan plan = {.struct_size = sizeof plan};
    rst_session_plan(session, &plan);
    assert_int_equal(rst_budget_used(options.budget), plan.working_bytes + 3 * bytes);
    assert_int_equal(rst_image_count(output, NULL, NULL), RST_OK);
    assert_int_equal(rst_budget_used(options.budget), plan.working_bytes + bytes);
    rst_image_free(output);
    rst_image_free(input);
    assert_int_equal(rst_budget_used(options.budget), plan.working_bytes);
  }
  assert_int_equal(tiles, 3);
  rst_session_free(session);
  rst_budget_free(options.budget);
  rst_model_free(model);
}

static void pictures_beyond_the_budget(void **state) {
  (void)state;
  rst_model *model = make_model(RST_PRECISION_F32);
  rst_session_options options = {SESSION, .budget = fixture_budget(2000)};
  rst_image *input, *output;
  rst_error err;
  assert_int_equal(rst_image_create(30, 20, 3, RST_SAMPLE_U8, &input, &err), RST_OK);
  assert_int_equal(rst_image_count(input, options.budget, &err), RST_OK);
  assert_int_equal(rst_restore_image(model, input, NULL, RST_SAMPLE_U8, &output, &options, &err),
                   RST_ERROR_MEMORY);
  assert_string_equal(err.message, "out of memory for a picture: 0.0 MB; 0.0 of 0.0 MB are left");
  assert_null(output);
  assert_int_equal(rst_budget_used(options.budget), 1800);
  rst_image_free(input);
  rst_budget_free(options.budget);
  rst_model_free(model);
}

/* ---- Input and output in the same memory -----------------------------------------------------------------
 */

static void in_place_is_the_same(void **state) {
  (void)state;
  rst_model *model = make_model(RST_PRECISION_F32);
  float *input = fixture_samples(1, SAMPLES), *expected = fixture_alloc(SAMPLES, sizeof *expected);
  for (size_t k = 0; k < KIND_COUNT; k++) {
    rst_session *session = make_session(model, WIDTH, HEIGHT, KINDS[k]);
    run(session, input, HEIGHT, WIDTH, expected);
    float *both = fixture_samples(1, SAMPLES);
    run(session, both, HEIGHT, WIDTH, both);
    assert_memory_equal(both, expected, SAMPLES * sizeof *both);
    free(both);
    rst_session_free(session);
  }
  free(input);
  free(expected);
  rst_model_free(model);
}

static void pictures_that_share_memory(void **state) {
  (void)state;
  enum { SIDE = 8 };
  rst_model *model = make_model(RST_PRECISION_F32);
  rst_session *session = make_session(model, SIDE, SIDE, (rst_session_options){SESSION, .threads = 1});
  float samples[12 * SIDE * SIDE] = {0};
  const rst_pixels planar = fixture_planar(samples, RST_SAMPLE_F32, 3, SIDE, SIDE);
  /* Two pictures side by side, and two whose channels take turns. */
  const rst_pixels left = {samples, RST_SAMPLE_F32, SIDE, SIDE, 3, 2 * SIDE * 3, 3, 1};
  const rst_pixels even = {samples, RST_SAMPLE_F32, SIDE, SIDE, 3, SIDE * 6, 6, 2};
  const struct {
    rst_pixels in, out;
    ptrdiff_t offset; /* samples, of the output's */
    bool allowed;
  } cases[] = {{planar, planar, 0, true},
               {planar, planar, 1, false},
               {planar, planar, 3 * SIDE * SIDE - 1, false},
               {planar, planar, 3 * SIDE * SIDE, true},
               {left, left, 3 * SIDE, true},
               {left, left, 3 * SIDE - 3, false},
               {left, left, 3 * 2 * SIDE, false},
               {even, even, 1, true},
               {even, even, 2, false},
               {even, even, 6, false},
               {planar, left, 0, false}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    rst_pixels out = cases[i].out;
    out.samples = (float *)out.samples + cases[i].offset;
    rst_error err;
    const rst_status status = rst_session_run(session, &cases[i].in, &out, &err);
    if (status != (cases[i].allowed ? RST_OK : RST_ERROR_USAGE))
      fail_msg("case %zu: %d, %s", i, status, err.message);
    if (!cases[i].allowed)
      assert_string_equal(err.message,
                          "the output overlaps the input; expected the very same samples, or others");
  }
  /* Of another type at the same place. */
  rst_pixels bytes = planar;
  bytes.sample = RST_SAMPLE_U8;
  assert_int_equal(rst_session_run(session, &planar, &bytes, NULL), RST_ERROR_USAGE);
  rst_session_free(session);
  rst_model_free(model);
}

/* ---- Progress within a part ------------------------------------------------------------------------------
 */

/* A block that takes long, with ThreadSanitizer many times as long. */
#ifdef __SANITIZE_THREAD__
enum { LONG_SIDE = 80 };
#else
enum { LONG_SIDE = 320 };
#endif
enum { LONG_SAMPLES = 3 * LONG_SIDE * LONG_SIDE };

typedef struct watch {
  int calls;
  double last, stop_after; /* a fraction */
  double stopped;          /* seconds */
  bool fell;
} watch;

static bool watching(void *user, double fraction) {
  watch *w = user;
  w->calls++;
  w->fell = w->fell || fraction < w->last;
  w->last = fraction;
  w->stopped = rst_seconds();
  return fraction <= w->stop_after;
}

static rst_status run_long(const rst_model *model, watch *w, double *seconds) {
  float *samples = fixture_samples(1, LONG_SAMPLES);
  const rst_pixels pixels = fixture_planar(samples, RST_SAMPLE_F32, 3, LONG_SIDE, LONG_SIDE);
  const rst_session_options options = {SESSION, .threads = 2, .progress = watching, .user = w};
  *seconds = -rst_seconds();
  const rst_status status = rst_restore(model, &pixels, &pixels, &options, NULL);
  *seconds += rst_seconds();
  free(samples);
  return status;
}

static void progress_is_told_within_a_part(void **state) {
  (void)state;
  rst_architecture a = architecture_small(96, 1);
  a.num_blocks[0] = 1;
  a.num_refinement_blocks = 0;
  random_model weights = fixture_random(&a, 1);
  rst_model *model = fixture_model(&weights, RST_ISA_BASELINE, RST_PRECISION_F32);
  random_model_free(&weights);
  double seconds;
  watch w = {.stop_after = 1};
  assert_int_equal(run_long(model, &w, &seconds), RST_OK);
  assert_false(w.fell);
  assert_true(w.last == 1);
  /* Four parts: embedding, attention, feed-forward, output. */
  if (w.calls < 4 + (int)(seconds / 0.2) - 1) fail_msg("%d calls in %.2f s", w.calls, seconds);
  if (seconds > 0.3) {
    watch stop = {.stop_after = 0.3};
    assert_int_equal(run_long(model, &stop, &seconds), RST_CANCELLED);
    assert_true(stop.last > 0.3 && stop.last < 0.9);
    const double after = rst_seconds() - stop.stopped;
    if (after > 0.5) fail_msg("%.2f s from cancelling to the end", after);
  }
  rst_model_free(model);
}

/* ---- Results that are not finite -------------------------------------------------------------------------
 */

static void overflow_is_an_error(void **state) {
  (void)state;
  float *input = fixture_alloc(SAMPLES, sizeof *input), *good = fixture_samples(1, SAMPLES),
        *output = fixture_alloc(SAMPLES, sizeof *output);
  for (size_t i = 0; i < SAMPLES; i++) input[i] = i % 2 == 0 ? 3e38F : -3e38F;
  for (int precision = RST_PRECISION_F32; precision < RST_PRECISION_COUNT; precision++) {
    rst_model *model = make_model((rst_precision)precision);
    for (size_t k = 0; k < KIND_COUNT; k++)
      for (rst_sample sample = RST_SAMPLE_U8; sample <= RST_SAMPLE_F32; sample++) {
        rst_session *session = make_session(model, WIDTH, HEIGHT, KINDS[k]);
        const rst_pixels from = fixture_planar(input, RST_SAMPLE_F32, 3, HEIGHT, WIDTH);
        const rst_pixels to = fixture_planar(output, sample, 3, HEIGHT, WIDTH);
        rst_error err;
        assert_int_equal(rst_session_run(session, &from, &to, &err), RST_ERROR_NUMBERS);
        static const char START[] = "the computation overflowed: the result has samples that are not finite";
        assert_memory_equal(err.message, START, sizeof START - 1);
        run(session, good, HEIGHT, WIDTH, output); /* the next run is a new one */
        rst_session_free(session);
      }
    rst_model_free(model);
  }
  free(input);
  free(good);
  free(output);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(earlier_runs_leave_no_trace),
      cmocka_unit_test(runs_allocate_nothing),
      cmocka_unit_test(other_sizes),
      cmocka_unit_test(a_size_that_cannot_be_leaves_none),
      cmocka_unit_test(without_memory),
      cmocka_unit_test(options_of_another_version),
      cmocka_unit_test(pictures_count_in_the_budget),
      cmocka_unit_test(pictures_beyond_the_budget),
      cmocka_unit_test(in_place_is_the_same),
      cmocka_unit_test(pictures_that_share_memory),
      cmocka_unit_test(progress_is_told_within_a_part),
      cmocka_unit_test(overflow_is_an_error),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
