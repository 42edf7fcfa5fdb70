/* Reading PNG: every kind of picture, and everything that can be wrong with a file. */
#include <string.h>

#include "support/blob.h"
#include "support/cmocka_all.h"
#include "support/fail_alloc.h"

enum { GREY = 0, RGB = 2, PALETTE = 3, GREY_ALPHA = 4, RGBA = 6 };

static unsigned pattern(unsigned x, unsigned y, unsigned c) {
  return x * 2713 + y * 7919 + c * 12345 + x * y * 31;
}

static const struct {
  int color_type, depth, channels;
} kinds[] = {{GREY, 1, 1}, {GREY, 2, 1},       {GREY, 4, 1},        {GREY, 8, 1}, {GREY, 16, 1}, {RGB, 8, 3},
             {RGB, 16, 3}, {GREY_ALPHA, 8, 2}, {GREY_ALPHA, 16, 2}, {RGBA, 8, 4}, {RGBA, 16, 4}};

/* The stored sample as the picture should have it. */
static unsigned scaled(unsigned stored, int depth) {
  unsigned max = (1u << depth) - 1;
  stored &= max;
  return depth == 16 ? stored : stored * (255 / max);
}

static unsigned sample_of(const rst_image *p, unsigned x, unsigned y, unsigned c) {
  size_t i = (y * p->width + x) * (size_t)p->channels + c;
  return p->sample == RST_SAMPLE_U16 ? ((uint16_t *)p->samples)[i] : ((uint8_t *)p->samples)[i];
}

static void read_ok(const blob *file, rst_image *picture) {
  rst_error err = {.message = ""};
  if (blob_read(file, rst_png_read, picture, &err) != RST_OK) fail_msg("%s", err.message);
}

static void check_kind(size_t kind, uint32_t width, uint32_t height, int interlace) {
  int depth = kinds[kind].depth;
  blob file = blob_png(width, height, depth, kinds[kind].color_type, interlace, pattern, NULL);
  rst_image p;
  read_ok(&file, &p);
  assert_int_equal(p.width, width);
  assert_int_equal(p.height, height);
  assert_int_equal(p.channels, kinds[kind].channels);
  assert_int_equal(p.sample, depth == 16 ? RST_SAMPLE_U16 : RST_SAMPLE_U8);
  for (unsigned y = 0; y < height; y++)
    for (unsigned x = 0; x < width; x++)
      for (unsigned c = 0; c < (unsigned)p.channels; c++)
        assert_int_equal(sample_of(&p, x, y, c), scaled(pattern(x, y, c), depth));
  rst_image_clear(&p);
  blob_free(&file);
}

static void test_every_kind_of_pixels_at_every_small_size(void **state) {
  (void)state;
  for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++)
    for (uint32_t height = 1; height <= 10; height++)
      for (uint32_t width = 1; width <= 10; width++)
        for (int interlace = 0; interlace < 2; interlace++) check_kind(kind, width, height, interlace);
}

static unsigned index_of(unsigned x, unsigned y, unsigned c) {
  return (x + 2 * y + c) % 4;
}

static blob palette_chunks(size_t colors, size_t alphas) {
  static const uint8_t rgb[] = {1, 2, 3, 40, 50, 60, 255, 254, 253, 9, 8, 7}, alpha[] = {0, 128, 255, 77};
  blob chunks = {0};
  blob_png_chunk(&chunks, "PLTE", rgb, 3 * colors);
  if (alphas > 0) blob_png_chunk(&chunks, "tRNS", alpha, alphas);
  return chunks;
}

static void check_palette(int depth, int interlace, size_t alphas) {
  static const unsigned colors[4][4] = {{1, 2, 3, 0}, {40, 50, 60, 128}, {255, 254, 253, 255}, {9, 8, 7, 77}};
  blob chunks = palette_chunks(4, alphas),
       file = blob_png(7, 5, depth, PALETTE, interlace, index_of, &chunks);
  rst_image p;
  read_ok(&file, &p);
  assert_int_equal(p.channels, alphas > 0 ? 4 : 3);
  assert_int_equal(p.sample, RST_SAMPLE_U8);
  for (unsigned y = 0; y < 5; y++)
    for (unsigned x = 0; x < 7; x++)
      for (unsigned c = 0; c < (unsigned)p.channels; c++) {
        unsigned index = index_of(x, y, 0);
        bool opaque = c == 3 && index >= alphas; /* a short tRNS chunk */
        assert_int_equal(sample_of(&p, x, y, c), opaque ? 255 : colors[index][c]);
      }
  rst_image_clear(&p);
  blob_free(&file);
  blob_free(&chunks);
}

static void test_palettes_with_and_without_transparency(void **state) {
  (void)state;
  for (int depth = 2; depth <= 8; depth *= 2)
    for (int interlace = 0; interlace < 2; interlace++)
      for (size_t alphas = 0; alphas <= 4; alphas++) check_palette(depth, interlace, alphas);
}

static void check_transparent_color(int color_type, int depth) {
  unsigned channels = color_type == GREY ? 1 : 3;
  blob chunk = {0}, color = {0};
  unsigned mask = (1u << depth) - 1;
  for (unsigned c = 0; c < channels; c++) blob_be16(&color, pattern(1, 2, c) & mask);
  blob_png_chunk(&chunk, "tRNS", color.data, color.size);
  blob file = blob_png(4, 4, depth, color_type, 0, pattern, &chunk);
  rst_image p;
  read_ok(&file, &p);
  assert_int_equal(p.channels, channels + 1);
  for (unsigned y = 0; y < 4; y++)
    for (unsigned x = 0; x < 4; x++) {
      bool same = true;
      for (unsigned c = 0; c < channels; c++)
        same = same && ((pattern(x, y, c) ^ pattern(1, 2, c)) & mask) == 0;
      assert_int_equal(sample_of(&p, x, y, channels), same ? 0 : depth == 16 ? 65535 : 255);
      assert_int_equal(sample_of(&p, x, y, 0), scaled(pattern(x, y, 0), depth));
    }
  rst_image_clear(&p);
  blob_free(&file);
  blob_free(&chunk);
  blob_free(&color);
}

static void test_transparent_colour_becomes_alpha(void **state) {
  (void)state;
  for (int depth = 1; depth <= 16; depth *= 2) check_transparent_color(GREY, depth);
  check_transparent_color(RGB, 8);
  check_transparent_color(RGB, 16);
}

static void test_pixels_in_several_chunks_and_unknown_chunks_between_others(void **state) {
  (void)state;
  blob raw = {0}, zlib = {0}, file = {0};
  blob_put(&raw, "\0\1\2\3", 4);
  blob_zlib(&zlib, raw.data, raw.size);
  blob_png_header(&file, 3, 1, 8, GREY, 0);
  blob_png_chunk(&file, "teXt", "anything", 8);
  blob_png_chunk(&file, "IDAT", NULL, 0);
  for (size_t i = 0; i < zlib.size; i++) blob_png_chunk(&file, "IDAT", zlib.data + i, 1);
  blob_png_chunk(&file, "tIME", "1234567", 7);
  blob_png_chunk(&file, "IEND", NULL, 0);
  blob_text(&file, "what follows does not matter");
  rst_image p;
  read_ok(&file, &p);
  assert_memory_equal(p.samples, "\1\2\3", 3);
  rst_image_clear(&p);
  blob_free(&file);
  blob_free(&zlib);
  blob_free(&raw);
}

/* ---- What is refused ----------------------------------------------------------------------- */

static void test_every_beginning_of_a_file_is_refused(void **state) {
  (void)state;
  blob file = blob_png(5, 4, 8, RGB, 1, pattern, NULL);
  blob_assert_beginnings_refused(&file, rst_png_read, 8);
  blob_free(&file);
}

static void test_every_damaged_byte_is_noticed(void **state) {
  (void)state;
  blob file = blob_png(5, 4, 8, RGB, 0, pattern, NULL);
  for (size_t i = 8; i < file.size; i++) {
    rst_image p;
    rst_error err;
    file.data[i] ^= 0x04;
    assert_int_equal(blob_read(&file, rst_png_read, &p, &err), RST_ERROR_INPUT);
    file.data[i] ^= 0x04;
  }
  blob_free(&file);
}

static void refused_header(uint32_t width, uint32_t height, int depth, int color_type, int interlace,
                           const char *message) {
  blob file = {0};
  blob_png_header(&file, width, height, depth, color_type, interlace);
  blob_png_chunk(&file, "IEND", NULL, 0);
  blob_assert_refused(&file, rst_png_read, message);
  blob_free(&file);
}

static void test_bad_headers_are_refused(void **state) {
  (void)state;
  refused_header(0, 5, 8, RGB, 0, "PNG: size 0 x 5, expected 1 x 1 or more");
  refused_header(5, 0, 8, RGB, 0, "PNG: size 5 x 0, expected 1 x 1 or more");
  refused_header(
      100000, 100000, 8, GREY, 0,
      "PNG: size 100000 x 100000, expected at most 1073741824 pixels and sides of at most 16777216");
  refused_header(
      0xffffffff, 1, 8, GREY, 0,
      "PNG: size 4294967295 x 1, expected at most 1073741824 pixels and sides of at most 16777216");
  refused_header(1, 1, 4, RGB, 0, "PNG: colour type 2 with 4 bits, which does not exist");
  refused_header(1, 1, 16, PALETTE, 0, "PNG: colour type 3 with 16 bits, which does not exist");
  refused_header(1, 1, 3, GREY, 0, "PNG: colour type 0 with 3 bits, which does not exist");
  refused_header(1, 1, 8, 5, 0, "PNG: colour type 5 with 8 bits, which does not exist");
  refused_header(1, 1, 8, GREY, 2, "PNG: interlace method 2, expected 0 or 1");
  refused_header(1, 1, 8, GREY, 0, "PNG: no IDAT chunk");
}

static void test_unknown_methods_are_refused(void **state) {
  (void)state;
  static const char *const messages[] = {"PNG: compression method 1, expected 0",
                                         "PNG: filter method 1, expected 0"};
  for (size_t i = 0; i < 2; i++) {
    uint8_t ihdr[] = {0, 0, 0, 1, 0, 0, 0, 1, 8, GREY, 0, 0, 0};
    blob file = {0};
    ihdr[10 + i] = 1;
    blob_put(&file, "\x89PNG\r\n\x1a\n", 8);
    blob_png_chunk(&file, "IHDR", ihdr, sizeof ihdr);
    blob_assert_refused(&file, rst_png_read, messages[i]);
    blob_free(&file);
  }
}

/* A file with a header of the colour type (1 x 1, 8 bits) and up to three chunks more. */
static void refused_chunks(int color_type, const char *type1, size_t size1, const char *type2, size_t size2,
                           const char *type3, const char *message) {
  static const uint8_t zeros[1024] = {0};
  blob file = {0};
  blob_png_header(&file, 1, 1, 8, color_type, 0);
  blob_png_chunk(&file, type1, zeros, size1);
  if (type2 != NULL) blob_png_chunk(&file, type2, zeros, size2);
  if (type3 != NULL) blob_png_chunk(&file, type3, zeros, size1);
  blob_assert_refused(&file, rst_png_read, message);
  blob_free(&file);
}

static void test_chunks_out_of_place_are_refused(void **state) {
  (void)state;
  refused_chunks(GREY, "IHDR", 13, NULL, 0, NULL, "PNG: a second IHDR chunk");
  refused_chunks(RGB, "PLTE", 3, "PLTE", 3, NULL, "PNG: a second PLTE chunk");
  refused_chunks(PALETTE, "PLTE", 4, NULL, 0, NULL,
                 "PNG: chunk PLTE has 4 bytes, expected 3 for each of 1 to 256 colours");
  refused_chunks(PALETTE, "PLTE", 0, NULL, 0, NULL,
                 "PNG: chunk PLTE has 0 bytes, expected 3 for each of 1 to 256 colours");
  refused_chunks(PALETTE, "PLTE", 771, NULL, 0, NULL,
                 "PNG: chunk PLTE has 771 bytes, expected 3 for each of 1 to 256 colours");
  refused_chunks(PALETTE, "IDAT", 9, NULL, 0, NULL, "PNG: no PLTE chunk before the pixels");
  refused_chunks(GREY, "XYZA", 3, NULL, 0, NULL, "PNG: unknown critical chunk XYZA");
  refused_chunks(GREY, "A1CD", 8, NULL, 0, NULL, "PNG: byte 37: expected the name of a chunk");
}

static void test_first_chunk_must_be_the_header(void **state) {
  (void)state;
  blob file = {0};
  blob_put(&file, "\x89PNG\r\n\x1a\n", 8);
  blob_png_chunk(&file, "CgBI", "1234", 4);
  blob_assert_refused(&file, rst_png_read, "PNG: the first chunk is CgBI, expected IHDR");
  blob_free(&file);
  blob_put(&file, "\x89PNG\r\n\x1a\n", 8);
  blob_png_chunk(&file, "IHDR", "1234", 4);
  blob_assert_refused(&file, rst_png_read, "PNG: chunk IHDR has 4 bytes, expected 13");
  blob_free(&file);
}

static void test_damaged_and_cut_chunks_are_named(void **state) {
  (void)state;
  blob file = blob_png(1, 1, 8, GREY, 0, pattern, NULL);
  file.data[8 + 8] ^= 1;
  blob_assert_refused(&file, rst_png_read, "PNG: chunk IHDR is damaged (its CRC is wrong)");
  file.data[8 + 8] ^= 1;
  file.size -= 12;
  blob_assert_refused(&file, rst_png_read, "PNG: ends at byte 58 without an IEND chunk (cut off?)");
  file.size -= 5;
  blob_assert_refused(&file, rst_png_read,
                      "PNG: chunk IDAT has 13 bytes, but the file ends after 12 (cut off?)");
  blob_free(&file);
}

/* A 2 x 2 grey file whose pixels are `raw`, which may be too few or too many. */
static void refused_pixels(const char *raw, size_t size, const char *message) {
  blob zlib = {0}, file = {0};
  blob_zlib(&zlib, (const uint8_t *)raw, size);
  blob_png_header(&file, 2, 2, 8, GREY, 0);
  blob_png_chunk(&file, "IDAT", zlib.data, zlib.size);
  blob_png_chunk(&file, "IEND", NULL, 0);
  blob_assert_refused(&file, rst_png_read, message);
  blob_free(&file);
  blob_free(&zlib);
}

static void test_wrong_pixel_data_is_refused(void **state) {
  (void)state;
  refused_pixels("\0aa\0b", 5, "PNG: the compressed pixels are damaged (they end too early)");
  refused_pixels("\0aa\5bb", 6, "PNG: row 1: filter 5, expected 0 to 4");
  blob file = {0};
  blob_png_header(&file, 2, 2, 8, GREY, 0);
  blob_png_chunk(&file, "IDAT", "\x78\x01\x07zzzzzzzz", 11);
  blob_png_chunk(&file, "IEND", NULL, 0);
  blob_assert_refused(&file, rst_png_read, "PNG: the compressed pixels are damaged (invalid block type)");
  blob_free(&file);
}

/* The checksum of the compressed pixels (Adler-32) is another one than that of their chunk. */
static void test_pixels_with_a_wrong_checksum_are_refused(void **state) {
  (void)state;
  blob pixels = {0}, file = {0};
  blob_zlib(&pixels, (const uint8_t *)"\0aa\0bb", 6);
  pixels.data[pixels.size - 1] ^= 1;
  blob_png_header(&file, 2, 2, 8, GREY, 0);
  blob_png_chunk(&file, "IDAT", pixels.data, pixels.size);
  blob_png_chunk(&file, "IEND", NULL, 0);
  blob_assert_refused(&file, rst_png_read, "PNG: the compressed pixels are damaged (incorrect data check)");
  blob_free(&file);
  blob_free(&pixels);
}

static void test_palette_index_beyond_the_palette_is_refused(void **state) {
  (void)state;
  blob chunks = palette_chunks(3, 0), file = blob_png(7, 5, 8, PALETTE, 0, index_of, &chunks);
  blob_assert_refused(&file, rst_png_read, "PNG: row 0: palette index 3, expected less than 3");
  blob_free(&file);
  blob_free(&chunks);
}

static void test_small_file_of_a_huge_picture_takes_no_memory(void **state) {
  (void)state;
  blob file = {0};
  blob_png_header(&file, 16384, 16384, 8, GREY, 0);
  blob_png_chunk(&file, "IDAT", "\x78\x01\x03\0\0\0\0\1", 8);
  blob_png_chunk(&file, "IEND", NULL, 0);
  blob_assert_refused(&file, rst_png_read, "PNG: 8 bytes of compressed pixels are too few for 16384 x 16384");
  blob_free(&file);
  blob_png_header(&file, 16384, 16384, 16, RGBA, 0);
  blob_png_chunk(&file, "IDAT", "\x78\x01\x03\0\0\0\0\1", 8);
  blob_png_chunk(&file, "IEND", NULL, 0);
  blob_assert_refused(&file, rst_png_read, "PNG: 8 bytes of compressed pixels are too few for 16384 x 16384");
  blob_free(&file);
}

/* ---- Out of memory ------------------------------------------------------------------------- */

static rst_status read_once(void *file, rst_error *err) {
  rst_image p;
  rst_status status = blob_read(file, rst_png_read, &p, err);
  if (status == RST_OK) rst_image_clear(&p);
  return status;
}

static void test_every_failed_allocation_is_out_of_memory(void **state) {
  (void)state;
  blob file = blob_png(5, 4, 8, RGB, 0, pattern, NULL);
  assert_int_equal(fail_each_alloc(read_once, &file), 5);
  blob_free(&file);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_kind_of_pixels_at_every_small_size),
      cmocka_unit_test(test_palettes_with_and_without_transparency),
      cmocka_unit_test(test_transparent_colour_becomes_alpha),
      cmocka_unit_test(test_pixels_in_several_chunks_and_unknown_chunks_between_others),
      cmocka_unit_test(test_every_beginning_of_a_file_is_refused),
      cmocka_unit_test(test_every_damaged_byte_is_noticed),
      cmocka_unit_test(test_bad_headers_are_refused),
      cmocka_unit_test(test_unknown_methods_are_refused),
      cmocka_unit_test(test_chunks_out_of_place_are_refused),
      cmocka_unit_test(test_first_chunk_must_be_the_header),
      cmocka_unit_test(test_damaged_and_cut_chunks_are_named),
      cmocka_unit_test(test_wrong_pixel_data_is_refused),
      cmocka_unit_test(test_pixels_with_a_wrong_checksum_are_refused),
      cmocka_unit_test(test_palette_index_beyond_the_palette_is_refused),
      cmocka_unit_test(test_small_file_of_a_huge_picture_takes_no_memory),
      cmocka_unit_test(test_every_failed_allocation_is_out_of_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
