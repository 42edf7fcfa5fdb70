/* BMP and TGA. */
#include <string.h>

#include "support/blob.h"
#include "support/cmocka_all.h"
#include "support/fail_alloc.h"
#include "support/pictures.h"
#include "support/scratch.h"

static rst_image read_ok(const blob *file, blob_reader reader) {
  rst_image p;
  rst_error err = {.message = ""};
  if (blob_read(file, reader, &p, &err) != RST_OK) fail_msg("%s", err.message);
  return p;
}

/* Reads and frees the file, checks and frees the picture. */
static void assert_picture(blob *file, blob_reader reader, size_t width, size_t height, int channels,
                           const char *samples) {
  rst_image p = read_ok(file, reader);
  assert_int_equal(p.sample, RST_SAMPLE_U8);
  assert_int_equal(p.width, width);
  assert_int_equal(p.height, height);
  assert_int_equal(p.channels, channels);
  assert_memory_equal(p.samples, samples, width * height * (size_t)channels);
  rst_image_clear(&p);
  blob_free(file);
}

static void assert_refused(blob *file, blob_reader reader, const char *message) {
  blob_assert_refused(file, reader, message);
  blob_free(file);
}

/* ---- BMP ----------------------------------------------------------------------------------- */

/* A file with a 40-byte header; what follows it is `extra` bytes of masks or palette, then pixels. */
static blob bmp(int width, int height, int bits, uint32_t compression, uint32_t colors, size_t extra) {
  blob b = {0};
  blob_text(&b, "BM");
  blob_le32(&b, 0);
  blob_le32(&b, 0);
  blob_le32(&b, (uint32_t)(54 + extra));
  blob_le32(&b, 40);
  blob_le32(&b, (uint32_t)width);
  blob_le32(&b, (uint32_t)height);
  blob_le16(&b, 1);
  blob_le16(&b, (unsigned)bits);
  blob_le32(&b, compression);
  blob_le32(&b, 0);
  blob_le32(&b, 2835);
  blob_le32(&b, 2835);
  blob_le32(&b, colors);
  blob_le32(&b, 0);
  return b;
}

static void test_bmp_of_24_bits_has_padded_rows_from_the_bottom(void **state) {
  (void)state;
  blob b = bmp(1, 2, 24, 0, 0, 0);
  blob_put(&b, "\3\2\1\0\6\5\4\0", 8);
  assert_picture(&b, rst_bmp_read, 1, 2, 3, "\4\5\6\1\2\3");
  b = bmp(1, -2, 24, 0, 0, 0);
  blob_put(&b, "\3\2\1\0\6\5\4", 7); /* the last padding may be missing */
  assert_picture(&b, rst_bmp_read, 1, 2, 3, "\1\2\3\4\5\6");
}

static void test_bmp_with_a_palette(void **state) {
  (void)state;
  blob b = bmp(9, 1, 1, 0, 2, 8);
  blob_put(&b, "\3\2\1\0\6\5\4\0\xaa\x80\0\0", 12);
  assert_picture(&b, rst_bmp_read, 9, 1, 3, "\4\5\6\1\2\3\4\5\6\1\2\3\4\5\6\1\2\3\4\5\6\1\2\3\4\5\6");
  b = bmp(3, 1, 4, 0, 3, 12);
  blob_put(&b, "\3\2\1\0\6\5\4\0\x9\x8\7\0\x21\x00\0\0", 16);
  assert_picture(&b, rst_bmp_read, 3, 1, 3, "\7\x8\x9\4\5\6\1\2\3");
  b = bmp(2, 1, 8, 0, 2, 8);
  blob_put(&b, "\3\2\1\0\6\5\4\0\1\0\0\0", 12);
  assert_picture(&b, rst_bmp_read, 2, 1, 3, "\4\5\6\1\2\3");
}

static void test_bmp_with_a_grey_palette_is_grey(void **state) {
  (void)state;
  blob b = bmp(2, 1, 8, 0, 2, 8);
  blob_put(&b, "\x20\x20\x20\0\xf0\xf0\xf0\0\1\0\0\0", 12);
  assert_picture(&b, rst_bmp_read, 2, 1, 1, "\xf0\x20");
}

static void test_bmp_of_16_bits(void **state) {
  (void)state;
  blob b = bmp(2, 1, 16, 0, 0, 0);
  blob_le16(&b, 31 << 10 | 1);
  blob_le16(&b, 16 << 5);
  assert_picture(&b, rst_bmp_read, 2, 1, 3, "\xff\0\x8\0\x84\0");
  b = bmp(1, 1, 16, 3, 0, 12); /* 5, 6, 5 bits */
  blob_le32(&b, 0xf800);
  blob_le32(&b, 0x07e0);
  blob_le32(&b, 0x001f);
  blob_le16(&b, 32 << 5 | 31);
  blob_le16(&b, 0);
  assert_picture(&b, rst_bmp_read, 1, 1, 3, "\0\x82\xff");
}

static void test_bmp_of_32_bits_has_alpha_where_it_is_not_zero_everywhere(void **state) {
  (void)state;
  blob b = bmp(2, 1, 32, 0, 0, 0);
  blob_put(&b, "\3\2\1\0\6\5\4\0", 8);
  assert_picture(&b, rst_bmp_read, 2, 1, 3, "\1\2\3\4\5\6");
  b = bmp(2, 1, 32, 0, 0, 0);
  blob_put(&b, "\3\2\1\0\6\5\4\x9", 8);
  assert_picture(&b, rst_bmp_read, 2, 1, 4, "\1\2\3\0\4\5\6\x9");
  b = bmp(1, 1, 32, 6, 0, 16);
  for (int i = 0; i < 4; i++) blob_le32(&b, 0xffu << 8 * i);
  blob_put(&b, "\1\2\3\0", 4);
  assert_picture(&b, rst_bmp_read, 1, 1, 4, "\1\2\3\0");
}

static void test_bmp_with_the_oldest_header(void **state) {
  (void)state;
  blob b = {0};
  blob_put(&b, "BM\0\0\0\0\0\0\0\0", 10);
  blob_le32(&b, 14 + 12 + 6);
  blob_le32(&b, 12);
  blob_le16(&b, 2);
  blob_le16(&b, 1);
  blob_le16(&b, 1);
  blob_le16(&b, 1);
  blob_put(&b, "\3\2\1\6\5\4\x40\0\0\0", 10);
  assert_picture(&b, rst_bmp_read, 2, 1, 3, "\1\2\3\4\5\6");
}

static void test_wrong_bmp_files_are_refused(void **state) {
  (void)state;
  blob b = {0};
  blob_text(&b, "BM");
  assert_refused(&b, rst_bmp_read, "BMP: the header is cut off");
  b = bmp(1, 1, 24, 0, 0, 0);
  b.data[14] = 41 + 84;
  assert_refused(&b, rst_bmp_read, "BMP: header of 125 bytes, expected 12 or 40 to 124");
  b = bmp(1, 1, 24, 0, 0, 0);
  b.size = 50;
  assert_refused(&b, rst_bmp_read, "BMP: the header is cut off");
  b = bmp(-1, 1, 24, 0, 0, 0);
  assert_refused(&b, rst_bmp_read, "BMP: negative width");
  b = bmp(0, 1, 24, 0, 0, 0);
  assert_refused(&b, rst_bmp_read, "BMP: size 0 x 1, expected 1 x 1 or more");
  b = bmp(1, INT32_MIN, 24, 0, 0, 0);
  assert_refused(
      &b, rst_bmp_read,
      "BMP: size 1 x 2147483648, expected at most 1073741824 pixels and sides of at most 16777216");
  b = bmp(1, 1, 8, 1, 0, 0);
  assert_refused(&b, rst_bmp_read, "BMP: is run-length encoded, expected an uncompressed file");
  b = bmp(1, 1, 24, 4, 0, 0);
  assert_refused(&b, rst_bmp_read, "BMP: compression method 4 with 24 bits, expected none");
  b = bmp(1, 1, 24, 3, 0, 0);
  assert_refused(&b, rst_bmp_read, "BMP: compression method 3 with 24 bits, expected none");
  b = bmp(1, 1, 2, 0, 0, 0);
  assert_refused(&b, rst_bmp_read, "BMP: 2 bits per pixel, expected 1, 4, 8, 16, 24 or 32");
  b = bmp(1, 1, 8, 0, 256, 1024);
  assert_refused(&b, rst_bmp_read, "BMP: the palette is cut off");
  b = bmp(1, 1, 32, 3, 0, 12);
  assert_refused(&b, rst_bmp_read, "BMP: the masks are cut off");
  b = bmp(1, 1, 32, 3, 0, 12);
  for (int i = 0; i < 5; i++) blob_le32(&b, i == 1 ? 0x5 : 0xff);
  assert_refused(&b, rst_bmp_read, "BMP: mask 00000005 of channel 1, expected ones in a row");
  b = bmp(1, 1, 32, 3, 0, 12);
  for (int i = 0; i < 5; i++) blob_le32(&b, 0);
  assert_refused(&b, rst_bmp_read, "BMP: mask 00000000 of channel 0, expected ones in a row");
  b = bmp(1, 1, 24, 0, 0, 0);
  b.data[10] = 53;
  assert_refused(&b, rst_bmp_read, "BMP: the pixels begin within the header");
  b = bmp(2, 2, 24, 0, 0, 0);
  blob_put(&b, "1234567812345", 13);
  assert_refused(&b, rst_bmp_read, "BMP: 67 bytes, expected 68 (cut off?)");
  b = bmp(1, 1, 8, 0, 2, 8);
  blob_put(&b, "\3\2\1\0\6\5\4\0\2\0\0\0", 12);
  assert_refused(&b, rst_bmp_read, "BMP: row 0: palette index 2, expected less than 2");
}

/* ---- TGA ----------------------------------------------------------------------------------- */

enum { TOP_DOWN = 32, RIGHT_TO_LEFT = 16 };

static blob tga(int type, unsigned width, unsigned height, int bits, int descriptor) {
  blob b = {0};
  blob_put(&b, (uint8_t[]){3, 0, (uint8_t)type, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 12);
  blob_le16(&b, width);
  blob_le16(&b, height);
  blob_u8(&b, (unsigned)bits);
  blob_u8(&b, (unsigned)descriptor);
  blob_text(&b, "id!");
  return b;
}

static void test_tga_of_all_depths(void **state) {
  (void)state;
  blob b = tga(2, 2, 1, 24, TOP_DOWN);
  blob_put(&b, "\3\2\1\6\5\4", 6);
  assert_picture(&b, rst_tga_read, 2, 1, 3, "\1\2\3\4\5\6");
  b = tga(2, 1, 1, 32, TOP_DOWN | 8);
  blob_put(&b, "\3\2\1\4", 4);
  assert_picture(&b, rst_tga_read, 1, 1, 4, "\1\2\3\4");
  b = tga(2, 1, 1, 32, TOP_DOWN); /* 32 bits of which none are alpha */
  blob_put(&b, "\3\2\1\4", 4);
  assert_picture(&b, rst_tga_read, 1, 1, 3, "\1\2\3");
  b = tga(2, 1, 1, 16, TOP_DOWN);
  blob_le16(&b, 31 << 10 | 16 << 5 | 1);
  assert_picture(&b, rst_tga_read, 1, 1, 3, "\xff\x84\x8");
  b = tga(3, 2, 1, 8, TOP_DOWN);
  blob_put(&b, "\x10\xf0", 2);
  assert_picture(&b, rst_tga_read, 2, 1, 1, "\x10\xf0");
  b = tga(3, 1, 1, 16, TOP_DOWN | 8);
  blob_put(&b, "\x10\xf0", 2);
  assert_picture(&b, rst_tga_read, 1, 1, 2, "\x10\xf0");
}

static void test_tga_in_every_direction(void **state) {
  (void)state;
  static const char *const expected[] = {"cdab", "dcba", "abcd", "badc"};
  for (int i = 0; i < 4; i++) {
    blob b = tga(3, 2, 2, 8, (i & 1 ? RIGHT_TO_LEFT : 0) | (i & 2 ? TOP_DOWN : 0));
    blob_text(&b, "abcd");
    assert_picture(&b, rst_tga_read, 2, 2, 1, expected[i]);
  }
}

static void test_tga_run_lengths_cross_rows(void **state) {
  (void)state;
  blob b = tga(11, 3, 2, 8, TOP_DOWN);
  blob_put(&b, "\x83x\1yz", 5);
  assert_picture(&b, rst_tga_read, 3, 2, 1, "xxxxyz");
  b = tga(10, 2, 2, 24, TOP_DOWN);
  blob_put(&b, "\0\3\2\1\x82\6\5\4", 8);
  assert_picture(&b, rst_tga_read, 2, 2, 3, "\1\2\3\4\5\6\4\5\6\4\5\6");
}

static blob tga_palette(int type, unsigned first, unsigned count, int bits) {
  blob b = tga(type, 2, 1, bits, TOP_DOWN);
  b.data[1] = 1;
  b.data[3] = (uint8_t)first;
  b.data[5] = (uint8_t)count;
  b.data[7] = 24;
  blob_put(&b, "\3\2\1\6\5\4", 3 * (size_t)count);
  return b;
}

static void test_tga_with_a_palette(void **state) {
  (void)state;
  blob b = tga_palette(1, 0, 2, 8);
  blob_put(&b, "\1\0", 2);
  assert_picture(&b, rst_tga_read, 2, 1, 3, "\4\5\6\1\2\3");
  b = tga_palette(9, 5, 2, 16);
  blob_put(&b, "\1\6\0\5\0", 5);
  assert_picture(&b, rst_tga_read, 2, 1, 3, "\4\5\6\1\2\3");
  b = tga_palette(1, 5, 2, 8);
  blob_put(&b, "\5\4", 2);
  assert_refused(&b, rst_tga_read, "TGA: palette index 4, expected 5 to 6");
  b = tga_palette(1, 0, 2, 8);
  blob_put(&b, "\1\2", 2);
  assert_refused(&b, rst_tga_read, "TGA: palette index 2, expected 0 to 1");
}

static void test_cut_tga_files_are_refused(void **state) {
  (void)state;
  blob b = tga(2, 2, 1, 24, TOP_DOWN);
  blob_put(&b, "\3\2\1\6\5", 5);
  assert_refused(&b, rst_tga_read, "TGA: ends at byte 26 before its last pixel (cut off?)");
  b = tga(11, 3, 2, 8, TOP_DOWN);
  blob_put(&b, "\x83x\1y", 4);
  assert_refused(&b, rst_tga_read, "TGA: ends at byte 25 before its last pixel (cut off?)");
  b = tga(11, 65535, 4096, 8, TOP_DOWN); /* hardly any bytes for many pixels */
  blob_text(&b, "\xff-");
  assert_refused(&b, rst_tga_read, "TGA: ends at byte 23 before its last pixel (cut off?)");
}

static void test_only_what_looks_like_a_tga_is_taken_for_one(void **state) {
  (void)state;
  blob b = tga(2, 2, 1, 24, 0);
  assert_true(rst_tga_plausible(b.data, b.size));
  static const uint8_t changes[][2] = {{1, 2},  {1, 1},  {2, 4},  {2, 0},  {2, 1},
                                       {12, 0}, {14, 0}, {16, 9}, {17, 64}};
  for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
    uint8_t kept = b.data[changes[i][0]];
    b.data[changes[i][0]] = changes[i][1];
    assert_false(rst_tga_plausible(b.data, b.size));
    b.data[changes[i][0]] = kept;
  }
  assert_false(rst_tga_plausible(b.data, 17));
  blob_free(&b);
}

/* ---- Both ---------------------------------------------------------------------------------- */

static void check_round_trip(const char *path, int channels, int expected_channels) {
  for (size_t width = 1; width <= 6; width++) {
    rst_image p = picture_random(width, 3, channels, RST_SAMPLE_U8, (unsigned)width), back;
    rst_error err = {.message = ""};
    if (rst_image_write(path, &p, NULL, &err) != RST_OK || picture_read(path, &back, &err) != RST_OK)
      fail_msg("%s", err.message);
    assert_int_equal(back.channels, expected_channels);
    for (size_t i = 0; i < 3 * width; i++) {
      const uint8_t *a = (uint8_t *)p.samples + i * (size_t)channels, *b = back.samples;
      b += i * (size_t)expected_channels;
      bool grey = channels <= 2;
      assert_int_equal(b[0], a[0]);
      if (expected_channels >= 3) assert_int_equal(b[2], grey ? a[0] : a[2]);
      if (channels % 2 == 0) assert_int_equal(b[expected_channels - 1], a[channels - 1]);
    }
    rst_image_clear(&back);
    rst_image_clear(&p);
  }
}

static void test_written_pictures_come_back(void **state) {
  (void)state;
  check_round_trip("p.bmp", 1, 1);
  check_round_trip("p.bmp", 2, 4); /* BMP has no grey with alpha */
  check_round_trip("p.bmp", 3, 3);
  check_round_trip("p.bmp", 4, 4);
  for (int channels = 1; channels <= 4; channels++) check_round_trip("p.TGA", channels, channels);
}

static void test_16_bits_and_floats_are_rounded_to_8(void **state) {
  (void)state;
  uint16_t u16[] = {0, 128, 129, 65535, 32767};
  float f32[] = {-1, 0.5f / 255 - 1e-4f, 0.5f / 255 + 1e-4f, 2, 0.5f};
  static const char *const names[] = {"p.bmp", "p.tga"};
  for (size_t i = 0; i < 2; i++) {
    rst_image wide = {.width = 5, .height = 1, .channels = 1, .sample = RST_SAMPLE_U16, .samples = u16},
              real = {.width = 5, .height = 1, .channels = 1, .sample = RST_SAMPLE_F32, .samples = f32}, back;
    assert_int_equal(rst_image_write(names[i], &wide, NULL, NULL), RST_OK);
    assert_int_equal(picture_read(names[i], &back, NULL), RST_OK);
    assert_memory_equal(back.samples, "\0\0\1\xff\x7f", 5);
    rst_image_clear(&back);
    assert_int_equal(rst_image_write(names[i], &real, NULL, NULL), RST_OK);
    assert_int_equal(picture_read(names[i], &back, NULL), RST_OK);
    assert_memory_equal(back.samples, "\0\0\1\xff\x80", 5);
    rst_image_clear(&back);
  }
}

static void test_sizes_that_the_formats_cannot_hold_are_refused(void **state) {
  (void)state;
  static uint8_t sample[70000];
  rst_error err;
  rst_image wide = {.width = 70000, .height = 1, .channels = 1, .sample = RST_SAMPLE_U8, .samples = sample},
            huge = {.width = 1u << 20,
                    .height = 1u << 20,
                    .channels = 1,
                    .sample = RST_SAMPLE_U8,
                    .samples = sample};
  assert_int_equal(rst_image_write("p.tga", &wide, NULL, &err), RST_ERROR_OUTPUT);
  assert_string_equal(err.message, "p.tga: TGA: size 70000 x 1, expected sides of at most 65535");
  assert_int_equal(rst_image_write("p.jpg", &wide, NULL, &err), RST_ERROR_OUTPUT);
  assert_string_equal(err.message, "p.jpg: JPEG: size 70000 x 1, expected sides of at most 65500");
  assert_int_equal(rst_image_write("p.bmp", &huge, NULL, &err), RST_ERROR_OUTPUT);
  assert_string_equal(err.message, "p.bmp: BMP: size 1048576 x 1048576, which makes more than 4 GiB");
}

static void test_damaged_files_are_errors_or_whole_pictures(void **state) {
  (void)state;
  blob files[6] = {bmp(2, 2, 24, 0, 0, 0),     bmp(9, 1, 1, 0, 2, 8), bmp(1, 1, 32, 3, 0, 12),
                   tga(2, 2, 1, 24, TOP_DOWN), tga(11, 3, 2, 8, 0),   tga_palette(9, 5, 2, 16)};
  blob_put(&files[0], "12345678abcdef", 14);
  blob_put(&files[1], "\3\2\1\0\6\5\4\0\xaa\x80", 10);
  blob_put(&files[2], "\xff\0\0\0\0\xff\0\0\0\0\xff\0abcd", 16);
  blob_put(&files[3], "abcdef", 6);
  blob_put(&files[4], "\x83x\1yz", 5);
  blob_put(&files[5], "\1\6\0\5\0", 5);
  for (size_t i = 0; i < 6; i++) {
    blob_reader reader = i < 3 ? rst_bmp_read : rst_tga_read;
    blob_assert_beginnings_refused(&files[i], reader, 2); /* padding at the end is left out above */
    blob_damage(&files[i], reader);
    blob_free(&files[i]);
  }
}

static rst_status read_bmp_once(void *file, rst_error *err) {
  rst_image p;
  rst_status status = blob_read(file, rst_bmp_read, &p, err);
  if (status == RST_OK) rst_image_clear(&p);
  return status;
}

static rst_status read_tga_once(void *file, rst_error *err) {
  rst_image p;
  rst_status status = blob_read(file, rst_tga_read, &p, err);
  if (status == RST_OK) rst_image_clear(&p);
  return status;
}

static rst_status write_bmp_once(void *picture, rst_error *err) {
  return rst_image_write("p.bmp", picture, NULL, err);
}
static rst_status write_tga_once(void *picture, rst_error *err) {
  return rst_image_write("p.tga", picture, NULL, err);
}

static void test_every_failed_allocation_is_out_of_memory(void **state) {
  (void)state;
  blob b = bmp(1, 1, 24, 0, 0, 0), t = tga(2, 1, 1, 24, TOP_DOWN);
  rst_image p = picture_random(2, 2, 3, RST_SAMPLE_U16, 1);
  blob_put(&b, "1234", 4);
  blob_put(&t, "123", 3);
  assert_int_equal(fail_each_alloc(read_bmp_once, &b), 1);
  assert_int_equal(fail_each_alloc(read_tga_once, &t), 1);
  assert_true(fail_each_alloc(write_bmp_once, &p) > 2);
  assert_true(fail_each_alloc(write_tga_once, &p) > 1);
  rst_image_clear(&p);
  blob_free(&b);
  blob_free(&t);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_enter, scratch_leave)
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_bmp_of_24_bits_has_padded_rows_from_the_bottom),
      cmocka_unit_test(test_bmp_with_a_palette),
      cmocka_unit_test(test_bmp_with_a_grey_palette_is_grey),
      cmocka_unit_test(test_bmp_of_16_bits),
      cmocka_unit_test(test_bmp_of_32_bits_has_alpha_where_it_is_not_zero_everywhere),
      cmocka_unit_test(test_bmp_with_the_oldest_header),
      cmocka_unit_test(test_wrong_bmp_files_are_refused),
      cmocka_unit_test(test_tga_of_all_depths),
      cmocka_unit_test(test_tga_in_every_direction),
      cmocka_unit_test(test_tga_run_lengths_cross_rows),
      cmocka_unit_test(test_tga_with_a_palette),
      cmocka_unit_test(test_cut_tga_files_are_refused),
      cmocka_unit_test(test_only_what_looks_like_a_tga_is_taken_for_one),
      TEST(test_written_pictures_come_back),
      TEST(test_16_bits_and_floats_are_rounded_to_8),
      TEST(test_sizes_that_the_formats_cannot_hold_are_refused),
      cmocka_unit_test(test_damaged_files_are_errors_or_whole_pictures),
      TEST(test_every_failed_allocation_is_out_of_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
