#include "support/blob.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/cmocka_all.h"

void blob_put(blob *b, const void *data, size_t size) {
  if (b->capacity - b->size < size) {
    b->capacity = 2 * b->capacity + size;
    b->data = realloc(b->data, b->capacity);
    assert_non_null(b->data);
  }
  if (size > 0) memcpy(b->data + b->size, data, size);
  b->size += size;
}

void blob_text(blob *b, const char *text) {
  blob_put(b, text, strlen(text));
}

void blob_u8(blob *b, unsigned v) {
  blob_put(b, &(uint8_t){(uint8_t)v}, 1);
}

void blob_le16(blob *b, unsigned v) {
  blob_u8(b, v & 255);
  blob_u8(b, v >> 8 & 255);
}

void blob_le32(blob *b, uint32_t v) {
  blob_le16(b, v & 65535);
  blob_le16(b, v >> 16);
}

void blob_be16(blob *b, unsigned v) {
  blob_u8(b, v >> 8 & 255);
  blob_u8(b, v & 255);
}

void blob_be32(blob *b, uint32_t v) {
  blob_be16(b, v >> 16);
  blob_be16(b, v & 65535);
}

void blob_free(blob *b) {
  free(b->data);
  *b = (blob){0};
}

blob blob_of_file(const char *path) {
  blob b = {0};
  uint8_t block[4096];
  FILE *f = fopen(path, "rb");
  if (f == NULL) fail_msg("%s cannot be opened", path);
  for (size_t n; (n = fread(block, 1, sizeof block, f)) > 0;) blob_put(&b, block, n);
  fclose(f);
  return b;
}

/* ---- Reading ------------------------------------------------------------------------------- */

static rst_status read_copy(const uint8_t *data, size_t size, blob_reader reader, rst_image *picture,
                            rst_error *err) {
  uint8_t *copy = malloc(size == 0 ? 1 : size);
  assert_non_null(copy);
  if (size > 0) memcpy(copy, data, size);
  rst_source source = {.path = "file", .data = copy, .size = size, .err = err};
  *picture = (rst_image){0};
  rst_status status = reader(&source, picture);
  if (status != RST_OK) rst_image_clear(picture);
  free(copy);
  return status;
}

rst_status blob_read(const blob *b, blob_reader reader, rst_image *picture, rst_error *err) {
  return read_copy(b->data, b->size, reader, picture, err);
}

static void assert_input_error(rst_status status, const rst_image *picture, const rst_error *err) {
  assert_int_equal(status, RST_ERROR_INPUT);
  assert_null(picture->samples);
  assert_int_equal(picture->width, 0);
  assert_memory_equal(err->message, "file: ", 6);
}

void blob_assert_refused(const blob *b, blob_reader reader, const char *message) {
  rst_image picture;
  rst_error err = {.message = ""};
  rst_status status = blob_read(b, reader, &picture, &err);
  assert_string_equal(err.message + (strlen(err.message) < 6 ? 0 : 6), message);
  assert_input_error(status, &picture, &err);
}

void blob_assert_beginnings_refused(const blob *b, blob_reader reader, size_t from) {
  for (size_t size = from; size < b->size; size++) {
    rst_image picture;
    rst_error err = {.message = ""};
    rst_status status = read_copy(b->data, size, reader, &picture, &err);
    if (status == RST_OK) fail_msg("%zu of %zu bytes were enough", size, b->size);
    assert_input_error(status, &picture, &err);
  }
}

void blob_damage(const blob *b, blob_reader reader) {
  static const uint8_t masks[] = {0x01, 0x10, 0x80, 0xff};
  for (size_t i = 0; i < b->size; i++)
    for (size_t m = 0; m < sizeof masks; m++) {
      rst_image picture;
      rst_error err = {.message = ""};
      b->data[i] ^= masks[m];
      rst_status status = blob_read(b, reader, &picture, &err);
      b->data[i] ^= masks[m];
      if (status == RST_OK) {
        assert_non_null(picture.samples);
        rst_image_clear(&picture);
      } else if (status != RST_ERROR_MEMORY) {
        assert_input_error(status, &picture, &err);
      }
    }
}

/* ---- PNG ----------------------------------------------------------------------------------- */

static uint32_t crc_of(const uint8_t *data, size_t size) {
  uint32_t crc = 0xffffffff;
  for (size_t i = 0; i < size; i++) {
    crc ^= data[i];
    for (int k = 0; k < 8; k++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc;
}

void blob_png_chunk(blob *b, const char *type, const void *data, size_t size) {
  blob_be32(b, (uint32_t)size);
  size_t begin = b->size;
  blob_put(b, type, 4);
  blob_put(b, data, size);
  blob_be32(b, crc_of(b->data + begin, size + 4));
}

void blob_png_header(blob *b, uint32_t width, uint32_t height, int depth, int color_type, int interlace) {
  blob ihdr = {0};
  blob_be32(&ihdr, width);
  blob_be32(&ihdr, height);
  blob_put(&ihdr, (uint8_t[]){(uint8_t)depth, (uint8_t)color_type, 0, 0, (uint8_t)interlace}, 5);
  blob_put(b, "\x89PNG\r\n\x1a\n", 8);
  blob_png_chunk(b, "IHDR", ihdr.data, ihdr.size);
  blob_free(&ihdr);
}

void blob_zlib(blob *b, const uint8_t *data, size_t size) {
  uint32_t s1 = 1, s2 = 0;
  blob_put(b, "\x78\x01", 2);
  for (size_t done = 0; done < size;) {
    size_t n = size - done < 65535 ? size - done : 65535;
    blob_u8(b, done + n == size);
    blob_le16(b, (unsigned)n);
    blob_le16(b, ~(unsigned)n & 65535);
    blob_put(b, data + done, n);
    done += n;
  }
  for (size_t i = 0; i < size; i++) {
    s1 = (s1 + data[i]) % 65521;
    s2 = (s2 + s1) % 65521;
  }
  blob_be32(b, s2 << 16 | s1);
}

static unsigned predict_paeth(int a, int b, int c) {
  int p = a + b - c, pa = abs(p - a), pb = abs(p - b), pc = abs(p - c);
  if (pa <= pb && pa <= pc) return (unsigned)a;
  return (unsigned)(pb <= pc ? b : c);
}

/* One pass of pixels (x0 + i dx, y0 + j dy), filtered. */
static void put_pass(blob *raw, uint32_t width, uint32_t height, int depth, int channels, blob_sample sample,
                     const uint32_t p[4]) {
  size_t columns = width > p[0] ? (width - p[0] + p[2] - 1) / p[2] : 0;
  size_t n = (columns * (size_t)(channels * depth) + 7) / 8, step = (size_t)(channels * depth + 7) / 8;
  uint8_t *row = calloc(2, n + 1), *above = row + n;
  assert_non_null(row);
  for (uint32_t y = p[1], i = 0; columns > 0 && y < height; y += p[3], i++) {
    memset(row, 0, n);
    size_t bit = 0;
    for (uint32_t x = p[0]; x < width; x += p[2])
      for (int c = 0; c < channels; c++)
        for (int k = depth - 1; k >= 0; k--, bit++)
          row[bit / 8] |= (uint8_t)((sample(x, y, (unsigned)c) >> k & 1) << (7 - bit % 8));
    blob_u8(raw, i % 5);
    for (size_t k = 0; k < n; k++) {
      int a = k >= step ? row[k - step] : 0, b = above[k], c = k >= step ? above[k - step] : 0;
      unsigned predicted[] = {0, (unsigned)a, (unsigned)b, (unsigned)(a + b) / 2, predict_paeth(a, b, c)};
      blob_u8(raw, row[k] - predicted[i % 5]);
    }
    memcpy(above, row, n);
  }
  free(row);
}

blob blob_png(uint32_t width, uint32_t height, int depth, int color_type, int interlace, blob_sample sample,
              const blob *before_pixels) {
  static const int channels[] = {1, 0, 3, 1, 2, 0, 4};
  static const uint32_t adam7[7][4] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
                                       {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};
  static const uint32_t all[4] = {0, 0, 1, 1};
  blob file = {0}, raw = {0}, zlib = {0};
  for (int i = 0; i < (interlace ? 7 : 1); i++)
    put_pass(&raw, width, height, depth, channels[color_type], sample, interlace ? adam7[i] : all);
  blob_zlib(&zlib, raw.data, raw.size);
  blob_png_header(&file, width, height, depth, color_type, interlace);
  if (before_pixels != NULL) blob_put(&file, before_pixels->data, before_pixels->size);
  blob_png_chunk(&file, "IDAT", zlib.data, zlib.size);
  blob_png_chunk(&file, "IEND", NULL, 0);
  blob_free(&zlib);
  blob_free(&raw);
  return file;
}
