/* products.h - the steps of a product's sum, of elements as steps.h has them, or of integers.
 *
 * Most new processors have dot products of four pairs of bytes. Left operands of x86's (VNNI, AMX) are
 * without a sign: they are stored 128 too large, and the sums begin with what that makes too much. Elsewhere
 * integers of 8 bits are widened to 16, left operands when they are made and weights when they are loaded,
 * and summed in pairs, for which most processors have an instruction. (AVX2's vpmaddubsw takes 8 bits and no
 * sign, too, but its sums of two products are cut off at 16 bits, and what it takes to give the sign to the
 * other operand costs more than the wider products.) The sums are exact, so that every instruction set finds
 * the same. */
#ifndef RST_KERNELS_SIMD_PRODUCTS_H
#define RST_KERNELS_SIMD_PRODUCTS_H

#include "kernels/simd/steps.h"

/* K_STEP: k's of a step. product_add: sums of V columns, and a step at `a` times that of each column. */
#if !RST_INT8
enum { K_STEP = STEP, TAILS = 0 };
typedef element lhs, weight;
typedef vf vsum;
typedef vw vweights;
RST_INLINE vw step_load(const weight *w) {
  return weights_load(w);
}
RST_INLINE vf product_add(vf acc, const lhs *a, vw w) {
  return multiply_add(acc, a, w);
}
#else
typedef vi vsum, vweights;

/* Behind a panel, for each of its columns: its scale, a float, and what its sum begins with, an int32. */
enum { SCALES, FIRST_SUMS, TAILS };
typedef int8_t weight;

#if defined(__AVX512VNNI__) || defined(__AVXVNNI__) || \
    (defined(__ARM_FEATURE_DOTPROD) && !defined(RST_PORTABLE))
#if defined(__ARM_FEATURE_DOTPROD)
enum { K_STEP = 4, LHS_ZERO = 0 };
typedef int8_t lhs;
#else
enum { K_STEP = 4, LHS_ZERO = 128 };
typedef uint8_t lhs;
#endif

RST_INLINE vi step_load(const weight *w) {
  vi v;
  memcpy(&v, w, sizeof v);
  return v;
}

RST_INLINE vi product_add(vi acc, const lhs *a, vi w) {
  int32_t step;
  memcpy(&step, a, sizeof step);
#if defined(__AVX512VNNI__)
  return (vi)_mm512_dpbusd_epi32((__m512i)acc, _mm512_set1_epi32(step), (__m512i)w);
#elif defined(__ARM_FEATURE_DOTPROD)
  return (vi)vdotq_s32((int32x4_t)acc, vreinterpretq_s8_s32(vdupq_n_s32(step)), (int8x16_t)w);
#else
  return (vi)_mm256_dpbusd_avx_epi32((__m256i)acc, _mm256_set1_epi32(step), (__m256i)w);
#endif
}

#else
enum { K_STEP = 2, LHS_ZERO = 0 };
typedef int16_t lhs;

RST_INLINE vi step_load(const weight *w) {
#if defined(__AVX512BW__)
  return (vi)_mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)w));
#elif defined(__AVX2__)
  return (vi)_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)w));
#else
  typedef int8_t pairs_of_bytes __attribute__((vector_size(2 * V)));
  typedef int16_t pairs __attribute__((vector_size(4 * V)));
  pairs_of_bytes narrow;
  memcpy(&narrow, w, sizeof narrow);
  return (vi) __builtin_convertvector(narrow, pairs);
#endif
}

RST_INLINE vi product_add(vi acc, const lhs *a, vi w) {
  int32_t step;
  memcpy(&step, a, sizeof step);
  const vi x = step - (vi){0}; /* in all lanes */
#if defined(__AVX512BW__)
  return acc + (vi)_mm512_madd_epi16((__m512i)x, (__m512i)w);
#elif defined(__AVX2__)
  return acc + (vi)_mm256_madd_epi16((__m256i)x, (__m256i)w);
#elif defined(__SSE2__)
  return acc + (vi)_mm_madd_epi16((__m128i)x, (__m128i)w);
#else
  return acc + ((x << 16) >> 16) * ((w << 16) >> 16) + (x >> 16) * (w >> 16);
#endif
}
#endif
#endif

#endif
