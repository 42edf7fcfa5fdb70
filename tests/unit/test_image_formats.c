/* TIFF, WebP, HEIC and AVIF: what we write comes back, and files of libtiff, cwebp, ImageMagick and heif-enc.
 */
#include <math.h>
#include <string.h>
#ifdef __linux__
#include <malloc.h>
#endif

#include <zlib.h>

#include "support/blob.h"
#include "support/cmocka_all.h"
#include "support/fail_alloc.h"
#include "support/pictures.h"
#include "support/scratch.h"

static void need(const char *format) {
  if (!rst_image_format_named(format)->reads) skip();
}

static rst_image read_file(const char *name) {
  char path[64];
  rst_image p;
  rst_error err = {.message = ""};
  snprintf(path, sizeof path, "tests/data/images/%s", name);
  if (picture_read(path, &p, &err) != RST_OK) fail_msg("%s", err.message);
  return p;
}

/* Encoded in the format and decoded again. */
static rst_image through(const rst_image *image, const char *format, int depth, int quality) {
  void *data;
  size_t size;
  rst_image *back;
  rst_error err = {.message = ""};
  rst_image_write_options how;
  rst_image_write_options_init(&how);
  how.format = format;
  how.depth = depth;
  how.quality = quality;
  if (rst_image_encode(image, &how, &data, &size, &err) != RST_OK) fail_msg("%s", err.message);
  if (rst_image_decode("f", data, size, NULL, &back, &err) != RST_OK) fail_msg("%s", err.message);
  rst_free(data);
  return picture_take(back);
}

static double psnr(const rst_image *a, const rst_image *b) {
  rst_difference d;
  rst_error err;
  if (rst_image_compare(a, b, &d, &err) != RST_OK) fail_msg("%s", err.message);
  return d.psnr;
}

/* ---- TIFF ---------------------------------------------------------------------------------- */

static void test_tiff_comes_back_exactly(void **state) {
  (void)state;
  need("tiff");
  static const int depths[] = {8, 16, 32};
  for (int channels = 1; channels <= 4; channels++)
    for (int sample = RST_SAMPLE_U8; sample <= RST_SAMPLE_F32; sample++) {
      rst_image p = picture_random(33, 20, channels, (rst_sample)sample, 5);
      if (sample == RST_SAMPLE_F32) ((float *)p.samples)[0] = -3.25f;
      rst_image back = through(&p, "tiff", depths[sample], 0);
      picture_assert_equal(&p, &back);
      rst_image_clear(&back);
      rst_image_clear(&p);
    }
}

static void test_tiff_of_floats_has_16_bits_unless_asked(void **state) {
  (void)state;
  need("tiff");
  rst_image p = picture_smooth(9, 8, 3, RST_SAMPLE_F32), back = through(&p, "tiff", 0, 0);
  assert_int_equal(back.sample, RST_SAMPLE_U16);
  assert_true(psnr(&p, &back) > 100);
  rst_image_clear(&back);
  rst_image_clear(&p);
}

/* Adler-32 of the pixels that ImageMagick sees. */
static void test_tiff_of_other_programs(void **state) {
  (void)state;
  need("tiff");
  static const struct {
    const char *name;
    int channels;
    rst_sample sample;
    uint32_t checksum;
  } files[] = {{"t_white.tif", 1, RST_SAMPLE_U8, 0xafd540a7},
               {"t_planes16.tif", 3, RST_SAMPLE_U16, 0xac8c9a90}};
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    rst_image p = read_file(files[i].name);
    assert_int_equal(p.channels, files[i].channels);
    assert_int_equal(p.sample, files[i].sample);
    uint32_t sum = (uint32_t)adler32_z(1, p.samples,
                                       p.width * p.height * (size_t)p.channels * rst_sample_size(p.sample));
    if (sum != files[i].checksum) fail_msg("%s: %08x", files[i].name, sum);
    rst_image_clear(&p);
  }
}

static void test_tiff_of_unusual_kinds_is_close(void **state) {
  (void)state;
  need("tiff");
  static const struct {
    const char *name;
    int channels;
    double least;
  } files[] = {{"t_palette.tif", 3, 20}, {"t_tiles.tif", 3, 50}, {"t_float.tif", 3, 45},
               {"t_cmyk.tif", 3, 30},    {"t_assoc.tif", 4, 40}, {"t_bits.tif", 1, 0}};
  rst_image plain = read_file("t_planes16.tif");
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    rst_image p = read_file(files[i].name);
    assert_int_equal(p.channels, files[i].channels);
    assert_int_equal(p.width, 24);
    double sum = 0;
    for (size_t k = 0; k < 480; k++)
      for (size_t c = 0; c < 3; c++)
        sum += pow(rst_image_value(&plain, 3 * k + c) -
                       rst_image_value(&p, (size_t)p.channels * k + (p.channels < 3 ? 0 : c)),
                   2);
    if (-10 * log10(sum / 1440) < files[i].least)
      fail_msg("%s: %g dB", files[i].name, -10 * log10(sum / 1440));
    if (p.channels == 4) assert_in_range(((uint8_t *)p.samples)[3], 127, 128);
    rst_image_clear(&p);
  }
  rst_image_clear(&plain);
}

static size_t directory_of(const blob *b) {
  return rst_le32(b->data + 4);
}

static size_t entry_of(const blob *b, uint32_t tag) {
  const size_t begin = directory_of(b), count = rst_le16(b->data + begin);
  for (size_t i = 0; i < count; i++)
    if (rst_le16(b->data + begin + 2 + 12 * i) == tag) return begin + 2 + 12 * i;
  fail_msg("no tag %u", tag);
  return 0;
}

static void count(void *user, const char *message) {
  ++*(int *)user;
  assert_non_null(strstr(message, "more than one picture"));
}

/* A second directory that has no entries, which libtiff takes for a lack of memory. */
static void test_tiff_with_damage_behind_its_picture_is_read(void **state) {
  (void)state;
  need("tiff");
  blob b = blob_of_file("tests/data/images/t_white.tif");
  const size_t next = directory_of(&b) + 2 + 12 * rst_le16(b.data + directory_of(&b)), size = b.size;
  blob_put(&b, "\0\0\0\0\0\0", 6);
  rst_put_le32(b.data + next, (uint32_t)size);
  int warnings = 0;
  rst_image *image;
  rst_error err = {.message = ""};
  rst_image_read_options options;
  rst_image_read_options_init(&options);
  options.warning = count, options.user = &warnings;
  if (rst_image_decode("f", b.data, b.size, &options, &image, &err) != RST_OK) fail_msg("%s", err.message);
  assert_int_equal(warnings, 1);
  rst_image_free(image);
  blob_free(&b);
}

/* Memory that a damaged file has no use for is not missing: the file is damaged. */
static void test_tiff_that_asks_for_too_much_is_damaged(void **state) {
  (void)state;
  need("tiff");
  enum { TILE_WIDTH = 322, TILE_LENGTH = 323, LONG = 4, SIDE = 1 << 16 };
  blob b = blob_of_file("tests/data/images/t_tiles.tif");
  for (uint32_t tag = TILE_WIDTH; tag <= TILE_LENGTH; tag++) {
    uint8_t *entry = b.data + entry_of(&b, tag);
    rst_put_le16(entry + 2, LONG);
    rst_put_le32(entry + 8, SIDE);
  }
  rst_image *image;
  rst_error err = {.message = ""};
  assert_int_equal(rst_image_decode("f", b.data, b.size, NULL, &image, &err), RST_ERROR_INPUT);
  assert_non_null(strstr(err.message, "f: TIFF: cannot be decoded ("));
  /* And a first directory without entries. */
  rst_put_le32(b.data + 4, (uint32_t)b.size);
  blob_put(&b, "\0\0\0\0\0\0", 6);
  assert_int_equal(rst_image_decode("f", b.data, b.size, NULL, &image, &err), RST_ERROR_INPUT);
  blob_free(&b);
}

/* ---- WebP ---------------------------------------------------------------------------------- */

static void test_webp_without_loss_comes_back_exactly(void **state) {
  (void)state;
  need("webp");
  for (int channels = 3; channels <= 4; channels++) {
    rst_image p = picture_random(33, 20, channels, RST_SAMPLE_U8, 5), back = through(&p, "webp", 0, 100);
    picture_assert_equal(&p, &back);
    rst_image_clear(&back);
    rst_image_clear(&p);
  }
}

static void test_webp_with_loss_is_close(void **state) {
  (void)state;
  need("webp");
  rst_image p = picture_smooth(64, 48, 3, RST_SAMPLE_U8), good = through(&p, "webp", 0, 0),
            poor = through(&p, "webp", 0, 10), grey = picture_smooth(9, 9, 2, RST_SAMPLE_U16),
            colored = through(&grey, "webp", 0, 100);
  assert_true(psnr(&p, &good) > 38);
  assert_true(psnr(&p, &poor) < psnr(&p, &good) - 3);
  assert_int_equal(colored.channels, 4); /* WebP has no grey */
  assert_int_equal(((uint8_t *)colored.samples)[3], rst_u8_of_u16(((uint16_t *)grey.samples)[1]));
  rst_image_clear(&colored);
  rst_image_clear(&grey);
  rst_image_clear(&poor);
  rst_image_clear(&good);
  rst_image_clear(&p);
}

static void test_webp_of_cwebp(void **state) {
  (void)state;
  need("webp");
  rst_image p = read_file("w_lossless.webp"), lossy = read_file("w_lossy.webp");
  assert_int_equal(adler32_z(1, p.samples, 24 * 20 * 3), 0x03f8e39f);
  assert_true(psnr(&p, &lossy) > 20);
  rst_image_clear(&lossy);
  rst_image_clear(&p);
}

/* ---- HEIC and AVIF ------------------------------------------------------------------------- */

static void test_heic_and_avif_are_read(void **state) {
  (void)state;
  need("heif");
  need("webp");
  static const char *const names[] = {"h.heic", "h.avif"};
  rst_image original = read_file("w_lossless.webp");
  for (size_t i = 0; i < 2; i++) {
    rst_image p = read_file(names[i]);
    assert_int_equal(p.width, 24);
    assert_int_equal(p.height, 20);
    if (psnr(&original, &p) < 20) fail_msg("%s: %g dB", names[i], psnr(&original, &p));
    rst_image_clear(&p);
  }
  rst_image_clear(&original);
}

/* Bytes that malloc has given and not taken back; 0 where that is not known. */
static size_t bytes_in_use(void) {
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
  return mallinfo2().uordblks;
#else
  return 0;
#endif
}

/* Primary colours that no table knows: the picture is read, without them, and what libheif has made for them
 * is freed. */
static void test_avif_of_unknown_colours(void **state) {
  (void)state;
  need("heif");
  enum {
    BEFORE = 20,
    TIMES = 600,
    LEAK = 64 /* of a picture; its threads may end later, with some kB in all */
  };
  blob b = blob_of_file("tests/data/images/h.avif");
  size_t at = 0, first = 0;
  while (at + 8 < b.size && memcmp(b.data + at, "colrnclx", 8) != 0) at++;
  assert_true(at + 10 < b.size);
  b.data[at + 9] = 99;
  for (int i = 0; i < TIMES; i++) {
    rst_image *image;
    rst_error err = {.message = ""};
    if (rst_image_decode("f", b.data, b.size, NULL, &image, &err) != RST_OK) fail_msg("%s", err.message);
    assert_int_equal(rst_image_metadata_kinds(image) & 1u << RST_METADATA_CICP, 0);
    rst_image_free(image);
    if (i == BEFORE) first = bytes_in_use();
  }
  if (bytes_in_use() > first + LEAK / 2 * (TIMES - BEFORE))
    fail_msg("%zu bytes more", bytes_in_use() - first);
  blob_free(&b);
}

/* One made of tiles, of the sizes at which what is refused begins, and behind them. */
static void test_heic_of_tiles_has_any_size(void **state) {
  (void)state;
  need("heif");
  static const uint8_t sizes[][4] = {{4, 0, 4, 0}, {4, 76, 3, 132}, {0, 24, 4, 1}};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    blob b = blob_of_file("tests/data/images/h.heic");
    size_t at = 0;
    while (at + 12 < b.size && memcmp(b.data + at, "idat\0\0\0\0", 8) != 0) at++;
    memcpy(b.data + at + 8, sizes[i], 4);
    while (at + 16 < b.size && memcmp(b.data + at, "ispe\0\0\0\0\0\0\0\x18", 12) != 0) at++;
    assert_true(at + 16 < b.size);
    memcpy(b.data + at + 10, sizes[i], 2);
    memcpy(b.data + at + 14, sizes[i] + 2, 2);
    rst_image *image;
    rst_error err = {.message = ""};
    if (rst_image_decode("f", b.data, b.size, NULL, &image, &err) != RST_OK) fail_msg("%s", err.message);
    assert_int_equal(rst_image_width(image), rst_be16(sizes[i]));
    assert_int_equal(rst_image_height(image), rst_be16(sizes[i] + 2));
    rst_image_free(image);
    blob_free(&b);
  }
}

static void grow_box(blob *b, const char *type, size_t more) {
  size_t at = 0;
  while (at + 4 < b->size && memcmp(b->data + at, type, 4) != 0) at++;
  rst_put_be32(b->data + at - 4, rst_be32(b->data + at - 4) + (uint32_t)more);
}

/* One of 15 x 12 tiles, in a helper that has no memory for many threads: libde265 would wait for them. */
static void test_heic_of_many_tiles_takes_few_threads(void **state) {
  (void)state;
  need("heif");
  enum { ROWS = 15, COLUMNS = 12, TILES = ROWS * COLUMNS, MORE = 2 * (TILES - 1), END = 457, PLACE = 125 };
  blob b = blob_of_file("tests/data/images/h.heic"), tiles = {0};
  static const char *const boxes[] = {"meta", "iref", "dimg"};
  for (size_t i = 0; i < 3; i++) grow_box(&b, boxes[i], MORE);
  b.data[END - 3] = TILES;
  rst_put_be32(b.data + PLACE, rst_be32(b.data + PLACE) + MORE);
  memcpy(b.data + 95, "\0\0\xe\xb\3\0\3\xc0", 8); /* the grid: rows and columns less 1, 768 x 960 */
  blob_put(&tiles, b.data, END);
  for (int i = 1; i < TILES; i++) blob_put(&tiles, "\0\1", 2);
  blob_put(&tiles, b.data + END, b.size - END);
  rst_image *image;
  rst_error err = {.message = ""};
  rst_image_read_options options;
  rst_image_read_options_init(&options);
  options.sandbox = true, options.max_memory = 1 << 20;
  assert_int_equal(rst_image_decode("f", tiles.data, tiles.size, &options, &image, &err), RST_ERROR_MEMORY);
  assert_string_equal(err.message, "f: takes 2.2 MB to read, more than the limit of 1.0 MB");
  blob_free(&tiles);
  blob_free(&b);
}

/* A picture made of tiles that tells two sizes: 24 x 20 as all pictures do, and 12,544 x 8,960 where the
 * tiles are, which took 8 GB. */
static void test_heic_of_two_sizes_is_refused(void **state) {
  (void)state;
  need("heif");
  blob b = blob_of_file("tests/data/images/h.heic");
  size_t at = 0;
  while (at + 12 < b.size && memcmp(b.data + at, "idat\0\0\0\0", 8) != 0) at++;
  assert_true(at + 12 < b.size);
  memcpy(b.data + at + 8, "\x31\0\x23\0", 4);
  rst_image *image;
  rst_error err = {.message = ""};
  assert_int_equal(rst_image_decode("f", b.data, b.size, NULL, &image, &err), RST_ERROR_INPUT);
  assert_non_null(strstr(err.message, "f: HEIF: cannot be decoded ("));
  blob_free(&b);
}

/* ---- All ----------------------------------------------------------------------------------- */

static void test_metadata_survive_where_they_can(void **state) {
  (void)state;
  static const char *const formats[] = {"tiff", "webp"};
  static const char exif[] = "II*\0\x8\0\0\0\0\0\0\0\0";
  for (size_t i = 0; i < 2; i++) {
    if (!rst_image_format_named(formats[i])->reads) continue;
    size_t size;
    rst_image p = picture_smooth(9, 8, 3, RST_SAMPLE_U8);
    uint8_t profile[5000] = {[36] = 'a', 'c', 's', 'p'};
    profile[3] = 0x88, profile[2] = 0x13; /* its own size */
    assert_int_equal(rst_image_set_metadata(&p, RST_METADATA_ICC, profile, sizeof profile, NULL), RST_OK);
    assert_int_equal(rst_image_set_metadata(&p, RST_METADATA_EXIF, exif, sizeof exif, NULL), RST_OK);
    assert_int_equal(rst_image_set_metadata(&p, RST_METADATA_XMP, "<x/>", 4, NULL), RST_OK);
    assert_int_equal(rst_image_set_metadata(&p, RST_METADATA_PHYS, "\0\0\x2e\x23\0\0\x5c\x46\1", 9, NULL),
                     RST_OK);
    rst_image back = through(&p, formats[i], 0, 0);
    const void *icc = rst_image_metadata(&back, RST_METADATA_ICC, &size);
    assert_int_equal(size, sizeof profile);
    assert_memory_equal(icc, profile, size);
    assert_memory_equal(rst_image_metadata(&back, RST_METADATA_XMP, &size), "<x/>", 4);
    const unsigned kinds = rst_image_metadata_kinds(&back);
    assert_int_equal(kinds & ~rst_image_format_named(formats[i])->metadata, 0);
    assert_int_equal(kinds, rst_image_metadata_kinds(&p) & rst_image_format_named(formats[i])->metadata);
    rst_image_clear(&back);
    rst_image_clear(&p);
  }
}

static void test_beginnings_and_damage_are_errors_or_whole_pictures(void **state) {
  (void)state;
  static const struct {
    const char *name, *format;
  } files[] = {
      {"t_white.tif", "tiff"}, {"t_tiles.tif", "tiff"}, {"w_lossy.webp", "webp"}, {"h.avif", "heif"}};
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    char path[64];
    if (!rst_image_format_named(files[i].format)->reads) continue;
    snprintf(path, sizeof path, "tests/data/images/%s", files[i].name);
    blob b = blob_of_file(path);
    for (size_t k = 0; k < 2 * b.size; k += 1 + b.size / 128) {
      rst_image *image;
      rst_error err = {.message = ""};
      const size_t at = k % b.size, size = k < b.size ? k : b.size;
      if (k >= b.size) b.data[at] ^= 0x41;
      rst_status status = rst_image_decode("f", b.data, size, NULL, &image, &err);
      if (k >= b.size) b.data[at] ^= 0x41;
      assert_int_equal(image == NULL, status != RST_OK);
      if (status != RST_OK) assert_true(strlen(err.message) > 3);
      rst_image_free(image);
    }
    blob_free(&b);
  }
}

/* libheif 1.15 loses a message where a file is damaged, which LeakSanitizer would tell. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(
    void); /* libasan looks for it */
const char *__lsan_default_suppressions(void) {
  return "leak:libheif.so";
}

int main(void) {
  const struct CMUnitTest tests[] = {
      /* First: stacks of threads that earlier ones have left would be used again. */
      cmocka_unit_test(test_heic_of_many_tiles_takes_few_threads),
      cmocka_unit_test(test_tiff_comes_back_exactly),
      cmocka_unit_test(test_tiff_of_floats_has_16_bits_unless_asked),
      cmocka_unit_test(test_tiff_of_other_programs),
      cmocka_unit_test(test_tiff_of_unusual_kinds_is_close),
      cmocka_unit_test(test_tiff_with_damage_behind_its_picture_is_read),
      cmocka_unit_test(test_tiff_that_asks_for_too_much_is_damaged),
      cmocka_unit_test(test_webp_without_loss_comes_back_exactly),
      cmocka_unit_test(test_webp_with_loss_is_close),
      cmocka_unit_test(test_webp_of_cwebp),
      cmocka_unit_test(test_heic_and_avif_are_read),
      cmocka_unit_test(test_avif_of_unknown_colours),
      cmocka_unit_test(test_heic_of_tiles_has_any_size),
      cmocka_unit_test(test_heic_of_two_sizes_is_refused),
      cmocka_unit_test(test_metadata_survive_where_they_can),
      cmocka_unit_test(test_beginnings_and_damage_are_errors_or_whole_pictures),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
