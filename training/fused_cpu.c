/* The two halves of a transformer block, forward and backward, each as one operation:
 *   GDFN  x + project_out(gate(dwconv(project_in(norm(x)))))
 *   MDTA  x + project_out(A v), with q, k, v = dwconv(qkv(norm(x)))
 *
 * Why: operator by operator, PyTorch writes every map of hidden width to memory and reads it back several times, and
 * its depthwise convolution and bfloat16 weight gradients run at a fraction of the matrix products' speed. Here one
 * thread takes one picture of the batch through the whole chain while it is in its cache; only x is kept for the
 * backward pass, the rest is computed again. Maps are of the element type of fused_cpu.h, bfloat16 or float32; sums,
 * everything between maps, weights and their gradients are float32.
 *
 * Maps are [pixels][channels] (channels_last). Weight gradients are summed per group of pictures, and the groups by
 * the caller, so that a result does not depend on the number of threads.
 */
#include "fused_cpu.h"

/* Bits of the element type that maps have to have */
int fused_bits(void) { return BF16 ? 16 : 32; }

struct half {
    const float *norm_weight, *norm_bias;
    const float *project;           /* project_in [2h][c] or qkv [3c][c] */
    const float *dwconv;            /* [wide][9] */
    const float *project_out;       /* [c][h] or [c][c] */
    const float *temperature;       /* [heads], MDTA only */
    int pictures, height, width, channels, wide, heads;
};

/* ---- what both halves begin with: norm, 1x1 convolution, depthwise convolution ---- */

/* Packed weights, shared by all threads */
struct packed { unit *project, *project_back; float *taps, *taps_back; };

static struct packed pack(const struct half *s)
{
    int c = s->channels, wide = s->wide;
    struct packed p = {scratch(packed_size(c, wide), 4), scratch(packed_size(wide, c), 4),
                       scratch((size_t)(9 * wide), 4), scratch((size_t)(9 * wide), 4)};
    pack_rows(s->project, wide, c, p.project);
    pack_columns(s->project, wide, c, p.project_back);
    pack_taps(s->dwconv, wide, 0, p.taps);
    pack_taps(s->dwconv, wide, 1, p.taps_back);
    return p;
}

static void unpack(struct packed p)
{
    free(p.project), free(p.project_back), free(p.taps), free(p.taps_back);
}

/* One thread's maps of one picture */
struct maps {
    element *normed, *u, *dz, *zeros;  /* [pixels][c], [pixels][wide] twice, [width][wide] of zeros */
    float *row;                     /* [width][wide] */
    int chunk;                      /* pixels per product of a weight gradient: whole rows */
    element *du;                       /* [chunk][wide] */
    float *dn;                      /* [chunk][c] */
    unit *wide_units, *thin_units;
};

static struct maps take_maps(const struct half *s)
{
    size_t pixels = (size_t)(s->height * s->width), c = (size_t)s->channels, wide = (size_t)s->wide, line = (size_t)s->width;
    struct maps m = {.chunk = s->width * (s->height % 4 || s->width >= 128 ? 1 : 4)};
    size_t chunk = (size_t)m.chunk;
    m.normed = scratch(pixels * c, sizeof(element)), m.u = scratch(pixels * wide, sizeof(element));
    m.dz = scratch(pixels * wide, sizeof(element));
    m.zeros = scratch(line * wide, sizeof(element)), m.row = scratch(line * wide, 4);
    m.du = scratch(chunk * wide, sizeof(element)), m.dn = scratch(chunk * c, 4);
    m.wide_units = scratch(chunk / 2 * (size_t)padded(s->wide), 4), m.thin_units = scratch(chunk / 2 * (size_t)padded(s->channels), 4);
    memset(m.zeros, 0, line * wide * sizeof(element));
    return m;
}

static void give_maps(struct maps m)
{
    free(m.normed), free(m.u), free(m.dz), free(m.zeros), free(m.row), free(m.du), free(m.dn), free(m.wide_units), free(m.thin_units);
}

/* normed = norm(x), u = project(normed) */
static void enter(const struct half *s, const struct packed *w, const element *x, struct maps *m)
{
    int pixels = s->height * s->width, c = s->channels;
    for (int p = 0; p < pixels; p++) {
        float v[MAX_CHANNELS];
        load(v, x, (size_t)p * (size_t)c, c, BF16);
        norm_row(v, s->norm_weight, s->norm_bias, c);
        store(m->normed, v, (size_t)p * (size_t)c, c, BF16);
    }
    multiply_rows(m->normed, c, pixels, c, w->project, s->wide, ELEMENTS, m->u, s->wide, NULL);
}

/* Row y of the depthwise convolution of u */
static void convolve_row(const struct half *s, const struct packed *w, const struct maps *m, int y, void *out, int to_elements)
{
    struct window in = window_at(m->u, m->zeros, y, s->height, s->width, s->wide);
    if (to_elements) depthwise_row(in, s->width, s->wide, w->taps, out, 1);
    else depthwise_row(in, s->width, s->wide, w->taps, out, 0);
}

/* The gradients that both halves have, in one zeroed block of floats per group; the half's own ones follow */
struct gradients { float *norm_weight, *norm_bias, *project /* [wide][padded c] */, *taps /* [9][wide] */, *own; };

static struct gradients gradients_at(const struct half *s, float *block, int group, size_t own)
{
    size_t c = (size_t)s->channels, wide = (size_t)s->wide, project = wide * (size_t)padded(s->channels);
    struct gradients g = {.norm_weight = block + (size_t)group * (2 * c + project + 9 * wide + own)};
    g.norm_bias = g.norm_weight + c, g.project = g.norm_bias + c, g.taps = g.project + project, g.own = g.taps + 9 * wide;
    return g;
}

/* From m->dz, the gradient after the depthwise convolution, to dx = dy + the gradient before the norm. */
static void leave(const struct half *s, const struct packed *w, struct maps *m, const element *x, const element *dy, element *dx, struct gradients g)
{
    int c = s->channels, wide = s->wide, line = s->width, pixels = s->height * line, chunk = m->chunk;
    for (int y = 0; y < s->height; y++)
        depthwise_weights(window_at(m->u, m->zeros, y, s->height, line, wide), m->dz + (size_t)(y * line) * (size_t)wide, line, wide, g.taps);
    for (int first = 0; first < pixels; first += chunk) {
        for (int p = first; p < first + chunk; p += line)
            depthwise_row(window_at(m->dz, m->zeros, p / line, s->height, line, wide), line, wide, w->taps_back, m->du + (p - first) * wide, 1);
        struct pixel_units du = pixel_units(m->du, wide, chunk, wide, m->wide_units);
        struct pixel_units normed = pixel_units(m->normed + (size_t)first * (size_t)c, c, chunk, c, m->thin_units);
        multiply_pixels(du, wide, normed, c, chunk, g.project, padded(c));
        multiply_rows(m->du, wide, chunk, wide, w->project_back, c, FLOATS, m->dn, c, NULL);
        for (int p = 0; p < chunk; p++) {
            float v[MAX_CHANNELS], d[MAX_CHANNELS], *dn = m->dn + p * c;
            size_t at = (size_t)(first + p) * (size_t)c;
            load(v, x, at, c, BF16);
            load(d, dy, at, c, BF16);
            norm_row_backward(v, dn, s->norm_weight, s->norm_bias != NULL, g.norm_weight, g.norm_bias, c);
            for (int i = 0; i < c; i++) d[i] += dn[i];
            store(dx, d, at, c, BF16);
        }
    }
}

/* ---- GDFN ---- */

static void gate_row(const float *z, int width, int hidden, element *g)
{
    for (int x = 0; x < width; x++, z += 2 * hidden)
        for (int i = 0; i < hidden; i++) {
            float cdf, pdf;
            normal(z[i], &cdf, &pdf);
            g[x * hidden + i] = to_element(z[i] * cdf * z[hidden + i]);
        }
}

/* dg: [width][hidden] gradient of the gate's output g (computed again as well); dz: [width][2 hidden] of its input z */
static void gate_row_backward(const float *z, const float *dg, int width, int hidden, element *restrict g, element *restrict dz)
{
    for (int x = 0; x < width; x++, z += 2 * hidden, dz += 2 * hidden, dg += hidden, g += hidden)
        for (int i = 0; i < hidden; i++) {
            float cdf, pdf, a = z[i], b = z[hidden + i];
            normal(a, &cdf, &pdf);
            g[i] = to_element(a * cdf * b);
            dz[i] = to_element(dg[i] * b * (cdf + a * pdf));
            dz[hidden + i] = to_element(dg[i] * a * cdf);
        }
}

void gdfn_forward(const struct half *s, const element *x, element *y)
{
    int c = s->channels, h = s->wide / 2, line = s->width;
    struct packed w = pack(s);
    unit *out = scratch(packed_size(h, c), 4);
    pack_rows(s->project_out, c, h, out);
#pragma omp parallel
    {
        struct maps m = take_maps(s);
        element *g = scratch((size_t)(line * h), sizeof *g);
#pragma omp for schedule(dynamic)
        for (int n = 0; n < s->pictures; n++) {
            size_t start = (size_t)n * (size_t)(s->height * line * c);
            enter(s, &w, x + start, &m);
            for (int row = 0; row < s->height; row++) {
                size_t at = start + (size_t)(row * line * c);
                convolve_row(s, &w, &m, row, m.row, 0);
                gate_row(m.row, line, h, g);
                multiply_rows(g, h, line, h, out, c, RESIDUAL, y + at, c, x + at);
            }
        }
        free(g);
        give_maps(m);
    }
    free(out);
    unpack(w);
}

/* Own gradients: project_out [c][padded h] */
void gdfn_backward(const struct half *s, const element *x, const element *dy, element *dx, float *block, int groups)
{
    int c = s->channels, h = s->wide / 2, line = s->width, pixels = s->height * line;
    struct packed w = pack(s);
    unit *out_back = scratch(packed_size(c, h), 4);
    pack_columns(s->project_out, c, h, out_back);
#pragma omp parallel
    {
        struct maps m = take_maps(s);
        element *g = scratch((size_t)(m.chunk * h), sizeof *g);
        float *dg = scratch((size_t)(line * h), 4);
#pragma omp for schedule(dynamic)
        for (int group = 0; group < groups; group++) {
            struct gradients to = gradients_at(s, block, group, (size_t)(c * padded(h)));
            for (int n = group; n < s->pictures; n += groups) {
                size_t start = (size_t)n * (size_t)(pixels * c);
                enter(s, &w, x + start, &m);
                for (int first = 0; first < pixels; first += m.chunk) {
                    const element *dy_chunk = dy + start + (size_t)(first * c);
                    for (int p = first; p < first + m.chunk; p += line) {
                        convolve_row(s, &w, &m, p / line, m.row, 0);
                        multiply_rows(dy + start + (size_t)(p * c), c, line, c, out_back, h, FLOATS, dg, h, NULL);
                        gate_row_backward(m.row, dg, line, h, g + (p - first) * h, m.dz + (size_t)p * (size_t)s->wide);
                    }
                    multiply_pixels(pixel_units(dy_chunk, c, m.chunk, c, m.thin_units), c,
                                    pixel_units(g, h, m.chunk, h, m.wide_units), h, m.chunk, to.own, padded(h));
                }
                leave(s, &w, &m, x + start, dy + start, dx + start, to);
            }
        }
        free(g), free(dg);
        give_maps(m);
    }
    free(out_back);
    unpack(w);
}

/* ---- MDTA ---- */

/* One picture's attention. gram, a: [heads][d][d]; norms: [2c] of the rows of q, then of k; m = project_out * A: [c][c] */
struct attention { element *qkv; unit *q_units, *k_units; float *gram, *a, *norms, *m; };

static struct attention take_attention(const struct half *s, int chunk)
{
    size_t c = (size_t)s->channels, pairs = (size_t)(chunk / 2 * padded(s->channels));
    return (struct attention){scratch((size_t)(s->height * s->width) * 3 * c, sizeof(element)), scratch(pairs, 4), scratch(pairs, 4),
                              scratch(c * c, 4), scratch(c * c, 4), scratch(2 * c, 4), scratch(c * c, 4)};
}

static void give_attention(struct attention t)
{
    free(t.qkv), free(t.q_units), free(t.k_units), free(t.gram), free(t.a), free(t.norms), free(t.m);
}

/* q, k, v after the depthwise convolution, their statistics over the picture, A, and its product with project_out */
static void attend(const struct half *s, const struct packed *w, struct maps *m, struct attention *t)
{
    int c = s->channels, d = c / s->heads, line = s->width, pixels = s->height * line;
    memset(t->gram, 0, (size_t)(c * d) * 4);
    memset(t->norms, 0, (size_t)(2 * c) * 4);
    for (int y = 0; y < s->height; y++) convolve_row(s, w, m, y, t->qkv + (size_t)(y * line) * (size_t)(3 * c), 1);
    for (int first = 0; first < pixels; first += m->chunk) {
        const element *q = t->qkv + (size_t)first * (size_t)(3 * c);
        for (int p = 0; p < m->chunk; p++)
            for (int i = 0; i < 2 * c; i++) t->norms[i] += to_float(q[p * 3 * c + i]) * to_float(q[p * 3 * c + i]);
        struct pixel_units q_units = pixel_units(q, 3 * c, m->chunk, c, t->q_units);
        struct pixel_units k_units = pixel_units(q + c, 3 * c, m->chunk, c, t->k_units);
        for (int h = 0; h < s->heads; h++)
            multiply_pixels((struct pixel_units){q_units.at + h * d, q_units.row}, d,
                            (struct pixel_units){k_units.at + h * d, k_units.row}, d, m->chunk, t->gram + h * d * d, d);
    }
    for (int i = 0; i < 2 * c; i++) t->norms[i] = sqrtf(t->norms[i] < 1e-24f ? 1e-24f : t->norms[i]);
    for (int i = 0; i < c; i++) {           /* row i % d of head i / d */
        int h = i / d;
        float *gram = t->gram + i * d, *a = t->a + i * d, largest = -3e38f, sum = 0;
        for (int j = 0; j < d; j++) {
            gram[j] /= t->norms[i] * t->norms[c + h * d + j];
            a[j] = gram[j] * s->temperature[h];
            largest = a[j] > largest ? a[j] : largest;
        }
        for (int j = 0; j < d; j++) sum += a[j] = expf(a[j] - largest);
        for (int j = 0; j < d; j++) a[j] /= sum;
    }
    memset(t->m, 0, (size_t)(c * c) * 4);
    for (int o = 0; o < c; o++)
        for (int i = 0; i < c; i++)
            for (int j = 0, h = i / d; j < d; j++) t->m[o * c + h * d + j] += s->project_out[o * c + i] * t->a[i * d + j];
}

void mdta_forward(const struct half *s, const element *x, element *y)
{
    int c = s->channels, pixels = s->height * s->width;
    struct packed w = pack(s);
#pragma omp parallel
    {
        struct maps m = take_maps(s);
        struct attention t = take_attention(s, m.chunk);
        unit *out = scratch(packed_size(c, c), 4);
#pragma omp for schedule(dynamic)
        for (int n = 0; n < s->pictures; n++) {
            size_t start = (size_t)n * (size_t)(pixels * c);
            enter(s, &w, x + start, &m);
            attend(s, &w, &m, &t);
            pack_rows(t.m, c, c, out);
            multiply_rows(t.qkv + 2 * c, 3 * c, pixels, c, out, c, RESIDUAL, y + start, c, x + start);
        }
        free(out);
        give_attention(t);
        give_maps(m);
    }
    unpack(w);
}

/* From dm, the gradient of project_out * A: the gradients of project_out and temperature, which grow, and, in place of
 * a, that of the unnormalised gram; scale: [2c], what the norms add: dq += scale[i] q, dk += scale[c + j] k. */
static void attend_backward(const struct half *s, struct attention *t, const float *dm, float *dproject_out, float *dtemperature, float *scale)
{
    int c = s->channels, d = c / s->heads;
    memset(scale, 0, (size_t)(2 * c) * 4);
    for (int i = 0; i < c; i++) {
        int h = i / d;
        float da[MAX_CHANNELS], *a = t->a + i * d, *gram = t->gram + i * d, dot = 0, own = 0;
        memset(da, 0, (size_t)d * 4);
        for (int o = 0; o < c; o++) {
            const float *row = dm + o * c + h * d;
            float weight = s->project_out[o * c + i], sum = 0;
            for (int j = 0; j < d; j++) {
                sum += row[j] * a[j];
                da[j] += row[j] * weight;
            }
            dproject_out[o * padded(c) + i] += sum;
        }
        for (int j = 0; j < d; j++) dot += a[j] * da[j];
        for (int j = 0; j < d; j++) {
            float ds = a[j] * (da[j] - dot), dgram = ds * s->temperature[h];    /* of the normalised gram */
            dtemperature[h] += ds * gram[j];
            own += dgram * gram[j];
            scale[c + h * d + j] -= dgram * gram[j];
            a[j] = dgram / (t->norms[i] * t->norms[c + h * d + j]);
        }
        scale[i] = -own;
    }
    /* a norm at its floor is a constant */
    for (int i = 0; i < 2 * c; i++) scale[i] = t->norms[i] <= 1e-12f ? 0 : scale[i] / (t->norms[i] * t->norms[i]);
}

/* Own gradients: project_out [c][padded c], temperature [heads] */
void mdta_backward(const struct half *s, const element *x, const element *dy, element *dx, float *block, int groups)
{
    int c = s->channels, d = c / s->heads, line = s->width, pixels = s->height * line;
    struct packed w = pack(s);
#pragma omp parallel
    {
        struct maps m = take_maps(s);
        struct attention t = take_attention(s, m.chunk);
        unit *back = scratch(packed_size(c, c), 4), *for_q = scratch((size_t)s->heads * packed_size(d, d), 4);
        unit *for_k = scratch((size_t)s->heads * packed_size(d, d), 4);
        float *dm = scratch((size_t)(c * c), 4), *scale = scratch((size_t)(2 * c), 4), *dqk = scratch((size_t)(line * 2 * c), 4);
#pragma omp for schedule(dynamic)
        for (int group = 0; group < groups; group++) {
            struct gradients to = gradients_at(s, block, group, (size_t)(c * padded(c) + s->heads));
            for (int n = group; n < s->pictures; n += groups) {
                size_t start = (size_t)n * (size_t)(pixels * c);
                enter(s, &w, x + start, &m);
                attend(s, &w, &m, &t);
                memset(dm, 0, (size_t)(c * c) * 4);
                for (int first = 0; first < pixels; first += m.chunk) {
                    const element *v = t.qkv + (size_t)first * (size_t)(3 * c) + 2 * c;
                    multiply_pixels(pixel_units(dy + start + (size_t)(first * c), c, m.chunk, c, m.thin_units), c,
                                    pixel_units(v, 3 * c, m.chunk, c, t.k_units), c, m.chunk, dm, c);
                }
                pack_columns(t.m, c, c, back);
                attend_backward(s, &t, dm, to.own, to.own + c * padded(c), scale);
                for (int h = 0; h < s->heads; h++) {
                    pack_rows(t.a + h * d * d, d, d, for_q + (size_t)h * packed_size(d, d));
                    pack_columns(t.a + h * d * d, d, d, for_k + (size_t)h * packed_size(d, d));
                }
                for (int p = 0; p < pixels; p += line) {
                    const element *q = t.qkv + (size_t)p * (size_t)(3 * c);
                    element *dz = m.dz + (size_t)p * (size_t)(3 * c);
                    for (int i = 0; i < line; i++)
                        for (int j = 0; j < 2 * c; j++) dqk[i * 2 * c + j] = scale[j] * to_float(q[i * 3 * c + j]);
                    for (int h = 0; h < s->heads; h++) {
                        size_t at = (size_t)h * packed_size(d, d);
                        multiply_rows(q + c + h * d, 3 * c, line, d, for_q + at, d, ADD_FLOATS, dqk + h * d, 2 * c, NULL);
                        multiply_rows(q + h * d, 3 * c, line, d, for_k + at, d, ADD_FLOATS, dqk + c + h * d, 2 * c, NULL);
                    }
                    for (int i = 0; i < line; i++) store(dz, dqk + i * 2 * c, (size_t)(i * 3 * c), 2 * c, BF16);
                    multiply_rows(dy + start + (size_t)(p * c), c, line, c, back, c, ELEMENTS, dz + 2 * c, 3 * c, NULL);
                }
                leave(s, &w, &m, x + start, dy + start, dx + start, to);
            }
        }
        free(back), free(for_q), free(for_k), free(dm), free(scale), free(dqk);
        give_attention(t);
        give_maps(m);
    }
    unpack(w);
}
