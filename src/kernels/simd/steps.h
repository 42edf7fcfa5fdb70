/* steps.h - multiply-adds of elements. A product's sum runs in steps: one float32, or two bf16 that lie side
 * by side and are summed at once where the processor has dot products. Everywhere else the same two are
 * widened and added one after the other. */
#ifndef RST_KERNELS_SIMD_STEPS_H
#define RST_KERNELS_SIMD_STEPS_H

#include "kernels/simd/vector.h"

/* vw: a step of V columns. multiply_add takes the step at `a` times each column's. square_add takes each
 * column's times itself. step_store rounds STEP vectors of floats to a step of V columns. */
#if RST_BF16
enum { STEP = 2 };
#if defined(__AVX512BF16__)
typedef __m512bh vw;
RST_INLINE vw weights_load(const element *w) {
  return (vw)_mm512_loadu_si512(w);
}
RST_INLINE vf multiply_add(vf acc, const element *a, vw w) {
  int pair;
  memcpy(&pair, a, sizeof pair);
  return _mm512_dpbf16_ps(acc, (__m512bh)_mm512_set1_epi32(pair), w);
}
RST_INLINE vf square_add(vf acc, vw w) {
  return _mm512_dpbf16_ps(acc, w, w);
}
RST_INLINE vw step_store(element *p, const vf v[STEP]) {
  const __m512i halves = (__m512i)_mm512_cvtne2ps_pbh(v[1], v[0]);
  const __m512i pairs =
      _mm512_permutexvar_epi16(_mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8,
                                                23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0),
                               halves);
  _mm512_storeu_si512(p, pairs);
  return (vw)pairs;
}
#else
/* Without them, the same products one by one, of the same rounded operands. The first of a pair is the low
 * half. */
typedef struct vw {
  vf even, odd;
} vw;
RST_INLINE vw pairs(vector_of_bits both) {
  return (vw){(vf)(both << 16), (vf)(both & 0xffff0000u)};
}
RST_INLINE vw weights_load(const element *w) {
  vector_of_bits both;
  memcpy(&both, w, sizeof both);
  return pairs(both);
}
RST_INLINE vf multiply_add(vf acc, const element *a, vw w) {
  uint32_t pair;
  memcpy(&pair, a, sizeof pair);
  const vw x = pairs(pair - (vector_of_bits){0}); /* in all lanes */
  return vf_fma(x.odd, w.odd, vf_fma(x.even, w.even, acc));
}
RST_INLINE vw step_store(element *p, const vf v[STEP]) {
  const vector_of_bits both = bf16_round(v[0]) | bf16_round(v[1]) << 16;
  memcpy(p, &both, sizeof both);
  return pairs(both);
}
RST_INLINE vf square_add(vf acc, vw w) {
  return vf_fma(w.odd, w.odd, vf_fma(w.even, w.even, acc));
}
#endif
#else
enum { STEP = 1 };
typedef vf vw;
RST_INLINE vw weights_load(const element *w) {
  return vf_load(w);
}
RST_INLINE vf multiply_add(vf acc, const element *a, vw w) {
  return vf_fma(vf_splat(*a), w, acc);
}
RST_INLINE vf square_add(vf acc, vw w) {
  return vf_fma(w, w, acc);
}
RST_INLINE vw step_store(element *p, const vf v[STEP]) {
  vf_store(p, v[0]);
  return v[0];
}
#endif

#endif
