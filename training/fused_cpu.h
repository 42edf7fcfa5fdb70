/* Building blocks of fused_cpu.c: bfloat16 matrix products and depthwise convolutions on AVX-512 BF16. */
#ifndef FUSED_CPU_H
#define FUSED_CPU_H

#include <immintrin.h>
#include <stdlib.h>
#include "rows_cpu.h"

typedef uint16_t bf16;
enum { ROWS = 8, VECTORS = 3 };     /* of the register tile: 8 x 3 sums, leaving room for the operands */

static inline __m512 widen16(const bf16 *p)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16));
}

static inline void narrow16(bf16 *p, __m512 v)
{
    _mm256_storeu_si256((__m256i *)p, (__m256i)_mm512_cvtneps_pbh(v));
}

static inline int padded(int n) { return (n + 15) / 16 * 16; }

static void *scratch(size_t count, size_t size)
{
    void *p = aligned_alloc(64, (count * size + 127) / 64 * 64);
    if (!p) abort();                /* a training step cannot go on without its memory */
    return p;
}

/* ---- matrix products: sums over pairs of bfloat16 that lie side by side in a 32-bit word ---- */

enum output { TO_BF16, TO_F32, ADD_F32, RESIDUAL };

struct product {
    const uint32_t *a;              /* pair k of row r stands at a[r * a_row + k * a_pair] */
    ptrdiff_t a_row, a_pair;
    const uint32_t *b;              /* pair k of column n stands at b[k * b_pair + n]; may be read up to padded(columns) */
    ptrdiff_t b_pair;
    int pairs, rows, columns;
    enum output output;
    void *c;                        /* [rows][stride] */
    ptrdiff_t stride;
    const bf16 *add;                /* RESIDUAL: c = add + product, both bfloat16 */
};

static inline __attribute__((always_inline)) void tile(const struct product *p, int row, int column, const int rows, const int vectors)
{
    __m512 sum[ROWS][VECTORS];
    ptrdiff_t b_pair = p->b_pair, a_row = p->a_row, a_pair = p->a_pair;
    const uint32_t *a = p->a + row * a_row, *b = p->b + column;
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) sum[r][v] = _mm512_setzero_ps();
    for (int k = 0; k < p->pairs; k++, a += a_pair, b += b_pair) {
        __m512bh w[VECTORS];
        for (int v = 0; v < vectors; v++) w[v] = (__m512bh)_mm512_loadu_si512(b + 16 * v);
        for (int r = 0; r < rows; r++) {
            __m512bh x = (__m512bh)_mm512_set1_epi32((int)a[r * a_row]);
            for (int v = 0; v < vectors; v++) sum[r][v] = _mm512_dpbf16_ps(sum[r][v], x, w[v]);
        }
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) {
            int left = p->columns - column - 16 * v;
            __mmask16 mask = left >= 16 ? 0xffff : (__mmask16)((1 << left) - 1);
            ptrdiff_t at = (row + r) * p->stride + column + 16 * v;
            __m512 value = sum[r][v];
            if (p->output == RESIDUAL)
                value = _mm512_add_ps(value, _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(
                            _mm256_maskz_loadu_epi16(mask, p->add + at)), 16)));
            if (p->output == ADD_F32) value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(mask, (float *)p->c + at));
            if (p->output == TO_BF16 || p->output == RESIDUAL)
                _mm256_mask_storeu_epi16((bf16 *)p->c + at, mask, (__m256i)_mm512_cvtneps_pbh(value));
            else
                _mm512_mask_storeu_ps((float *)p->c + at, mask, value);
        }
}

static inline __attribute__((always_inline)) void columns_of(const struct product *p, int column, const int vectors)
{
    int row = 0;
    for (; row + ROWS <= p->rows; row += ROWS) tile(p, row, column, ROWS, vectors);
    for (; row < p->rows; row++) tile(p, row, column, 1, vectors);
}

static void multiply(const struct product *p)
{
    int column = 0, end = padded(p->columns);
    for (; column + 48 <= end; column += 48) columns_of(p, column, 3);
    if (end - column == 32) columns_of(p, column, 2);
    if (end - column == 16) columns_of(p, column, 1);
}

/* c[p][n] = sum over k of x[p][k] * w[n][k], with w packed by pack_rows or pack_columns; x has `stride` channels */
static void multiply_rows(const bf16 *x, int stride, int pixels, int k, const uint32_t *packed, int n, enum output output, void *c, const bf16 *add)
{
    struct product p = {(const uint32_t *)x, stride / 2, 1, packed, padded(n), k / 2, pixels, n, output, c, n, add};
    multiply(&p);
}

/* w: [n][k] -> pairs along k, for the forward product */
static void pack_rows(const float *w, int n, int k, uint32_t *packed)
{
    for (int j = 0; j < k / 2; j++)
        for (int i = 0; i < padded(n); i++)
            packed[j * padded(n) + i] = i < n ? narrow(w[i * k + 2 * j]) | (uint32_t)narrow(w[i * k + 2 * j + 1]) << 16 : 0;
}

/* w: [n][k] -> pairs along n, for the product with the transposed matrix */
static void pack_columns(const float *w, int n, int k, uint32_t *packed)
{
    for (int j = 0; j < n / 2; j++)
        for (int i = 0; i < padded(k); i++)
            packed[j * padded(k) + i] = i < k ? narrow(w[2 * j * k + i]) | (uint32_t)narrow(w[(2 * j + 1) * k + i]) << 16 : 0;
}

/* n channels of x: [pixels][stride] -> [pixels / 2][padded n], pairs of neighbouring pixels, for sums over pixels */
static void pack_pixels(const bf16 *x, int stride, int pixels, int n, uint32_t *packed)
{
    for (int j = 0; j < pixels / 2; j++, x += 2 * stride, packed += padded(n))
        for (int i = 0; i < n; i += 16) {
            __mmask16 mask = n - i >= 16 ? 0xffff : (__mmask16)((1 << (n - i)) - 1);
            __m512i low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, x + i));
            __m512i high = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, x + stride + i));
            _mm512_storeu_si512(packed + i, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
        }
}

/* dw[n][k] (rows of padded(k)) += sum over pixels of dy[p][n] * x[p][k], both packed by pack_pixels */
static void multiply_pixels(const uint32_t *dy, int n, const uint32_t *x, int k, int pixels, float *dw)
{
    struct product p = {dy, 1, padded(n), x, padded(k), pixels / 2, n, k, ADD_F32, dw, padded(k), NULL};
    multiply(&p);
}

/* ---- depthwise 3x3, zero padding; weights [9][channels]; channels a multiple of 16 ---- */

struct window { const bf16 *row[3]; };      /* rows y - 1, y, y + 1 of a map; a row of zeros outside */

static struct window window_at(const bf16 *map, const bf16 *zeros, int y, int height, int width, int channels)
{
    struct window w;
    for (int i = 0; i < 3; i++)
        w.row[i] = y + i - 1 < 0 || y + i - 1 >= height ? zeros : map + (size_t)(y + i - 1) * (size_t)(width * channels);
    return w;
}

static inline __attribute__((always_inline)) void depthwise_row(struct window in, int width, int channels, const float *weight, void *out, const int to_bf16)
{
    for (int c = 0; c < channels; c += 16) {
        __m512 w[9], v[3][3];
        for (int t = 0; t < 9; t++) w[t] = _mm512_loadu_ps(weight + t * channels + c);
        for (int i = 0; i < 3; i++) {
            v[i][0] = _mm512_setzero_ps();
            v[i][1] = widen16(in.row[i] + c);
        }
        for (int x = 0; x < width; x++) {
            for (int i = 0; i < 3; i++)
                v[i][2] = x + 1 < width ? widen16(in.row[i] + (x + 1) * channels + c) : _mm512_setzero_ps();
            __m512 s0 = _mm512_mul_ps(w[0], v[0][0]), s1 = _mm512_mul_ps(w[3], v[1][0]), s2 = _mm512_mul_ps(w[6], v[2][0]);
            for (int j = 1; j < 3; j++) {
                s0 = _mm512_fmadd_ps(w[j], v[0][j], s0);
                s1 = _mm512_fmadd_ps(w[3 + j], v[1][j], s1);
                s2 = _mm512_fmadd_ps(w[6 + j], v[2][j], s2);
            }
            s0 = _mm512_add_ps(s0, _mm512_add_ps(s1, s2));
            if (to_bf16) narrow16((bf16 *)out + x * channels + c, s0);
            else _mm512_storeu_ps((float *)out + x * channels + c, s0);
            for (int i = 0; i < 3; i++) {
                v[i][0] = v[i][1];
                v[i][1] = v[i][2];
            }
        }
    }
}

/* dweight[9][channels] += sum over a map of dout * in shifted by the tap */
static void depthwise_weights(const bf16 *in, const bf16 *dout, const bf16 *zeros, int height, int width, int channels, float *dweight)
{
    for (int c = 0; c < channels; c += 16) {
        __m512 sum[9];
        for (int t = 0; t < 9; t++) sum[t] = _mm512_loadu_ps(dweight + t * channels + c);
        for (int y = 0; y < height; y++) {
            struct window w = window_at(in, zeros, y, height, width, channels);
            const bf16 *d = dout + (size_t)y * (size_t)(width * channels) + c;
            __m512 v[3][3];
            for (int i = 0; i < 3; i++) {
                v[i][0] = _mm512_setzero_ps();
                v[i][1] = widen16(w.row[i] + c);
            }
            for (int x = 0; x < width; x++) {
                __m512 g = widen16(d + x * channels);
                for (int i = 0; i < 3; i++) {
                    v[i][2] = x + 1 < width ? widen16(w.row[i] + (x + 1) * channels + c) : _mm512_setzero_ps();
                    for (int j = 0; j < 3; j++) sum[3 * i + j] = _mm512_fmadd_ps(g, v[i][j], sum[3 * i + j]);
                    v[i][0] = v[i][1];
                    v[i][1] = v[i][2];
                }
            }
        }
        for (int t = 0; t < 9; t++) _mm512_storeu_ps(dweight + t * channels + c, sum[t]);
    }
}

/* [channels][9] -> [9][channels], the taps in reverse order for the backward pass */
static void pack_taps(const float *w, int channels, int reverse, float *packed)
{
    for (int t = 0; t < 9; t++)
        for (int c = 0; c < channels; c++) packed[t * channels + c] = w[c * 9 + (reverse ? 8 - t : t)];
}

#endif
