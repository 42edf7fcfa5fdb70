/* gemm_amx.c - the matrix product in tiles (AMX): 16 pixels times 16 columns, 64 bytes of k at once. A panel,
 * packed for dot products, is a column of right tiles as it stands. */
#include "kernels/simd/gemm_block.h"

#if defined(__AMX_TILE__)

#include "kernels/simd/amx.h"

/* Where the first of up to two times two tiles of sums belongs, and how many pixels each has. */
typedef struct place {
  size_t pixel, rows, panel;
} place;

/* ---- Sums --------------------------------------------------------------------------------------- */

/* What every row of a panel's sums begins with: the bias, which integers get in the end. NULL: nothing. */
RST_INLINE const void *first_row(const rst_gemm *g, size_t panel) {
#if RST_INT8
  return panel_at(g, panel) + (g->k + FIRST_SUMS * sizeof(float)) * RST_GROUP;
#else
  return g->bias == NULL ? NULL : g->bias + panel * RST_GROUP;
#endif
}

#define START(tile, panel)                   \
  do {                                       \
    const void *first = first_row(g, panel); \
    if (first == NULL)                       \
      _tile_zero(tile);                      \
    else                                     \
      _tile_loadd(tile, first, 0);           \
  } while (0)

RST_INLINE void add_products(const int mt, const int np, const rst_gemm *g, const place *to) {
  const char *a = (const char *)lhs_at(g, to->pixel), *w = (const char *)panel_at(g, to->panel);
  const size_t pitch = g->a_pitch * sizeof(operand), k_bytes = g->k * sizeof(lhs);
  START(SUMS_00, to->panel);
  if (mt > 1) START(SUMS_10, to->panel);
  if (np > 1) START(SUMS_01, to->panel + 1);
  if (mt > 1 && np > 1) START(SUMS_11, to->panel + 1);
  for (size_t k = 0; k + TILE_BYTES <= k_bytes; k += TILE_BYTES, a += TILE_BYTES, w += TILE_ROWS * TILE_BYTES)
    TILES_ADD(mt, np, TILES_MULTIPLY, LEFT, RIGHT, a, a + TILE_ROWS * pitch, pitch, w, w + g->w_panel,
              TILE_BYTES);
  if (k_bytes % TILE_BYTES != 0)
    TILES_ADD(mt, np, TILES_MULTIPLY, LEFT_REST, RIGHT_REST, a, a + TILE_ROWS * pitch, pitch, w,
              w + g->w_panel, TILE_BYTES);
}

/* ---- Results ------------------------------------------------------------------------------------ */

RST_INLINE void finish_rows(const rst_into into, const rst_gemm *g, size_t pixel, size_t rows, size_t panel,
                            float sums_of_rows[TILE_ROWS][RST_GROUP]) {
  const size_t a_pitch = g->a_pitch * sizeof(operand) / sizeof(lhs), out_pitch = g->out_pitch, k = g->k;
  const lhs *a = lhs_at(g, pixel);
  const ending e = ending_of(g, panel, 0);
  void *out = g->out;
  for (size_t i = 0, at = pixel * out_pitch + panel * g->out_panel; i < rows; i++, at += out_pitch) {
    vsum sum;
    memcpy(&sum, sums_of_rows[i], sizeof sum);
    put(into, out, at, result_of(sum, e, scale_of(a + i * a_pitch, k)));
  }
}

/* Of a tile. */
RST_INLINE void finish(const rst_gemm *g, size_t pixel, size_t rows, size_t panel,
                       float sums_of_rows[TILE_ROWS][RST_GROUP]) {
  switch (g->into) {
    case RST_INTO_FLOATS:
      finish_rows(RST_INTO_FLOATS, g, pixel, rows, panel, sums_of_rows);
      break;
    case RST_ADD_FLOATS:
      finish_rows(RST_ADD_FLOATS, g, pixel, rows, panel, sums_of_rows);
      break;
    case RST_ADD_ELEMENTS:
      finish_rows(RST_ADD_ELEMENTS, g, pixel, rows, panel, sums_of_rows);
  }
}

RST_INLINE void store_results(const int mt, const int np, const rst_gemm *g, const place *to) {
  float *out = (float *)g->out + to->pixel * g->out_pitch + to->panel * g->out_panel;
  const size_t pitch = g->out_pitch * sizeof *out;
  _tile_stored(SUMS_00, out, pitch);
  if (mt > 1) _tile_stored(SUMS_10, out + TILE_ROWS * g->out_pitch, pitch);
  if (np > 1) _tile_stored(SUMS_01, out + g->out_panel, pitch);
  if (mt > 1 && np > 1) _tile_stored(SUMS_11, out + TILE_ROWS * g->out_pitch + g->out_panel, pitch);
}

/* ---- All of it ---------------------------------------------------------------------------------- */

RST_INLINE void block(const int mt, const int np, const rst_gemm *g, const place *at) {
  add_products(mt, np, g, at);
  if (!RST_INT8 && g->into == RST_INTO_FLOATS) { /* these are the results */
    store_results(mt, np, g, at);
    return;
  }
  tile_sums results;
  tiles_store(mt, np, results);
  for (int i = 0; i < mt; i++)
    for (int j = 0; j < np; j++)
      finish(g, at->pixel + (size_t)i * TILE_ROWS, at->rows, at->panel + (size_t)j, results[i][j]);
}

#define PANELS(np)                                                                       \
  static void panels_##np(const rst_gemm *g, place at, size_t end) {                     \
    for (; at.pixel + 2 * at.rows <= end; at.pixel += 2 * at.rows) block(2, np, g, &at); \
    if (at.pixel < end) block(1, np, g, &at);                                            \
  }
PANELS(1)
PANELS(2)

/* Pixels [first, end), a multiple of `rows` of them. The panels of a block stay in the first-level cache
 * while the pixels pass by. */
static void pixels_in_rows(const rst_gemm *g, size_t first, size_t end, size_t rows) {
  place at = {.pixel = first, .rows = rows};
  tiles_configure(rows, g->k * sizeof(lhs) % TILE_BYTES);
  for (; at.panel + 2 <= g->panels; at.panel += 2) panels_2(g, at, end);
  if (at.panel < g->panels) panels_1(g, at, end);
}

void RST_KERNEL(gemm)(const rst_gemm *g) {
  const size_t rest = g->pixels % TILE_ROWS, whole = g->pixels - rest;
  if (whole > 0) pixels_in_rows(g, 0, whole, TILE_ROWS);
  if (rest > 0) pixels_in_rows(g, whole, g->pixels, rest);
  _tile_release();
}

#endif
