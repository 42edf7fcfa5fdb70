/* JPEG: files of libjpeg-turbo and our own, what is refused, limits. */
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

static rst_status read_beginning(const blob *file, size_t size, rst_image *picture) {
  rst_error err = {.message = ""};
  const blob beginning = {file->data, size, size};
  rst_status status = blob_read(&beginning, rst_jpeg_read, picture, &err);
  if (status != RST_OK) assert_int_equal(status, RST_ERROR_INPUT);
  if (status != RST_OK) assert_true(strlen(err.message) > 6);
  return status;
}

/* Only where nothing but the end marker and a last byte's padding is missing. */
static void test_beginnings_of_a_file_are_refused_or_whole(void **state) {
  (void)state;
  for (size_t i = 0; i < 4; i++) {
    rst_image whole, part;
    assert_int_equal(read_beginning(&files[i], files[i].size, &whole), RST_OK);
    for (size_t size = 3; size < files[i].size; size++) {
      if (read_beginning(&files[i], size, &part) != RST_OK) continue;
      if (size + 4 < files[i].size) fail_msg("%s: %zu bytes were enough", names[i], size);
      picture_assert_equal(&whole, &part);
      rst_image_clear(&part);
    }
    rst_image_clear(&whole);
  }
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

/* A file of a frame header and a scan's, with a table of ones and the usual Huffman codes. */
static blob frame(unsigned marker, const char *header, size_t size) {
  char table[65];
  blob b = {0};
  memset(table, 1, sizeof table);
  table[0] = 0;
  blob_put(&b, "\xff\xd8", 2);
  segment(&b, 0xdb, table, sizeof table);
  segment(&b, marker, header, size);
  SEGMENT(&b, 0xda, "\1\1\0\0\x3f\0");
  return b;
}

static void assert_refused(blob b, const char *message) {
  blob_put(&b, "\xff\xd9", 2);
  blob_assert_refused(&b, rst_jpeg_read, message);
  blob_free(&b);
}

#define FRAME(marker, header) frame(marker, header, sizeof(header) - 1)

static void test_frames_that_are_not_read_are_refused(void **state) {
  (void)state;
  assert_refused(FRAME(0xc0, "\x8\0\1\0\1\2\1\x11\0\2\x11\0"), "JPEG: 2 components, expected 1, 3 or 4");
  assert_refused(FRAME(0xc9, "\x8\0\1\0\1\1\1\x11\0"), "JPEG: has arithmetic coding, expected Huffman codes");
  assert_refused(FRAME(0xc0, "\xc\0\1\0\1\1\1\x11\0"),
                 "JPEG: cannot be decoded (Unsupported JPEG data precision 12)");
  assert_refused(FRAME(0xc3, "\x8\0\1\0\1\1\1\x11\0"),
                 "JPEG: cannot be decoded (Unsupported JPEG process: SOF type 0xc3)");
  assert_refused(
      FRAME(0xc0, "\x8\x80\0\x80\1\1\1\x11\0"),
      "JPEG: size 32769 x 32768, expected at most 1073741824 pixels and sides of at most 16777216");
  blob b = FRAME(0xc0, "\x08\x40\0\x40\0\1\1\x11\0");
  char message[128];
  snprintf(message, sizeof message, "JPEG: %zu bytes are too few for 16384 x 16384 pixels", b.size + 2);
  assert_refused(b, message);
}

static void test_pixels_that_are_missing_are_noticed(void **state) {
  (void)state;
  assert_refused(FRAME(0xc0, "\x8\0\x40\0\x40\1\1\x11\0"),
                 "JPEG: pixels are missing (of 96 bytes, some are lost)");
}

/* The first scan of a progressive file over and over. */
static void test_scans_are_bounded(void **state) {
  (void)state;
  const blob *file = &files[PROGRESSIVE];
  size_t begin = 2, end;
  while (file->data[begin] != 0xff || file->data[begin + 1] != 0xda) begin++;
  for (end = begin + 2; file->data[end] != 0xff || file->data[end + 1] == 0;) end++;
  for (size_t copies = 10; copies <= 200; copies += 190) {
    blob b = {0};
    rst_image picture;
    blob_put(&b, file->data, end);
    for (size_t i = 0; i < copies; i++) blob_put(&b, file->data + begin, end - begin);
    blob_put(&b, file->data + end, file->size - end);
    if (copies < 100) {
      assert_int_equal(blob_read(&b, rst_jpeg_read, &picture, NULL), RST_OK);
      rst_image_clear(&picture);
    } else {
      blob_assert_refused(&b, rst_jpeg_read, "JPEG: more than 100 scans");
    }
    blob_free(&b);
  }
}

static bool stop(void *user) {
  return ++*(int *)user == 3;
}

static void test_reading_stops_when_it_is_told_to(void **state) {
  (void)state;
  for (size_t i = 0; i < 4; i++) {
    rst_image *image;
    int calls = 0;
    rst_image_read_options how;
    rst_image_read_options_init(&how);
    how.cancelled = stop;
    how.user = &calls;
    assert_int_equal(rst_image_decode("f", files[i].data, files[i].size, &how, &image, NULL), RST_CANCELLED);
    assert_null(image);
  }
}

static void test_coefficients_count_as_memory(void **state) {
  (void)state;
  rst_image *image;
  rst_image_read_options how;
  rst_image_read_options_init(&how);
  how.max_memory = 3 * WIDTH * HEIGHT + 2000; /* the coefficients are another 4096 bytes */
  rst_error err;
  assert_int_equal(
      rst_image_decode("f", files[PROGRESSIVE].data, files[PROGRESSIVE].size, &how, &image, &err),
      RST_ERROR_MEMORY);
  how.max_memory = 1 << 20;
  assert_int_equal(
      rst_image_decode("f", files[PROGRESSIVE].data, files[PROGRESSIVE].size, &how, &image, &err), RST_OK);
  rst_image_free(image);
}

/* ---- Writing ------------------------------------------------------------------------------- */

static void test_written_pictures_are_close(void **state) {
  (void)state;
  for (int channels = 1; channels <= 3; channels += 2)
    for (int sample = RST_SAMPLE_U8; sample <= RST_SAMPLE_F32; sample++) {
      rst_image p = picture_smooth(WIDTH, HEIGHT, channels, (rst_sample)sample), back;
      rst_error err = {.message = ""};
      if (rst_image_write("p.jpeg", &p, NULL, &err) != RST_OK ||
          picture_read("p.jpeg", &back, &err) != RST_OK)
        fail_msg("%s", err.message);
      const size_t colors = channels >= 3 ? 3 : 1;
      assert_int_equal(back.channels, colors);
      rst_image original = picture_smooth(WIDTH, HEIGHT, channels, RST_SAMPLE_U8);
      for (size_t i = 0; i < (size_t)WIDTH * HEIGHT; i++)
        for (size_t c = 0; c < colors; c++) {
          int a = ((uint8_t *)original.samples)[i * (size_t)channels + c],
              b = ((uint8_t *)back.samples)[colors * i + c];
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
  for (size_t i = 0; i < 4; i++) assert_true(fail_each_alloc(read_once, &files[i]) >= 2);
  rst_image p = picture_smooth(5, 5, 3, RST_SAMPLE_F32);
  assert_true(fail_each_alloc(write_once, &p) > 1);
  rst_image_clear(&p);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_enter, scratch_leave)
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_files_of_another_program_are_read),
      cmocka_unit_test(test_beginnings_of_a_file_are_refused_or_whole),
      cmocka_unit_test(test_damaged_files_are_errors_or_whole_pictures),
      cmocka_unit_test(test_frames_that_are_not_read_are_refused),
      cmocka_unit_test(test_pixels_that_are_missing_are_noticed),
      cmocka_unit_test(test_scans_are_bounded),
      cmocka_unit_test(test_reading_stops_when_it_is_told_to),
      cmocka_unit_test(test_coefficients_count_as_memory),
      TEST(test_written_pictures_are_close),
      TEST(test_every_failed_allocation_is_out_of_memory),
  };
  return cmocka_run_group_tests(tests, read_files, free_files);
}
