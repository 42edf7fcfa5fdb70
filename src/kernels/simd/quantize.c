/* quantize.c - floats to integers of -127 to 127: left operands by pixel, weights by column. */
#include "kernels/simd/products.h"

#if RST_INT8

enum { LARGEST = 127 };

/* The largest of sizes, given as bits; one that is not finite is larger than any other, and makes a scale
 * that is not finite. Numbers so small that 127 / size might overflow are nothing. */
typedef struct scale {
  float scale, inverse;
} scale;

static scale scale_of(int32_t bits) {
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

void RST_KERNEL(quantize)(float *x, size_t pitch, size_t pixels, size_t k, const float *even) {
  typedef lhs lhs_vector __attribute__((vector_size(V * sizeof(lhs))));
  for (size_t p = 0; p < pixels; p++, x += pitch) {
    vi largest = {0};
    for (size_t c = 0; c < k; c += V) largest = vi_max(largest, sizes(vf_load(x + c) * vf_load(even + c)));
    const scale s = scale_of(vi_largest(largest));
    for (size_t c = 0; c < k; c += V) {
      const vi q = rounded(vf_load(x + c) * vf_load(even + c) * vf_splat(s.inverse));
      const lhs_vector narrow = __builtin_convertvector(q, lhs_vector);
      memcpy((lhs *)(void *)x + c, &narrow, sizeof narrow); /* only what has been read */
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
      const scale s = scale_of(largest[i]);
      scales[i] = s.scale, inverses[i] = s.inverse;
    }
    const vf inverse = vf_load(inverses);
    for (size_t i = 0; i < k; i++) {
      const vi q = rounded(vf_load(rows + i * RST_GROUP + j) * inverse);
      weight *step = (weight *)w + i / K_STEP * K_STEP * RST_GROUP + j * K_STEP + i % K_STEP;
      for (size_t lane = 0; lane < V; lane++) step[lane * K_STEP] = (weight)q[lane];
    }
    memcpy((weight *)w + k * RST_GROUP + j * sizeof(float), scales, sizeof scales);
  }
}

#endif
