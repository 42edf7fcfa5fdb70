/* Largest difference, PSNR and SSIM. */
#include <math.h>
#include <string.h>

#include "support/blob.h"
#include "support/cmocka_all.h"
#include "support/fail_alloc.h"
#include "support/pictures.h"

static rst_difference compare(const rst_image *a, const rst_image *b) {
  rst_difference d;
  rst_error err = {.message = ""};
  if (rst_image_compare(a, b, &d, &err) != RST_OK) fail_msg("%s", err.message);
  return d;
}

static void assert_close(double a, double b, double tolerance) {
  if (!(fabs(a - b) <= tolerance)) fail_msg("%.17g and %.17g", a, b);
}

static void test_equal_pictures(void **state) {
  (void)state;
  for (int sample = RST_SAMPLE_U8; sample <= RST_SAMPLE_F32; sample++) {
    rst_image a = picture_random(20, 15, 3, (rst_sample)sample, 1);
    rst_difference d = compare(&a, &a);
    assert_true(d.max_difference == 0);
    assert_true(isinf(d.psnr) && d.psnr > 0);
    assert_close(d.ssim, 1, 1e-12);
    rst_image_clear(&a);
  }
}

static void test_psnr_of_known_differences(void **state) {
  (void)state;
  uint8_t black[48] = {0}, dark[48], one[48] = {0};
  memset(dark, 51, sizeof dark); /* 0.2 */
  one[7] = 255;
  rst_image a = {.width = 4, .height = 4, .channels = 3, .sample = RST_SAMPLE_U8, .samples = black},
            b = {.width = 4, .height = 4, .channels = 3, .sample = RST_SAMPLE_U8, .samples = dark},
            c = {.width = 4, .height = 4, .channels = 3, .sample = RST_SAMPLE_U8, .samples = one};
  rst_difference d = compare(&a, &b);
  assert_true(d.max_difference == 51);
  assert_close(d.psnr, -20 * log10(0.2), 1e-12);
  assert_true(isnan(d.ssim)); /* smaller than a window */
  d = compare(&c, &a);
  assert_true(d.max_difference == 255);
  assert_close(d.psnr, 10 * log10(48), 1e-12);
}

static void test_difference_is_in_steps_of_the_finer_type(void **state) {
  (void)state;
  uint8_t u8[] = {1, 2};
  uint16_t u16[] = {257, 2 * 257 + 3};
  float f32[] = {1 / 255.0f, 2 / 255.0f + 0.25f}, f16[] = {257 / 65535.0f, 517 / 65535.0f};
  rst_image a = {.width = 2, .height = 1, .channels = 1, .sample = RST_SAMPLE_U8, .samples = u8},
            b = {.width = 2, .height = 1, .channels = 1, .sample = RST_SAMPLE_U16, .samples = u16},
            c = {.width = 2, .height = 1, .channels = 1, .sample = RST_SAMPLE_F32, .samples = f32};
  rst_image d = {.width = 2, .height = 1, .channels = 1, .sample = RST_SAMPLE_F32, .samples = f16};
  assert_true(compare(&a, &b).max_difference == 3);
  assert_true(compare(&b, &a).max_difference == 3);
  assert_close(compare(&b, &a).psnr, -10 * log10(3.0 * 3.0 / 65535 / 65535 / 2), 1e-9);
  assert_close(compare(&c, &a).max_difference, 0.25, 1e-7);
  assert_true(compare(&b, &d).max_difference == 0); /* as a PFM of the picture has it */
}

static void test_alpha_counts_for_the_largest_difference_only(void **state) {
  (void)state;
  for (int channels = 2; channels <= 4; channels += 2) {
    rst_image a = picture_random(16, 16, channels, RST_SAMPLE_U8, 1),
              b = picture_random(16, 16, channels, RST_SAMPLE_U8, 1);
    ((uint8_t *)a.samples)[channels - 1] = 10;
    ((uint8_t *)b.samples)[channels - 1] = 30;
    rst_difference d = compare(&a, &b);
    assert_true(d.max_difference == 20);
    assert_true(isinf(d.psnr));
    assert_close(d.ssim, 1, 1e-12);
    rst_image_clear(&a);
    rst_image_clear(&b);
  }
}

static void test_values_that_are_not_numbers_are_never_small_differences(void **state) {
  (void)state;
  float plain[] = {0.5f, 0.5f, 0.5f}, bad[] = {0.5f, (float)NAN, 0.25f},
        inf[] = {0.5f, (float)INFINITY, 0.5f};
  rst_image a = {.width = 3, .height = 1, .channels = 1, .sample = RST_SAMPLE_F32, .samples = plain},
            b = {.width = 3, .height = 1, .channels = 1, .sample = RST_SAMPLE_F32, .samples = bad},
            c = {.width = 3, .height = 1, .channels = 1, .sample = RST_SAMPLE_F32, .samples = inf};
  assert_true(isnan(compare(&a, &b).max_difference));
  assert_true(isnan(compare(&a, &b).psnr));
  assert_true(isinf(compare(&a, &c).max_difference));
  assert_true(compare(&c, &c).max_difference == 0);
}

static void test_pictures_of_other_shapes_are_refused(void **state) {
  (void)state;
  uint8_t samples[12] = {0};
  rst_difference d;
  rst_error err;
  rst_image a = {.width = 2, .height = 2, .channels = 3, .sample = RST_SAMPLE_U8, .samples = samples},
            b = {.width = 4, .height = 1, .channels = 3, .sample = RST_SAMPLE_U8, .samples = samples},
            c = {.width = 2, .height = 2, .channels = 1, .sample = RST_SAMPLE_U8, .samples = samples};
  assert_int_equal(rst_image_compare(&a, &b, &d, &err), RST_ERROR_INPUT);
  assert_string_equal(err.message, "the sizes differ: 2 x 2 and 4 x 1");
  assert_int_equal(rst_image_compare(&a, &c, &d, &err), RST_ERROR_INPUT);
  assert_string_equal(err.message, "the numbers of channels differ: 3 and 1");
}

/* ---- SSIM, straight from its definition ---------------------------------------------------- */

static double value(const rst_image *p, size_t x, size_t y, int c) {
  size_t i = (y * p->width + x) * (size_t)p->channels + (size_t)c;
  if (p->sample == RST_SAMPLE_U8) return ((uint8_t *)p->samples)[i] / 255.0;
  if (p->sample == RST_SAMPLE_U16) return ((uint16_t *)p->samples)[i] / 65535.0;
  return (double)((float *)p->samples)[i];
}

/* Of the window with its top left corner at (x, y): weighted means first, then weighted central moments. */
static double window_ssim(const rst_image *a, const rst_image *b, size_t x, size_t y, int c) {
  double w[11][11], total = 0, ma = 0, mb = 0, va = 0, vb = 0, vab = 0;
  for (int j = 0; j < 11; j++)
    for (int i = 0; i < 11; i++)
      total += w[j][i] = exp(-((i - 5) * (i - 5) + (j - 5) * (j - 5)) / (2 * 1.5 * 1.5));
  for (size_t j = 0; j < 11; j++)
    for (size_t i = 0; i < 11; i++) {
      ma += w[j][i] / total * value(a, x + i, y + j, c);
      mb += w[j][i] / total * value(b, x + i, y + j, c);
    }
  for (size_t j = 0; j < 11; j++)
    for (size_t i = 0; i < 11; i++) {
      double da = value(a, x + i, y + j, c) - ma, db = value(b, x + i, y + j, c) - mb;
      va += w[j][i] / total * da * da;
      vb += w[j][i] / total * db * db;
      vab += w[j][i] / total * da * db;
    }
  return (2 * ma * mb + 0.0001) * (2 * vab + 0.0009) / ((ma * ma + mb * mb + 0.0001) * (va + vb + 0.0009));
}

static double defined_ssim(const rst_image *a, const rst_image *b) {
  int colors = a->channels >= 3 ? 3 : 1;
  double sum = 0;
  for (int c = 0; c < colors; c++)
    for (size_t y = 0; y + 11 <= a->height; y++)
      for (size_t x = 0; x + 11 <= a->width; x++) sum += window_ssim(a, b, x, y, c);
  return sum / colors / (double)((a->width - 10) * (a->height - 10));
}

static void test_ssim_is_what_its_definition_says(void **state) {
  (void)state;
  static const size_t sizes[][2] = {{11, 11}, {11, 30}, {30, 11}, {23, 19}, {40, 33}};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
    for (int channels = 1; channels <= 4; channels++)
      for (int sample = RST_SAMPLE_U8; sample <= RST_SAMPLE_F32; sample++) {
        rst_image a = picture_smooth(sizes[i][0], sizes[i][1], channels, (rst_sample)sample);
        rst_image b = picture_random(sizes[i][0], sizes[i][1], channels, RST_SAMPLE_F32, 4);
        for (size_t k = 0; k < a.width * a.height * (size_t)channels; k++) { /* a with noise */
          float *v = (float *)b.samples + k, original;
          size_t size = rst_sample_size(a.sample);
          rst_convert_samples((uint8_t *)a.samples + k * size, a.sample, 1, &original, RST_SAMPLE_F32, 1, 1);
          *v = original + 0.1f * (*v - 0.5f);
        }
        double ssim = compare(&a, &b).ssim;
        assert_close(ssim, defined_ssim(&a, &b), sample == RST_SAMPLE_F32 ? 1e-10 : 1e-7);
        assert_true(ssim > 0.05 && ssim < 0.999);
        rst_image_clear(&b);
        rst_image_clear(&a);
      }
}

static void test_ssim_of_constant_pictures(void **state) {
  (void)state;
  enum { SIDE = 12 };
  uint8_t dark[SIDE * SIDE], light[SIDE * SIDE];
  memset(dark, 51, sizeof dark);
  memset(light, 204, sizeof light);
  rst_image a = {.width = SIDE, .height = SIDE, .channels = 1, .sample = RST_SAMPLE_U8, .samples = dark},
            b = {.width = SIDE, .height = SIDE, .channels = 1, .sample = RST_SAMPLE_U8, .samples = light};
  assert_close(compare(&a, &b).ssim, (2 * 0.2 * 0.8 + 0.0001) / (0.04 + 0.64 + 0.0001), 1e-12);
}

static void test_ssim_needs_a_whole_window(void **state) {
  (void)state;
  rst_image a = picture_smooth(10, 20, 1, RST_SAMPLE_U8), b = picture_smooth(20, 10, 1, RST_SAMPLE_U8);
  assert_true(isnan(compare(&a, &a).ssim));
  assert_true(isnan(compare(&b, &b).ssim));
  rst_image_clear(&a);
  rst_image_clear(&b);
}

static rst_status compare_once(void *picture, rst_error *err) {
  rst_difference d;
  return rst_image_compare(picture, picture, &d, err);
}

static void test_every_failed_allocation_is_out_of_memory(void **state) {
  (void)state;
  rst_image a = picture_smooth(12, 12, 1, RST_SAMPLE_U8);
  assert_int_equal(fail_each_alloc(compare_once, &a), 2);
  rst_image_clear(&a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_equal_pictures),
      cmocka_unit_test(test_psnr_of_known_differences),
      cmocka_unit_test(test_difference_is_in_steps_of_the_finer_type),
      cmocka_unit_test(test_alpha_counts_for_the_largest_difference_only),
      cmocka_unit_test(test_values_that_are_not_numbers_are_never_small_differences),
      cmocka_unit_test(test_pictures_of_other_shapes_are_refused),
      cmocka_unit_test(test_ssim_is_what_its_definition_says),
      cmocka_unit_test(test_ssim_of_constant_pictures),
      cmocka_unit_test(test_ssim_needs_a_whole_window),
      cmocka_unit_test(test_every_failed_allocation_is_out_of_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
