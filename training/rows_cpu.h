/* Shared by the CPU kernels: bfloat16 conversion, layer norm of one row, the normal distribution. */
#ifndef ROWS_CPU_H
#define ROWS_CPU_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { MAX_CHANNELS = 4096 };

static inline float widen(uint16_t v)
{
    uint32_t bits = (uint32_t)v << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* Round to nearest even. A NaN may come out as another NaN or infinity: the training loop watches the loss. */
static inline uint16_t narrow(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static inline void load(float *restrict to, const void *from, size_t at, int n, int bf16)
{
    if (bf16)
        for (int i = 0; i < n; i++) to[i] = widen(((const uint16_t *)from)[at + (size_t)i]);
    else
        memcpy(to, (const float *)from + at, sizeof(float) * (size_t)n);
}

static inline void store(void *to, const float *restrict from, size_t at, int n, int bf16)
{
    if (bf16)
        for (int i = 0; i < n; i++) ((uint16_t *)to)[at + (size_t)i] = narrow(from[i]);
    else
        memcpy((float *)to + at, from, sizeof(float) * (size_t)n);
}

/* Mean of a row and 1 / sqrt(variance about it + eps) */
static inline void moments(const float *x, int n, float *mean, float *scale)
{
    float sum = 0, squares = 0;
    for (int i = 0; i < n; i++) sum += x[i];
    sum /= (float)n;
    for (int i = 0; i < n; i++) squares += (x[i] - sum) * (x[i] - sum);
    *mean = sum;
    *scale = 1.0f / sqrtf(squares / (float)n + 1e-5f);
}

/* In place: v = v / deviation * weight                  (bias == NULL: BiasFree, the row is not centred)
 *           v = (v - mean) / deviation * weight + bias  (WithBias) */
static inline void norm_row(float *restrict v, const float *restrict weight, const float *restrict bias, int n)
{
    float mean, scale;
    moments(v, n, &mean, &scale);
    if (bias)
        for (int i = 0; i < n; i++) v[i] = (v[i] - mean) * scale * weight[i] + bias[i];
    else
        for (int i = 0; i < n; i++) v[i] = v[i] * scale * weight[i];
}

/* v: the row before the norm; g: the gradient after it, replaced by the gradient before it. dweight and dbias grow. */
static inline void norm_row_backward(const float *restrict v, float *restrict g, const float *restrict weight,
                                     int with_bias, float *restrict dweight, float *restrict dbias, int n)
{
    float mean, scale, dot = 0, sum = 0;
    moments(v, n, &mean, &scale);
    float offset = with_bias ? mean : 0.0f;
    for (int i = 0; i < n; i++) {
        dweight[i] += g[i] * (v[i] - offset) * scale;
        dbias[i] += g[i];
        g[i] *= weight[i];
        sum += g[i];
        dot += g[i] * (v[i] - offset);
    }
    /* both kinds divide by the deviation about the mean; only WithBias also subtracts the mean */
    float k = dot * scale * scale * scale / (float)n, s = with_bias ? sum * scale / (float)n : 0.0f;
    for (int i = 0; i < n; i++) g[i] = g[i] * scale - (v[i] - mean) * k - s;
}

/* Normal distribution: cumulative *cdf and density *pdf at x. Abramowitz & Stegun 7.1.26, |error| < 1.5e-7. */
static inline void normal(float x, float *cdf, float *pdf)
{
    float z = fabsf(x) * 0.70710678f, t = 1.0f / (1.0f + 0.3275911f * z), e = expf(-0.5f * x * x);
    float tail = 0.5f * e * t * (0.254829592f + t * (-0.284496736f + t * (1.421413741f
               + t * (-1.453152027f + t * 1.061405429f))));
    *cdf = x < 0 ? tail : 1.0f - tail;
    *pdf = 0.39894228f * e;
}

#endif
