/* Building blocks of fused_cpu.c: matrix products and depthwise convolutions on maps of one element type, chosen here:
 * bfloat16 where the processor multiplies pairs of them (AVX-512 BF16), float32 on all others. Vectors are the
 * compiler's own, as wide as its target's. */
#ifndef FUSED_CPU_H
#define FUSED_CPU_H

#include <stdlib.h>
#include "rows_cpu.h"

/* A unit is what a lane of a product takes at a time: two bfloat16 side by side, or one float. */
#ifdef __AVX512BF16__
#include <immintrin.h>
typedef uint16_t element;
typedef uint32_t unit;
enum { BF16 = 1, PER_UNIT = 2, LANES = 16, ROWS = 8, VECTORS = 3 };     /* ROWS x VECTORS sums: the register tile */
#else
typedef float element, unit;
#if defined __AVX512F__
enum { BF16 = 0, PER_UNIT = 1, LANES = 16, ROWS = 8, VECTORS = 3 };
#elif defined __AVX__
enum { BF16 = 0, PER_UNIT = 1, LANES = 8, ROWS = 6, VECTORS = 2 };
#else
enum { BF16 = 0, PER_UNIT = 1, LANES = 4, ROWS = 6, VECTORS = 2 };
#endif
#endif
enum { PANEL = VECTORS * LANES };       /* columns of a product that are computed together */

typedef float vector __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef unit units __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
#define INLINE static inline __attribute__((always_inline))

INLINE vector load_floats(const float *p) { return *(const vector *)p; }
INLINE void store_floats(float *p, vector v) { *(vector *)p = v; }
INLINE units load_units(const unit *p) { return *(const units *)p; }

#ifdef __AVX512BF16__
INLINE vector load_elements(const element *p)
{
    return (vector)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16);
}

INLINE void store_elements(element *p, vector v)
{
    _mm256_storeu_si256((__m256i *)p, (__m256i)_mm512_cvtneps_pbh((__m512)v));
}

INLINE vector multiply_add(vector sum, unit a, units b)
{
    return (vector)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32((int)a), (__m512bh)b);
}

static inline float to_float(element e) { return widen(e); }
static inline element to_element(float f) { return narrow(f); }
static inline unit unit_of(float first, float second) { return narrow(first) | (uint32_t)narrow(second) << 16; }
#else
INLINE vector load_elements(const element *p) { return load_floats(p); }
INLINE void store_elements(element *p, vector v) { store_floats(p, v); }
INLINE vector multiply_add(vector sum, unit a, units b) { return sum + a * b; }
static inline float to_float(element e) { return e; }
static inline element to_element(float f) { return f; }
static inline unit unit_of(float first, float second) { (void)second; return first; }
#endif

static inline int padded(int n) { return (n + 15) / 16 * 16; }

static void *scratch(size_t count, size_t size)
{
    void *p = aligned_alloc(64, (count * size + 127) / 64 * 64);
    if (!p) abort();                /* a training step cannot go on without its memory */
    return p;
}

/* ---- matrix products ---- */

enum output { ELEMENTS, FLOATS, ADD_FLOATS, RESIDUAL };

struct product {
    const unit *a;                  /* unit k of row r stands at a[r * a_row + k * a_unit] */
    ptrdiff_t a_row, a_unit;
    const unit *b;                  /* unit k of column n: b[n / PANEL * b_panel + k * b_unit + n % PANEL]; may be read up */
    ptrdiff_t b_panel, b_unit;      /* to padded(columns) */
    int units, rows, columns;
    enum output output;
    void *c;                        /* [rows][stride] of elements (ELEMENTS, RESIDUAL) or floats */
    ptrdiff_t stride;
    const element *add;             /* RESIDUAL: c = add + product */
};

INLINE void finish(const struct product *p, ptrdiff_t at, vector value)
{
    if (p->output == RESIDUAL) value += load_elements(p->add + at);
    if (p->output == ADD_FLOATS) value += load_floats((float *)p->c + at);
    if (p->output == ELEMENTS || p->output == RESIDUAL) store_elements((element *)p->c + at, value);
    else store_floats((float *)p->c + at, value);
}

/* The last columns, where they do not fill a vector */
static void finish_some(const struct product *p, ptrdiff_t at, vector value, int left)
{
    for (int i = 0; i < left; i++, at++) {
        float v = value[i];
        if (p->output == RESIDUAL) v += to_float(p->add[at]);
        if (p->output == ADD_FLOATS) v += ((float *)p->c)[at];
        if (p->output == ELEMENTS || p->output == RESIDUAL) ((element *)p->c)[at] = to_element(v);
        else ((float *)p->c)[at] = v;
    }
}

INLINE void tile(const struct product *p, int row, int column, const int rows, const int vectors)
{
    vector sum[ROWS][VECTORS];
    ptrdiff_t b_unit = p->b_unit, a_row = p->a_row, a_unit = p->a_unit;
    const unit *a = p->a + row * a_row, *b = p->b + column / PANEL * p->b_panel;
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) sum[r][v] = (vector){0};
    for (int k = 0; k < p->units; k++, a += a_unit, b += b_unit) {
        units w[VECTORS];
        for (int v = 0; v < vectors; v++) w[v] = load_units(b + LANES * v);
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < vectors; v++) sum[r][v] = multiply_add(sum[r][v], a[r * a_row], w[v]);
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) {
            int left = p->columns - column - LANES * v;
            ptrdiff_t at = (row + r) * p->stride + column + LANES * v;
            if (left >= LANES) finish(p, at, sum[r][v]);
            else finish_some(p, at, sum[r][v], left);
        }
}

INLINE void columns_of(const struct product *p, int first, int end, int column, const int vectors)
{
    int row = first;
    for (; row + ROWS <= end; row += ROWS) tile(p, row, column, ROWS, vectors);
    switch (end - row) {            /* at most ROWS - 1, which is 7 or 5 */
    case 7: tile(p, row, column, ROWS > 7 ? 7 : 1, vectors); break;
    case 6: tile(p, row, column, ROWS > 6 ? 6 : 1, vectors); break;
    case 5: tile(p, row, column, 5, vectors); break;
    case 4: tile(p, row, column, 4, vectors); break;
    case 3: tile(p, row, column, 3, vectors); break;
    case 2: tile(p, row, column, 2, vectors); break;
    case 1: tile(p, row, column, 1, vectors); break;
    }
}

static void multiply(const struct product *p)
{
    enum { BLOCK = 16 * ROWS };     /* rows that stay in the cache while all columns go by */
    for (int first = 0; first < p->rows; first += BLOCK) {
        int column = 0, end = first + BLOCK < p->rows ? first + BLOCK : p->rows;
        for (; column + (VECTORS - 1) * LANES < p->columns; column += PANEL) columns_of(p, first, end, column, VECTORS);
        if (VECTORS > 2 && column + LANES < p->columns) columns_of(p, first, end, column, 2);
        else if (column < p->columns) columns_of(p, first, end, column, 1);
    }
}

/* Units of a packed matrix of k by n: panels of PANEL columns, the last one padded */
static size_t packed_size(int k, int n) { return (size_t)((n + PANEL - 1) / PANEL * PANEL * (k / PER_UNIT)); }

/* c[p][n] = sum over k of x[p][k] * w[n][k], with w packed by pack_rows or pack_columns; x has `stride` channels */
static void multiply_rows(const element *x, int stride, int pixels, int k, const unit *packed, int n, enum output output, void *c,
                          int c_stride, const element *add)
{
    int units = k / PER_UNIT;
    struct product p = {(const unit *)x, stride / PER_UNIT, 1, packed, (ptrdiff_t)units * PANEL, PANEL, units, pixels, n, output,
                        c, c_stride, add};
    multiply(&p);
}

/* w: [n][k] -> columns n, units along k, for the forward product */
static void pack_rows(const float *w, int n, int k, unit *packed)
{
    for (int first = 0; first < n; first += PANEL)
        for (int j = 0; j < k; j += PER_UNIT)
            for (int i = first; i < first + PANEL; i++)
                *packed++ = i < n ? unit_of(w[i * k + j], w[i * k + j + PER_UNIT - 1]) : unit_of(0, 0);
}

/* w: [n][k] -> columns k, units along n, for the product with the transposed matrix */
static void pack_columns(const float *w, int n, int k, unit *packed)
{
    for (int first = 0; first < k; first += PANEL)
        for (int j = 0; j < n; j += PER_UNIT)
            for (int i = first; i < first + PANEL; i++)
                *packed++ = i < k ? unit_of(w[j * k + i], w[(j + PER_UNIT - 1) * k + i]) : unit_of(0, 0);
}

/* n channels of some pixels as units along the pixels: [pixels / PER_UNIT][row], for sums over pixels */
struct pixel_units { const unit *at; ptrdiff_t row; };

/* x: [pixels][stride]; packed: room for [pixels / 2][padded n], used for bfloat16 only: floats are taken where they are. */
static struct pixel_units pixel_units(const element *x, int stride, int pixels, int n, unit *packed)
{
#ifdef __AVX512BF16__
    unit *to = packed;
    for (int j = 0; j < pixels / 2; j++, x += 2 * stride, to += padded(n))
        for (int i = 0; i < n; i += 16) {
            __mmask16 mask = n - i >= 16 ? 0xffff : (__mmask16)((1 << (n - i)) - 1);
            __m512i low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, x + i));
            __m512i high = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, x + stride + i));
            _mm512_storeu_si512(to + i, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
        }
    return (struct pixel_units){packed, padded(n)};
#else
    (void)pixels, (void)n, (void)packed;
    return (struct pixel_units){x, stride};
#endif
}

/* dw[n][k] (rows of dw_stride) += sum over pixels of dy[p][n] * x[p][k] */
static void multiply_pixels(struct pixel_units dy, int n, struct pixel_units x, int k, int pixels, float *dw, int dw_stride)
{
    struct product p = {dy.at, 1, dy.row, x.at, PANEL, x.row, pixels / PER_UNIT, n, k, ADD_FLOATS, dw, dw_stride, NULL};
    multiply(&p);
}

/* ---- depthwise 3x3, zero padding; weights [9][channels]; channels a multiple of 16 ---- */

struct window { const element *row[3]; };       /* rows y - 1, y, y + 1 of a map; a row of zeros outside */

static struct window window_at(const element *map, const element *zeros, int y, int height, int width, int channels)
{
    struct window w;
    for (int i = 0; i < 3; i++)
        w.row[i] = y + i - 1 < 0 || y + i - 1 >= height ? zeros : map + (size_t)(y + i - 1) * (size_t)(width * channels);
    return w;
}

/* `count` pixels from x on, of LANES channels; left, right: whether there are neighbours on that side */
INLINE void depthwise_pixels(struct window in, int x, int channels, int c, const vector w[9], void *out, const int to_elements,
                             const int count, const int left, const int right)
{
    vector sum[4];
    for (int o = 0; o < count; o++) sum[o] = (vector){0};
    for (int i = 0; i < 3; i++)
        for (int j = left ? -1 : 0; j < count + (right ? 1 : 0); j++) {
            vector v = load_elements(in.row[i] + (x + j) * channels + c);
            for (int o = 0; o < count; o++)
                if (j - o >= -1 && j - o <= 1) sum[o] += w[3 * i + j - o + 1] * v;
        }
    for (int o = 0; o < count; o++)
        if (to_elements) store_elements((element *)out + (x + o) * channels + c, sum[o]);
        else store_floats((float *)out + (x + o) * channels + c, sum[o]);
}

INLINE void depthwise_row(struct window in, int width, int channels, const float *weight, void *out, const int to_elements)
{
    for (int c = 0; c < channels; c += LANES) {
        vector w[9];
        int x = 1;
        for (int t = 0; t < 9; t++) w[t] = load_floats(weight + t * channels + c);
        depthwise_pixels(in, 0, channels, c, w, out, to_elements, 1, 0, 1);
        for (; x + 4 < width; x += 4) depthwise_pixels(in, x, channels, c, w, out, to_elements, 4, 1, 1);
        for (; x + 1 < width; x++) depthwise_pixels(in, x, channels, c, w, out, to_elements, 1, 1, 1);
        depthwise_pixels(in, width - 1, channels, c, w, out, to_elements, 1, 1, 0);
    }
}

/* dweight[9][channels] += sum over a row of dout * in shifted by the tap */
static void depthwise_weights(struct window in, const element *dout, int width, int channels, float *dweight)
{
    for (int c = 0; c < channels; c += LANES) {
        vector sum[9], g[3] = {{0}, load_elements(dout + c), {0}};      /* of the outputs at x - 1, x, x + 1 */
        for (int t = 0; t < 9; t++) sum[t] = load_floats(dweight + t * channels + c);
        for (int x = 0; x < width; x++) {
            g[2] = x + 1 < width ? load_elements(dout + (x + 1) * channels + c) : (vector){0};
            for (int i = 0; i < 3; i++) {
                vector v = load_elements(in.row[i] + x * channels + c);
                for (int j = 0; j < 3; j++) sum[3 * i + j] += g[2 - j] * v;
            }
            g[0] = g[1];
            g[1] = g[2];
        }
        for (int t = 0; t < 9; t++) store_floats(dweight + t * channels + c, sum[t]);
    }
}

/* [channels][9] -> [9][channels], the taps in reverse order for the backward pass */
static void pack_taps(const float *w, int channels, int reverse, float *packed)
{
    for (int t = 0; t < 9; t++)
        for (int c = 0; c < channels; c++) packed[t * channels + c] = w[c * 9 + (reverse ? 8 - t : t)];
}

#endif
