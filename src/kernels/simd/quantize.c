/* quantize.c - floats to integers of -127 to 127: left operands by pixel, weights by column. */
#include "kernels/simd/products.h"

#if RST_INT8

enum { LARGEST = 127 };

/* The largest of sizes, given as bits; one that is not finite is larger than any other, and makes a scale
 * that is not finite. Numbers so small that 127 / size might overflow are nothing. */
typedef struct scale {
  float scale, inverse;
} scale;

static scale scale_from(int32_t bits) {
  float size;
  memcpy(&size, &bits, sizeof size);
  if (size < 0x1p-100f) return (scale){0, 0};
  return (scale){size / LARGEST, LARGEST / size};
}

RST_INLINE vi sizes(vf v) {
  return (vi)v & 0x7fffffff;
}

/* To nearest, ties to even: where floats are 1 apart, their low bits are the integer. */
RST_INLINE vi rounded(vf v) {
  const vf round = vf_splat(0x1.8p23f);
  return (vi)(v + round) - (vi)round;
}

/* V of them, which are less than the type of a left operand holds. */
RST_INLINE void lhs_store(lhs *p, vi q) {
#if defined(__AVX512VNNI__)
  _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8((__m512i)q));
#elif defined(__AVXVNNI__)
  const __m128i low = _mm256_castsi256_si128((__m256i)q), high = _mm256_extracti128_si256((__m256i)q, 1);
  const __m128i words = _mm_packus_epi32(low, high);
  _mm_storel_epi64((__m128i *)p, _mm_packus_epi16(words, words));
#else
  typedef lhs lhs_vector __attribute__((vector_size(V * sizeof(lhs))));
  const lhs_vector narrow = __builtin_convertvector(q, lhs_vector);
  memcpy(p, &narrow, sizeof narrow);
#endif
}

void RST_KERNEL(quantize)(float *x, size_t pitch, size_t pixels, size_t k, const float *even) {
  for (size_t p = 0; p < pixels; p++, x += pitch) {
    vi largest = {0};
    for (size_t c = 0; c < k; c += V) largest = vi_max(largest, sizes(vf_load(x + c) * vf_load(even + c)));
    const scale s = scale_from(vi_largest(largest));
    for (size_t c = 0; c < k; c += V) {
      const vi q = rounded(vf_load(x + c) * vf_load(even + c) * vf_splat(s.inverse));
      lhs_store((lhs *)(void *)x + c, q + LHS_ZERO); /* only over what has been read */
    }
    memcpy((lhs *)(void *)x + k, &s.scale, sizeof s.scale);
  }
}

void RST_KERNEL(pack)(const float *rows, size_t k, void *w) {
  for (size_t j = 0; j < RST_GROUP; j += V) {
    vi largest = {0};
    for (size_t i = 0; i < k; i++) largest = vi_max(largest, sizes(vf_load(rows + i * RST_GROUP + j)));
    float scales[V], inverses[V];
    for (size_t i = 0; i < V; i++) {
      const scale s = scale_from(largest[i]);
      scales[i] = s.scale, inverses[i] = s.inverse;
    }
    const vf inverse = vf_load(inverses);
    vi sum = {0};
    for (size_t i = 0; i < k; i++) {
      const vi q = rounded(vf_load(rows + i * RST_GROUP + j) * inverse);
      sum += q;
      weight *step = (weight *)w + i / K_STEP * K_STEP * RST_GROUP + j * K_STEP + i % K_STEP;
      for (size_t lane = 0; lane < V; lane++) step[lane * K_STEP] = (weight)q[lane];
    }
    const vi first = sum * -LHS_ZERO;
    weight *tails = (weight *)w + k * RST_GROUP + j * sizeof(float);
    memcpy(tails + SCALES * sizeof scales * VECTORS, scales, sizeof scales);
    memcpy(tails + FIRST_SUMS * sizeof scales * VECTORS, &first, sizeof first);
  }
}

#endif
