/* The pixels of a PNG file, once inflated: filters, interlacing, packed samples, palettes and transparency.
 * (Portable Network Graphics Specification, third edition, sections 7 to 9 and 13.) */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "image/png.h"

enum { PASSES = 7 };

/* The pixels x0, x0 + dx, ... of the rows y0, y0 + dy, ...: one pass of Adam7, or everything. */
typedef struct pass {
  size_t x0, y0, dx, dy;
} pass;

static const pass adam7[PASSES] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
                                   {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};
static const pass everything = {0, 0, 1, 1};

static int pass_count(const rst_png *png) {
  return png->interlaced ? PASSES : 1;
}
static const pass *get_pass(const rst_png *png, int i) {
  return png->interlaced ? &adam7[i] : &everything;
}

static size_t pass_width(const rst_png *png, const pass *p) {
  return png->width > p->x0 ? (png->width - p->x0 + p->dx - 1) / p->dx : 0;
}
static size_t pass_height(const rst_png *png, const pass *p) {
  return png->height > p->y0 ? (png->height - p->y0 + p->dy - 1) / p->dy : 0;
}

/* Bytes of a row of `width` pixels, without the filter's. The limits on pictures keep this from wrapping. */
static size_t row_bytes(const rst_png *png, size_t width) {
  return (width * (size_t)(png->channels * png->depth) + 7) / 8;
}

bool rst_png_raw_size(const rst_png *png, size_t *size) {
  size_t total = 0;
  for (int i = 0; i < pass_count(png); i++) {
    const pass *p = get_pass(png, i);
    size_t w = pass_width(png, p), bytes;
    if (w == 0) continue;
    if (!rst_mul(row_bytes(png, w) + 1, pass_height(png, p), &bytes) || !rst_add(total, bytes, &total))
      return false;
  }
  *size = total;
  return true;
}

static uint8_t paeth(int a, int b, int c) {
  int pa = abs(b - c), pb = abs(a - c), pc = abs(a + b - 2 * c);
  return (uint8_t)(pa <= pb && pa <= pc ? a : pb <= pc ? b : c);
}

/* `above` is the unfiltered row above, zeros for the first; `step` the bytes of a pixel, 1 at least. */
static bool unfilter(int filter, uint8_t *row, const uint8_t *above, size_t n, size_t step) {
  size_t first = n < step ? n : step; /* bytes that have nothing to their left */
  switch (filter) {
    case 0:
      return true;
    case 1:
      for (size_t i = first; i < n; i++) row[i] = (uint8_t)(row[i] + row[i - step]);
      return true;
    case 2:
      for (size_t i = 0; i < n; i++) row[i] = (uint8_t)(row[i] + above[i]);
      return true;
    case 3:
      for (size_t i = 0; i < first; i++) row[i] = (uint8_t)(row[i] + above[i] / 2);
      for (size_t i = first; i < n; i++) row[i] = (uint8_t)(row[i] + (row[i - step] + above[i]) / 2);
      return true;
    case 4:
      for (size_t i = 0; i < first; i++) row[i] = (uint8_t)(row[i] + above[i]);
      for (size_t i = first; i < n; i++)
        row[i] = (uint8_t)(row[i] + paeth(row[i - step], above[i], above[i - step]));
      return true;
    default:
      return false;
  }
}

/* The stored samples of a row as numbers. */
static void unpack_samples(const uint8_t *row, int depth, size_t count, uint16_t *samples) {
  if (depth == 16) {
    for (size_t i = 0; i < count; i++) samples[i] = (uint16_t)rst_be16(row + 2 * i);
    return;
  }
  size_t per_byte = 8 / (size_t)depth;
  for (size_t i = 0; i < count; i++) {
    size_t shift = 8 - (size_t)depth * (i % per_byte + 1);
    samples[i] = (uint16_t)((row[i / per_byte] >> shift) & ((1 << depth) - 1));
  }
}

static bool is_transparent(const rst_png *png, const uint16_t *pixel) {
  for (int c = 0; c < png->channels; c++)
    if (pixel[c] != png->transparent_color[c]) return false;
  return true;
}

/* One stored pixel as the picture has it. False for a palette index beyond the palette. */
static bool put_pixel(const rst_png *png, const uint16_t *pixel, rst_image *image, size_t index) {
  int stored = png->channels, channels = image->channels;
  if (image->sample == RST_SAMPLE_U16) {
    uint16_t *out = (uint16_t *)image->samples + index * (size_t)channels;
    for (int c = 0; c < stored; c++) out[c] = pixel[c];
    if (channels > stored) out[stored] = is_transparent(png, pixel) ? 0 : 65535;
    return true;
  }
  uint8_t *out = (uint8_t *)image->samples + index * (size_t)channels;
  if (png->color_type == RST_PNG_PALETTE) {
    memcpy(out, png->palette[pixel[0]], (size_t)channels);
    return pixel[0] < png->palette_size;
  }
  int scale = 255 / ((1 << png->depth) - 1); /* exact for 1, 2, 4 and 8 bits */
  for (int c = 0; c < stored; c++) out[c] = (uint8_t)(pixel[c] * scale);
  if (channels > stored) out[stored] = is_transparent(png, pixel) ? 0 : 255;
  return true;
}

/* `zeros` and `samples` have room for a row. */
static rst_status unpack_pass(const rst_source *source, const rst_png *png, const pass *p, uint8_t **raw,
                              const uint8_t *zeros, uint16_t *samples, rst_image *image) {
  size_t w = pass_width(png, p), h = pass_height(png, p), n = row_bytes(png, w);
  size_t channels = (size_t)png->channels, step = channels * (size_t)png->depth / 8;
  const uint8_t *above = zeros;
  if (w == 0) return RST_OK;
  for (size_t y = 0; y < h; y++) {
    uint8_t *row = *raw + 1;
    if (!unfilter(**raw, row, above, n, step == 0 ? 1 : step))
      return rst_source_fail(source, "PNG: row %zu: filter %d, expected 0 to 4", p->y0 + y * p->dy, **raw);
    unpack_samples(row, png->depth, w * channels, samples);
    size_t index = (p->y0 + y * p->dy) * png->width + p->x0;
    for (size_t x = 0; x < w; x++) {
      if (!put_pixel(png, samples + x * channels, image, index + x * p->dx))
        return rst_source_fail(source, "PNG: row %zu: palette index %d, expected less than %d",
                               p->y0 + y * p->dy, samples[x], png->palette_size);
    }
    above = row;
    *raw += n + 1;
  }
  return RST_OK;
}

rst_status rst_png_unpack(const rst_source *source, const rst_png *png, uint8_t *raw, rst_image *image) {
  int channels = (png->color_type == RST_PNG_PALETTE ? 3 : png->channels) + (png->transparent ? 1 : 0);
  rst_sample sample = png->depth == 16 ? RST_SAMPLE_U16 : RST_SAMPLE_U8;
  rst_status status = rst_source_allocate(source, "PNG", png->width, png->height, channels, sample, image);
  if (status != RST_OK) return status;
  uint16_t *samples = rst_alloc(png->width, (size_t)png->channels * sizeof *samples);
  uint8_t *zeros = rst_alloc_zeroed(row_bytes(png, png->width), 1);
  if (samples == NULL || zeros == NULL) status = rst_fail_memory(source->err, source->path);
  for (int i = 0; status == RST_OK && i < pass_count(png); i++)
    status = unpack_pass(source, png, get_pass(png, i), &raw, zeros, samples, image);
  rst_free(zeros);
  rst_free(samples);
  return status;
}
