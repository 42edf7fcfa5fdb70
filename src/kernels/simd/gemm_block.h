/* gemm_block.h - what products in registers and in tiles share: where operands stand, and how sums end. */
#ifndef RST_KERNELS_SIMD_GEMM_BLOCK_H
#define RST_KERNELS_SIMD_GEMM_BLOCK_H

#include "kernels/simd/products.h"

RST_INLINE const lhs *lhs_at(const rst_gemm *g, size_t pixel) {
  return (const lhs *)((const operand *)g->a + pixel * g->a_pitch);
}

RST_INLINE const weight *panel_at(const rst_gemm *g, size_t panel) {
  return (const weight *)((const char *)g->w + panel * g->w_panel);
}

/* Vector j of the bias. */
RST_INLINE vf bias_at(const rst_gemm *g, size_t panel, size_t j) {
  return g->bias == NULL ? vf_splat(0) : vf_load(g->bias + panel * RST_GROUP + j * V);
}

#if RST_INT8
/* Vector j of one of the tails. */
RST_INLINE vi tail_at(const rst_gemm *g, size_t panel, size_t j, size_t tail) {
  vi v;
  memcpy(&v,
         panel_at(g, panel + j / VECTORS) + (g->k + tail * sizeof v[0]) * RST_GROUP + j % VECTORS * sizeof v,
         sizeof v);
  return v;
}
#endif

/* What the sums of a vector of columns are multiplied by, and what is added, besides the pixel's scale. */
typedef struct ending {
  vf scale, bias;
} ending;

RST_INLINE ending ending_of(const rst_gemm *g, size_t panel, size_t j) {
#if RST_INT8
  return (ending){(vf)tail_at(g, panel, j, SCALES), bias_at(g, panel, j)};
#else
  (void)g, (void)panel, (void)j;
  return (ending){0};
#endif
}

/* The scale of a pixel, behind its k's. */
RST_INLINE float scale_of(const lhs *pixel, size_t k) {
  float scale = 1;
  if (RST_INT8) memcpy(&scale, pixel + rst_round_up(k, RST_GROUP), sizeof scale);
  return scale;
}

/* What the sums stand for. */
RST_INLINE vf result_of(vsum sum, ending e, float pixel_scale) {
#if RST_INT8
  return vf_fma(__builtin_convertvector(sum, vf), vf_splat(pixel_scale) * e.scale, e.bias);
#else
  (void)e, (void)pixel_scale;
  return sum;
#endif
}

/* To element or float `at` of the result. */
RST_INLINE void put(const rst_into into, void *out, size_t at, vf result) {
  if (into == RST_ADD_ELEMENTS) {
    element *map = (element *)out + at;
    element_store(map, element_load(map) + result);
  } else {
    float *values = (float *)out + at;
    vf_store(values, into == RST_ADD_FLOATS ? (vf)(vf_load(values) + result) : result);
  }
}

#endif
