#include "model/tiles.h"

#include <math.h>
#include <string.h>

#include "kernels/kernels.h"

/* ---- Along an axis --------------------------------------------------------------------------------- */

static rst_tiling tiling_of(size_t length, size_t tile, size_t overlap, size_t multiple) {
  rst_tiling a = {.length = length, .padded = rst_round_up(length, multiple)};
  a.tile = rst_min(tile, a.padded);
  a.stride = (tile - overlap) / multiple * multiple;
  a.count = 1 + (a.padded - a.tile + a.stride - 1) / a.stride;
  return a;
}

static size_t tile_start(const rst_tiling *a, size_t i) {
  return rst_min(i * a->stride, a->padded - a->tile);
}

/* Where tile i ends within the picture. */
static size_t tile_end(const rst_tiling *a, size_t i) {
  return rst_min(tile_start(a, i) + a->tile, a->length);
}

/* Weight of pixel x in tile i, which holds it. Pixels near a tile's inner borders lack neighbours: the ramp
 * from 0 to 1 takes the middle third of the overlap, so that they count for nothing. */
static double tile_weight(const rst_tiling *a, size_t i, size_t x, rst_blend blend) {
  const size_t start = tile_start(a, i), end = start + a->tile;
  if (blend == RST_BLEND_UNIFORM) return 1;
  double weight = 1;
  if (i > 0) {
    const double overlap = (double)(tile_start(a, i - 1) + a->tile - start);
    weight *= fmin(1, fmax(0, ((double)(x - start) + 0.5 - overlap / 3) / (overlap / 3)));
  }
  if (i + 1 < a->count) {
    const double overlap = (double)(end - tile_start(a, i + 1));
    weight *= fmin(1, fmax(0, ((double)(end - x) - 0.5 - overlap / 3) / (overlap / 3)));
  }
  return weight;
}

/* The sum over the tiles of each pixel's weights. */
static void sum_weights(const rst_tiling *a, rst_blend blend, double *sums) {
  memset(sums, 0, a->length * sizeof *sums);
  for (size_t i = 0; i < a->count; i++)
    for (size_t x = tile_start(a, i); x < tile_end(a, i); x++) sums[x] += tile_weight(a, i, x, blend);
}

/* ---- Buffers --------------------------------------------------------------------------------------- */

rst_tiles rst_tiles_of(size_t width, size_t height, size_t tile, size_t overlap, size_t multiple,
                       rst_blend blend, int channels) {
  return (rst_tiles){.x = tiling_of(width, tile, overlap, multiple),
                     .y = tiling_of(height, tile, overlap, multiple),
                     .blend = blend,
                     .channels = channels};
}

/* Bytes of width x height pixels; SIZE_MAX when that does not fit. */
static size_t picture_bytes(const rst_tiles *t, size_t width, size_t height) {
  size_t bytes;
  return rst_mul(width, height, &bytes) && rst_mul(bytes, (size_t)t->channels * sizeof(float), &bytes)
             ? bytes
             : SIZE_MAX;
}

void rst_tiles_place(rst_tiles *t, rst_place *p) {
  t->x_sums = rst_place_take(p, t->x.length * sizeof *t->x_sums);
  t->y_sums = rst_place_take(p, t->y.length * sizeof *t->y_sums);
  t->shares = rst_place_take(p, t->x.tile * sizeof *t->shares);
  t->tile = rst_place_take(p, picture_bytes(t, t->x.tile, t->y.tile));
  t->total = rst_place_take(p, picture_bytes(t, t->x.length, t->y.length));
}

/* ---- Blending -------------------------------------------------------------------------------------- */

void rst_tiles_begin(rst_tiles *t) {
  sum_weights(&t->x, t->blend, t->x_sums);
  sum_weights(&t->y, t->blend, t->y_sums);
  memset(t->total, 0, picture_bytes(t, t->x.length, t->y.length));
}

rst_pixels rst_tiles_input(const rst_tiles *t, const rst_pixels *input, size_t i, size_t j) {
  rst_pixels v = *input;
  const size_t x = tile_start(&t->x, i), y = tile_start(&t->y, j);
  const ptrdiff_t offset = (ptrdiff_t)y * v.row_stride + (ptrdiff_t)x * v.column_stride;
  v.samples = (uint8_t *)v.samples + offset * (ptrdiff_t)rst_sample_size(v.sample);
  v.width = rst_min(t->x.tile, v.width - x);
  v.height = rst_min(t->y.tile, v.height - y);
  return v;
}

rst_pixels rst_tiles_result(const rst_tiles *t, const rst_pixels *input) {
  return (rst_pixels){.samples = t->tile,
                      .sample = RST_SAMPLE_F32,
                      .width = input->width,
                      .height = input->height,
                      .channels = t->channels,
                      .row_stride = (ptrdiff_t)input->width * t->channels,
                      .column_stride = t->channels,
                      .channel_stride = 1};
}

void rst_tiles_blend(rst_tiles *t, const rst_pixels *result, size_t i, size_t j) {
  const size_t channels = (size_t)t->channels, x0 = tile_start(&t->x, i), y0 = tile_start(&t->y, j);
  for (size_t x = 0; x < result->width; x++)
    t->shares[x] = tile_weight(&t->x, i, x0 + x, t->blend) / t->x_sums[x0 + x];
  for (size_t y = 0; y < result->height; y++) {
    const double share = tile_weight(&t->y, j, y0 + y, t->blend) / t->y_sums[y0 + y];
    for (size_t x = 0; x < result->width; x++) {
      const float weight = (float)(t->shares[x] * share);
      const float *from = t->tile + (y * result->width + x) * channels;
      float *to = t->total + ((y0 + y) * t->x.length + x0 + x) * channels;
      if (weight > 0)
        for (size_t c = 0; c < channels; c++) to[c] += weight * from[c];
    }
  }
}

const float *rst_tiles_row(const rst_tiles *t, size_t y) {
  return t->total + y * t->x.length * (size_t)t->channels;
}
