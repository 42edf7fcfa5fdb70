/* vector.h - the few vector operations that the kernels are written in, for the instruction set that this
 * file is compiled for. A vector holds V floats; buffers are laid out in groups of RST_GROUP floats, a
 * multiple of every V, so that layouts do not depend on the instruction set. */
#ifndef RST_KERNELS_SIMD_VECTOR_H
#define RST_KERNELS_SIMD_VECTOR_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bfloat16.h"
#include "kernels/kernels.h"

#define RST_INLINE static inline __attribute__((always_inline))

/* Before a loop over vectors that are to stay in registers: unroll it all (up to 16 times). */
#ifdef __clang__
#define RST_UNROLL _Pragma("clang loop unroll(full)")
#else
#define RST_UNROLL _Pragma("GCC unroll 16")
#endif

/* One operation a line, to be read as a table. */
/* clang-format off */
#if defined(__AVX512F__)
#include <immintrin.h>
enum { V = 16 };
typedef __m512 vf;
typedef int32_t vi __attribute__((vector_size(64)));
RST_INLINE vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
RST_INLINE void vf_store(float *p, vf v) { _mm512_storeu_ps(p, v); }
RST_INLINE vf vf_splat(float x) { return _mm512_set1_ps(x); }
RST_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
RST_INLINE vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); }
RST_INLINE vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }
RST_INLINE vf vf_sqrt(vf v) { return _mm512_sqrt_ps(v); }
RST_INLINE vi vi_max(vi a, vi b) { return (vi)_mm512_max_epi32((__m512i)a, (__m512i)b); }
#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
enum { V = 8 };
typedef __m256 vf;
typedef int32_t vi __attribute__((vector_size(32)));
RST_INLINE vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
RST_INLINE void vf_store(float *p, vf v) { _mm256_storeu_ps(p, v); }
RST_INLINE vf vf_splat(float x) { return _mm256_set1_ps(x); }
RST_INLINE vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
RST_INLINE vf vf_min(vf a, vf b) { return _mm256_min_ps(a, b); }
RST_INLINE vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); }
RST_INLINE vf vf_sqrt(vf v) { return _mm256_sqrt_ps(v); }
RST_INLINE vi vi_max(vi a, vi b) { return (vi)_mm256_max_epi32((__m256i)a, (__m256i)b); }
#elif defined(__ARM_NEON) && !defined(RST_PORTABLE)
#include <arm_neon.h>
enum { V = 4 };
typedef float32x4_t vf;
typedef int32_t vi __attribute__((vector_size(16)));
RST_INLINE vf vf_load(const float *p) { return vld1q_f32(p); }
RST_INLINE void vf_store(float *p, vf v) { vst1q_f32(p, v); }
RST_INLINE vf vf_splat(float x) { return vdupq_n_f32(x); }
RST_INLINE vf vf_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
RST_INLINE vf vf_min(vf a, vf b) { return vminq_f32(a, b); }
RST_INLINE vf vf_max(vf a, vf b) { return vmaxq_f32(a, b); }
RST_INLINE vf vf_sqrt(vf v) { return vsqrtq_f32(v); }
RST_INLINE vi vi_max(vi a, vi b) { return (vi)vmaxq_s32((int32x4_t)a, (int32x4_t)b); }
#else
/* Any processor that the compiler knows: GNU vector extensions, which SSE2 and others map to. */
#if defined(__SSE2__)
#include <immintrin.h>
#endif
enum { V = 4 };
typedef float vf __attribute__((vector_size(16)));
typedef int32_t vi __attribute__((vector_size(16)));
RST_INLINE vf vf_load(const float *p) {
  vf v;
  memcpy(&v, p, sizeof v);
  return v;
}
RST_INLINE void vf_store(float *p, vf v) { memcpy(p, &v, sizeof v); }
RST_INLINE vf vf_splat(float x) { return (vf){x, x, x, x}; }
RST_INLINE vf vf_fma(vf a, vf b, vf c) { return a * b + c; } /* two roundings where there is no FMA */
RST_INLINE vf vf_select(vi mask, vf a, vf b) { return (vf)((mask & (vi)a) | (~mask & (vi)b)); }
RST_INLINE vf vf_min(vf a, vf b) { return vf_select(a < b, a, b); }
RST_INLINE vf vf_max(vf a, vf b) { return vf_select(a > b, a, b); }
RST_INLINE vf vf_sqrt(vf v) { return (vf){sqrtf(v[0]), sqrtf(v[1]), sqrtf(v[2]), sqrtf(v[3])}; }
RST_INLINE vi vi_max(vi a, vi b) { return ((a > b) & a) | (~(a > b) & b); }
#endif

/* clang-format on */
enum { VECTORS = RST_GROUP / V }; /* vectors in a group */

/* The sums of the lanes of four vectors, each in halves. */
#if defined(__AVX2__) && defined(__FMA__)
RST_INLINE __m128 vf_quarters(vf v) {
#if defined(__AVX512F__)
  __m256 w = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
#else
  __m256 w = v;
#endif
  return _mm_add_ps(_mm256_castps256_ps128(w), _mm256_extractf128_ps(w, 1));
}
RST_INLINE void vf_sums(const vf v[4], float sums[4]) {
  __m128 a = vf_quarters(v[0]), b = vf_quarters(v[1]), c = vf_quarters(v[2]), d = vf_quarters(v[3]);
  __m128 ab = _mm_add_ps(_mm_unpacklo_ps(a, b), _mm_unpackhi_ps(a, b));
  __m128 cd = _mm_add_ps(_mm_unpacklo_ps(c, d), _mm_unpackhi_ps(c, d));
  _mm_storeu_ps(sums, _mm_add_ps(_mm_movelh_ps(ab, cd), _mm_movehl_ps(cd, ab)));
}
/* The largest lane of each of four vectors. */
RST_INLINE __m128i vi_quarters(vi v) {
#if defined(__AVX512F__)
  const __m256i w =
      _mm256_max_epi32(_mm512_castsi512_si256((__m512i)v), _mm512_extracti64x4_epi64((__m512i)v, 1));
#else
  const __m256i w = (__m256i)v;
#endif
  return _mm_max_epi32(_mm256_castsi256_si128(w), _mm256_extracti128_si256(w, 1));
}
RST_INLINE void vi_largests(const vi v[4], int32_t largest[4]) {
  __m128i a = vi_quarters(v[0]), b = vi_quarters(v[1]), c = vi_quarters(v[2]), d = vi_quarters(v[3]);
  __m128i ab = _mm_max_epi32(_mm_unpacklo_epi32(a, b), _mm_unpackhi_epi32(a, b));
  __m128i cd = _mm_max_epi32(_mm_unpacklo_epi32(c, d), _mm_unpackhi_epi32(c, d));
  _mm_storeu_si128((__m128i *)largest, _mm_max_epi32(_mm_unpacklo_epi64(ab, cd), _mm_unpackhi_epi64(ab, cd)));
}
#else
RST_INLINE void vf_sums(const vf v[4], float sums[4]) {
  for (int i = 0; i < 4; i++) sums[i] = (v[i][0] + v[i][2]) + (v[i][1] + v[i][3]);
}
RST_INLINE void vi_largests(const vi v[4], int32_t largest[4]) {
  for (int i = 0; i < 4; i++) {
    largest[i] = v[i][0];
    for (int j = 1; j < V; j++) largest[i] = v[i][j] > largest[i] ? v[i][j] : largest[i];
  }
}
#endif

/* Maps hold elements: float32, or bf16 in the variants with RST_BF16, which those with RST_INT8 have, too. */
#if RST_BF16
typedef uint16_t element;
/* Loads / stores V elements as float32. */
typedef uint16_t vector_of_halves __attribute__((vector_size(2 * V)));
typedef uint32_t vector_of_bits __attribute__((vector_size(4 * V)));
RST_INLINE vf element_load(const element *p) {
  vector_of_halves half;
  memcpy(&half, p, sizeof half);
  return (vf)(__builtin_convertvector(half, vector_of_bits) << 16);
}
RST_INLINE vector_of_bits bf16_round(vf v) {
  const vector_of_bits bits = (vector_of_bits)v, nan = (vector_of_bits)(v != v);
  return RST_BF16_ROUND(bits, nan);
}
RST_INLINE void element_store(element *p, vf v) {
#if defined(__AVX512BF16__)
  const vector_of_halves half = (vector_of_halves)_mm512_cvtneps_pbh(v);
#else
  const vector_of_halves half = __builtin_convertvector(bf16_round(v), vector_of_halves);
#endif
  memcpy(p, &half, sizeof half);
}
#else
typedef float element;
RST_INLINE vf element_load(const element *p) {
  return vf_load(p);
}
RST_INLINE void element_store(element *p, vf v) {
  vf_store(p, v);
}
#endif

/* What normalize, dwconv_operand and dwconv_gate make: elements, or floats that are still to be quantized. */
#if RST_INT8
typedef float operand;
RST_INLINE void operand_store(operand *p, vf v) {
  vf_store(p, v);
}
#else
typedef element operand;
RST_INLINE void operand_store(operand *p, vf v) {
  element_store(p, v);
}
#endif

/* Every variant of a kernel has a name of its own: gemm becomes rst_gemm_avx512_f32. */
#define RST_JOIN2(name, variant) rst_##name##_##variant
#define RST_JOIN(name, variant) RST_JOIN2(name, variant)
#define RST_KERNEL(name) RST_JOIN(name, RST_VARIANT)

void RST_KERNEL(pack)(const float *rows, size_t k, void *w);
void RST_KERNEL(quantize)(float *x, size_t pitch, size_t pixels, size_t k, const float *even);
void RST_KERNEL(gemm)(const rst_gemm *g);
void RST_KERNEL(normalize)(const rst_normalize *n);
void RST_KERNEL(dwconv_operand)(const rst_dwconv *conv, void *out, size_t pitch);
void RST_KERNEL(dwconv_gram)(const rst_dwconv *conv, void *out, size_t pitch, float *squares);
void RST_KERNEL(dwconv_gate)(const rst_dwconv *conv, void *out, size_t pitch);
void RST_KERNEL(gram)(const rst_gram *g);
void RST_KERNEL(store)(void *map, size_t map_pitch, const float *values, size_t pitch, size_t n,
                       size_t channels);
void RST_KERNEL(load)(float *values, size_t pitch, const void *map, size_t map_pitch, size_t n,
                      size_t channels);

#endif
