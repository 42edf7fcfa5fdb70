/* amx.h - products of tiles (AMX). A left tile holds 64 bytes of k in each of up to 16 rows; a right one, for
 * each step of k, that step of 16 columns; sums are 16 columns of the left's rows. Two times two tiles of
 * sums share the left and right ones that are loaded. */
#ifndef RST_KERNELS_SIMD_AMX_H
#define RST_KERNELS_SIMD_AMX_H

#include "kernels/simd/vector.h"

enum { TILE_ROWS = 16, TILE_BYTES = 64 /* of a row */ };

/* The tiles. (gcc writes the names into assembly, so that they have to be these.) Those of the last k's,
 * where less than 64 bytes are left, have their own shapes. */
#define SUMS_00 0
#define SUMS_01 1
#define SUMS_10 2
#define SUMS_11 3
#define LEFT 4
#define LEFT_REST 5
#define RIGHT 6
#define RIGHT_REST 7
enum { TILES = 8 };

/* Left tiles and sums of `rows` rows, and `rest` bytes of k in the last ones. */
RST_INLINE void tiles_configure(size_t rows, size_t rest) {
  struct { /* as the instruction reads it */
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
  } shapes = {.palette = 1};
  for (int tile = 0; tile < TILES; tile++) {
    const bool right = tile == RIGHT || tile == RIGHT_REST, last = tile == LEFT_REST || tile == RIGHT_REST;
    const size_t k_bytes = last && rest > 0 ? rest : TILE_BYTES;
    shapes.row_bytes[tile] = (uint16_t)(right || tile < LEFT ? TILE_BYTES : k_bytes);
    shapes.rows[tile] = (uint8_t)(right ? k_bytes / sizeof(float) : rows);
  }
  __asm__ volatile("" ::: "memory"); /* gcc does not know what the instruction reads: store it all */
  _tile_loadconfig(&shapes);
}

#if RST_INT8
#define TILES_MULTIPLY(sums, left, right) _tile_dpbusd(sums, left, right)
#else
#define TILES_MULTIPLY(sums, left, right) _tile_dpbf16ps(sums, left, right)
#endif

/* Adds the products of mt left and np right tiles, 1 or 2 of each, to the sums. The second ones begin at
 * a_next and w_next. */
#define TILES_ADD(mt, np, multiply, left, right, a, a_next, a_pitch, w, w_next, w_pitch) \
  do {                                                                                   \
    _tile_loadd(right, w, w_pitch);                                                      \
    _tile_loadd(left, a, a_pitch);                                                       \
    multiply(SUMS_00, left, right);                                                      \
    if ((mt) > 1) {                                                                      \
      _tile_loadd(left, a_next, a_pitch);                                                \
      multiply(SUMS_10, left, right);                                                    \
    }                                                                                    \
    if ((np) > 1) {                                                                      \
      _tile_loadd(right, w_next, w_pitch);                                               \
      if ((mt) > 1) {                                                                    \
        multiply(SUMS_11, left, right);                                                  \
        _tile_loadd(left, a, a_pitch);                                                   \
      }                                                                                  \
      multiply(SUMS_01, left, right);                                                    \
    }                                                                                    \
  } while (0)

typedef float tile_sums[2][2][TILE_ROWS][RST_GROUP]; /* [left][right] */

RST_INLINE void tiles_store(const int mt, const int np, tile_sums to) {
  _tile_stored(SUMS_00, to[0][0], TILE_BYTES);
  if (mt > 1) _tile_stored(SUMS_10, to[1][0], TILE_BYTES);
  if (np > 1) _tile_stored(SUMS_01, to[0][1], TILE_BYTES);
  if (mt > 1 && np > 1) _tile_stored(SUMS_11, to[1][1], TILE_BYTES);
}

#endif
