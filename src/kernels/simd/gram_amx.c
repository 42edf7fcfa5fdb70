/* gram_amx.c - q^T k over pixels in tiles (AMX). Pairs of pixels, [pair][channel][2], are right tiles as they
 * stand; for left ones they are turned round, 16 channels by 16 pairs. */
#include "kernels/simd/vector.h"

#if defined(__AMX_TILE__)

#include "kernels/simd/amx.h"

enum { PAIRS = TILE_BYTES / sizeof(uint32_t), CHUNKS = 4 /* of pairs that are turned round at once */ };
typedef uint32_t left_tile[TILE_ROWS][PAIRS];

/* to[channel][pair] = x[pair][channel] for up to 16 pairs and channels, 32 bits each; 0 for the others. */
static void turn(const uint32_t *x, size_t pitch, size_t pairs, size_t channels, left_tile to) {
  const __mmask16 mask = (__mmask16)(channels < TILE_ROWS ? (1u << channels) - 1 : UINT16_MAX);
  __m512i a[TILE_ROWS], b[TILE_ROWS];
  for (size_t i = 0; i < TILE_ROWS; i++)
    a[i] = i < pairs ? _mm512_maskz_loadu_epi32(mask, x + i * pitch) : _mm512_setzero_si512();
  RST_UNROLL
  for (int i = 0; i < TILE_ROWS; i += 2) {
    b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
    b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
  }
  RST_UNROLL
  for (int i = 0; i < TILE_ROWS; i += 4) { /* a[4 g + c]: of pairs 4 g to 4 g + 3, channels c, 4 + c, ... */
    a[i] = _mm512_unpacklo_epi64(b[i], b[i + 2]);
    a[i + 1] = _mm512_unpackhi_epi64(b[i], b[i + 2]);
    a[i + 2] = _mm512_unpacklo_epi64(b[i + 1], b[i + 3]);
    a[i + 3] = _mm512_unpackhi_epi64(b[i + 1], b[i + 3]);
  }
  enum { EVEN = 0x88, ODD = 0xdd }; /* quarters of both operands */
  RST_UNROLL
  for (int c = 0; c < 4; c++) {
    const __m512i even = _mm512_shuffle_i32x4(a[c], a[4 + c], EVEN),
                  odd = _mm512_shuffle_i32x4(a[c], a[4 + c], ODD),
                  even2 = _mm512_shuffle_i32x4(a[8 + c], a[12 + c], EVEN),
                  odd2 = _mm512_shuffle_i32x4(a[8 + c], a[12 + c], ODD);
    _mm512_storeu_si512(to[c], _mm512_shuffle_i32x4(even, even2, EVEN));
    _mm512_storeu_si512(to[4 + c], _mm512_shuffle_i32x4(odd, odd2, EVEN));
    _mm512_storeu_si512(to[8 + c], _mm512_shuffle_i32x4(even, even2, ODD));
    _mm512_storeu_si512(to[12 + c], _mm512_shuffle_i32x4(odd, odd2, ODD));
  }
}

/* `pairs` pairs of pixels, of which the left tiles are made: mt times np tiles of sums, from row i and column
 * j on. */
RST_INLINE void block(const int mt, const int np, const rst_gram *g, const uint32_t *k, size_t pairs,
                      left_tile left[2][CHUNKS], size_t i, size_t j) {
  _tile_zero(SUMS_00);
  if (mt > 1) _tile_zero(SUMS_10);
  if (np > 1) _tile_zero(SUMS_01);
  if (mt > 1 && np > 1) _tile_zero(SUMS_11);
  const size_t pitch = g->pitch * sizeof *k, chunks = pairs / PAIRS;
  for (size_t c = 0; c < chunks; c++, k += PAIRS * g->pitch)
    TILES_ADD(mt, np, _tile_dpbf16ps, LEFT, RIGHT, left[0][c], left[1][c], TILE_BYTES, k, k + RST_GROUP,
              pitch);
  if (pairs % PAIRS != 0)
    TILES_ADD(mt, np, _tile_dpbf16ps, LEFT_REST, RIGHT_REST, left[0][chunks], left[1][chunks], TILE_BYTES, k,
              k + RST_GROUP, pitch);
  tile_sums sums;
  tiles_store(mt, np, sums);
  for (size_t row = 0; row < (size_t)mt * TILE_ROWS && i + row < g->rows; row++)
    for (size_t column = 0; column < (size_t)np; column++) {
      float *to = g->sums + (i + row) * g->sums_pitch + j + column * RST_GROUP;
      vf_store(to, vf_load(to) + vf_load(sums[row / TILE_ROWS][column][row % TILE_ROWS]));
    }
}

#define COLUMNS(mt)                                                                                       \
  static void columns_##mt(const rst_gram *g, const uint32_t *x, size_t pairs, left_tile left[2][CHUNKS], \
                           size_t i) {                                                                    \
    const uint32_t *k = x + g->k;                                                                         \
    size_t j = 0;                                                                                         \
    for (; j + RST_GROUP < g->columns; j += 2 * RST_GROUP) block(mt, 2, g, k + j, pairs, left, i, j);     \
    if (j < g->columns) block(mt, 1, g, k + j, pairs, left, i, j);                                        \
  }
COLUMNS(1)
COLUMNS(2)

static void add_pairs(const rst_gram *g, const uint32_t *x, size_t pairs) {
  left_tile left[2][CHUNKS];
  for (size_t i = 0; i < g->rows; i += 2 * TILE_ROWS) {
    const int mt = i + TILE_ROWS < g->rows ? 2 : 1;
    for (size_t p = 0; p < pairs; p += PAIRS)
      for (size_t t = 0; t < (size_t)mt; t++)
        turn(x + p * g->pitch + g->q + i + t * TILE_ROWS, g->pitch, pairs - p, g->rows - i - t * TILE_ROWS,
             left[t][p / PAIRS]);
    __asm__ volatile("" ::: "memory"); /* gcc does not know that tiles are loaded from these */
    if (mt == 2)
      columns_2(g, x, pairs, left, i);
    else
      columns_1(g, x, pairs, left, i);
  }
}

void RST_KERNEL(gram)(const rst_gram *g) {
  const uint32_t *x = g->x;
  size_t left = (g->pixels + 1) / 2;
  tiles_configure(TILE_ROWS, left % PAIRS * sizeof *x);
  for (; left > 0; x += CHUNKS * PAIRS * g->pitch) {
    const size_t pairs = left < CHUNKS * PAIRS ? left : CHUNKS * PAIRS;
    add_pairs(g, x, pairs);
    left -= pairs;
  }
  _tile_release();
}

#endif
