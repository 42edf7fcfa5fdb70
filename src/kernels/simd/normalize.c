/* normalize.c - layer norm over the channels of a pixel, and the passes that move maps. */
#include <math.h>

#include "kernels/simd/vector.h"

static const float EPSILON = 1e-5f;
enum { CACHE_LINE = 64 };

void RST_KERNEL(normalize)(const rst_normalize *n) {
  const size_t padded = rst_round_up(n->channels, RST_GROUP);
  const float count = (float)n->channels;
  /* 1 in the lanes of the last group that hold channels: the padding must not count in the variance. */
  float last[RST_GROUP];
  for (size_t i = 0; i < RST_GROUP; i++) last[i] = padded - RST_GROUP + i < n->channels ? 1.0f : 0.0f;
  for (size_t p = 0; p < n->pixels; p++) {
    const element *x = (const element *)n->x + p * n->x_pitch;
    element *out = (element *)n->out + p * n->out_pitch;
    if (n->next != NULL)
      for (size_t c = 0; c < padded; c += CACHE_LINE / sizeof(element))
        __builtin_prefetch((const element *)n->next + p * n->x_pitch + c, 0, 2);
    vf sum = vf_splat(0);
    for (size_t c = 0; c < padded; c += V) sum = sum + element_load(x + c);
    const vf mean = vf_splat(vf_sum(sum) / count);
    vf squares = vf_splat(0);
    size_t c = 0;
    for (; c < padded - RST_GROUP; c += V) {
      vf d = element_load(x + c) - mean;
      squares = vf_fma(d, d, squares);
    }
    for (size_t i = 0; i < RST_GROUP; i += V) {
      vf d = (element_load(x + c + i) - mean) * vf_load(last + i);
      squares = vf_fma(d, d, squares);
    }
    const vf scale = vf_splat(1.0f / sqrtf(vf_sum(squares) / count + EPSILON));
    const vf centre = n->centred ? mean : vf_splat(0);
    for (c = 0; c < padded - RST_GROUP; c += V)
      element_store(out + c, (element_load(x + c) - centre) * scale);
    for (size_t i = 0; i < RST_GROUP; i += V)
      element_store(out + c + i, (element_load(x + c + i) - centre) * scale * vf_load(last + i));
  }
}

void RST_KERNEL(store)(void *map, size_t map_pitch, const float *values, size_t pitch, size_t n,
                       size_t channels) {
  for (size_t p = 0; p < n; p++) {
    element *out = (element *)map + p * map_pitch;
    const float *in = values + p * pitch;
    for (size_t c = 0; c < channels; c += V) element_store(out + c, vf_load(in + c));
  }
}
