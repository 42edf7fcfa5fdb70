/* tiles.h - a picture cut into overlapping tiles, and their results blended.
 *
 * Tiles lie on multiples of the network's 2^(levels - 1) pixels of the padded picture, so that a tile
 * downsamples the same pixels together as the whole picture does. */
#ifndef RST_MODEL_TILES_H
#define RST_MODEL_TILES_H

#include "base/memory.h"
#include "restormer.h"

typedef struct rst_tiling {
  size_t length, padded; /* pixels; with the network's padding */
  size_t tile, stride, count;
} rst_tiling;

typedef struct rst_tiles {
  rst_tiling x, y;
  rst_blend blend;
  int channels;            /* of the result */
  double *x_sums, *y_sums; /* weights of all tiles at a column, a row */
  double *shares;          /* [tile width]: the tile's shares in its columns */
  float *tile;             /* [tile height][tile width][channels]: one tile's result */
  float *total;            /* [height][width][channels] */
} rst_tiles;

/* The tiles, without memory. `overlap` is at most tile - multiple. */
rst_tiles rst_tiles_of(size_t width, size_t height, size_t tile, size_t overlap, size_t multiple,
                       rst_blend blend, int channels);
/* Takes memory for the buffers. */
void rst_tiles_place(rst_tiles *tiles, rst_place *place);

/* Begins a picture. */
void rst_tiles_begin(rst_tiles *tiles);
/* The part of the caller's picture that tile (i, j) sees (the network pads what the picture lacks), and where
 * its result belongs until it is blended. */
rst_pixels rst_tiles_input(const rst_tiles *tiles, const rst_pixels *input, size_t i, size_t j);
rst_pixels rst_tiles_result(const rst_tiles *tiles, const rst_pixels *input);
void rst_tiles_blend(rst_tiles *tiles, const rst_pixels *result, size_t i, size_t j);
/* Row y of the blended picture. */
const float *rst_tiles_row(const rst_tiles *tiles, size_t y);

#endif
