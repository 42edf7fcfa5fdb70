/* normalize.c - layer norm over the channels of a pixel, and the passes that move maps. */
#include "kernels/simd/vector.h"

static const float EPSILON = 1e-5f;

/* Pixels of a block are normalized together: no sum waits for another pixel's, and one square root serves
 * several. A pixel's arithmetic is the same in any block. */
enum { BLOCK = 16, CACHE_LINE = 64 };

/* The sums of each vector's lanes, divided by the count of channels. */
RST_INLINE void block_means(const vf lanes[BLOCK], float count, float means[BLOCK]) {
  for (int p = 0; p < BLOCK; p += 4) vf_sums(lanes + p, means + p);
  for (int p = 0; p < BLOCK; p += V) vf_store(means + p, vf_load(means + p) / vf_splat(count));
}

/* A pixel's values are read three times. Where they are bf16, the first leaves floats for the others: where
 * int8's operands will stand, which are floats, or in a buffer if they are not too many. */
enum { KEPT = 96 };
typedef float buffer[BLOCK][KEPT];

typedef struct pixel {
  const element *x;
  operand *out;
  bool keeps; /* known to the compiler, but for bf16 of unusual widths */
  float *kept;
} pixel;

RST_INLINE pixel pixel_at(const rst_normalize *n, size_t p, size_t padded, buffer kept) {
  pixel it = {.x = (const element *)n->x + p * n->x_pitch, .out = (operand *)n->out + p * n->out_pitch};
#if RST_INT8
  (void)padded, (void)kept;
  it.keeps = true;
  it.kept = it.out;
#else
  it.keeps = RST_BF16 && padded <= KEPT;
  it.kept = kept[p % BLOCK];
#endif
  return it;
}

RST_INLINE vf first_load(const pixel *p, size_t c) {
  const vf v = element_load(p->x + c);
  if (p->keeps) vf_store(p->kept + c, v);
  return v;
}

RST_INLINE vf later_load(const pixel *p, size_t c) {
  return p->keeps ? vf_load(p->kept + c) : element_load(p->x + c);
}

/* last[] is 1 in the lanes of the last group that hold channels: the padding must not count. */
RST_INLINE vf sum_of_squares(const pixel *p, vf mean, size_t padded, const float last[RST_GROUP]) {
  vf squares = vf_splat(0);
  size_t c = 0;
  for (; c < padded - RST_GROUP; c += V) {
    vf d = later_load(p, c) - mean;
    squares = vf_fma(d, d, squares);
  }
  for (size_t i = 0; i < RST_GROUP; i += V) {
    vf d = (later_load(p, c + i) - mean) * vf_load(last + i);
    squares = vf_fma(d, d, squares);
  }
  return squares;
}

RST_INLINE void normalize_pixel(const pixel *p, vf centre, vf factor, size_t padded,
                                const float last[RST_GROUP]) {
  size_t c = 0;
  for (; c < padded - RST_GROUP; c += V) operand_store(p->out + c, (later_load(p, c) - centre) * factor);
  for (size_t i = 0; i < RST_GROUP; i += V)
    operand_store(p->out + c + i, (later_load(p, c + i) - centre) * factor * vf_load(last + i));
}

/* Of a variance that has overflowed it is not a number, which goes on into the result: times 0, all would be
 * 0. */
RST_INLINE vf inverse_root(vf v) {
  return vf_fma(v, vf_splat(0), vf_splat(1)) / vf_sqrt(v);
}

RST_INLINE void normalize_block(const rst_normalize *n, size_t first, size_t pixels, size_t padded,
                                const float last[RST_GROUP]) {
  const float count = (float)n->channels;
  vf lanes[BLOCK];
  float mean[BLOCK], scale[BLOCK];
  buffer kept;
  for (size_t p = 0; p < BLOCK; p++) lanes[p] = vf_splat(0);
  for (size_t p = 0; p < pixels; p++) {
    const pixel it = pixel_at(n, first + p, padded, kept);
    for (size_t c = 0; c < padded; c += V) lanes[p] = lanes[p] + first_load(&it, c);
  }
  block_means(lanes, count, mean);
  for (size_t p = 0; p < pixels; p++) {
    const pixel it = pixel_at(n, first + p, padded, kept);
    lanes[p] = sum_of_squares(&it, vf_splat(mean[p]), padded, last);
  }
  block_means(lanes, count, scale);
  for (int p = 0; p < BLOCK; p += V)
    vf_store(scale + p, inverse_root(vf_load(scale + p) + vf_splat(EPSILON)));
  for (size_t p = 0; p < pixels; p++) {
    const pixel it = pixel_at(n, first + p, padded, kept);
    normalize_pixel(&it, vf_splat(n->centred ? mean[p] : 0), vf_splat(scale[p]), padded, last);
  }
}

RST_INLINE void normalize(const rst_normalize *norm, size_t padded) {
  const rst_normalize copy = *norm, *n = &copy;
  float last[RST_GROUP];
  for (size_t i = 0; i < RST_GROUP; i++) last[i] = padded - RST_GROUP + i < n->channels ? 1.0f : 0.0f;
  for (size_t first = 0; first < n->pixels; first += BLOCK) {
    const size_t pixels = n->pixels - first < BLOCK ? n->pixels - first : BLOCK;
    for (size_t p = first; n->next != NULL && p < first + pixels; p++)
      for (size_t c = 0; c < padded; c += CACHE_LINE / sizeof(element))
        __builtin_prefetch((const element *)n->next + p * n->x_pitch + c, 0, 2);
    normalize_block(n, first, pixels, padded, last);
  }
}

void RST_KERNEL(normalize)(const rst_normalize *n) {
  const size_t padded = rst_round_up(n->channels, RST_GROUP);
  /* The widths of the full model's first levels are constants, so that their loops are unrolled. */
  if (padded == 48)
    normalize(n, 48);
  else if (padded == 96)
    normalize(n, 96);
  else
    normalize(n, padded);
}

void RST_KERNEL(store)(void *map, size_t map_pitch, const float *values, size_t pitch, size_t n,
                       size_t channels) {
  for (size_t p = 0; p < n; p++) {
    element *out = (element *)map + p * map_pitch;
    const float *in = values + p * pitch;
    for (size_t c = 0; c < channels; c += V) element_store(out + c, vf_load(in + c));
  }
}

void RST_KERNEL(load)(float *values, size_t pitch, const void *map, size_t map_pitch, size_t n,
                      size_t channels) {
  for (size_t p = 0; p < n; p++) {
    const element *in = (const element *)map + p * map_pitch;
    float *out = values + p * pitch;
    for (size_t c = 0; c < channels; c += V) vf_store(out + c, element_load(in + c));
  }
}
