/* gemm_amx.c - the matrix product in tiles (AMX): 16 pixels times 16 columns, 64 bytes of k at once.
 *
 * A panel, packed for dot products, is a column of right tiles as it stands: a row holds a step of each of
 * its 16 columns. Two times two tiles of sums share the left and right ones that are loaded. */
#include "kernels/simd/gemm_block.h"

#if defined(__AMX_TILE__)

enum { ROWS = 16, ROW_BYTES = 64 };

/* Tiles. (gcc writes the names into assembly, so that they have to be these.) Those of the last k's, where
 * less than 64 bytes are left, have their own shapes. */
#define SUMS_00 0
#define SUMS_01 1
#define SUMS_10 2
#define SUMS_11 3
#define LEFT 4
#define LEFT_REST 5
#define RIGHT 6
#define RIGHT_REST 7
enum { TILES = 8 };

/* As the instruction reads it. */
typedef struct shapes {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} shapes;

static void configure(size_t pixels, size_t rest_bytes) {
  shapes s = {.palette = 1};
  for (int tile = 0; tile < TILES; tile++) {
    const bool right = tile == RIGHT || tile == RIGHT_REST, rest = tile == LEFT_REST || tile == RIGHT_REST;
    const size_t k_bytes = rest && rest_bytes > 0 ? rest_bytes : ROW_BYTES;
    s.row_bytes[tile] = (uint16_t)(right || tile < LEFT ? ROW_BYTES : k_bytes);
    s.rows[tile] = (uint8_t)(right ? k_bytes / sizeof(float) : pixels);
  }
  __asm__ volatile("" ::
                       : "memory"); /* gcc does not know what the instruction reads: it is all to be stored */
  _tile_loadconfig(&s);
}

#if RST_INT8
#define ADD_PRODUCT(sums, left, right) _tile_dpbusd(sums, left, right)
#else
#define ADD_PRODUCT(sums, left, right) _tile_dpbf16ps(sums, left, right)
#endif

/* The sums of a tile begin alike in every row. */
#define START(tile, panel)                   \
  do {                                       \
    const void *first = first_row(g, panel); \
    if (first == NULL)                       \
      _tile_zero(tile);                      \
    else                                     \
      _tile_loadd(tile, first, 0);           \
  } while (0)

#define ADD(left, right)                             \
  do {                                               \
    _tile_loadd(right, w, ROW_BYTES);                \
    _tile_loadd(left, a, pitch);                     \
    ADD_PRODUCT(SUMS_00, left, right);               \
    if (mt > 1) {                                    \
      _tile_loadd(left, a + ROWS * pitch, pitch);    \
      ADD_PRODUCT(SUMS_10, left, right);             \
    }                                                \
    if (np > 1) {                                    \
      _tile_loadd(right, w + g->w_panel, ROW_BYTES); \
      if (mt > 1) {                                  \
        ADD_PRODUCT(SUMS_11, left, right);           \
        _tile_loadd(left, a, pitch);                 \
      }                                              \
      ADD_PRODUCT(SUMS_01, left, right);             \
    }                                                \
  } while (0)

/* As first_sum has it, NULL for nothing. */
RST_INLINE const void *first_row(const rst_gemm *g, size_t panel) {
#if RST_INT8
  return panel_at(g, panel) + (g->k + FIRST_SUMS * sizeof(float)) * RST_GROUP;
#else
  return g->bias == NULL ? NULL : g->bias + panel * RST_GROUP;
#endif
}

RST_INLINE void finish_rows(const rst_into into, const rst_gemm *g, size_t pixel, size_t rows, size_t panel,
                            const float tile[ROWS][RST_GROUP]) {
  const size_t a_pitch = g->a_pitch * sizeof(operand) / sizeof(lhs), out_pitch = g->out_pitch, k = g->k;
  const lhs *a = lhs_at(g, pixel);
  const ending e = ending_of(g, panel, 0);
  void *out = g->out;
  for (size_t i = 0, at = pixel * out_pitch + panel * g->out_panel; i < rows; i++, at += out_pitch) {
    vsum sum;
    memcpy(&sum, tile[i], sizeof sum);
    put(into, out, at, result_of(sum, e, scale_of(a + i * a_pitch, k)));
  }
}

/* Of the tile of pixels from `pixel` on and a panel. */
RST_INLINE void finish_tile(const rst_gemm *g, size_t pixel, size_t rows, size_t panel,
                            const float tile[ROWS][RST_GROUP]) {
  switch (g->into) {
    case RST_INTO_FLOATS:
      finish_rows(RST_INTO_FLOATS, g, pixel, rows, panel, tile);
      break;
    case RST_ADD_FLOATS:
      finish_rows(RST_ADD_FLOATS, g, pixel, rows, panel, tile);
      break;
    case RST_ADD_ELEMENTS:
      finish_rows(RST_ADD_ELEMENTS, g, pixel, rows, panel, tile);
  }
}

/* mt times `rows` pixels and np panels. */
RST_INLINE void block(const int mt, const int np, const rst_gemm *g, size_t pixel, size_t rows,
                      size_t panel) {
  const char *a = (const char *)lhs_at(g, pixel), *w = (const char *)panel_at(g, panel);
  const size_t pitch = g->a_pitch * sizeof(operand), k_bytes = g->k * sizeof(lhs);
  START(SUMS_00, panel);
  if (mt > 1) START(SUMS_10, panel);
  if (np > 1) START(SUMS_01, panel + 1);
  if (mt > 1 && np > 1) START(SUMS_11, panel + 1);
  for (size_t k = 0; k + ROW_BYTES <= k_bytes; k += ROW_BYTES, a += ROW_BYTES, w += ROWS * ROW_BYTES)
    ADD(LEFT, RIGHT);
  if (k_bytes % ROW_BYTES != 0) ADD(LEFT_REST, RIGHT_REST);
  if (!RST_INT8 && g->into == RST_INTO_FLOATS) {
    float *out = (float *)g->out + pixel * g->out_pitch + panel * g->out_panel;
    const size_t out_pitch = g->out_pitch * sizeof *out;
    _tile_stored(SUMS_00, out, out_pitch);
    if (mt > 1) _tile_stored(SUMS_10, out + ROWS * g->out_pitch, out_pitch);
    if (np > 1) _tile_stored(SUMS_01, out + g->out_panel, out_pitch);
    if (mt > 1 && np > 1) _tile_stored(SUMS_11, out + ROWS * g->out_pitch + g->out_panel, out_pitch);
    return;
  }
  /* All first: what a tile has stored can be loaded a while later. */
  float tiles[2][2][ROWS][RST_GROUP];
  _tile_stored(SUMS_00, tiles[0][0], ROW_BYTES);
  if (mt > 1) _tile_stored(SUMS_10, tiles[1][0], ROW_BYTES);
  if (np > 1) _tile_stored(SUMS_01, tiles[0][1], ROW_BYTES);
  if (mt > 1 && np > 1) _tile_stored(SUMS_11, tiles[1][1], ROW_BYTES);
  for (int i = 0; i < mt; i++)
    for (int j = 0; j < np; j++)
      finish_tile(g, pixel + (size_t)i * ROWS, rows, panel + (size_t)j, tiles[i][j]);
}

/* Panels stay in the first-level cache while the pixels pass by. */
#define PANELS(np)                                                                                     \
  static void panels_##np(const rst_gemm *g, size_t first, size_t pixels, size_t rows, size_t panel) { \
    size_t p = 0;                                                                                      \
    for (; p + 2 * rows <= pixels; p += 2 * rows) block(2, np, g, first + p, rows, panel);             \
    if (p < pixels) block(1, np, g, first + p, rows, panel);                                           \
  }
PANELS(1)
PANELS(2)

/* `pixels` of them, a multiple of `rows`, which is 16 or less. */
static void pixels_in_rows(const rst_gemm *g, size_t first, size_t pixels, size_t rows) {
  configure(rows, g->k * sizeof(lhs) % ROW_BYTES);
  size_t panel = 0;
  for (; panel + 2 <= g->panels; panel += 2) panels_2(g, first, pixels, rows, panel);
  if (panel < g->panels) panels_1(g, first, pixels, rows, panel);
}

void RST_KERNEL(gemm)(const rst_gemm *g) {
  const size_t rest = g->pixels % ROWS;
  if (g->pixels >= ROWS) pixels_in_rows(g, 0, g->pixels - rest, ROWS);
  if (rest > 0) pixels_in_rows(g, g->pixels - rest, rest, rest);
  _tile_release();
}

#endif
