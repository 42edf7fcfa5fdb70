/* dwconv.c - the depthwise 3x3 convolution, alone and with the gate of GDFN.
 *
 * Per group of channels the pixels pass by: each new column of three values is worth a tap to three outputs,
 * so that nine weights stay in registers and an output costs three loads for nine multiply-adds. */
#include "kernels/simd/gelu.h"
#include "kernels/simd/steps.h"

/* gcc would load each of these for each of its uses, of which there are three. */
#if defined(__AVX512F__)
#define RST_IN_REGISTERS(a, b, c) __asm__("" : "+v"(a), "+v"(b), "+v"(c))
#else
#define RST_IN_REGISTERS(a, b, c) (void)0
#endif

/* The sums of a vector of channels while it slides over the pixels. */
typedef struct slide {
  vf w[RST_TAPS];
  vf bias;
  vf left, middle; /* sums of the outputs whose left, whose left and middle columns have passed */
} slide;

RST_INLINE vf column(const slide *s, int j, vf acc, vf top, vf centre, vf bottom) {
  return vf_fma(bottom, s->w[6 + j], vf_fma(centre, s->w[3 + j], vf_fma(top, s->w[j], acc)));
}

/* Starts at the left neighbour and the first pixel: offset counts floats into the rows. */
RST_INLINE void slide_start(slide *s, const rst_dwconv *d, size_t offset, const float *weights,
                            const float *bias) {
  RST_UNROLL
  for (int t = 0; t < RST_TAPS; t++) s->w[t] = vf_load(weights + t * RST_GROUP);
  s->bias = vf_load(bias);
  vf top = vf_load(d->rows[0] + offset), centre = vf_load(d->rows[1] + offset),
     bottom = vf_load(d->rows[2] + offset);
  s->middle = column(s, 0, s->bias, top, centre, bottom);
  offset += d->pitch;
  top = vf_load(d->rows[0] + offset), centre = vf_load(d->rows[1] + offset),
  bottom = vf_load(d->rows[2] + offset);
  s->middle = column(s, 1, s->middle, top, centre, bottom);
  s->left = column(s, 0, s->bias, top, centre, bottom);
}

/* Takes the column to the right of an output and returns the output. */
RST_INLINE vf slide_next(slide *s, const rst_dwconv *d, size_t offset) {
  vf top = vf_load(d->rows[0] + offset), centre = vf_load(d->rows[1] + offset),
     bottom = vf_load(d->rows[2] + offset);
  RST_IN_REGISTERS(top, centre, bottom);
  vf out = column(s, 2, s->middle, top, centre, bottom);
  s->middle = column(s, 1, s->left, top, centre, bottom);
  s->left = column(s, 0, s->bias, top, centre, bottom);
  return out;
}

void RST_KERNEL(dwconv_operand)(const rst_dwconv *conv, void *out, size_t pitch) {
  const rst_dwconv copy = *conv, *d = &copy; /* no result is written over it, so that it stays in registers */
  for (size_t c = 0; c < d->channels; c += V) {
    slide s;
    slide_start(&s, d, c, d->weights + c / RST_GROUP * RST_TAPS * RST_GROUP + c % RST_GROUP, d->bias + c);
    for (size_t p = 0; p < d->pixels; p++)
      operand_store((operand *)out + p * pitch + c, slide_next(&s, d, c + (p + 2) * d->pitch));
  }
}

void RST_KERNEL(dwconv_gram)(const rst_dwconv *conv, void *out, size_t pitch, float *squares) {
  const rst_dwconv copy = *conv, *d = &copy; /* no result is written over it, so that it stays in registers */
  for (size_t c = 0; c < d->channels; c += V) {
    slide s;
    slide_start(&s, d, c, d->weights + c / RST_GROUP * RST_TAPS * RST_GROUP + c % RST_GROUP, d->bias + c);
    vf sum = vf_splat(0);
    for (size_t p = 0; p < d->pixels; p += STEP) {
      vf step[STEP] = {slide_next(&s, d, c + (p + 2) * d->pitch)};
      for (size_t i = 1; i < STEP; i++)
        step[i] = p + i < d->pixels ? slide_next(&s, d, c + (p + i + 2) * d->pitch) : vf_splat(0);
      sum = square_add(sum, step_store((element *)out + p * pitch + c * STEP, step));
    }
    vf_store(squares + c, vf_load(squares + c) + sum);
  }
}

void RST_KERNEL(dwconv_gate)(const rst_dwconv *conv, void *out, size_t pitch) {
  const rst_dwconv copy = *conv, *d = &copy; /* no result is written over it, so that it stays in registers */
  const float *weights2 = d->weights + d->channels * RST_TAPS, *bias2 = d->bias + d->channels;
  for (size_t c = 0; c < d->channels; c += V) {
    const size_t w = c / RST_GROUP * RST_TAPS * RST_GROUP + c % RST_GROUP;
    slide s1, s2;
    slide_start(&s1, d, c, d->weights + w, d->bias + c);
    slide_start(&s2, d, c + d->channels, weights2 + w, bias2 + c);
    for (size_t p = 0; p < d->pixels; p++) {
      const size_t offset = c + (p + 2) * d->pitch;
      vf x1 = slide_next(&s1, d, offset), x2 = slide_next(&s2, d, offset + d->channels);
      operand_store((operand *)out + p * pitch + c, gelu(x1) * x2);
    }
  }
}
