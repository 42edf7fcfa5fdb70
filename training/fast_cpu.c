/* Row kernels for training on a CPU: layer norm and the GELU gate, forward and backward, float32 or bfloat16; AdamW.
 *
 * Why: PyTorch's own kernels for these two took more than half of a training step in bfloat16 (its convolutions, done
 * by oneDNN, are fast). A row is one pixel of a channels_last map: `channels` values side by side. Values are widened
 * to float, computed, and rounded once. Plain loops over a row, which the compiler vectorises; rows are shared out
 * over OpenMP threads. Sums over rows (gradients of the norm's weight and bias) are added per thread, then in order.
 */
#include <omp.h>
#include "rows_cpu.h"

void layer_norm_forward(const void *x, void *y, const float *weight, const float *bias,
                        int64_t rows, int channels, int bf16)
{
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < rows; r++) {
        float v[MAX_CHANNELS];
        size_t at = (size_t)r * (size_t)channels;
        load(v, x, at, channels, bf16);
        norm_row(v, weight, bias, channels);
        store(y, v, at, channels, bf16);
    }
}

/* partial: [threads][2][channels] zeroed floats; partial[t][0] gathers the weight's gradient, [t][1] the bias's. */
void layer_norm_backward(const void *x, const void *dy, void *dx, const float *weight, int with_bias,
                         float *partial, int64_t rows, int channels, int bf16)
{
#pragma omp parallel
    {
        float *dweight = partial + (size_t)omp_get_thread_num() * 2 * (size_t)channels, *dbias = dweight + channels;
#pragma omp for schedule(static)
        for (int64_t r = 0; r < rows; r++) {
            float v[MAX_CHANNELS], g[MAX_CHANNELS];
            size_t at = (size_t)r * (size_t)channels;
            load(v, x, at, channels, bf16);
            load(g, dy, at, channels, bf16);
            norm_row_backward(v, g, weight, with_bias, dweight, dbias, channels);
            store(dx, g, at, channels, bf16);
        }
    }
}

/* x: [rows][2 * hidden], y: [rows][hidden]; y = gelu(x1) * x2 */
void gate_forward(const void *x, void *y, int64_t rows, int hidden, int bf16)
{
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < rows; r++) {
        float a[MAX_CHANNELS], b[MAX_CHANNELS];
        size_t at = (size_t)r * 2 * (size_t)hidden;
        load(a, x, at, hidden, bf16);
        load(b, x, at + (size_t)hidden, hidden, bf16);
        for (int i = 0; i < hidden; i++) {
            float cdf, pdf;
            normal(a[i], &cdf, &pdf);
            a[i] = a[i] * cdf * b[i];
        }
        store(y, a, (size_t)r * (size_t)hidden, hidden, bf16);
    }
}

void gate_backward(const void *x, const void *dy, void *dx, int64_t rows, int hidden, int bf16)
{
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < rows; r++) {
        float a[MAX_CHANNELS], b[MAX_CHANNELS], g[MAX_CHANNELS];
        size_t at = (size_t)r * 2 * (size_t)hidden;
        load(a, x, at, hidden, bf16);
        load(b, x, at + (size_t)hidden, hidden, bf16);
        load(g, dy, (size_t)r * (size_t)hidden, hidden, bf16);
        for (int i = 0; i < hidden; i++) {
            float cdf, pdf, x1 = a[i];
            normal(x1, &cdf, &pdf);
            a[i] = g[i] * b[i] * (cdf + x1 * pdf);
            b[i] = g[i] * x1 * cdf;
        }
        store(dx, a, at, hidden, bf16);
        store(dx, b, at + (size_t)hidden, hidden, bf16);
    }
}

/* AdamW and the running average on n parameters; g: the summed gradient, still to be multiplied by `scale`;
 * correction1, correction2: 1 - beta^steps. In one pass, because memory is what this waits for. */
void adamw(float *restrict p, float *restrict average, float *restrict m, float *restrict v, const float *restrict g,
           int64_t n, float scale, float rate, float beta1, float beta2, float decay, float correction1, float correction2,
           float ema_decay)
{
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < n; i++) {
        float gradient = g[i] * scale;
        m[i] += (1 - beta1) * (gradient - m[i]);
        v[i] = beta2 * v[i] + (1 - beta2) * gradient * gradient;
        p[i] = p[i] * (1 - rate * decay) - rate / correction1 * m[i] / (sqrtf(v[i] / correction2) + 1e-8f);
        average[i] += (1 - ema_decay) * (p[i] - average[i]);
    }
}
