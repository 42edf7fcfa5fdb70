/* quantize.c - floats to integers of -127 to 127: left operands by pixel, weights by column. */
#include "kernels/simd/products.h"

#if RST_INT8

enum { LARGEST = 127, BLOCK = 16 /* pixels at once: their scales are worked out side by side */ };

/* What integers are to be multiplied by, and numbers. */
typedef struct scales {
  vf scale, inverse;
} scales;

/* From the bits of the largest of sizes; one that is not finite is larger than any other, and makes a scale
 * that is not finite. Numbers so small that 127 / size might overflow are nothing. */
RST_INLINE scales scales_of(vi largest) {
  const vi something =
      (vi)(vf_splat(0x1p-100f)) <= largest; /* as positive floats compare, so do their bits */
  const vf size = (vf)largest;
  return (scales){(vf)(something & (vi)(size / vf_splat(LARGEST))),
                  (vf)(something & (vi)(vf_splat(LARGEST) / size))};
}

RST_INLINE vi sizes(vf v) {
  return (vi)v & 0x7fffffff;
}

/* Where floats are 1 apart: added, it rounds to nearest, ties to even, and the low bits are the integer. */
static const float ROUND = 0x1.8p23f;

RST_INLINE vi rounded(vf v) {
  return (vi)(v + vf_splat(ROUND)) - (vi)vf_splat(ROUND);
}

/* A group of left operands, rounded to nearest, ties to even. What is not a number has no meaning. */
RST_INLINE void lhs_store(lhs *p, const vf v[VECTORS]) {
#if defined(__AVX512F__)
  const __m512i bits =
      _mm512_castps_si512(v[0] + vf_splat(ROUND + LHS_ZERO)); /* the low ones are the integer */
#if defined(__AVX512VNNI__)
  _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(bits));
#else
  _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(bits));
#endif
#elif defined(__AVX2__)
  const __m256i words =
      _mm256_packs_epi32(_mm256_cvtps_epi32(v[0]), _mm256_cvtps_epi32(v[1])); /* of each half */
#if defined(__AVXVNNI__)
  const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  const __m128i ordered = _mm_shuffle_epi32(bytes, _MM_SHUFFLE(3, 1, 2, 0));
  _mm_storeu_si128((__m128i *)p, _mm_xor_si128(ordered, _mm_set1_epi8((char)LHS_ZERO)));
#else
  _mm256_storeu_si256((__m256i *)p, _mm256_permute4x64_epi64(words, _MM_SHUFFLE(3, 1, 2, 0)));
#endif
#else
  typedef lhs lhs_vector __attribute__((vector_size(V * sizeof(lhs))));
  for (size_t i = 0; i < VECTORS; i++) {
    const lhs_vector narrow = __builtin_convertvector(rounded(v[i]) + LHS_ZERO, lhs_vector);
    memcpy(p + i * V, &narrow, sizeof narrow);
  }
#endif
}

RST_INLINE void quantize_block(float *x, size_t pitch, size_t pixels, size_t k, const float *even) {
  vi lanes[BLOCK];
  int32_t largest[BLOCK];
  float scale[BLOCK], inverse[BLOCK];
  for (size_t p = 0; p < BLOCK; p++) lanes[p] = (vi){0};
  for (size_t p = 0; p < pixels; p++)
    for (size_t c = 0; c < k; c += V)
      lanes[p] = vi_max(lanes[p], sizes(vf_load(x + p * pitch + c) * vf_load(even + c)));
  for (size_t p = 0; p < BLOCK; p += 4) vi_largests(lanes + p, largest + p);
  for (size_t p = 0; p < BLOCK; p += V) {
    vi bits;
    memcpy(&bits, largest + p, sizeof bits);
    const scales s = scales_of(bits);
    vf_store(scale + p, s.scale);
    vf_store(inverse + p, s.inverse);
  }
  for (size_t p = 0; p < pixels; p++, x += pitch) {
    lhs *q = (lhs *)(void *)x;
    for (size_t c = 0; c < k; c += RST_GROUP) { /* only what has been read is written over */
      vf v[VECTORS];
      RST_UNROLL
      for (size_t i = 0; i < VECTORS; i++)
        v[i] = vf_load(x + c + i * V) * vf_load(even + c + i * V) * vf_splat(inverse[p]);
      lhs_store(q + c, v);
    }
    memcpy(q + k, &scale[p], sizeof scale[p]);
  }
}

void RST_KERNEL(quantize)(float *x, size_t pitch, size_t pixels, size_t k, const float *even) {
  for (size_t p = 0; p < pixels; p += BLOCK)
    quantize_block(x + p * pitch, pitch, pixels - p < BLOCK ? pixels - p : BLOCK, k, even);
}

void RST_KERNEL(pack)(const float *rows, size_t k, void *w) {
  for (size_t j = 0; j < RST_GROUP; j += V) {
    vi largest = {0};
    for (size_t i = 0; i < k; i++) largest = vi_max(largest, sizes(vf_load(rows + i * RST_GROUP + j)));
    const scales scale = scales_of(largest);
    vector_of_bits sum = {0}; /* what is not finite makes integers of no meaning, whose sums may overflow */
    for (size_t i = 0; i < k; i++) {
      const vi q = rounded(vf_load(rows + i * RST_GROUP + j) * scale.inverse);
      sum += (vector_of_bits)q;
      weight *step = (weight *)w + i / K_STEP * K_STEP * RST_GROUP + j * K_STEP + i % K_STEP;
      for (size_t lane = 0; lane < V; lane++) step[lane * K_STEP] = (weight)q[lane];
    }
    const vector_of_bits first = sum * -(uint32_t)LHS_ZERO;
    weight *tails = (weight *)w + k * RST_GROUP + j * sizeof(float);
    memcpy(tails + SCALES * RST_GROUP * sizeof(float), &scale.scale, sizeof scale.scale);
    memcpy(tails + FIRST_SUMS * RST_GROUP * sizeof(float), &first, sizeof first);
  }
}

#endif
