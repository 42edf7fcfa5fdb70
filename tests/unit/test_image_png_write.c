/* Writing PNG, and the zlib stream in it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "image/deflate.h"
#include "image/stb.h"
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
  rst_image p = {10, 1, 1, RST_SAMPLE_F32, samples}, back;
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

/* ---- The zlib stream ----------------------------------------------------------------------- */

static uint32_t adler_of(const blob *b) {
  uint32_t s1 = 1, s2 = 0;
  for (size_t i = 0; i < b->size; i++) {
    s1 = (s1 + b->data[i]) % 65521;
    s2 = (s2 + s1) % 65521;
  }
  return s2 << 16 | s1;
}

/* Compresses the pieces, inflates them together, checks content and checksum. */
static void check_stream(const blob *data, size_t piece, bool starve) {
  blob zlib = {0};
  rst_deflate d;
  assert_true(rst_deflate_begin(&d));
  if (starve) d.scratch_size = 1000; /* stb has not enough: the piece is stored */
  for (size_t i = 0; i < data->size; i += piece) {
    size_t n = data->size - i < piece ? data->size - i : piece, size;
    const uint8_t *out = rst_deflate_piece(&d, data->data + i, n, &size);
    blob_put(&zlib, out, size);
  }
  uint8_t end[RST_DEFLATE_END];
  rst_deflate_end(&d, end);
  blob_put(&zlib, end, sizeof end);
  rst_deflate_free(&d);
  const char *reason;
  uint8_t *back = malloc(data->size);
  assert_non_null(back);
  if (!rst_stb_inflate(zlib.data, zlib.size, back, data->size, &reason)) fail_msg("%s", reason);
  assert_memory_equal(back, data->data, data->size);
  assert_int_equal(rst_be32(zlib.data + zlib.size - 4), adler_of(data));
  free(back);
  blob_free(&zlib);
}

static void test_pieces_of_all_kinds_make_one_stream(void **state) {
  (void)state;
  for (unsigned seed = 0; seed < 16; seed++) {
    blob data = {0};
    uint32_t x = seed + 1;
    for (unsigned i = 0; i < 5000; i++) {
      x ^= x << 13, x ^= x >> 17, x ^= x << 5;
      blob_u8(&data, seed < 10   ? x & 255
                     : seed < 20 ? x & 3
                                 : (i >> seed % 7) & 255); /* noise, patterns, runs */
    }
    for (size_t piece = 100; piece <= 5000; piece = piece * 3 + seed % 3) check_stream(&data, piece, false);
    blob small = {data.data, 60, 60};
    for (size_t piece = 1; piece <= 7; piece++) check_stream(&small, piece, false);
    check_stream(&data, 777, true);
    blob_free(&data);
  }
}

static void test_largest_piece_may_be_stored(void **state) {
  (void)state;
  blob data = {0};
  uint32_t x = 5;
  for (size_t i = 0; i < RST_DEFLATE_PIECE + 10; i++) {
    x ^= x << 13, x ^= x >> 17, x ^= x << 5;
    blob_u8(&data, x & 255);
  }
  check_stream(&data, RST_DEFLATE_PIECE, false);
  check_stream(&data, RST_DEFLATE_PIECE, true);
  blob_free(&data);
}

static void test_scratch_memory_is_enough_for_the_worst_pieces(void **state) {
  (void)state;
  /* Noise fills most lists; a short period makes the longest lists and matches. */
  for (unsigned period = 0; period < 3; period++) {
    blob data = {0};
    uint32_t x = 7;
    for (size_t i = 0; i < RST_DEFLATE_PIECE; i++) {
      x ^= x << 13, x ^= x >> 17, x ^= x << 5;
      blob_u8(&data, period == 0 ? x & 255 : period == 1 ? x & 15 : (unsigned)(i % 251));
    }
    size_t scratch_size = rst_stb_deflate_scratch(data.size), size;
    uint8_t *scratch = malloc(scratch_size);
    assert_non_null(scratch);
    assert_non_null(rst_stb_deflate(data.data, data.size, scratch, scratch_size, &size));
    assert_null(rst_stb_deflate(data.data, data.size, scratch, 100000, &size));
    assert_int_equal(size, 0);
    free(scratch);
    blob_free(&data);
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
      cmocka_unit_test(test_pieces_of_all_kinds_make_one_stream),
      cmocka_unit_test(test_largest_piece_may_be_stored),
      cmocka_unit_test(test_scratch_memory_is_enough_for_the_worst_pieces),
      TEST(test_every_failed_allocation_is_out_of_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
