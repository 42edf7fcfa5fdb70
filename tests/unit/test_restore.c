/* test_restore.c - rst_restore around the network: kinds and layouts of pixels, threads, several callers at
 * once, progress and cancelling, misuse. What the network computes is in test_network.c. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/cmocka_all.h"
#include "support/model_fixture.h"

/* One model for all tests: three levels, sides that are no multiples of 4. */
enum { HEIGHT = 37, WIDTH = 50, PIXELS = HEIGHT * WIDTH, CHANNELS = 3, SAMPLES = CHANNELS * PIXELS };
static rst_model *model;

static int make_model(void **state) {
  (void)state;
  rst_architecture a = architecture_small(12, 3);
  a.heads[1] = 2;
  a.heads[2] = 4;
  random_model weights = fixture_random(&a, 11);
  model = fixture_model(&weights, RST_ISA_AUTO, RST_PRECISION_F32);
  random_model_free(&weights);
  return 0;
}

static int free_model(void **state) {
  (void)state;
  rst_model_free(model);
  return 0;
}

static void restore(const rst_pixels *input, const rst_pixels *output) {
  rst_error err;
  if (rst_restore(model, input, output, NULL, &err) != RST_OK) fail_msg("%s", err.message);
}

/* ---- Kinds of samples ------------------------------------------------------------------------------------
 */

static size_t peak(rst_sample sample) {
  return sample == RST_SAMPLE_U8 ? 255 : 65535;
}

static size_t get_sample(const void *samples, rst_sample sample, size_t i) {
  return sample == RST_SAMPLE_U8 ? ((const uint8_t *)samples)[i] : ((const uint16_t *)samples)[i];
}

/* Random integers, with the darkest and the brightest among them. */
static void *integer_samples(rst_sample sample) {
  void *samples = fixture_alloc(SAMPLES, rst_sample_size(sample));
  for (size_t i = 0; i < SAMPLES; i++) {
    size_t value = random_bits(1, i) % (peak(sample) + 1);
    if (i % 97 == 0) value = 0;
    if (i % 89 == 0) value = peak(sample);
    if (sample == RST_SAMPLE_U8)
      ((uint8_t *)samples)[i] = (uint8_t)value;
    else
      ((uint16_t *)samples)[i] = (uint16_t)value;
  }
  return samples;
}

static void integers_in_are_scaled(void **state) {
  (void)state;
  for (rst_sample sample = RST_SAMPLE_U8; sample <= RST_SAMPLE_U16; sample++) {
    void *integers = integer_samples(sample);
    float *floats = fixture_alloc(SAMPLES, sizeof *floats);
    float *found = fixture_alloc(SAMPLES, sizeof *found),
          *expected = fixture_alloc(SAMPLES, sizeof *expected);
    for (size_t i = 0; i < SAMPLES; i++)
      floats[i] = (float)((double)get_sample(integers, sample, i) / (double)peak(sample));
    const rst_pixels from = fixture_planar(integers, sample, CHANNELS, HEIGHT, WIDTH);
    const rst_pixels to = fixture_planar(found, RST_SAMPLE_F32, CHANNELS, HEIGHT, WIDTH);
    restore(&from, &to);
    fixture_restore(model, floats, HEIGHT, WIDTH, 1, expected);
    for (size_t i = 0; i < SAMPLES; i++)
      if (!(fabsf(found[i] - expected[i]) <= 4e-6F))
        fail_msg("sample %zu of peak %zu: %g, expected %g", i, peak(sample), (double)found[i],
                 (double)expected[i]);
    free(integers);
    free(floats);
    free(found);
    free(expected);
  }
}

static void integers_out_are_clamped_and_rounded(void **state) {
  (void)state;
  float *input = fixture_samples(2, SAMPLES), *exact = fixture_alloc(SAMPLES, sizeof *exact);
  fixture_restore(model, input, HEIGHT, WIDTH, 1, exact);
  for (rst_sample sample = RST_SAMPLE_U8; sample <= RST_SAMPLE_U16; sample++) {
    void *integers = fixture_alloc(SAMPLES, rst_sample_size(sample));
    const rst_pixels from = fixture_planar(input, RST_SAMPLE_F32, CHANNELS, HEIGHT, WIDTH);
    const rst_pixels to = fixture_planar(integers, sample, CHANNELS, HEIGHT, WIDTH);
    restore(&from, &to);
    size_t below = 0, above = 0;
    for (size_t i = 0; i < SAMPLES; i++) {
      const double clamped = fmin(fmax((double)exact[i], 0), 1) * (double)peak(sample);
      below += exact[i] < 0;
      above += exact[i] > 1;
      /* The product may be rounded to float32 before it is rounded to an integer. */
      if (fabs((double)get_sample(integers, sample, i) - clamped) > 0.5 + 1e-7 * (double)peak(sample))
        fail_msg("sample %zu: %zu, expected %g", i, get_sample(integers, sample, i), clamped);
    }
    assert_true(below > 20 && above > 20);
    free(integers);
  }
  free(input);
  free(exact);
}

static void floats_are_neither_clamped_nor_rounded(void **state) {
  (void)state;
  float *input = fixture_alloc(SAMPLES, sizeof *input), *output = fixture_alloc(SAMPLES, sizeof *output);
  for (size_t i = 0; i < SAMPLES; i++) input[i] = 40 * random_unit(5, i);
  fixture_restore(model, input, HEIGHT, WIDTH, 1, output);
  /* The residual carries the input's size over: it was not clamped on the way in either. */
  float lowest = 0, highest = 0;
  for (size_t i = 0; i < SAMPLES; i++) {
    lowest = fminf(lowest, output[i]);
    highest = fmaxf(highest, output[i]);
  }
  assert_true(lowest < -30 && highest > 30);
  free(input);
  free(output);
}

/* ---- Layouts ---------------------------------------------------------------------------------------------
 */

/* Any layout in a buffer with room between and around the samples: the strides may be negative. */
typedef struct layout {
  const char *name;
  ptrdiff_t row, column, channel, first; /* first: index of sample 0 of pixel (0, 0) */
  size_t count;                          /* of the buffer */
} layout;

static const layout LAYOUTS[] = {
    {"interleaved", (ptrdiff_t)WIDTH * 3, 3, 1, 0, SAMPLES},
    {"interleaved, reversed channels", (ptrdiff_t)WIDTH * 3, 3, -1, 2, SAMPLES},
    {"interleaved in four", (ptrdiff_t)WIDTH * 4, 4, 1, 0, (size_t)PIXELS * 4},
    {"planar, bottom up", -(ptrdiff_t)WIDTH, 1, PIXELS, PIXELS - WIDTH, SAMPLES},
    {"planar, padded rows", WIDTH + 14, 1, (ptrdiff_t)(WIDTH + 14) * HEIGHT, 5,
     (size_t)(WIDTH + 14) * HEIGHT * 3},
    {"mirrored columns", (ptrdiff_t)WIDTH * 3, -3, 1, (ptrdiff_t)WIDTH * 3 - 3, SAMPLES},
    {"transposed", 1, HEIGHT, PIXELS, 0, SAMPLES},
    {"rows of planes", (ptrdiff_t)WIDTH * 3, 1, WIDTH, 0, SAMPLES},
};

static rst_pixels with_layout(void *buffer, rst_sample sample, const layout *l) {
  return (rst_pixels){.samples = (char *)buffer + (size_t)l->first * rst_sample_size(sample),
                      .sample = sample,
                      .width = WIDTH,
                      .height = HEIGHT,
                      .channels = CHANNELS,
                      .row_stride = l->row,
                      .column_stride = l->column,
                      .channel_stride = l->channel};
}

/* Moves samples between planar order and a layout; `used` marks the samples of the buffer that belong to it.
 */
static void rearrange(const layout *l, rst_sample sample, char *buffer, char *planar, bool to_buffer,
                      bool *used) {
  const size_t size = rst_sample_size(sample);
  for (ptrdiff_t c = 0; c < CHANNELS; c++)
    for (ptrdiff_t y = 0; y < HEIGHT; y++)
      for (ptrdiff_t x = 0; x < WIDTH; x++) {
        const size_t at = (size_t)(l->first + y * l->row + x * l->column + c * l->channel);
        char *in_planar = planar + (size_t)((c * HEIGHT + y) * WIDTH + x) * size;
        memcpy(to_buffer ? buffer + at * size : in_planar, to_buffer ? in_planar : buffer + at * size, size);
        used[at] = true;
      }
}

/* Every layout of every kind of samples, in and out, gives the same bytes as planar, and what lies between
 * the samples stays as it was. */
static void layouts_do_not_matter(void **state) {
  (void)state;
  for (rst_sample sample = RST_SAMPLE_U8; sample <= RST_SAMPLE_F32; sample++) {
    const size_t size = rst_sample_size(sample);
    void *input = sample == RST_SAMPLE_F32 ? (void *)fixture_samples(3, SAMPLES) : integer_samples(sample);
    char *expected = fixture_alloc(SAMPLES, size), *found = fixture_alloc(SAMPLES, size);
    const rst_pixels planar_in = fixture_planar(input, sample, CHANNELS, HEIGHT, WIDTH);
    const rst_pixels planar_out = fixture_planar(expected, sample, CHANNELS, HEIGHT, WIDTH);
    restore(&planar_in, &planar_out);
    for (size_t i = 0; i < sizeof LAYOUTS / sizeof *LAYOUTS; i++) {
      const layout *in = &LAYOUTS[i], *out = &LAYOUTS[(i + 3) % (sizeof LAYOUTS / sizeof *LAYOUTS)];
      char *in_buffer = fixture_alloc(in->count, size), *out_buffer = fixture_alloc(out->count, size);
      bool *in_used = fixture_alloc(in->count, sizeof *in_used),
           *out_used = fixture_alloc(out->count, sizeof *out_used);
      memset(in_buffer, 0xff, in->count * size); /* NaN, as floats */
      memset(out_buffer, 0x5a, out->count * size);
      rearrange(in, sample, in_buffer, input, true, in_used);
      const rst_pixels from = with_layout(in_buffer, sample, in), to = with_layout(out_buffer, sample, out);
      restore(&from, &to);
      rearrange(out, sample, out_buffer, found, false, out_used);
      if (memcmp(found, expected, SAMPLES * size) != 0) fail_msg("%s -> %s differs", in->name, out->name);
      for (size_t at = 0; at < out->count * size; at++)
        if (!out_used[at / size] && out_buffer[at] != 0x5a)
          fail_msg("%s: wrote between the samples", out->name);
      free(in_buffer);
      free(out_buffer);
      free(in_used);
      free(out_used);
    }
    free(input);
    free(expected);
    free(found);
  }
}

/* ---- Threads ---------------------------------------------------------------------------------------------
 */

static void thread_count_does_not_matter(void **state) {
  (void)state;
#ifdef __SANITIZE_THREAD__ /* with which they take many times as long */
  static const size_t sizes[][2] = {{1, 1}, {3, 70}, {31, 37}};
#else
  static const size_t sizes[][2] = {{1, 1}, {3, 200}, {61, 70}, {130, 129}};
#endif
  static const int threads[] = {2, 3, 8, 0, 64};
  rst_architecture a = architecture_small(8, 2);
  a.bias = true;
  random_model weights = fixture_random(&a, 4);
  for (int isa = RST_ISA_BASELINE; isa < RST_ISA_COUNT; isa++)
    for (int precision = RST_PRECISION_F32; precision < RST_PRECISION_COUNT; precision++) {
      if (!rst_isa_available((rst_isa)isa)) continue;
      rst_model *m = fixture_model(&weights, (rst_isa)isa, (rst_precision)precision);
      for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const size_t height = sizes[s][0], width = sizes[s][1], count = 3 * height * width;
        float *input = fixture_samples(s, count);
        float *expected = fixture_alloc(count, sizeof *expected),
              *found = fixture_alloc(count, sizeof *found);
        fixture_restore(m, input, height, width, 1, expected);
        for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
          fixture_restore(m, input, height, width, threads[t], found);
          if (memcmp(found, expected, count * sizeof *found) != 0)
            fail_msg("%zu x %zu on %s, precision %d: %d threads give other bytes than 1", width, height,
                     rst_isa_name((rst_isa)isa), precision, threads[t]);
        }
        free(input);
        free(expected);
        free(found);
      }
      rst_model_free(m);
    }
  random_model_free(&weights);
}

/* A caller of its own thread, with its own picture. */
typedef struct caller {
  pthread_t thread;
  const rst_model *used;
  float *input, *expected, *found;
  rst_status status;
} caller;

enum { CALLERS = 6, REPEATS = 3 };

static void *call(void *argument) {
  caller *c = argument;
  const rst_pixels from = fixture_planar(c->input, RST_SAMPLE_F32, CHANNELS, HEIGHT, WIDTH);
  const rst_pixels to = fixture_planar(c->found, RST_SAMPLE_F32, CHANNELS, HEIGHT, WIDTH);
  const rst_session_options options = {SESSION, .threads = 2};
  for (int i = 0; i < REPEATS && c->status == RST_OK; i++)
    c->status = rst_restore(c->used, &from, &to, &options, NULL);
  return NULL;
}

static void several_callers_share_models(void **state) {
  (void)state;
  const rst_architecture a = architecture_small(10, 2);
  random_model weights = fixture_random(&a, 8);
  rst_model *other = fixture_model(&weights, RST_ISA_BASELINE, RST_PRECISION_F32);
  caller callers[CALLERS] = {0};
  for (size_t i = 0; i < CALLERS; i++) {
    caller *c = &callers[i];
    c->used = i % 3 == 2 ? other : model;
    c->input = fixture_samples(20 + i, SAMPLES);
    c->expected = fixture_alloc(SAMPLES, sizeof(float));
    c->found = fixture_alloc(SAMPLES, sizeof(float));
    fixture_restore(c->used, c->input, HEIGHT, WIDTH, 1, c->expected);
  }
  for (size_t i = 0; i < CALLERS; i++)
    assert_int_equal(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
  for (size_t i = 0; i < CALLERS; i++) pthread_join(callers[i].thread, NULL);
  for (size_t i = 0; i < CALLERS; i++) {
    assert_int_equal(callers[i].status, RST_OK);
    assert_memory_equal(callers[i].found, callers[i].expected, SAMPLES * sizeof(float));
    free(callers[i].input);
    free(callers[i].expected);
    free(callers[i].found);
  }
  rst_model_free(other);
  random_model_free(&weights);
}

/* ---- Progress --------------------------------------------------------------------------------------------
 */

typedef struct watch {
  int calls, stop_at; /* stop_at: the call that cancels, 0 for none */
  double last;
  bool fell, outside;
} watch;

static bool watching(void *user, double fraction) {
  watch *w = user;
  w->fell = w->fell || fraction < w->last;
  w->outside = w->outside || !(fraction >= 0 && fraction <= 1);
  w->last = fraction;
  return ++w->calls != w->stop_at;
}

static rst_status restore_watched(watch *w, int threads, float *output, rst_error *err) {
  float *input = fixture_samples(6, SAMPLES);
  const rst_pixels from = fixture_planar(input, RST_SAMPLE_F32, CHANNELS, HEIGHT, WIDTH);
  const rst_pixels to = fixture_planar(output, RST_SAMPLE_F32, CHANNELS, HEIGHT, WIDTH);
  const rst_session_options options = {SESSION, .threads = threads, .progress = watching, .user = w};
  const rst_status status = rst_restore(model, &from, &to, &options, err);
  free(input);
  return status;
}

static void progress_grows_to_one(void **state) {
  (void)state;
  float *output = fixture_alloc(SAMPLES, sizeof *output);
  for (int threads = 1; threads <= 3; threads++) {
    watch w = {0};
    rst_error err;
    assert_int_equal(restore_watched(&w, threads, output, &err), RST_OK);
    assert_true(w.calls >= 6); /* one for each block of this model at least */
    assert_false(w.fell);
    assert_false(w.outside);
    if (w.last != 1) fail_msg("the last fraction was %g", w.last);
  }
  free(output);
}

static void progress_cancels_at_any_call(void **state) {
  (void)state;
  float *output = fixture_alloc(SAMPLES, sizeof *output),
        *expected = fixture_alloc(SAMPLES, sizeof *expected);
  watch whole = {0};
  rst_error err;
  assert_int_equal(restore_watched(&whole, 2, expected, &err), RST_OK);
  for (int stop = 1; stop < whole.calls; stop += stop < 4 ? 1 : whole.calls / 7 + 1) {
    watch w = {.stop_at = stop};
    const rst_status status = restore_watched(&w, 2, output, &err);
    if (stop > 3 && w.calls < stop) continue; /* this run was asked less often, which time decides */
    assert_int_equal(status, RST_CANCELLED);
    assert_int_equal(w.calls, stop); /* it is not asked again */
    assert_true(strlen(err.message) > 0);
  }
  /* The model is as good as before. */
  watch again = {0};
  assert_int_equal(restore_watched(&again, 2, output, &err), RST_OK);
  assert_memory_equal(output, expected, SAMPLES * sizeof *output);
  free(output);
  free(expected);
}

/* ---- Stages ----------------------------------------------------------------------------------------------
 */

typedef struct stages {
  char names[512];
  double seconds;
  bool negative;
} stages;

static void note_stage(void *user, const char *stage, double seconds) {
  stages *s = user;
  const size_t used = strlen(s->names);
  snprintf(s->names + used, sizeof s->names - used, " %s", stage);
  s->seconds += seconds;
  s->negative = s->negative || seconds < 0;
}

static void stages_are_told_in_order(void **state) {
  (void)state;
  stages s = {.names = ""};
  float *input = fixture_samples(6, SAMPLES), *output = fixture_alloc(SAMPLES, sizeof *output);
  const rst_pixels from = fixture_planar(input, RST_SAMPLE_F32, CHANNELS, HEIGHT, WIDTH);
  const rst_pixels to = fixture_planar(output, RST_SAMPLE_F32, CHANNELS, HEIGHT, WIDTH);
  const rst_session_options options = {SESSION, .stage_done = note_stage, .stage_user = &s};
  assert_int_equal(rst_restore(model, &from, &to, &options, NULL), RST_OK);
  assert_string_equal(
      s.names,
      " patch_embed encoder_level1 down1_2 encoder_level2 down2_3 latent up3_2 decoder_level2 up2_1"
      " decoder_level1 refinement output");
  assert_true(s.seconds > 0 && !s.negative);
  free(input);
  free(output);
}

/* ---- main ------------------------------------------------------------------------------------------------
 */

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(integers_in_are_scaled),
      cmocka_unit_test(integers_out_are_clamped_and_rounded),
      cmocka_unit_test(floats_are_neither_clamped_nor_rounded),
      cmocka_unit_test(layouts_do_not_matter),
      cmocka_unit_test(thread_count_does_not_matter),
      cmocka_unit_test(several_callers_share_models),
      cmocka_unit_test(progress_grows_to_one),
      cmocka_unit_test(progress_cancels_at_any_call),
      cmocka_unit_test(stages_are_told_in_order),
  };
  return cmocka_run_group_tests(tests, make_model, free_model);
}
