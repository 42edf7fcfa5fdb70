/* Images through the public interface: creating, memory in place of files, options, limits, the table of
 * formats. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "support/cmocka_all.h"
#include "support/fail_alloc.h"
#include "support/pictures.h"
#include "support/scratch.h"

static void test_created_images_are_black(void **state) {
  (void)state;
  rst_image *image;
  rst_error err = {.message = "old"};
  assert_int_equal(rst_image_create(7, 5, 2, RST_SAMPLE_U16, &image, &err), RST_OK);
  assert_int_equal(rst_image_width(image), 7);
  assert_int_equal(rst_image_height(image), 5);
  assert_int_equal(rst_image_channels(image), 2);
  assert_int_equal(rst_image_sample(image), RST_SAMPLE_U16);
  for (size_t i = 0; i < 70; i++) assert_true(rst_image_value(image, i) == 0);
  ((uint16_t *)rst_image_samples(image))[69] = 65535;
  assert_true(rst_image_value(image, 69) == 1);
  rst_image_free(image);
  rst_image_free(NULL);
}

static void test_images_that_cannot_be_are_refused(void **state) {
  (void)state;
  static const struct {
    size_t width, height;
    int channels, sample;
    rst_status status;
  } cases[] = {{0, 1, 1, RST_SAMPLE_U8, RST_ERROR_USAGE},
               {1, 0, 1, RST_SAMPLE_U8, RST_ERROR_USAGE},
               {1, 1, 0, RST_SAMPLE_U8, RST_ERROR_USAGE},
               {1, 1, 5, RST_SAMPLE_U8, RST_ERROR_USAGE},
               {1, 1, 1, 3, RST_ERROR_USAGE},
               {SIZE_MAX, SIZE_MAX, 3, 0, RST_ERROR_MEMORY},
               {SIZE_MAX / 4, 1, 3, RST_SAMPLE_F32, RST_ERROR_MEMORY}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    rst_image *image;
    rst_error err = {.message = ""};
    assert_int_equal(rst_image_create(cases[i].width, cases[i].height, cases[i].channels,
                                      (rst_sample)cases[i].sample, &image, &err),
                     cases[i].status);
    assert_null(image);
    assert_true(strlen(err.message) > 0);
  }
}

/* ---- Memory -------------------------------------------------------------------------------- */

/* Encodes `p` as `format`; the bytes are to be freed. */
static void *encode(const rst_image *p, const char *format, size_t *size) {
  void *data;
  rst_error err = {.message = ""};
  rst_image_write_options how;
  rst_image_write_options_init(&how);
  how.format = format;
  if (rst_image_encode(p, &how, &data, size, &err) != RST_OK) fail_msg("%s: %s", format, err.message);
  return data;
}

static void test_encoded_images_are_what_files_hold(void **state) {
  (void)state;
  rst_image p = picture_smooth(300, 200, 3, RST_SAMPLE_U8);
  size_t tried = 0;
  for (size_t i = 0; rst_image_format_at(i) != NULL; i++) {
    const rst_image_format *format = rst_image_format_at(i);
    size_t size, read_size;
    char path[32];
    if (!format->writes) continue;
    void *data = encode(&p, format->name, &size), *content = malloc(size);
    snprintf(path, sizeof path, "p.%s", format->name);
    assert_int_equal(rst_image_write(path, &p, NULL, NULL), RST_OK);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    read_size = fread(content, 1, size, f);
    assert_int_equal(read_size, size);
    assert_int_equal(fgetc(f), EOF);
    fclose(f);
    assert_memory_equal(content, data, size);
    if (format->reads) {
      rst_image *back;
      rst_error err = {.message = "old"};
      rst_difference d;
      if (rst_image_decode("bytes", data, size, NULL, &back, &err) != RST_OK) fail_msg("%s", err.message);
      assert_string_equal(err.message, "");
      assert_int_equal(rst_image_compare(&p, back, &d, &err), RST_OK);
      assert_true(d.psnr > 40);
      rst_image_free(back);
      tried++;
    }
    free(content);
    rst_free(data);
  }
  assert_true(tried >= 5);
  rst_image_clear(&p);
}

static void test_decoding_names_what_it_was_told(void **state) {
  (void)state;
  rst_image *image;
  rst_error err;
  assert_int_equal(rst_image_decode("the answer", "", 0, NULL, &image, &err), RST_ERROR_INPUT);
  assert_string_equal(err.message, "the answer: is empty");
  assert_null(image);
}

static rst_status encode_once(void *image, rst_error *err) {
  void *data;
  size_t size;
  rst_image_write_options how;
  rst_image_write_options_init(&how);
  how.format = "bmp";
  rst_status status = rst_image_encode(image, &how, &data, &size, err);
  assert_int_equal(data == NULL, status != RST_OK);
  rst_free(data);
  return status;
}

static void test_every_failed_allocation_is_out_of_memory(void **state) {
  (void)state;
  rst_image p = picture_smooth(60, 60, 3, RST_SAMPLE_U8);
  assert_true(fail_each_alloc(encode_once, &p) > 3);
  rst_image_clear(&p);
}

/* ---- Options ------------------------------------------------------------------------------- */

static bool always(void *user) {
  ++*(int *)user;
  return true;
}

static void test_limits_hold(void **state) {
  (void)state;
  rst_image p = picture_smooth(20, 10, 3, RST_SAMPLE_U8), *image;
  size_t size;
  void *data = encode(&p, "png", &size);
  rst_image_read_options how;
  rst_error err;
  rst_image_read_options_init(&how);
  how.max_pixels = 199;
  assert_int_equal(rst_image_decode("f", data, size, &how, &image, &err), RST_ERROR_INPUT);
  assert_string_equal(err.message,
                      "f: PNG: size 20 x 10, expected at most 199 pixels and sides of at most 16777216");
  how.max_pixels = 200;
  how.max_memory = 599;
  assert_int_equal(rst_image_decode("f", data, size, &how, &image, &err), RST_ERROR_MEMORY);
  assert_null(image);
  how.max_memory = 1 << 20;
  assert_int_equal(rst_image_decode("f", data, size, &how, &image, &err), RST_OK);
  rst_image_free(image);
  rst_free(data);
  rst_image_clear(&p);
}

static void test_writing_stops_when_it_is_told_to(void **state) {
  (void)state;
  rst_image p = picture_smooth(20, 10, 3, RST_SAMPLE_U8);
  rst_image_write_options how;
  int calls = 0;
  rst_error err;
  rst_image_write_options_init(&how);
  how.cancelled = always;
  how.user = &calls;
  assert_int_equal(rst_image_write("p.png", &p, &how, &err), RST_CANCELLED);
  assert_int_equal(calls, 1);
  assert_null(fopen("p.png", "rb"));
  rst_image_clear(&p);
}

static void refused_output(const char *path, const char *format, int depth, int quality, size_t width,
                           const char *message) {
  rst_error err = {.message = ""};
  rst_image_write_options how;
  rst_image_write_options_init(&how);
  how.format = format, how.depth = depth, how.quality = quality;
  rst_status status = rst_image_check_output(path, &how, width, 3, 3, &err);
  assert_string_equal(err.message, message);
  assert_int_equal(status, width == 1 ? RST_ERROR_USAGE : RST_ERROR_OUTPUT);
}

static void test_what_cannot_be_written_is_said_beforehand(void **state) {
  (void)state;
  static const char expected[] = ".png, .jpg, .jpeg, .bmp, .tga, .pfm, .tif, .tiff or .webp";
  char message[256];
  snprintf(message, sizeof message, "o: the ending names no format to write, expected %s", expected);
  refused_output("o", NULL, 0, 0, 1, message);
  snprintf(message, sizeof message, "o.png: unknown format gif, expected that of %s", expected);
  refused_output("o.png", "gif", 0, 0, 1, message);
  snprintf(message, sizeof message, "o.ppm: PNM is not written, expected %s", expected);
  refused_output("o.ppm", NULL, 0, 0, 1, message);
  refused_output("o.jpg", NULL, 16, 0, 1, "o.jpg: JPEG has no samples of 16 bits");
  refused_output("o.pfm", NULL, 8, 0, 1, "o.pfm: PFM has no samples of 8 bits");
  refused_output("o.png", NULL, 12, 0, 1, "o.png: PNG has no samples of 12 bits");
  refused_output("o.jpg", NULL, 8, 101, 1, "o.jpg: quality 101, expected 1 to 100");
  refused_output("o.png", "tga", 0, 0, 70000, "o.png: TGA: size 70000 x 3, expected sides of at most 65535");
  assert_int_equal(rst_image_check_output("o.tga", NULL, 65535, 65535, 4, NULL), RST_OK);
}

static void test_the_sample_type_of_an_output(void **state) {
  (void)state;
  static const struct {
    const char *format;
    int depth, input, expected;
  } cases[] = {
      {"png", 0, RST_SAMPLE_U8, RST_SAMPLE_U8},   {"png", 0, RST_SAMPLE_U16, RST_SAMPLE_U16},
      {"png", 0, RST_SAMPLE_F32, RST_SAMPLE_U16}, {"png", 16, RST_SAMPLE_U8, RST_SAMPLE_U16},
      {"png", 8, RST_SAMPLE_F32, RST_SAMPLE_U8},  {"jpeg", 0, RST_SAMPLE_F32, RST_SAMPLE_U8},
      {"pfm", 0, RST_SAMPLE_U8, RST_SAMPLE_F32},  {"tga", 0, RST_SAMPLE_U16, RST_SAMPLE_U8},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    rst_image_write_options how;
    rst_image_write_options_init(&how);
    how.depth = cases[i].depth;
    assert_int_equal(
        rst_image_output_sample(rst_image_format_named(cases[i].format), &how, (rst_sample)cases[i].input),
        cases[i].expected);
  }
}

static void test_quality_makes_files_larger(void **state) {
  (void)state;
  rst_image p = picture_random(64, 64, 3, RST_SAMPLE_U8, 1);
  size_t sizes[3];
  for (int i = 0; i < 3; i++) {
    void *data;
    rst_image_write_options how;
    rst_image_write_options_init(&how);
    how.format = "jpeg";
    how.quality = i == 0 ? 40 : i == 1 ? 0 : 100;
    assert_int_equal(rst_image_encode(&p, &how, &data, &sizes[i], NULL), RST_OK);
    rst_free(data);
  }
  assert_true(2 * sizes[0] < sizes[1] && sizes[1] < sizes[2]);
  rst_image_clear(&p);
}

static void test_formats_are_found_by_name_and_ending(void **state) {
  (void)state;
  assert_string_equal(rst_image_format_named("JPG")->name, "jpeg");
  assert_string_equal(rst_image_format_named("jpeg")->name, "jpeg");
  assert_string_equal(rst_image_format_named("PPM")->name, "pnm");
  assert_null(rst_image_format_named("jp"));
  assert_null(rst_image_format_named(""));
  assert_null(rst_image_format_named(".png"));
  assert_string_equal(rst_image_format_of("a.b/c.JPeG")->title, "JPEG");
  assert_null(rst_image_format_of("a.png/c"));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_enter, scratch_leave)
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_created_images_are_black),
      cmocka_unit_test(test_images_that_cannot_be_are_refused),
      TEST(test_encoded_images_are_what_files_hold),
      cmocka_unit_test(test_decoding_names_what_it_was_told),
      cmocka_unit_test(test_every_failed_allocation_is_out_of_memory),
      cmocka_unit_test(test_limits_hold),
      TEST(test_writing_stops_when_it_is_told_to),
      cmocka_unit_test(test_what_cannot_be_written_is_said_beforehand),
      cmocka_unit_test(test_the_sample_type_of_an_output),
      cmocka_unit_test(test_quality_makes_files_larger),
      cmocka_unit_test(test_formats_are_found_by_name_and_ending),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
