/* gram.c - q^T k over pixels: the sum behind MDTA's attention matrix. */
#include "kernels/simd/steps.h"

#if !defined(__AMX_TILE__) /* gram_amx.c */

enum { MAX_ROWS = 8, MAX_NV = 4 };

/* A block of `rows` x `nv` vectors of sums, held in registers over all pixels. */
RST_INLINE void block(const int rows, const int nv, const rst_gram *g, size_t i0, size_t j0) {
  vf acc[MAX_ROWS][MAX_NV];
  RST_UNROLL
  for (int i = 0; i < rows; i++) {
    RST_UNROLL
    for (int j = 0; j < nv; j++) acc[i][j] = vf_splat(0);
  }
  const element *q = (const element *)g->x + (g->q + i0) * STEP,
                *k = (const element *)g->x + (g->k + j0) * STEP;
  for (size_t p = 0; p < g->pixels; p += STEP, q += g->pitch * STEP, k += g->pitch * STEP) {
    vw kv[MAX_NV];
    RST_UNROLL
    for (int j = 0; j < nv; j++) kv[j] = weights_load(k + (size_t)j * V * STEP);
    RST_UNROLL
    for (int i = 0; i < rows; i++) {
      RST_UNROLL
      for (int j = 0; j < nv; j++) acc[i][j] = multiply_add(acc[i][j], q + i * STEP, kv[j]);
    }
  }
  RST_UNROLL
  for (int i = 0; i < rows; i++) {
    RST_UNROLL
    for (int j = 0; j < nv; j++) {
      float *sums = g->sums + (i0 + (size_t)i) * g->sums_pitch + j0 + (size_t)j * V;
      vf_store(sums, vf_load(sums) + acc[i][j]);
    }
  }
}

#define COLUMNS(rows_at_once, nv)                                                                \
  static void columns_##nv(const rst_gram *g, size_t j) {                                        \
    size_t i = 0;                                                                                \
    for (; i + (rows_at_once) <= g->rows; i += (rows_at_once)) block(rows_at_once, nv, g, i, j); \
    for (; i < g->rows; i++) block(1, nv, g, i, j);                                              \
  }

#if defined(__AVX512F__)
COLUMNS(8, 3)
COLUMNS(8, 2)
COLUMNS(8, 1)
void RST_KERNEL(gram)(const rst_gram *g) {
  size_t j = 0, left = rst_round_up(g->columns, RST_GROUP) / V;
  for (; left >= 3 && left != 4; left -= 3, j += 3 * V) columns_3(g, j);
  for (; left >= 2; left -= 2, j += 2 * V) columns_2(g, j);
  if (left == 1) columns_1(g, j);
}
#else
#if defined(__ARM_NEON)
COLUMNS(6, 4)
#elif defined(__AVX2__)
COLUMNS(6, 2)
#else
COLUMNS(3, 4)
#endif
void RST_KERNEL(gram)(const rst_gram *g) {
  for (size_t j = 0; j < g->columns; j += RST_GROUP)
#if defined(__AVX2__)
    columns_2(g, j);
#else
    columns_4(g, j);
#endif
}
#endif
#endif
