/* Decoding in a helper process: the same pictures, metadata, warnings and messages as in the process itself.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/image.h"
#include "support/cmocka_all.h"
#include "support/fail_alloc.h"
#include "support/pictures.h"

#define NEED_SANDBOX() \
  if (!rst_sandbox_available()) skip()

/* What reading gave. */
typedef struct outcome {
  rst_status status;
  rst_error err;
  rst_image *image;
  char warnings[4096];
} outcome;

static void note(void *user, const char *message) {
  outcome *o = user;
  strncat(o->warnings, message, sizeof o->warnings - strlen(o->warnings) - 1);
}

static outcome read_so(const char *path, bool sandbox) {
  outcome o = {.err.message = "old"};
  rst_image_read_options options;
  rst_image_read_options_init(&options);
  options.max_pixels = 1 << 20;
  options.warning = note, options.user = &o;
  options.sandbox = sandbox;
  o.status = rst_image_read(path, &options, &o.image, &o.err);
  return o;
}

static void assert_same_metadata(const rst_image *a, const rst_image *b) {
  for (int kind = 0; kind < RST_METADATA_TEXT; kind++) {
    size_t n, m;
    const void *x = rst_image_metadata(a, (rst_metadata)kind, &n),
               *y = rst_image_metadata(b, (rst_metadata)kind, &m);
    assert_int_equal(n, m);
    if (n > 0) assert_memory_equal(x, y, n);
  }
  assert_int_equal(rst_image_text_count(a), rst_image_text_count(b));
  for (size_t i = 0; i < rst_image_text_count(a); i++) {
    const char *j, *k;
    assert_string_equal(rst_image_text(a, i, &j), rst_image_text(b, i, &k));
    assert_string_equal(j, k);
  }
}

/* Returns whether the file could be read. */
static bool assert_same(const char *path) {
  outcome here = read_so(path, false), there = read_so(path, true);
  assert_int_equal(here.status, there.status);
  assert_string_equal(here.err.message, there.err.message);
  assert_string_equal(here.warnings, there.warnings);
  if (here.status == RST_OK) {
    picture_assert_equal(here.image, there.image);
    assert_same_metadata(here.image, there.image);
    assert_non_null(there.image->shared.data);
  }
  rst_image_free(here.image);
  rst_image_free(there.image);
  return here.status == RST_OK;
}

static void test_every_picture_is_the_same(void **state) {
  (void)state;
  NEED_SANDBOX();
  static const char *folders[] = {"tests/data/images", "tests/programs/cli/pictures"};
  int good = 0, bad = 0;
  for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
    DIR *folder = opendir(folders[i]);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
      char path[512];
      snprintf(path, sizeof path, "%s/%s", folders[i], entry->d_name);
      if (assert_same(path))
        good++;
      else
        bad++;
    }
    closedir(folder);
  }
  assert_true(good >= 15);
  assert_true(bad >= 3); /* folders, and what is no picture */
}

static void test_broken_files_have_the_same_message(void **state) {
  (void)state;
  NEED_SANDBOX();
  FILE *f = fopen("tests/programs/cli/pictures/rgb.png", "rb");
  uint8_t data[4096];
  assert_non_null(f);
  size_t size = fread(data, 1, sizeof data, f);
  fclose(f);
  rst_image_read_options options;
  rst_image_read_options_init(&options);
  for (size_t cut = 0; cut < size; cut += 97) {
    rst_error here, there;
    rst_image *image;
    options.sandbox = false;
    rst_status expected = rst_image_decode("a\033[2Jb", data, cut, &options, &image, &here);
    rst_image_free(image);
    options.sandbox = true;
    assert_int_equal(rst_image_decode("a\033[2Jb", data, cut, &options, &image, &there), expected);
    rst_image_free(image);
    assert_string_equal(here.message, there.message);
  }
}

static bool cancel(void *user) {
  ++*(int *)user;
  return true;
}

static void test_limits_and_cancelling_hold(void **state) {
  (void)state;
  NEED_SANDBOX();
  static const char path[] = "tests/programs/cli/pictures/rgb16.png";
  FILE *f = fopen(path, "rb");
  static uint8_t data[65536];
  assert_non_null(f);
  size_t size = fread(data, 1, sizeof data, f);
  fclose(f);
  rst_error err;
  rst_image *image;
  rst_image_read_options options;
  rst_image_read_options_init(&options);
  options.sandbox = true;
  options.max_memory = 1000;
  assert_int_equal(rst_image_decode(path, data, size, &options, &image, &err), RST_ERROR_MEMORY);
  assert_null(image);
  options.max_memory = 0;
  options.max_pixels = 100;
  assert_int_equal(rst_image_decode(path, data, size, &options, &image, &err), RST_ERROR_INPUT);
  assert_non_null(strstr(err.message, "expected at most 100 pixels"));
  int asked = 0;
  options.max_pixels = 0;
  options.cancelled = cancel, options.user = &asked;
  assert_int_equal(rst_image_decode(path, data, size, &options, &image, &err), RST_CANCELLED);
  assert_int_equal(asked, 1);
  assert_null(image);
}

static rst_status read_once(void *user, rst_error *err) {
  rst_image *image;
  rst_image_read_options options;
  rst_image_read_options_init(&options);
  options.sandbox = true;
  rst_status status = rst_image_read(user, &options, &image, err);
  rst_image_free(image);
  return status;
}

static void test_every_failed_allocation_is_out_of_memory(void **state) {
  (void)state;
  NEED_SANDBOX();
  char path[] = "tests/programs/cli/pictures/rgb.png";
  assert_true(fail_each_alloc(read_once, path) >= 5);
}

static rst_status read_here(void *user, rst_error *err) {
  rst_image *image;
  rst_status status = rst_image_read(user, NULL, &image, err);
  rst_image_free(image);
  return status;
}

/* What there is no memory for is not left out. */
static void test_metadata_that_cannot_be_allocated_are_an_error(void **state) {
  (void)state;
  char *const files[] = {"tests/data/images/icc.png", "tests/data/images/tr.png", "tests/data/images/icc.jpg",
                         "tests/data/images/samsung.jpg"};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    assert_true(fail_each_alloc(read_here, files[i]) >= 4);
    if (rst_sandbox_available()) assert_true(fail_each_alloc(read_once, files[i]) >= 6);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_picture_is_the_same),
      cmocka_unit_test(test_broken_files_have_the_same_message),
      cmocka_unit_test(test_limits_and_cancelling_hold),
      cmocka_unit_test(test_every_failed_allocation_is_out_of_memory),
      cmocka_unit_test(test_metadata_that_cannot_be_allocated_are_an_error),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
