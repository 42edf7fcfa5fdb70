/* gemm.c - the matrix product of all 1x1 and 3x3 convolutions: few to some hundred k, pixels as rows.
 *
 * A block of MR pixels x NP panels is held in registers over the whole k: per k it loads NP groups of weights
 * and MR broadcast values for MR * NP groups of multiply-adds. The panels of a block stay in the first-level
 * cache while the pixels pass by. */
#include "kernels/simd/gemm_block.h"

#if !RST_INT8
void RST_KERNEL(pack)(const float *rows, size_t k, void *w) {
  for (size_t i = 0; i < k; i += STEP)
    for (size_t j = 0; j < RST_GROUP; j += V) {
      vf step[STEP];
      for (size_t s = 0; s < STEP; s++) step[s] = vf_load(rows + (i + s) * RST_GROUP + j);
      step_store((element *)w + i * RST_GROUP + j * STEP, step);
    }
}
#endif

#if !defined(__AMX_TILE__) /* gemm_amx.c */
enum { MAX_MR = 14, MAX_NV = 4 };
typedef vsum sums[MAX_MR][MAX_NV];

/* What the sums of a vector of columns begin with: the bias, which integers get in the end. */
RST_INLINE vsum first_sum(const rst_gemm *g, size_t panel, size_t j) {
#if RST_INT8
  return LHS_ZERO == 0 ? (vi){0} : tail_at(g, panel, j, FIRST_SUMS);
#else
  return bias_at(g, panel, j);
#endif
}

/* A block of pixels from `pixel` on and panels from `panel` on; mr and np are constants after inlining. */
RST_INLINE void start(const int mr, const int np, const rst_gemm *g, size_t panel, sums acc) {
  RST_UNROLL
  for (int j = 0; j < np * VECTORS; j++) {
    const vsum first = first_sum(g, panel, (size_t)j);
    RST_UNROLL
    for (int i = 0; i < mr; i++) acc[i][j] = first;
  }
}

RST_INLINE void finish(const int mr, const int np, const rst_into into, const rst_gemm *g, size_t pixel,
                       size_t panel, sums acc) {
  ending e[MAX_NV];
  RST_UNROLL
  for (int j = 0; j < np * VECTORS; j++) e[j] = ending_of(g, panel, (size_t)j);
  RST_UNROLL
  for (int i = 0; i < mr; i++) {
    const float scale = scale_of(lhs_at(g, pixel + (size_t)i), g->k);
    RST_UNROLL
    for (int j = 0; j < np * VECTORS; j++)
      put(into, g->out,
          (pixel + (size_t)i) * g->out_pitch + (panel + (size_t)(j / VECTORS)) * g->out_panel +
              (size_t)(j % VECTORS) * V,
          result_of(acc[i][j], e[j], scale));
  }
}

/* One block; mr and np are constants after inlining, so that acc lives in registers. */
RST_INLINE void block(const int mr, const int np, const rst_gemm *g, size_t pixel, size_t panel) {
  const lhs *a = lhs_at(g, pixel);
  const weight *w = panel_at(g, panel);
  const size_t a_pitch = g->a_pitch * sizeof(operand) / sizeof(lhs), w_panel = g->w_panel / sizeof(weight);
  const int nv = np * VECTORS;
  sums acc;
  start(mr, np, g, panel, acc);
  for (size_t k = 0; k < g->k; k += K_STEP) {
    vweights wk[MAX_NV];
    RST_UNROLL
    for (int j = 0; j < nv; j++)
      wk[j] =
          step_load(w + (size_t)(j / VECTORS) * w_panel + k * RST_GROUP + (size_t)(j % VECTORS) * V * K_STEP);
    RST_UNROLL
    for (int i = 0; i < mr; i++) {
      RST_UNROLL
      for (int j = 0; j < nv; j++) acc[i][j] = product_add(acc[i][j], a + (size_t)i * a_pitch + k, wk[j]);
    }
  }
  switch (g->into) {
    case RST_INTO_FLOATS:
      finish(mr, np, RST_INTO_FLOATS, g, pixel, panel, acc);
      break;
    case RST_ADD_FLOATS:
      finish(mr, np, RST_ADD_FLOATS, g, pixel, panel, acc);
      break;
    case RST_ADD_ELEMENTS:
      finish(mr, np, RST_ADD_ELEMENTS, g, pixel, panel, acc);
  }
}

/* Panels [panel, panel + np) of all pixels: blocks of mr, then the rest in halves. The copy is known not to
 * be changed by what the results are written over, and stays in registers. */
#define PANELS(mr, np)                                                                       \
  static __attribute__((noinline)) void panels_##np(const rst_gemm *product, size_t panel) { \
    const rst_gemm copy = *product, *g = &copy;                                              \
    size_t p = 0;                                                                            \
    for (; p + (mr) <= g->pixels; p += (mr)) block(mr, np, g, p, panel);                     \
    if ((mr) > 8 && p + 8 <= g->pixels) block(8, np, g, p, panel), p += 8;                   \
    if ((mr) > 4 && p + 4 <= g->pixels) block(4, np, g, p, panel), p += 4;                   \
    if ((mr) > 2 && p + 2 <= g->pixels) block(2, np, g, p, panel), p += 2;                   \
    for (; p < g->pixels; p++) block(1, np, g, p, panel);                                    \
  }

#if defined(__AVX512F__)
PANELS(14, 1)
PANELS(12, 2)
PANELS(8, 3)
void RST_KERNEL(gemm)(const rst_gemm *g) {
  size_t panel = 0, left = g->panels;
  /* Threes where they leave no single panel over, twos otherwise. */
  for (; left >= 3 && left != 4; left -= 3, panel += 3) panels_3(g, panel);
  for (; left >= 2; left -= 2, panel += 2) panels_2(g, panel);
  if (left == 1) panels_1(g, panel);
}
#else
#if defined(__ARM_NEON) || defined(__AVX2__)
PANELS(6, 1) /* 12 of 16, or 24 of 32 registers hold sums */
#else
PANELS(3, 1)
#endif
void RST_KERNEL(gemm)(const rst_gemm *g) {
  for (size_t panel = 0; panel < g->panels; panel++) panels_1(g, panel);
}
#endif
#endif
