/* test_restore_picture.c - rst_restore_image: which channels of a picture go through which kind of model.
 * The expected results come from rst_restore, plane by plane. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/cmocka_all.h"
#include "support/model_fixture.h"
#include "support/pictures.h"

enum { HEIGHT = 21, WIDTH = 30, PIXELS = HEIGHT * WIDTH };

static rst_image new_picture(int channels, rst_sample sample, uint64_t seed) {
  rst_image p = {.width = WIDTH, .height = HEIGHT, .channels = channels, .sample = sample};
  const size_t count = (size_t)channels * PIXELS;
  p.samples = fixture_alloc(count, rst_sample_size(sample));
  for (size_t i = 0; i < count; i++) {
    const uint64_t bits = random_bits(seed, i);
    switch (sample) {
      case RST_SAMPLE_U8:
        ((uint8_t *)p.samples)[i] = (uint8_t)(bits | 1); /* alpha hides nothing */
        break;
      case RST_SAMPLE_U16:
        ((uint16_t *)p.samples)[i] = (uint16_t)(bits | 1);
        break;
      default:
        ((float *)p.samples)[i] = (random_unit(seed, i) + 1) / 2;
    }
  }
  return p;
}

/* A sample scaled to 0..1. */
static double sample_of(const rst_image *p, size_t pixel, int channel) {
  const size_t i = pixel * (size_t)p->channels + (size_t)channel;
  switch (p->sample) {
    case RST_SAMPLE_U8:
      return ((const uint8_t *)p->samples)[i] / 255.0;
    case RST_SAMPLE_U16:
      return ((const uint16_t *)p->samples)[i] / 65535.0;
    default:
      return (double)((const float *)p->samples)[i];
  }
}

/* Colour channels of a picture: without alpha. */
static int colours_of(const rst_image *p) {
  return p->channels > 2 ? 3 : 1;
}

/* Copies a channel into a plane. */
static void take_plane(const rst_image *p, int channel, float *plane) {
  for (size_t i = 0; i < PIXELS; i++) plane[i] = (float)sample_of(p, i, channel);
}

static rst_image restore(const rst_model *model, const rst_image *input, const rst_image *right,
                         rst_sample sample) {
  rst_image output;
  rst_error err;
  if (picture_restore(model, input, right, sample, &output, NULL, &err) != RST_OK)
    fail_msg("%s", err.message);
  assert_int_equal(output.width, WIDTH);
  assert_int_equal(output.height, HEIGHT);
  assert_int_equal(output.channels, input->channels);
  assert_int_equal(output.sample, sample);
  assert_non_null(output.samples);
  return output;
}

/* Compares the colours with `planes`, clamped and rounded where the output has integers. */
static void check_colours(const rst_image *output, const float *planes) {
  const double step = output->sample == RST_SAMPLE_U8    ? 1 / 255.0
                      : output->sample == RST_SAMPLE_U16 ? 1 / 65535.0
                                                         : 0;
  for (int c = 0; c < colours_of(output); c++)
    for (size_t i = 0; i < PIXELS; i++) {
      double expected = (double)planes[(size_t)c * PIXELS + i];
      if (step > 0) expected = fmin(fmax(expected, 0), 1);
      if (!(fabs(sample_of(output, i, c) - expected) <= step / 2 + 3e-6))
        fail_msg("pixel %zu, channel %d: %g, expected %g", i, c, sample_of(output, i, c), expected);
    }
}

static void check_alpha(const rst_image *output, const rst_image *input) {
  if (input->channels % 2 != 0) return;
  const int alpha = input->channels - 1;
  const double step = output->sample == RST_SAMPLE_U8    ? 1 / 255.0
                      : output->sample == RST_SAMPLE_U16 ? 1 / 65535.0
                                                         : 0;
  for (size_t i = 0; i < PIXELS; i++) {
    const double expected = sample_of(input, i, alpha), found = sample_of(output, i, alpha);
    if (!(fabs(found - expected) <= (output->sample == input->sample ? 0 : step / 2 + 1e-7)))
      fail_msg("alpha of pixel %zu: %g, expected %g", i, found, expected);
  }
}

/* Every kind of samples in and out, with and without alpha, through `expect`, which fills three planes. */
typedef void (*expectation)(const rst_model *model, const rst_image *input, float *planes);

static void check_kinds(const rst_model *model, int channels, expectation expect) {
  for (int alpha = 0; alpha < 2; alpha++)
    for (rst_sample in = RST_SAMPLE_U8; in <= RST_SAMPLE_F32; in++)
      for (rst_sample out = RST_SAMPLE_U8; out <= RST_SAMPLE_F32; out++) {
        rst_image input = new_picture(channels + alpha, in, 3);
        float *planes = fixture_alloc(3 * (size_t)PIXELS, sizeof *planes);
        expect(model, &input, planes);
        rst_image output = restore(model, &input, NULL, out);
        check_colours(&output, planes);
        check_alpha(&output, &input);
        rst_image_clear(&output);
        rst_image_clear(&input);
        free(planes);
      }
}

static void expect_rgb(const rst_model *model, const rst_image *input, float *planes) {
  float *in = fixture_alloc(3 * (size_t)PIXELS, sizeof *in);
  for (int c = 0; c < 3; c++) take_plane(input, c, in + (size_t)c * PIXELS);
  fixture_restore(model, in, HEIGHT, WIDTH, 1, planes);
  free(in);
}

static void expect_each_channel(const rst_model *model, const rst_image *input, float *planes) {
  float *in = fixture_alloc(PIXELS, sizeof *in);
  for (int c = 0; c < colours_of(input); c++) {
    take_plane(input, c, in);
    fixture_restore(model, in, HEIGHT, WIDTH, 1, planes + (size_t)c * PIXELS);
  }
  free(in);
}

/* Three equal channels, and the mean of what they become. */
static void expect_mean(const rst_model *model, const rst_image *input, float *planes) {
  float *in = fixture_alloc(3 * (size_t)PIXELS, sizeof *in),
        *out = fixture_alloc(3 * (size_t)PIXELS, sizeof *out);
  for (size_t c = 0; c < 3; c++) take_plane(input, 0, in + c * PIXELS);
  fixture_restore(model, in, HEIGHT, WIDTH, 1, out);
  for (size_t i = 0; i < PIXELS; i++) planes[i] = (out[i] + out[PIXELS + i] + out[2 * PIXELS + i]) / 3;
  free(in);
  free(out);
}

static void rgb_on_an_rgb_model(void **state) {
  (void)state;
  rst_model *model = fixture_channels(3, 3, false, 13);
  check_kinds(model, 3, expect_rgb);
  rst_model_free(model);
}

static void grey_on_an_rgb_model(void **state) {
  (void)state;
  rst_model *model = fixture_channels(3, 3, false, 13);
  check_kinds(model, 1, expect_mean);
  rst_model_free(model);
}

static void grey_on_a_grey_model(void **state) {
  (void)state;
  rst_model *model = fixture_channels(1, 1, false, 13);
  check_kinds(model, 1, expect_each_channel);
  rst_model_free(model);
}

static void rgb_on_a_grey_model(void **state) {
  (void)state;
  rst_model *model = fixture_channels(1, 1, false, 13);
  check_kinds(model, 3, expect_each_channel);
  rst_model_free(model);
}

static void two_views_on_a_dual_pixel_model(void **state) {
  (void)state;
  rst_model *model = fixture_channels(6, 3, true, 13);
  rst_image left = new_picture(4, RST_SAMPLE_U16, 3), right = new_picture(3, RST_SAMPLE_U16, 4);
  float *in = fixture_alloc(6 * (size_t)PIXELS, sizeof *in),
        *planes = fixture_alloc(3 * (size_t)PIXELS, sizeof *planes);
  for (int c = 0; c < 3; c++) {
    take_plane(&left, c, in + (size_t)c * PIXELS);
    take_plane(&right, c, in + (size_t)(c + 3) * PIXELS);
  }
  fixture_restore(model, in, HEIGHT, WIDTH, 1, planes);
  for (rst_sample out = RST_SAMPLE_U8; out <= RST_SAMPLE_F32; out++) {
    rst_image output = restore(model, &left, &right, out);
    check_colours(&output, planes);
    check_alpha(&output, &left);
    rst_image_clear(&output);
  }
  free(in);
  free(planes);
  rst_image_clear(&left);
  rst_image_clear(&right);
  rst_model_free(model);
}

static bool stop_at_once(void *user, double fraction) {
  (void)user;
  (void)fraction;
  return false;
}

typedef struct growth {
  double last;
  bool fell;
  int calls;
} growth;

static bool watch_growth(void *user, double fraction) {
  growth *g = user;
  g->fell = g->fell || fraction < g->last || fraction > 1;
  g->last = fraction;
  g->calls++;
  return true;
}

/* Three runs, one progress. */
static void progress_over_channels(void **state) {
  (void)state;
  rst_model *model = fixture_channels(1, 1, false, 13);
  rst_image input = new_picture(3, RST_SAMPLE_U8, 3), output;
  rst_error err;
  growth g = {0};
  const rst_session_options watching = {SESSION, .progress = watch_growth, .user = &g};
  assert_int_equal(picture_restore(model, &input, NULL, RST_SAMPLE_U8, &output, &watching, &err), RST_OK);
  assert_false(g.fell);
  assert_true(g.last == 1);
  rst_image_clear(&output);

  const rst_session_options stopping = {SESSION, .progress = stop_at_once};
  memset(&output, 0x55, sizeof output);
  assert_int_equal(picture_restore(model, &input, NULL, RST_SAMPLE_U8, &output, &stopping, &err),
                   RST_CANCELLED);
  assert_null(output.samples);
  rst_image_clear(&input);
  rst_model_free(model);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rgb_on_an_rgb_model),    cmocka_unit_test(grey_on_an_rgb_model),
      cmocka_unit_test(grey_on_a_grey_model),   cmocka_unit_test(rgb_on_a_grey_model),
      cmocka_unit_test(progress_over_channels), cmocka_unit_test(two_views_on_a_dual_pixel_model),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
