/* Finding out what a file is, and what happens when it cannot be read or written. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/blob.h"
#include "support/cmocka_all.h"
#include "support/fail_alloc.h"
#include "support/pictures.h"
#include "support/scratch.h"

static void assert_unreadable(const char *path, const char *message) {
  rst_image p;
  rst_error err = {.message = ""};
  assert_int_equal(picture_read(path, &p, &err), RST_ERROR_INPUT);
  assert_string_equal(err.message, message);
  assert_null(p.samples);
}

static void assert_unwritable(const char *path, const rst_image *p, rst_status status, const char *message) {
  rst_error err = {.message = ""};
  assert_int_equal(rst_image_write(path, p, NULL, &err), status);
  assert_string_equal(err.message, message);
}

static void test_the_name_of_a_file_does_not_matter(void **state) {
  (void)state;
  static const char *const names[] = {"p.png", "p.jpg", "p.bmp", "p.tga", "p.pfm"};
  rst_image p = picture_smooth(16, 12, 3, RST_SAMPLE_U8);
  for (size_t i = 0; i < 5; i++) {
    rst_image back;
    rst_difference d;
    rst_error err = {.message = ""};
    assert_int_equal(rst_image_write(names[i], &p, NULL, &err), RST_OK);
    assert_int_equal(rename(names[i], "no.ending"), 0);
    if (picture_read("no.ending", &back, &err) != RST_OK) fail_msg("%s: %s", names[i], err.message);
    assert_int_equal(rst_image_compare(&p, &back, &d, &err), RST_OK);
    assert_true(d.psnr > 40);
    rst_image_clear(&back);
  }
  scratch_put_text("no.ending", "P2 1 1 255 7");
  rst_image back;
  assert_int_equal(picture_read("no.ending", &back, NULL), RST_OK);
  rst_image_clear(&back);
  rst_image_clear(&p);
}

static void test_other_formats_are_refused_by_name(void **state) {
  (void)state;
  static const struct {
    const char *content;
    size_t size;
    const char *format;
  } files[] = {{"GIF89a..........", 16, "a GIF"},
               {"GIF87a..........", 16, "a GIF"},
               {"P7\nWIDTH 1", 10, "a PAM"},
               {"8BPS\0\1", 6, "a Photoshop"},
               {"#?RADIANCE\n", 11, "a Radiance HDR"},
               {"v/1\x01", 4, "an OpenEXR"},
               {"\xff\x0a\1\2", 4, "a JPEG XL"},
               {"\0\0\0\x0cJXL \r\n", 10, "a JPEG XL"},
               {"\0\0\0\x0cjP  \r\n", 10, "a JPEG 2000"},
               {"qoif\0\0", 6, "a QOI"},
               {"%PDF-1.7", 8, "a PDF"},
               {"<svg xmlns", 10, "an SVG"}};
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    char message[256];
    scratch_put("f", files[i].content, files[i].size);
    snprintf(message, sizeof message,
             "f: is %s file, expected PNG, JPEG, BMP, TGA, PNM, PFM, TIFF, WebP or HEIF", files[i].format);
    assert_unreadable("f", message);
  }
}

static void test_unknown_content_is_refused(void **state) {
  (void)state;
  static const char unknown[] =
      "f: unknown content, expected PNG, JPEG, BMP, TGA, PNM, PFM, TIFF, WebP or HEIF";
  scratch_put_text("f", "");
  assert_unreadable("f", "f: is empty");
  scratch_put_text("f", "P");
  assert_unreadable("f", unknown);
  scratch_put_text("f", "What is this text doing here? It is no picture.");
  assert_unreadable("f", unknown);
  scratch_put("f", "\x89PNG\r\n\x1a", 7);
  assert_unreadable("f", unknown);
  assert_unreadable("none", "none: cannot be opened: No such file or directory");
  assert_unreadable("/", "/: is a directory, expected a file");
}

/* As PngSuite has them: other letters, line ends that were changed. */
static void test_png_with_a_damaged_signature_is_named(void **state) {
  (void)state;
  static const char *const signatures[] = {"\x89NPG\r\n\x1a\n", "\x89pNG\r\n\x1a\n", "\x09PNG\r\n\x1a\n",
                                           "\x89PNG\n\x1a\n", "\x89PNG\r\r\n\x1a\r\n"};
  for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++) {
    char content[32];
    size_t n = strlen(signatures[i]);
    memcpy(content, signatures[i], n);
    memcpy(content + n, "\0\0\0\x0dIHDR\0\0\0\1", 12);
    scratch_put("p.png", content, n + 12);
    assert_unreadable("p.png", "p.png: is a PNG with a damaged signature (a transfer as text does that)");
  }
}

static void test_a_name_cannot_put_control_characters_into_a_message(void **state) {
  (void)state;
  assert_unreadable("a\x1b[31m\nb", "a?[31m?b: cannot be opened: No such file or directory");
}

static blob dynamic; /* read before the tests go to folders of their own */

static int read_files(void **state) {
  (void)state;
  dynamic = blob_of_file("tests/data/images/dynamic.png");
  return 0;
}

static int free_files(void **state) {
  (void)state;
  blob_free(&dynamic);
  return 0;
}

static void test_png_of_zlib_with_dynamic_codes_is_read(void **state) {
  (void)state;
  rst_image p, expected = picture_smooth(37, 29, 3, RST_SAMPLE_U8);
  rst_error err = {.message = ""};
  if (blob_read(&dynamic, rst_png_read, &p, &err) != RST_OK) fail_msg("%s", err.message);
  picture_assert_equal(&p, &expected);
  rst_image_clear(&p);
  rst_image_clear(&expected);
}

static void test_sizes_are_checked_before_memory_is_asked_for(void **state) {
  (void)state;
  rst_error err;
  rst_source source = {.path = "f", .err = &err};
  assert_int_equal(rst_source_check_size(&source, "X", 1, 1), RST_OK);
  assert_int_equal(rst_source_check_size(&source, "X", RST_MAX_SIDE, 64), RST_OK);
  assert_int_equal(rst_source_check_size(&source, "X", 32768, 32768), RST_OK);
  assert_int_equal(rst_source_check_size(&source, "X", 32768, 32769), RST_ERROR_INPUT);
  assert_int_equal(rst_source_check_size(&source, "X", RST_MAX_SIDE + 1, 1), RST_ERROR_INPUT);
  assert_int_equal(rst_source_check_size(&source, "X", SIZE_MAX, SIZE_MAX), RST_ERROR_INPUT);
  assert_int_equal(rst_source_check_size(&source, "X", 0, 1), RST_ERROR_INPUT);
}

/* ---- Writing ------------------------------------------------------------------------------- */

static void test_endings_that_can_be_written(void **state) {
  (void)state;
  static const char *const good[] = {"a.png", "b.JPG", "c.JpEg", "d/e.bmp", "f.x.tga", ".pfm"};
  static const char *const bad[] = {"a.gif", "png", "a.png/b", "a.png ", "", "a.pn", "a.web", "a.pngx"};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) assert_non_null(rst_image_format_of(good[i]));
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) assert_null(rst_image_format_of(bad[i]));
}

static void test_what_cannot_be_written_is_refused(void **state) {
  (void)state;
  rst_image p = picture_smooth(16, 12, 3, RST_SAMPLE_U8), empty = {0};
  assert_unwritable("a.gif", &p, RST_ERROR_USAGE,
                    "a.gif: the ending names no format to write, expected .png, .jpg, .jpeg, .bmp, .tga, "
                    ".pfm, .tif, .tiff or .webp");
  assert_unwritable("a.png", &empty, RST_ERROR_USAGE, "a.png: there is no picture to write");
  assert_unwritable("none/a.png", &p, RST_ERROR_OUTPUT,
                    "none/a.png: cannot be created: No such file or directory");
  assert_int_equal(mkdir("folder.png", 0777), 0);
  assert_unwritable("folder.png", &p, RST_ERROR_OUTPUT, "folder.png: cannot be written: Is a directory");
  rst_image_clear(&p);
}

static void test_a_full_disk_is_reported_by_every_writer(void **state) {
  (void)state;
  static const char *const names[] = {"full.png", "full.jpg", "full.bmp", "full.tga", "full.pfm"};
  rst_image p = picture_random(64, 64, 3, RST_SAMPLE_U8, 1);
  for (size_t i = 0; i < 5; i++) {
    char message[64];
    assert_int_equal(symlink("/dev/full", names[i]), 0);
    snprintf(message, sizeof message, "%s: cannot be written: No space left on device", names[i]);
    assert_unwritable(names[i], &p, RST_ERROR_OUTPUT, message);
  }
  rst_image_clear(&p);
}

/* ---- Samples ------------------------------------------------------------------------------- */

static void test_samples_convert_exactly_where_they_can(void **state) {
  (void)state;
  assert_int_equal(rst_sample_size(RST_SAMPLE_U8), 1);
  assert_int_equal(rst_sample_size(RST_SAMPLE_U16), 2);
  assert_int_equal(rst_sample_size(RST_SAMPLE_F32), 4);
  for (unsigned v = 0; v < 65536; v++) {
    uint16_t v16 = (uint16_t)v, back16;
    uint8_t v8 = (uint8_t)v, back8;
    float f;
    rst_convert_samples(&v16, RST_SAMPLE_U16, 1, &f, RST_SAMPLE_F32, 1, 1);
    rst_convert_samples(&f, RST_SAMPLE_F32, 1, &back16, RST_SAMPLE_U16, 1, 1);
    assert_int_equal(back16, v16);
    rst_convert_samples(&v16, RST_SAMPLE_U16, 1, &back8, RST_SAMPLE_U8, 1, 1);
    assert_int_equal(back8, (v * 255 + 32767) / 65535); /* never halfway */
    rst_convert_samples(&v8, RST_SAMPLE_U8, 1, &back16, RST_SAMPLE_U16, 1, 1);
    assert_int_equal(back16, 257 * v8);
    rst_convert_samples(&v8, RST_SAMPLE_U8, 1, &f, RST_SAMPLE_F32, 1, 1);
    rst_convert_samples(&f, RST_SAMPLE_F32, 1, &back8, RST_SAMPLE_U8, 1, 1);
    assert_int_equal(back8, v8);
  }
}

static void test_freed_pictures_are_empty(void **state) {
  (void)state;
  rst_image p = picture_smooth(3, 2, 1, RST_SAMPLE_U8);
  rst_image_clear(&p);
  assert_null(p.samples);
  assert_int_equal(p.width, 0);
  rst_image_clear(&p);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_enter, scratch_leave)
  const struct CMUnitTest tests[] = {
      TEST(test_the_name_of_a_file_does_not_matter),
      TEST(test_other_formats_are_refused_by_name),
      TEST(test_unknown_content_is_refused),
      TEST(test_png_with_a_damaged_signature_is_named),
      TEST(test_a_name_cannot_put_control_characters_into_a_message),
      cmocka_unit_test(test_png_of_zlib_with_dynamic_codes_is_read),
      cmocka_unit_test(test_sizes_are_checked_before_memory_is_asked_for),
      cmocka_unit_test(test_endings_that_can_be_written),
      TEST(test_what_cannot_be_written_is_refused),
      TEST(test_a_full_disk_is_reported_by_every_writer),
      cmocka_unit_test(test_samples_convert_exactly_where_they_can),
      cmocka_unit_test(test_freed_pictures_are_empty),
  };
  return cmocka_run_group_tests(tests, read_files, free_files);
}
