/* PNM and PFM. */
#include <math.h>
#include <string.h>

#include "support/blob.h"
#include "support/cmocka_all.h"
#include "support/fail_alloc.h"
#include "support/pictures.h"
#include "support/scratch.h"

static rst_image read_text(blob_reader reader, const char *text, size_t size) {
  blob file = {0};
  rst_image p;
  rst_error err = {.message = ""};
  blob_put(&file, text, size);
  if (blob_read(&file, reader, &p, &err) != RST_OK) fail_msg("%s", err.message);
  blob_free(&file);
  return p;
}

/* `text` may have 0 bytes inside. */
#define READ(reader, text) read_text(reader, text, sizeof(text) - 1)

static void refused(blob_reader reader, const char *text, size_t size, const char *message) {
  blob file = {0};
  blob_put(&file, text, size);
  blob_assert_refused(&file, reader, message);
  blob_free(&file);
}

#define REFUSED(reader, text, message) refused(reader, text, sizeof(text) - 1, message)

static void assert_u8(rst_image p, size_t width, size_t height, int channels, const char *samples) {
  assert_int_equal(p.sample, RST_SAMPLE_U8);
  assert_int_equal(p.width, width);
  assert_int_equal(p.height, height);
  assert_int_equal(p.channels, channels);
  assert_memory_equal(p.samples, samples, width * height * (size_t)channels);
  rst_image_clear(&p);
}

static void test_text_files(void **state) {
  (void)state;
  assert_u8(READ(rst_pnm_read, "P1\n3 2\n010\n1 1 0"), 3, 2, 1, "\xff\0\xff\0\0\xff");
  assert_u8(READ(rst_pnm_read, "P2 2 2 255 0 7 128 255\n"), 2, 2, 1, "\0\x07\x80\xff");
  assert_u8(READ(rst_pnm_read, "P3\n1 2\n255\n1 2 3\n4 5 6"), 1, 2, 3, "\1\2\3\4\5\6");
}

static void test_binary_files(void **state) {
  (void)state;
  assert_u8(READ(rst_pnm_read, "P4\n10 2\n\x80\x40\xff\x80"), 10, 2, 1,
            "\0\xff\xff\xff\xff\xff\xff\xff\xff\0"
            "\0\0\0\0\0\0\0\0\0\xff");
  assert_u8(READ(rst_pnm_read, "P5 2 1 255\n#\n"), 2, 1, 1, "#\n");
  assert_u8(READ(rst_pnm_read, "P6 1 2 255 abcdef and more"), 1, 2, 3, "abcdef");
}

static void test_comments_may_stand_between_numbers(void **state) {
  (void)state;
  assert_u8(READ(rst_pnm_read, "P2#one\n# two\n1 #three 9\r1\n#\n255# four\n #\n77"), 1, 1, 1, "M");
  assert_u8(READ(rst_pnm_read, "P5\n#c\n1 1#c\n255\n#"), 1, 1, 1, "#");
}

static void test_other_maxima_are_scaled(void **state) {
  (void)state;
  assert_u8(READ(rst_pnm_read, "P2 4 1 3 0 1 2 3"), 4, 1, 1, "\0\x55\xaa\xff");
  rst_image p = READ(rst_pnm_read, "P5 2 1 1023\n\x02\0\x03\xff");
  assert_int_equal(p.sample, RST_SAMPLE_U16);
  assert_int_equal(((uint16_t *)p.samples)[0], (512 * 65535 + 511) / 1023);
  assert_int_equal(((uint16_t *)p.samples)[1], 65535);
  rst_image_clear(&p);
}

static void test_16_bits_are_big_endian(void **state) {
  (void)state;
  rst_image p = READ(rst_pnm_read, "P6 1 1 65535\n\1\2\3\4\xff\xfe");
  assert_int_equal(p.sample, RST_SAMPLE_U16);
  assert_int_equal(((uint16_t *)p.samples)[0], 0x0102);
  assert_int_equal(((uint16_t *)p.samples)[1], 0x0304);
  assert_int_equal(((uint16_t *)p.samples)[2], 0xfffe);
  rst_image_clear(&p);
  p = READ(rst_pnm_read, "P2 1 1 65535 40000");
  assert_int_equal(((uint16_t *)p.samples)[0], 40000);
  rst_image_clear(&p);
}

static void test_wrong_pnm_files_are_refused(void **state) {
  (void)state;
  REFUSED(rst_pnm_read, "P2", "PNM: ends before the width (cut off?)");
  REFUSED(rst_pnm_read, "P2x1 1 255 0", "PNM: byte 2: expected white space");
  REFUSED(rst_pnm_read, "P2 1", "PNM: ends before the height (cut off?)");
  REFUSED(rst_pnm_read, "P2 -1 1 255 0", "PNM: byte 3: expected the width");
  REFUSED(rst_pnm_read, "P2 1 1.5 255 0", "PNM: byte 6: expected white space after the height");
  REFUSED(rst_pnm_read, "P2 0 1 255 0", "PNM: size 0 x 1, expected 1 x 1 or more");
  REFUSED(rst_pnm_read, "P2 99999999999999999999 1 255 0", "PNM: the width is larger than 16777216");
  REFUSED(rst_pnm_read, "P5 65536 65536 255\n",
          "PNM: size 65536 x 65536, expected at most 1073741824 pixels and sides of at most 16777216");
  REFUSED(rst_pnm_read, "P2 1 1 0 0", "PNM: the largest sample is 0");
  REFUSED(rst_pnm_read, "P2 1 1 65536 0", "PNM: the largest sample is larger than 65535");
  REFUSED(rst_pnm_read, "P5 1 1 255", "PNM: byte 10: expected white space after the header");
  REFUSED(rst_pnm_read, "P5 2 2 255\nabc", "PNM: 3 bytes of samples, expected 4 (cut off?)");
  REFUSED(rst_pnm_read, "P6 1 1 65535\nabcde", "PNM: 5 bytes of samples, expected 6 (cut off?)");
  REFUSED(rst_pnm_read, "P4 9 1\nx", "PNM: 1 bytes of samples, expected 2 (cut off?)");
  REFUSED(rst_pnm_read, "P3 1000 1000 255 1 2 3", "PNM: 5 bytes of samples, expected 5999999 (cut off?)");
  REFUSED(rst_pnm_read, "P2 2 1 255 128", "PNM: ends before a sample (cut off?)");
  REFUSED(rst_pnm_read, "P2 2 1 9 1 10", "PNM: a sample of 10, larger than the maximum of 9");
  REFUSED(rst_pnm_read, "P2 2 1 9 1 99999", "PNM: a sample is larger than 65535");
  REFUSED(rst_pnm_read, "P2 2 1 9 1 x1", "PNM: byte 11: expected a sample");
  REFUSED(rst_pnm_read, "P5 1 1 9\n\x0a", "PNM: a sample of 10, larger than the maximum of 9");
  REFUSED(rst_pnm_read, "P1 2 1 12", "PNM: byte 8: expected 0 or 1");
  REFUSED(rst_pnm_read, "P1 2 1 1 #", "PNM: ends before a sample (cut off?)");
}

/* ---- PFM ----------------------------------------------------------------------------------- */

static void test_pfm_of_both_byte_orders(void **state) {
  (void)state;
  rst_image little = READ(rst_pfm_read, "Pf\n1 2\n-1.0\n\0\0\x80\x3f\0\0\0\xc0"); /* 1, -2 from the bottom */
  rst_image big = READ(rst_pfm_read, "Pf 1 2 2.5e-1\n\x3f\x80\0\0\xc0\0\0\0");
  static const float expected[] = {-2, 1};
  assert_int_equal(little.sample, RST_SAMPLE_F32);
  assert_memory_equal(little.samples, expected, sizeof expected);
  picture_assert_equal(&little, &big);
  rst_image_clear(&little);
  rst_image_clear(&big);
}

static void test_wrong_pfm_files_are_refused(void **state) {
  (void)state;
  REFUSED(rst_pfm_read, "PF 1 1 0\n            ", "PFM: byte 7: expected a scale other than 0");
  REFUSED(rst_pfm_read, "PF 1 1 -0.00\n            ", "PFM: byte 7: expected a scale other than 0");
  REFUSED(rst_pfm_read, "PF 1 1 1.0.0\n            ", "PFM: byte 7: expected a scale other than 0");
  REFUSED(rst_pfm_read, "PF 1 1 nan\n            ", "PFM: byte 7: expected a scale other than 0");
  REFUSED(rst_pfm_read, "PF 1 1 1e\n            ", "PFM: byte 7: expected a scale other than 0");
  REFUSED(rst_pfm_read, "PF 1 1 1-1\n            ", "PFM: byte 7: expected a scale other than 0");
  REFUSED(rst_pfm_read, "PF 1 1 1e5x            ", "PFM: byte 10: expected white space after the header");
  REFUSED(rst_pfm_read, "PF 1 1 ", "PFM: byte 7: expected a scale other than 0");
  REFUSED(rst_pfm_read, "PF 1 1 -1", "PFM: byte 9: expected white space after the header");
  REFUSED(rst_pfm_read, "PF 1 1 -1\n01234567890", "PFM: 11 bytes of samples, expected 12 (cut off?)");
  REFUSED(rst_pfm_read, "PFx 1 1 -1\n012345678901", "PFM: byte 2: expected white space");
  REFUSED(rst_pfm_read, "Pf 1 0 -1\n", "PFM: size 1 x 0, expected 1 x 1 or more");
}

static void check_pfm_round_trip(int channels, rst_sample sample) {
  rst_image p = picture_random(9, 5, channels, sample, 2), back;
  if (sample == RST_SAMPLE_F32) { /* nothing is clamped */
    ((float *)p.samples)[0] = -3.25f;
    ((float *)p.samples)[1] = 1e30f;
  }
  assert_int_equal(rst_image_write("p.pfm", &p, NULL, NULL), RST_OK);
  assert_int_equal(picture_read("p.pfm", &back, NULL), RST_OK);
  assert_int_equal(back.channels, channels >= 3 ? 3 : 1);
  for (size_t i = 0; i < 45; i++)
    for (size_t c = 0; c < (size_t)back.channels; c++) {
      size_t from = i * (size_t)channels + c;
      float expected = (float)rst_image_value(&p, from),
            actual = ((float *)back.samples)[i * (size_t)back.channels + c];
      if (channels % 2 == 1) {
        assert_true(actual == expected);
      } else { /* on white */
        float alpha = rst_clamp01((float)rst_image_value(&p, (i + 1) * (size_t)channels - 1));
        expected = alpha * expected + (1 - alpha);
        assert_true(fabsf(actual - expected) <= 1e-6f * fmaxf(1, fabsf(expected)));
      }
    }
  rst_image_clear(&back);
  rst_image_clear(&p);
}

static void test_pfm_holds_floats_exactly_and_puts_alpha_on_white(void **state) {
  (void)state;
  for (int channels = 1; channels <= 4; channels++)
    for (int sample = RST_SAMPLE_U8; sample <= RST_SAMPLE_F32; sample++)
      check_pfm_round_trip(channels, (rst_sample)sample);
}

/* ---- All ----------------------------------------------------------------------------------- */

static const struct {
  blob_reader reader;
  const char *text;
  size_t size;
} files[] = {{rst_pnm_read, "P1 3 2 010110", 13},
             {rst_pnm_read, "P2 2 2 255 0 17 128 25", 22},
             {rst_pnm_read, "P4\n10 2\n\x80\x40\xff\x80", 12},
             {rst_pnm_read, "P5 2 2 200\n\x80\x40\x3f\x20", 15},
             {rst_pnm_read, "P6 1 1 65535\n\1\2\3\4\xff\xfe", 19},
             {rst_pfm_read, "Pf\n1 2\n-1.0\n\0\0\x80\x3f\0\0\0\xc0", 20}};

static void test_damaged_files_are_errors_or_whole_pictures(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    blob file = {0};
    blob_put(&file, files[i].text, files[i].size);
    if (i != 1) blob_assert_beginnings_refused(&file, files[i].reader, 2); /* not "25" as "2" */
    blob_damage(&file, files[i].reader);
    blob_free(&file);
  }
}

static rst_status read_once(void *file, rst_error *err) {
  rst_image p;
  rst_status status = blob_read(file, rst_pnm_read, &p, err);
  if (status == RST_OK) rst_image_clear(&p);
  return status;
}

static rst_status write_once(void *picture, rst_error *err) {
  return rst_image_write("p.pfm", picture, NULL, err);
}

static void test_every_failed_allocation_is_out_of_memory(void **state) {
  (void)state;
  blob file = {0};
  blob_text(&file, "P2 1 1 255 0");
  assert_int_equal(fail_each_alloc(read_once, &file), 1);
  blob_free(&file);
  rst_image p = picture_random(2, 2, 3, RST_SAMPLE_F32, 1);
  assert_true(fail_each_alloc(write_once, &p) > 2);
  rst_image_clear(&p);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_enter, scratch_leave)
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_text_files),
      cmocka_unit_test(test_binary_files),
      cmocka_unit_test(test_comments_may_stand_between_numbers),
      cmocka_unit_test(test_other_maxima_are_scaled),
      cmocka_unit_test(test_16_bits_are_big_endian),
      cmocka_unit_test(test_wrong_pnm_files_are_refused),
      cmocka_unit_test(test_pfm_of_both_byte_orders),
      cmocka_unit_test(test_wrong_pfm_files_are_refused),
      TEST(test_pfm_holds_floats_exactly_and_puts_alpha_on_white),
      cmocka_unit_test(test_damaged_files_are_errors_or_whole_pictures),
      TEST(test_every_failed_allocation_is_out_of_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
