/* PngSuite (Willem van Schaik's test pictures), where it is installed or $PNGSUITE is its folder: every sound
 * file has the pixels that ImageMagick finds in it, and every corrupt one is refused with a reason. */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/cmocka_all.h"
#include "support/fixture.h"

static const char DEBIAN[] =
    "/usr/share/doc/libsixel-examples/examples/images/pngsuite"; /* package libsixel-examples */
enum { SOUND = 160, CORRUPT = 14, RGBA = 4 };

static glob_t files;

static int find_files(void **state) {
  const char *folder = getenv("PNGSUITE");
  char pattern[512];
  (void)state;
  snprintf(pattern, sizeof pattern, "%s/*/*.png", folder != NULL ? folder : DEBIAN);
  glob(pattern, 0, NULL, &files);
  snprintf(pattern, sizeof pattern, "%s/[a-z]*.png", folder != NULL ? folder : DEBIAN);
  glob(pattern, GLOB_APPEND, NULL, &files);
  return 0;
}

static int forget_files(void **state) {
  (void)state;
  globfree(&files);
  return 0;
}

static const char *name_of(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash != NULL ? slash + 1 : path;
}

/* Sample c of RGBA, of 16 bits, of a pixel. */
static unsigned sample_of(const rst_image *image, size_t pixel, int c) {
  const int channels = rst_image_channels(image);
  const bool alpha = channels % 2 == 0, grey = channels < 3;
  if (c == RGBA - 1 && !alpha) return 65535;
  const size_t at = pixel * (size_t)channels + (size_t)(c == RGBA - 1 ? channels - 1 : grey ? 0 : c);
  const void *samples = rst_image_samples(image);
  return rst_image_sample(image) == RST_SAMPLE_U8 ? ((const uint8_t *)samples)[at] * 257u
                                                  : ((const uint16_t *)samples)[at];
}

/* What ImageMagick makes of the file: little-endian RGBA of 16 bits, as they stand there (it would convert
 * linear grey); NULL: not so many pixels. */
static uint8_t *convert(const char *path, size_t bytes) {
  char command[1024];
  snprintf(command, sizeof command, "convert '%s' -set colorspace sRGB -depth 16 -endian LSB rgba:- 2>&1",
           path);
  FILE *pipe = popen(command, "r");
  uint8_t *pixels = fixture_alloc(bytes + 1, 1);
  assert_non_null(pipe);
  const size_t got = fread(pixels, 1, bytes + 1, pipe);
  const bool good = pclose(pipe) == 0 && got == bytes;
  if (!good) free(pixels);
  return good ? pixels : NULL;
}

static void compare(const char *path) {
  rst_image *image;
  rst_error err = {.message = ""};
  if (rst_image_read(path, NULL, &image, &err) != RST_OK) fail_msg("%s", err.message);
  const size_t pixels = rst_image_width(image) * rst_image_height(image);
  uint8_t *expected = convert(path, pixels * RGBA * 2);
  if (expected == NULL) fail_msg("%s: convert gives another number of pixels than %zu", path, pixels);
  for (size_t i = 0; i < pixels * RGBA; i++) {
    const unsigned other = expected[2 * i] | (unsigned)expected[2 * i + 1] << 8;
    if (sample_of(image, i / RGBA, (int)(i % RGBA)) != other)
      fail_msg("%s: pixel %zu, sample %zu: %u, expected %u", path, i / RGBA, i % RGBA,
               sample_of(image, i / RGBA, (int)(i % RGBA)), other);
  }
  free(expected);
  rst_image_free(image);
}

static void sound_files_have_the_pixels_that_imagemagick_finds(void **state) {
  size_t count = 0;
  (void)state;
  if (files.gl_pathc == 0 || system("command -v convert >/dev/null") != 0) skip();
  for (size_t i = 0; i < files.gl_pathc; i++) {
    if (name_of(files.gl_pathv[i])[0] == 'x') continue;
    compare(files.gl_pathv[i]);
    count++;
  }
  assert_true(count >= SOUND);
}

static void corrupt_files_are_refused_with_a_reason(void **state) {
  size_t count = 0;
  (void)state;
  if (files.gl_pathc == 0) skip();
  for (size_t i = 0; i < files.gl_pathc; i++) {
    const char *path = files.gl_pathv[i];
    rst_error err = {.message = ""};
    rst_image *image;
    if (name_of(path)[0] != 'x') continue;
    if (rst_image_read(path, NULL, &image, &err) != RST_ERROR_INPUT) fail_msg("%s: is not refused", path);
    assert_true(strlen(err.message) > strlen(path) + strlen(": "));
    count++;
  }
  assert_true(count >= CORRUPT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sound_files_have_the_pixels_that_imagemagick_finds),
      cmocka_unit_test(corrupt_files_are_refused_with_a_reason),
  };
  return cmocka_run_group_tests_name("PngSuite", tests, find_files, forget_files);
}
