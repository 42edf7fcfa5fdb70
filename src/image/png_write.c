/* Writing PNG with 8 or 16 bits, row by row: no size that a PNG can have is too large. */
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "image/png.h"

enum { FILTERS = 5, IHDR_SIZE = 13, PIECE = 1 << 16, LEVEL = 6, WINDOW_BITS = 15, MEMORY_LEVEL = 9 };

typedef struct writer {
  rst_sink *sink;
  z_stream z;
  uint8_t *piece;         /* compressed bytes of the next chunk */
  size_t row_bytes, step; /* of a row and of a pixel */
  uint8_t *row, *above;   /* unfiltered; `above` is zeros for the first row */
  uint8_t *filtered;      /* FILTERS candidates of 1 + row_bytes */
} writer;

void rst_png_write_chunk(rst_sink *sink, const char *type, const uint8_t *data, size_t size) {
  uint8_t head[8], tail[4];
  rst_put_be32(head, (uint32_t)size);
  memcpy(head + 4, type, 4);
  uLong crc = crc32_z(0, head + 4, 4);
  if (size > 0) crc = crc32_z(crc, data, size); /* without data it would begin anew */
  rst_put_be32(tail, (uint32_t)crc);
  rst_sink_write(sink, head, sizeof head);
  rst_sink_write(sink, data, size);
  rst_sink_write(sink, tail, sizeof tail);
}

static void write_header(const writer *w, const rst_image *image) {
  static const uint8_t color_types[] = {RST_PNG_GREY, RST_PNG_GREY_ALPHA, RST_PNG_RGB, RST_PNG_RGBA};
  uint8_t ihdr[IHDR_SIZE] = {0};
  rst_put_be32(ihdr, (uint32_t)image->width);
  rst_put_be32(ihdr + 4, (uint32_t)image->height);
  ihdr[8] = w->sink->sample == RST_SAMPLE_U16 ? 16 : 8;
  ihdr[9] = color_types[image->channels - 1];
  rst_sink_write(w->sink, RST_PNG_SIGNATURE, RST_PNG_SIGNATURE_SIZE);
  rst_png_write_chunk(w->sink, "IHDR", ihdr, sizeof ihdr);
}

/* ---- Filters ------------------------------------------------------------------------------- */

/* All five filters of the row; the one whose bytes, taken as signed, are the smallest in sum is likely to
 * compress best (the heuristic that the PNG specification recommends). Returns it with its number before it.
 */
static const uint8_t *filter_row(writer *w) {
  size_t n = w->row_bytes, best = 0, least = SIZE_MAX;
  uint8_t *out[FILTERS];
  size_t sums[FILTERS] = {0};
  for (size_t f = 0; f < FILTERS; f++) {
    out[f] = w->filtered + f * (n + 1);
    *out[f]++ = (uint8_t)f;
  }
  for (size_t i = 0; i < n; i++) {
    int x = w->row[i], b = w->above[i];
    int a = i >= w->step ? w->row[i - w->step] : 0, c = i >= w->step ? w->above[i - w->step] : 0;
    int difference[FILTERS] = {x, x - a, x - b, x - (a + b) / 2, x - rst_png_paeth(a, b, c)};
    for (size_t f = 0; f < FILTERS; f++) {
      out[f][i] = (uint8_t)difference[f];
      sums[f] += (size_t)abs((int8_t)out[f][i]);
    }
  }
  for (size_t f = 0; f < FILTERS; f++)
    if (sums[f] < least) least = sums[f], best = f;
  return out[best] - 1;
}

/* ---- Pixels -------------------------------------------------------------------------------- */

/* Compresses `size` bytes, writing a chunk whenever a piece is full and at the end (`flush` is Z_FINISH). */
static void put_bytes(writer *w, const uint8_t *data, size_t size, int flush) {
  w->z.next_in = (uint8_t *)(uintptr_t)data; /* zlib only reads it */
  for (bool more = true; more && !w->sink->failed;) {
    w->z.avail_in = size < UINT32_MAX / 2 ? (unsigned)size : UINT32_MAX / 2;
    const unsigned given = w->z.avail_in;
    int result = deflate(&w->z, flush);
    size -= given - w->z.avail_in;
    if (w->z.avail_out == 0 || result == Z_STREAM_END) {
      if (w->z.avail_out < PIECE) rst_png_write_chunk(w->sink, "IDAT", w->piece, PIECE - w->z.avail_out);
      w->z.next_out = w->piece;
      w->z.avail_out = PIECE;
    }
    more = flush == Z_FINISH ? result != Z_STREAM_END : size > 0;
  }
}

static void to_big_endian(uint8_t *row, size_t count) {
  for (size_t i = 0; i < count; i++) {
    uint16_t v;
    memcpy(&v, row + 2 * i, sizeof v);
    row[2 * i] = (uint8_t)(v >> 8), row[2 * i + 1] = (uint8_t)v;
  }
}

static void write_pixels(writer *w, const rst_image *image) {
  rst_sample type = w->sink->sample;
  for (size_t y = 0; y < image->height && !w->sink->failed; y++) {
    rst_image_row(image, y, type, NULL, w->row);
    if (type == RST_SAMPLE_U16) to_big_endian(w->row, w->row_bytes / 2);
    put_bytes(w, filter_row(w), 1 + w->row_bytes, Z_NO_FLUSH);
    uint8_t *spare = w->above;
    w->above = w->row;
    w->row = spare;
  }
  put_bytes(w, NULL, 0, Z_FINISH);
}

rst_status rst_png_write(rst_sink *sink, const rst_image *image) {
  writer w = {.sink = sink};
  w.step = (size_t)image->channels * (sink->sample == RST_SAMPLE_U16 ? 2 : 1);
  w.row_bytes = image->width * w.step; /* as much as a row in memory, or less */
  w.piece = rst_alloc(PIECE, 1);
  w.row = rst_alloc(w.row_bytes, 1);
  w.above = rst_alloc_zeroed(w.row_bytes, 1);
  w.filtered = rst_alloc(w.row_bytes + 1, FILTERS);
  w.z.zalloc = rst_png_zalloc;
  w.z.zfree = rst_png_zfree;
  w.z.next_out = w.piece;
  w.z.avail_out = PIECE;
  bool ready = w.piece != NULL && w.row != NULL && w.above != NULL && w.filtered != NULL &&
               deflateInit2(&w.z, LEVEL, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL, Z_FILTERED) == Z_OK;
  if (ready) {
    write_header(&w, image);
    ready = sink->options->strip || rst_png_write_metadata(sink, image);
    write_pixels(&w, image);
    rst_png_write_chunk(sink, "IEND", NULL, 0);
    deflateEnd(&w.z);
  }
  rst_free(w.filtered);
  rst_free(w.above);
  rst_free(w.row);
  rst_free(w.piece);
  return ready ? RST_OK : rst_fail_memory(sink->err, sink->path);
}
