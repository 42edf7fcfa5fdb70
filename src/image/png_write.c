/* Writing PNG with 8 or 16 bits, row by row: no size that a PNG can have is too large. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "image/deflate.h"
#include "image/png.h"

enum { FILTERS = 5, IHDR_SIZE = 13 };

typedef struct writer {
  rst_sink *sink;
  rst_deflate deflate;
  uint8_t *piece; /* filtered bytes that wait for the compressor */
  size_t piece_size;
  size_t row_bytes, step; /* of a row and of a pixel */
  uint8_t *row, *above;   /* unfiltered; `above` is zeros for the first row */
  uint8_t *filtered;      /* FILTERS candidates of 1 + row_bytes */
} writer;

static void write_chunk(rst_sink *sink, const char *type, const uint8_t *data, size_t size) {
  uint8_t head[8], tail[4];
  rst_put_be32(head, (uint32_t)size);
  memcpy(head + 4, type, 4);
  rst_put_be32(tail, rst_png_crc(rst_png_crc(0, head + 4, 4), data, size));
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
  write_chunk(w->sink, "IHDR", ihdr, sizeof ihdr);
}

/* ---- Filters ------------------------------------------------------------------------------- */

static int paeth(int a, int b, int c) {
  int pa = abs(b - c), pb = abs(a - c), pc = abs(a + b - 2 * c);
  return pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
}

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
    int difference[FILTERS] = {x, x - a, x - b, x - (a + b) / 2, x - paeth(a, b, c)};
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

static void flush_piece(writer *w) {
  size_t size;
  if (w->piece_size == 0) return;
  const uint8_t *data = rst_deflate_piece(&w->deflate, w->piece, w->piece_size, &size);
  write_chunk(w->sink, "IDAT", data, size);
  w->piece_size = 0;
}

static void put_bytes(writer *w, const uint8_t *data, size_t size) {
  while (size > 0) {
    size_t room = RST_DEFLATE_PIECE - w->piece_size, n = size < room ? size : room;
    memcpy(w->piece + w->piece_size, data, n);
    w->piece_size += n;
    data += n;
    size -= n;
    if (w->piece_size == RST_DEFLATE_PIECE) flush_piece(w);
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
    rst_image_row(image, y, type, true, w->row);
    if (type == RST_SAMPLE_U16) to_big_endian(w->row, w->row_bytes / 2);
    put_bytes(w, filter_row(w), 1 + w->row_bytes);
    uint8_t *spare = w->above;
    w->above = w->row;
    w->row = spare;
  }
  flush_piece(w);
  uint8_t end[RST_DEFLATE_END];
  rst_deflate_end(&w->deflate, end);
  write_chunk(w->sink, "IDAT", end, sizeof end);
}

rst_status rst_png_write(rst_sink *sink, const rst_image *image) {
  writer w = {.sink = sink};
  w.step = (size_t)image->channels * (sink->sample == RST_SAMPLE_U16 ? 2 : 1);
  w.row_bytes = image->width * w.step; /* as much as a row in memory, or less */
  w.piece = rst_alloc(RST_DEFLATE_PIECE, 1);
  w.row = rst_alloc(w.row_bytes, 1);
  w.above = rst_alloc_zeroed(w.row_bytes, 1);
  w.filtered = rst_alloc(w.row_bytes + 1, FILTERS);
  bool ready = rst_deflate_begin(&w.deflate) && w.piece != NULL && w.row != NULL && w.above != NULL &&
               w.filtered != NULL;
  if (ready) {
    write_header(&w, image);
    write_pixels(&w, image);
    write_chunk(sink, "IEND", NULL, 0);
  }
  rst_deflate_free(&w.deflate);
  rst_free(w.filtered);
  rst_free(w.above);
  rst_free(w.row);
  rst_free(w.piece);
  return ready ? RST_OK : rst_fail_memory(sink->err, sink->path);
}
