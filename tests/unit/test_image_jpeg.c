/* JPEG: files of libjpeg-turbo and our own, and the checks before stb_image sees a file. */
#include <string.h>

#include "support/blob.h"
#include "support/cmocka_all.h"
#include "support/fail_alloc.h"
#include "support/pictures.h"
#include "support/scratch.h"

enum { WIDTH = 37, HEIGHT = 29 };

static blob files[4]; /* read before the tests go to folders of their own */
static const char *const names[] = {"baseline.jpg", "progressive.jpg", "restart.jpg", "grey.jpg"};
enum { BASELINE, PROGRESSIVE, RESTART, GREY };

static int read_files(void **state) {
  (void)state;
  for (size_t i = 0; i < 4; i++) {
    char path[64];
    snprintf(path, sizeof path, "tests/data/images/%s", names[i]);
    files[i] = blob_of_file(path);
  }
  return 0;
}

static int free_files(void **state) {
  (void)state;
  for (size_t i = 0; i < 4; i++) blob_free(&files[i]);
  return 0;
}

static void test_files_of_another_program_are_read(void **state) {
  (void)state;
  static const double least_psnr[] = {45, 40, 38, 45};
  for (size_t i = 0; i < 4; i++) {
    rst_image p, expected = picture_smooth(WIDTH, HEIGHT, i == GREY ? 1 : 3, RST_SAMPLE_U8);
    rst_error err = {.message = ""};
    rst_difference d;
    if (blob_read(&files[i], rst_jpeg_read, &p, &err) != RST_OK) fail_msg("%s: %s", names[i], err.message);
    assert_int_equal(p.sample, RST_SAMPLE_U8);
    if (rst_image_compare(&p, &expected, &d, &err) != RST_OK) fail_msg("%s: %s", names[i], err.message);
    if (d.psnr < least_psnr[i]) fail_msg("%s: %g dB", names[i], d.psnr);
    rst_image_clear(&p);
    rst_image_clear(&expected);
  }
}

static void test_every_beginning_of_a_file_is_refused(void **state) {
  (void)state;
  for (size_t i = 0; i < 4; i++) blob_assert_beginnings_refused(&files[i], rst_jpeg_read, 3);
}

static void test_damaged_files_are_errors_or_whole_pictures(void **state) {
  (void)state;
  for (size_t i = 0; i < 4; i++) blob_damage(&files[i], rst_jpeg_read);
}

/* ---- Structure ----------------------------------------------------------------------------- */

static void segment(blob *b, unsigned marker, const char *data, size_t size) {
  blob_u8(b, 0xff);
  blob_u8(b, marker);
  blob_be16(b, (unsigned)size + 2);
  blob_put(b, data, size);
}

#define SEGMENT(b, marker, text) segment(b, marker, text, sizeof(text) - 1)

static blob begin(void) {
  blob b = {0};
  blob_put(&b, "\xff\xd8", 2);
  return b;
}

static void assert_refused(blob *b, const char *message) {
  blob_put(b, "\xff\xd9", 2);
  blob_assert_refused(b, rst_jpeg_read, message);
  blob_free(b);
}

#define GREY_FRAME "\x8\0\1\0\1\1\1\x11\0"

static void test_bad_frames_are_refused(void **state) {
  (void)state;
  blob b = begin();
  assert_refused(&b, "JPEG: no frame header");
  b = begin();
  SEGMENT(&b, 0xc0, GREY_FRAME);
  SEGMENT(&b, 0xc0, GREY_FRAME);
  assert_refused(&b, "JPEG: a second frame header");
  b = begin();
  SEGMENT(&b, 0xc9, GREY_FRAME);
  assert_refused(&b, "JPEG: coding process SOF9, expected baseline or progressive");
  b = begin();
  SEGMENT(&b, 0xc0, "\x8\0\1\0\1\1\1\x11");
  assert_refused(&b, "JPEG: bad length of the frame header");
  b = begin();
  SEGMENT(&b, 0xc0, "\x0c\0\1\0\1\1\1\x11\0");
  assert_refused(&b, "JPEG: 12 bits per sample, expected 8");
  b = begin();
  SEGMENT(&b, 0xc0, "\x8\0\1\0\1\2\1\x11\0\2\x11\0");
  assert_refused(&b, "JPEG: 2 components, expected 1, 3 or 4");
  b = begin();
  SEGMENT(&b, 0xc0, "\x8\0\1\0\1\3\1\x11\0\2\x11\0\1\x11\0");
  assert_refused(&b, "JPEG: two components with the same number");
  b = begin();
  SEGMENT(&b, 0xc0, "\x8\0\0\0\1\1\1\x11\0");
  assert_refused(&b, "JPEG: size 1 x 0, expected 1 x 1 or more");
  b = begin();
  SEGMENT(&b, 0xc0, "\x8\xff\xff\xff\xff\1\1\x11\0");
  assert_refused(&b,
                 "JPEG: size 65535 x 65535, expected at most 1073741824 pixels and sides of at most 16777216");
}

static void test_bad_huffman_tables_are_refused(void **state) {
  (void)state;
  static const char too_many[17 + 300] = "\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff";
  blob b = begin();
  SEGMENT(&b, 0xc4, "\0\0\0");
  assert_refused(&b, "JPEG: a Huffman table is cut off");
  b = begin();
  segment(&b, 0xc4, too_many, sizeof too_many);
  assert_refused(&b, "JPEG: a Huffman table has 510 codes, more than its length allows");
  b = begin();
  SEGMENT(&b, 0xc4, "\0\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1");
  assert_refused(&b, "JPEG: a Huffman table has 2 codes, more than its length allows");
  b = begin();
  SEGMENT(&b, 0xc4, "\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10");
  assert_refused(&b, "JPEG: a Huffman table has a category of 16, expected at most 15");
}

/* A quantization table of ones; a Huffman table of one code of one bit. */
static void tables(blob *b, unsigned quantization, unsigned dc, unsigned ac) {
  char table[65];
  memset(table, 1, sizeof table);
  table[0] = (char)quantization;
  segment(b, 0xdb, table, sizeof table);
  char huffman[18] = {0};
  huffman[0] = (char)dc;
  huffman[1] = 1;
  segment(b, 0xc4, huffman, sizeof huffman);
  huffman[0] = (char)(0x10 | ac);
  segment(b, 0xc4, huffman, sizeof huffman);
}

static void test_bad_scans_are_refused(void **state) {
  (void)state;
  blob b = begin();
  SEGMENT(&b, 0xda, "\1\1\0\0\x3f\0");
  assert_refused(&b, "JPEG: a scan before the frame header");
  b = begin();
  SEGMENT(&b, 0xc0, GREY_FRAME);
  SEGMENT(&b, 0xda, "\1\1\0\0\x3f");
  assert_refused(&b, "JPEG: bad length of a scan header");
  b = begin();
  SEGMENT(&b, 0xc0, GREY_FRAME);
  SEGMENT(&b, 0xda, "\1\2\0\0\x3f\0");
  assert_refused(&b, "JPEG: a scan of component 2, which does not exist");
  b = begin();
  SEGMENT(&b, 0xc0, GREY_FRAME);
  assert_refused(&b, "JPEG: a component has no scan");
  b = begin();
  tables(&b, 0, 0, 0);
  SEGMENT(&b, 0xc0, GREY_FRAME);
  for (int i = 0; i < 501; i++) SEGMENT(&b, 0xda, "\1\1\0\0\x3f\0");
  assert_refused(&b, "JPEG: more than 500 scans");
  b = begin(); /* 2^28 pixels */
  tables(&b, 0, 0, 0);
  SEGMENT(&b, 0xc0, "\x08\x40\0\x40\0\1\1\x11\0");
  for (int i = 0; i < 33; i++) SEGMENT(&b, 0xda, "\1\1\0\0\x3f\0");
  assert_refused(&b, "JPEG: 33 scans or more of 16384 x 16384 pixels, expected at most 32");
  b = begin();
  tables(&b, 0, 0, 0);
  SEGMENT(&b, 0xc0, "\x08\x40\0\x40\0\1\1\x11\0");
  SEGMENT(&b, 0xda, "\1\1\0\0\x3f\0");
  char message[128];
  snprintf(message, sizeof message, "JPEG: %zu bytes are too few for 16384 x 16384 pixels", b.size + 2);
  assert_refused(&b, message);
}

static void test_missing_tables_are_noticed(void **state) {
  (void)state;
  blob b = begin();
  SEGMENT(&b, 0xdb, "\0\1");
  assert_refused(&b, "JPEG: a quantization table is cut off");
  for (unsigned missing = 0; missing < 3; missing++) {
    b = begin();
    tables(&b, missing == 0, missing == 1, missing == 2);
    SEGMENT(&b, 0xc0, GREY_FRAME);
    SEGMENT(&b, 0xda, "\1\1\0\0\x3f\0");
    assert_refused(&b, missing == 0 ? "JPEG: component 1 without its quantization table"
                                    : "JPEG: a scan without its Huffman tables");
  }
}

static void test_bad_segments_are_refused(void **state) {
  (void)state;
  blob b = begin();
  blob_put(&b, "\xff\xe0\0\1", 4);
  assert_refused(&b, "JPEG: segment e0 of 1 bytes, expected 2 or more");
  b = begin();
  tables(&b, 0, 0, 0);
  SEGMENT(&b, 0xc0, GREY_FRAME);
  SEGMENT(&b, 0xda, "\1\1\0\0\x3f\0");
  blob_put(&b, "\xf0\xf0\xf0\xf0", 4); /* codes that do not exist */
  assert_refused(&b, "JPEG: cannot be decoded (bad huffman code)");
}

/* ---- Writing ------------------------------------------------------------------------------- */

static void test_written_pictures_are_close(void **state) {
  (void)state;
  for (int channels = 1; channels <= 4; channels++)
    for (int sample = RST_SAMPLE_U8; sample <= RST_SAMPLE_F32; sample++) {
      rst_image p = picture_smooth(WIDTH, HEIGHT, channels, (rst_sample)sample), back;
      rst_error err = {.message = ""};
      if (rst_image_write("p.jpeg", &p, NULL, &err) != RST_OK ||
          picture_read("p.jpeg", &back, &err) != RST_OK)
        fail_msg("%s", err.message);
      assert_int_equal(back.channels, 3); /* stb writes grey as a colour picture without colour */
      rst_image original = picture_smooth(WIDTH, HEIGHT, channels, RST_SAMPLE_U8);
      for (size_t i = 0; i < (size_t)WIDTH * HEIGHT; i++)
        for (size_t c = 0; c < 3; c++) {
          size_t from = channels >= 3 ? c : 0;
          int a = ((uint8_t *)original.samples)[i * (size_t)channels + from],
              b = ((uint8_t *)back.samples)[3 * i + c];
          assert_in_range(a - b + 100, 94, 106);
        }
      rst_image_clear(&original);
      rst_image_clear(&back);
      rst_image_clear(&p);
    }
}

static rst_status read_once(void *file, rst_error *err) {
  rst_image p;
  rst_status status = blob_read(file, rst_jpeg_read, &p, err);
  if (status == RST_OK) rst_image_clear(&p);
  return status;
}

static rst_status write_once(void *picture, rst_error *err) {
  return rst_image_write("p.jpg", picture, NULL, err);
}

static void test_every_failed_allocation_is_out_of_memory(void **state) {
  (void)state;
  for (size_t i = 0; i < 4; i++) assert_true(fail_each_alloc(read_once, &files[i]) >= 3);
  rst_image p = picture_smooth(5, 5, 3, RST_SAMPLE_F32);
  assert_true(fail_each_alloc(write_once, &p) > 1);
  rst_image_clear(&p);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_enter, scratch_leave)
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_files_of_another_program_are_read),
      cmocka_unit_test(test_every_beginning_of_a_file_is_refused),
      cmocka_unit_test(test_damaged_files_are_errors_or_whole_pictures),
      cmocka_unit_test(test_bad_frames_are_refused),
      cmocka_unit_test(test_bad_huffman_tables_are_refused),
      cmocka_unit_test(test_bad_scans_are_refused),
      cmocka_unit_test(test_missing_tables_are_noticed),
      cmocka_unit_test(test_bad_segments_are_refused),
      TEST(test_written_pictures_are_close),
      TEST(test_every_failed_allocation_is_out_of_memory),
  };
  return cmocka_run_group_tests(tests, read_files, free_files);
}
