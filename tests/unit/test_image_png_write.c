/* Writing PNG. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "support/blob.h"
#include "support/cmocka_all.h"
#include "support/fail_alloc.h"
#include "support/pictures.h"
#include "support/scratch.h"

static void write_ok(const char *path, const rst_image *picture) {
  rst_error err = {.message = ""};
  if (rst_image_write(path, picture, NULL, &err) != RST_OK) fail_msg("%s", err.message);
}

static void check_comes_back(const rst_image *picture) {
  rst_image back;
  rst_error err = {.message = ""};
  write_ok("p.png", picture);
  if (picture_read("p.png", &back, &err) != RST_OK) fail_msg("%s", err.message);
  picture_assert_equal(picture, &back);
  rst_image_clear(&back);
}

static void test_integer_pictures_come_back_exactly(void **state) {
  (void)state;
  static const size_t sizes[][2] = {{1, 1}, {1, 7}, {7, 1}, {33, 20}, {200, 150}};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
    for (int channels = 1; channels <= 4; channels++)
      for (int sample = RST_SAMPLE_U8; sample <= RST_SAMPLE_U16; sample++) {
        rst_image noise = picture_random(sizes[i][0], sizes[i][1], channels, (rst_sample)sample, 3);
        rst_image smooth = picture_smooth(sizes[i][0], sizes[i][1], channels, (rst_sample)sample);
        check_comes_back(&noise);
        check_comes_back(&smooth);
        rst_image_clear(&smooth);
        rst_image_clear(&noise);
      }
}

static void test_pictures_of_several_pieces_come_back_exactly(void **state) {
  (void)state;
  rst_image noise = picture_random(1500, 1100, 1, RST_SAMPLE_U8, 1);
  rst_image smooth = picture_smooth(900, 700, 3, RST_SAMPLE_U16);
  rst_image wide = picture_smooth(400000, 2, 3, RST_SAMPLE_U8); /* a row is more than a piece */
  check_comes_back(&noise);
  check_comes_back(&smooth);
  check_comes_back(&wide);
  rst_image_clear(&wide);
  rst_image_clear(&smooth);
  rst_image_clear(&noise);
}

static void test_floats_are_clamped_and_rounded(void **state) {
  (void)state;
  float samples[] = {-1, 0, 0.49f / 255, 0.51f / 255, 0.5f, 254.4f / 255, 1, 7, (float)NAN, (float)INFINITY};
  static const uint8_t expected[] = {0, 0, 0, 1, 128, 254, 255, 255, 0, 255};
  rst_image p = {.width = 10, .height = 1, .channels = 1, .sample = RST_SAMPLE_F32, .samples = samples}, back;
  rst_image_write_options eight;
  rst_image_write_options_init(&eight);
  eight.depth = 8;
  assert_int_equal(rst_image_write("p.png", &p, &eight, NULL), RST_OK);
  assert_int_equal(picture_read("p.png", &back, NULL), RST_OK);
  assert_int_equal(back.sample, RST_SAMPLE_U8);
  assert_memory_equal(back.samples, expected, 10);
  rst_image_clear(&back);
  write_ok("p.png", &p); /* as exact as PNG can be */
  assert_int_equal(picture_read("p.png", &back, NULL), RST_OK);
  assert_int_equal(back.sample, RST_SAMPLE_U16);
  assert_int_equal(((uint16_t *)back.samples)[4], 32768);
  rst_image_clear(&back);
}

static void test_plain_gradients_become_much_smaller(void **state) {
  (void)state;
  enum { SIDE = 300 };
  rst_image p = picture_smooth(SIDE, SIDE, 3, RST_SAMPLE_U8);
  for (size_t i = 0; i < 3 * SIDE * SIDE; i++) ((uint8_t *)p.samples)[i] = (uint8_t)(i / (3 * SIDE) + i % 3);
  write_ok("p.png", &p);
  blob file = blob_of_file("p.png");
  assert_true(file.size < 3 * SIDE * SIDE / 20);
  blob_free(&file);
  rst_image_clear(&p);
}

static rst_image photos[2]; /* read before the tests go to folders of their own */

static int read_photos(void **state) {
  (void)state;
  return picture_read("data/cat.png", &photos[0], NULL) != RST_OK ||
         picture_read("data/coffee.png", &photos[1], NULL) != RST_OK;
}

static int free_photos(void **state) {
  (void)state;
  for (size_t i = 0; i < 2; i++) rst_image_clear(&photos[i]);
  return 0;
}

static void test_photographs_are_as_small_as_others_make_them(void **state) {
  (void)state;
  static const size_t theirs[] = {127328,
                                  112984}; /* bytes, of ImageMagick 6.9 and libpng 1.6: convert X -strip Y */
  for (size_t i = 0; i < 2; i++) {
    write_ok("p.png", &photos[i]);
    blob file = blob_of_file("p.png");
    if (file.size > theirs[i] * 103 / 100) fail_msg("%zu bytes, expected about %zu", file.size, theirs[i]);
    blob_free(&file);
  }
}

/* ---- Out of memory ------------------------------------------------------------------------- */

static rst_status write_once(void *picture, rst_error *err) {
  return rst_image_write("p.png", picture, NULL, err);
}

static void test_every_failed_allocation_is_out_of_memory(void **state) {
  (void)state;
  rst_image p = picture_smooth(20, 10, 3, RST_SAMPLE_U16);
  assert_true(fail_each_alloc(write_once, &p) > 5);
  rst_image_clear(&p);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_enter, scratch_leave)
  const struct CMUnitTest tests[] = {
      TEST(test_integer_pictures_come_back_exactly),
      TEST(test_pictures_of_several_pieces_come_back_exactly),
      TEST(test_floats_are_clamped_and_rounded),
      TEST(test_plain_gradients_become_much_smaller),
      TEST(test_photographs_are_as_small_as_others_make_them),
      TEST(test_every_failed_allocation_is_out_of_memory),
  };
  return cmocka_run_group_tests(tests, read_photos, free_photos);
}
