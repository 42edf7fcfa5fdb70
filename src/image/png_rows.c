/* The pixels of a PNG file: inflating, filters, interlacing, packed samples, palettes and transparency. Rows
 * are inflated one by one, so that nothing is held but the image, two rows and zlib's window. (Portable
 * Network Graphics Specification, third edition, sections 7 to 9 and 13.) */
#include <string.h>

#include <zlib.h>

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

/* Bytes of the filtered pixels; false when they are too many for the size of memory. */
static bool raw_size(const rst_png *png, size_t *size) {
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

/* ---- The zlib stream ----------------------------------------------------------------------- */

/* Deflate makes at most 258 bytes of 2 bits: a file that is too short for its size is found out before memory
 * is asked for. */
enum { MAX_DEFLATE_RATIO = 1032, ROWS_BETWEEN_LOOKS = 16 };

typedef struct stream {
  const rst_source *source;
  z_stream z;
  const uint8_t *chunk; /* the next IDAT chunk */
  size_t chunks;        /* that are left */
  size_t pending;       /* bytes of this one beyond what zlib has been given */
  bool ended;           /* the stream, by its own account */
} stream;

/* Gives zlib more of this chunk, or the next that is not empty. False when there is nothing left. */
static bool feed(stream *s) {
  while (s->pending == 0) {
    if (s->chunks == 0) return false;
    s->chunks--;
    s->pending = rst_be32(s->chunk);
    s->z.next_in = (uint8_t *)(uintptr_t)(s->chunk + RST_PNG_CHUNK_HEADER); /* zlib only reads it */
    s->chunk += RST_PNG_CHUNK_FRAME + s->pending;
  }
  s->z.avail_in = s->pending < UINT32_MAX / 2 ? (unsigned)s->pending : UINT32_MAX / 2;
  s->pending -= s->z.avail_in;
  return true;
}

static rst_status damaged(const stream *s, const char *why) {
  return rst_source_fail(s->source, "PNG: the compressed pixels are damaged (%s)", why);
}

/* The next `size` bytes; *got of them where the stream ends before. */
static rst_status inflate_bytes(stream *s, uint8_t *out, size_t size, size_t *got) {
  *got = 0;
  while (*got < size && !s->ended) {
    size_t want = size - *got < UINT32_MAX / 2 ? size - *got : UINT32_MAX / 2;
    if (s->z.avail_in == 0 && !feed(s)) return RST_OK;
    s->z.next_out = out + *got;
    s->z.avail_out = (unsigned)want;
    int result = inflate(&s->z, Z_NO_FLUSH);
    *got += want - s->z.avail_out;
    s->ended = result == Z_STREAM_END;
    if (result == Z_MEM_ERROR) return rst_fail_memory(s->source->err, s->source->path);
    if (result == Z_NEED_DICT) return damaged(s, "they need a dictionary");
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
      return damaged(s, s->z.msg != NULL ? s->z.msg : "for no given reason");
  }
  return RST_OK;
}

static rst_status inflate_row(stream *s, uint8_t *out, size_t size) {
  size_t got;
  rst_status status = inflate_bytes(s, out, size, &got);
  return status != RST_OK || got == size ? status : damaged(s, "they end too early");
}

/* Behind the last row: the checksum, which is a part of the stream, and what should not be there. */
static rst_status inflate_end(stream *s) {
  uint8_t surplus[1024];
  bool more = false;
  size_t got = 1;
  while (got > 0) {
    rst_status status = inflate_bytes(s, surplus, sizeof surplus, &got);
    if (status == RST_OK && rst_source_cancelled(s->source)) status = rst_source_stopped(s->source);
    if (status != RST_OK) return status;
    more = more || got > 0;
  }
  if (!s->ended) return damaged(s, "they end without a checksum");
  if (more || s->z.avail_in > 0 || s->pending > 0)
    rst_source_warn(s->source, "PNG: more compressed bytes than the pixels need");
  return RST_OK;
}

/* ---- Rows ---------------------------------------------------------------------------------- */

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
        row[i] = (uint8_t)(row[i] + rst_png_paeth(row[i - step], above[i], above[i - step]));
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

/* Rows of a file while they are read, with room for the longest. */
typedef struct rows {
  uint8_t *row, *above; /* each with its filter's number before it */
  uint16_t *samples;    /* unpacked */
} rows;

static rst_status read_pass(stream *s, const rst_png *png, const pass *p, rows *b, rst_image *image) {
  size_t w = pass_width(png, p), h = pass_height(png, p), n = row_bytes(png, w);
  size_t channels = (size_t)png->channels, step = channels * (size_t)png->depth / 8;
  if (w == 0) return RST_OK;
  memset(b->above, 0, n + 1);
  for (size_t y = 0; y < h; y++) {
    size_t row = p->y0 + y * p->dy, index = row * png->width + p->x0;
    rst_status status = inflate_row(s, b->row, n + 1);
    if (status == RST_OK && y % ROWS_BETWEEN_LOOKS == 0 && rst_source_cancelled(s->source))
      status = rst_source_stopped(s->source);
    if (status != RST_OK) return status;
    if (!unfilter(b->row[0], b->row + 1, b->above + 1, n, step == 0 ? 1 : step))
      return rst_source_fail(s->source, "PNG: row %zu: filter %d, expected 0 to 4", row, b->row[0]);
    unpack_samples(b->row + 1, png->depth, w * channels, b->samples);
    for (size_t x = 0; x < w; x++)
      if (!put_pixel(png, b->samples + x * channels, image, index + x * p->dx))
        return rst_source_fail(s->source, "PNG: row %zu: palette index %d, expected less than %d", row,
                               b->samples[x], png->palette_size);
    uint8_t *spare = b->above;
    b->above = b->row;
    b->row = spare;
  }
  return RST_OK;
}

static rst_status read_rows(const rst_source *source, const rst_png *png, rows *b, rst_image *image) {
  stream s = {.source = source, .chunk = png->idat, .chunks = png->idat_count};
  s.z.zalloc = rst_png_zalloc;
  s.z.zfree = rst_png_zfree;
  if (inflateInit(&s.z) != Z_OK) return rst_fail_memory(source->err, source->path);
  rst_status status = RST_OK;
  for (int i = 0; status == RST_OK && i < pass_count(png); i++)
    status = read_pass(&s, png, get_pass(png, i), b, image);
  if (status == RST_OK) status = inflate_end(&s);
  inflateEnd(&s.z);
  return status;
}

rst_status rst_png_read_pixels(const rst_source *source, const rst_png *png, rst_image *image) {
  size_t raw, row = row_bytes(png, png->width) + 1;
  if (!raw_size(png, &raw) || raw / MAX_DEFLATE_RATIO > png->idat_size)
    return rst_source_fail(source, "PNG: %zu bytes of compressed pixels are too few for %zu x %zu",
                           png->idat_size, png->width, png->height);
  int channels = (png->color_type == RST_PNG_PALETTE ? 3 : png->channels) + (png->transparent ? 1 : 0);
  rst_sample sample = png->depth == 16 ? RST_SAMPLE_U16 : RST_SAMPLE_U8;
  rst_status status = rst_source_allocate(source, "PNG", png->width, png->height, channels, sample, image);
  if (status != RST_OK) return status;
  uint8_t *both = rst_alloc(row, 2);
  rows b = {both, both == NULL ? NULL : both + row,
            rst_alloc(png->width, (size_t)png->channels * sizeof *b.samples)};
  if (both == NULL || b.samples == NULL)
    status = rst_fail_memory(source->err, source->path);
  else
    status = read_rows(source, png, &b, image);
  rst_free(b.samples);
  rst_free(both);
  return status;
}
