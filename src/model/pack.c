#include "model/pack.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

void rst_linear_run(const rst_linear *linear, const void *a, size_t a_pitch, size_t pixels, void *out,
                    size_t out_pitch, rst_into into) {
  linear->kernels->gemm(&(rst_gemm){.a = a,
                                    .a_pitch = a_pitch,
                                    .pixels = pixels,
                                    .k = linear->k,
                                    .w = linear->w,
                                    .w_panel = rst_panel_bytes(linear->kernels, linear->k),
                                    .panels = linear->panels,
                                    .bias = linear->bias,
                                    .out = out,
                                    .out_pitch = out_pitch,
                                    .out_panel = RST_GROUP,
                                    .into = into});
}

/* The k floats from each pixel on, one row after the other. */
static void gather_neighbours(const float *from, size_t pitch, size_t pixels, size_t k, float *to) {
  for (size_t p = 0; p < pixels; p++) memcpy(to + p * k, from + p * pitch, k * sizeof *to);
}

void rst_conv3x3_run(const rst_conv3x3 *conv, const void *const rows[3], size_t pitch, size_t pixels,
                     void *scratch, float *out) {
  for (int i = 0; i < 3; i++) {
    const rst_linear *row = &conv->row[i];
    const void *a = rows[i];
    size_t a_pitch = pitch;
    if (rst_conv3x3_scratch(conv) > 0) {
      gather_neighbours(rows[i], pitch, pixels, row->k, scratch);
      rst_linear_prepare(row, scratch, row->k, pixels);
      a = scratch;
      a_pitch = row->k;
    }
    rst_linear_run(row, a, a_pitch, pixels, out, rst_linear_outputs(row),
                   i > 0 ? RST_ADD_FLOATS : RST_INTO_FLOATS);
  }
}

/* ---- Places and values --------------------------------------------------------------------- */

static void *take(rst_packer *p, size_t count, size_t size) {
  void *at = p->base == NULL ? NULL : p->base + p->used;
  p->used += rst_round_up(count * size, 64);
  return at;
}

static bool is_filling(const rst_packer *p) {
  return p->base != NULL && p->status == RST_OK;
}

static void read_checked(rst_packer *p, rst_read_ahead *ahead, const rst_tensor *t, size_t first,
                         size_t count, float *out) {
  if (p->status == RST_OK) p->status = rst_tensor_read_finite(t, ahead, p->path, first, count, out, p->err);
}

/* The output that becomes column c, or RST_NO_SOURCE where that is padding. */
enum { RST_NO_SOURCE = -1 };
static ptrdiff_t source_of(const rst_columns *columns, size_t c) {
  const size_t padded = rst_padded(columns->count), group = c / padded, i = c % padded;
  if (group >= columns->groups || i >= columns->count) return RST_NO_SOURCE;
  return (ptrdiff_t)(columns->first +
                     (columns->interleaved ? i * columns->groups + group : group * columns->count + i));
}

/* ---- Evening ------------------------------------------------------------------------------- */

rst_evening *rst_pack_evening(rst_packer *p, size_t inputs) {
  if (p->kernels->quantize == NULL) return NULL;
  const size_t k = rst_padded(inputs);
  rst_evening *e = take(p, 1, sizeof *e + 3 * k * sizeof *e->values);
  if (!is_filling(p)) return e;
  e->open = !p->again;
  e->k = k;
  for (size_t i = 0; i < k; i++) {
    const float operand = e->values[k + i], weight = e->values[2 * k + i];
    const float factor = sqrtf(weight / operand); /* of nothing, or too much: not a number, 0 or infinite */
    e->values[i] = p->again && isfinite(factor) && factor > 0 ? factor : 1;
    if (!p->again) e->values[k + i] = e->values[2 * k + i] = 0;
  }
  return e;
}

static inline float larger(float a, float b) {
  return a > b ? a : b;
}

/* *largest = max(*largest, size), from several threads. */
// NOLINTNEXTLINE(readability-non-const-parameter): the builtin writes
static void note(float *largest, float size) {
  float old;
  __atomic_load(largest, &old, __ATOMIC_RELAXED);
  while (size > old &&
         !__atomic_compare_exchange(largest, &old, &size, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
}

static void note_weights(rst_evening *e, float (*rows)[RST_GROUP], size_t k) {
  for (size_t i = 0; i < k; i++) {
    float largest = 0;
    for (size_t c = 0; c < RST_GROUP; c++) largest = larger(fabsf(rows[i][c]), largest);
    note(&e->values[2 * e->k + i], largest);
  }
}

/* 16 channels at a time, so that the pixels pass by once for each. */
static void note_operands(rst_evening *e, const float *a, size_t a_pitch, size_t pixels) {
  for (size_t i = 0; i < e->k; i += RST_GROUP) {
    float largest[RST_GROUP] = {0};
    for (size_t p = 0; p < pixels; p++)
      for (size_t c = 0; c < RST_GROUP; c++) largest[c] = larger(fabsf(a[p * a_pitch + i + c]), largest[c]);
    for (size_t c = 0; c < RST_GROUP; c++) note(&e->values[e->k + i + c], largest[c]);
  }
}

void rst_evening_weights(rst_evening *e, float (*rows)[RST_GROUP], size_t k) {
  if (e->open) {
    note_weights(e, rows, k);
    return;
  }
  for (size_t i = 0; i < k; i++) {
    const float inverse = 1 / e->values[i];
    for (size_t c = 0; c < RST_GROUP; c++) rows[i][c] *= inverse;
  }
}

void rst_linear_prepare(const rst_linear *linear, void *a, size_t a_pitch, size_t pixels) {
  rst_evening *e = linear->evening;
  if (e == NULL) return;
  if (e->open) note_operands(e, a, a_pitch, pixels);
  linear->kernels->quantize(a, a_pitch, pixels, e->k, e->values);
}

/* ---- Panels -------------------------------------------------------------------------------- */

/* How many k's of a panel are worked on at a time: they stay in the first-level cache. */
enum { K_BLOCK = 64, FOLD_AT_ONCE = 4 };

/* What matrices are made from, a panel at a time. */
typedef struct panel_source {
  const rst_tensor *weight, *bias;
  size_t length; /* of the tensor's rows */
  float *values; /* owned: the rows, then the norm, then the panel */
  float *rows;   /* 16 of them, a zero ahead of each */
  size_t pitch;  /* from row to row */
  float biases[RST_GROUP];
  const float *norm_weight, *norm_bias; /* to fold in, or NULL */
  float (*panel)[RST_GROUP];            /* of weights that are to be packed */
  ptrdiff_t *ks; /* per matrix: k i comes from the element ks[i] of each row; RST_NO_SOURCE: zero */
} panel_source;

static void read_rows(rst_packer *p, panel_source *s, const rst_columns *columns, size_t panel) {
  for (size_t c = 0; c < RST_GROUP; c++) {
    float *row = s->rows + c * s->pitch;
    const ptrdiff_t from = source_of(columns, panel * RST_GROUP + c);
    s->biases[c] = 0;
    if (from == RST_NO_SOURCE) {
      memset(row, 0, s->length * sizeof *row);
      continue;
    }
    read_checked(p, &p->weights, s->weight, (size_t)from * s->length, s->length, row);
    if (s->bias != NULL) read_checked(p, &p->biases, s->bias, (size_t)from, 1, &s->biases[c]);
  }
}

/* block[i][c] = element ks[i] of row c; RST_NO_SOURCE is the zero ahead of the row. */
static void transpose(const panel_source *s, const ptrdiff_t *ks, size_t count,
                      float (*restrict block)[RST_GROUP]) {
  enum { ROWS = 8 }; /* whose addresses stay in registers */
  for (size_t c = 0; c < RST_GROUP; c += ROWS) {
    const float *row[ROWS];
    for (size_t j = 0; j < ROWS; j++) row[j] = s->rows + (c + j) * s->pitch;
    for (size_t i = 0; i < count; i++)
      for (size_t j = 0; j < ROWS; j++) block[i][c + j] = row[j][ks[i]];
  }
}

/* Folds into `count` k's of a block (a constant to the callers); adds what they have for the bias to sums. */
static inline void fold_some(const panel_source *s, const ptrdiff_t *ks, size_t count,
                             float (*restrict block)[RST_GROUP], double *restrict sums) {
  float weight[FOLD_AT_ONCE];
  double bias[FOLD_AT_ONCE];
  for (size_t i = 0; i < count; i++) {
    const bool padding = ks[i] == RST_NO_SOURCE;
    weight[i] = padding ? 0 : s->norm_weight[ks[i]];
    bias[i] = padding || s->norm_bias == NULL ? 0 : (double)s->norm_bias[ks[i]];
  }
  for (size_t c = 0; c < RST_GROUP; c++) {
    double sum = sums[c];
    for (size_t i = 0; i < count; i++) {
      sum += (double)block[i][c] * bias[i];
      block[i][c] *= weight[i];
    }
    sums[c] = sum;
  }
}

/* Each column's sum runs over k in rising order. */
static void fold_block(const panel_source *s, const ptrdiff_t *ks, size_t count,
                       float (*restrict block)[RST_GROUP], double *restrict sums) {
  size_t i = 0;
  for (; i + FOLD_AT_ONCE <= count; i += FOLD_AT_ONCE) fold_some(s, ks + i, FOLD_AT_ONCE, block + i, sums);
  for (; i < count; i++) fold_some(s, ks + i, 1, block + i, sums);
}

/* A value that the elements can hold: what rounds to infinity in bf16 is finite before. */
static bool fits(const rst_kernels *kernels, float value) {
  return fabsf(value) < (kernels->precision == RST_PRECISION_BF16 ? 0x1.ffp127f : INFINITY);
}

/* The column of the first value in the block that the elements cannot hold, or RST_GROUP. */
static size_t find_overflow(const rst_kernels *kernels, float (*block)[RST_GROUP], size_t count) {
  size_t bad = 0;
  for (size_t i = 0; i < count; i++)
    for (size_t c = 0; c < RST_GROUP; c++) bad += !fits(kernels, block[i][c]);
  if (bad == 0) return RST_GROUP;
  for (size_t i = 0; i < count; i++)
    for (size_t c = 0; c < RST_GROUP; c++)
      if (!fits(kernels, block[i][c])) return c;
  return RST_GROUP;
}

/* RST_GROUP, or the column with a value that is too large. */
static size_t pack_panel(const panel_source *s, const ptrdiff_t *ks, const rst_linear *to, size_t panel) {
  const rst_kernels *kernels = to->kernels;
  size_t overflow = RST_GROUP;
  uint8_t *w = (uint8_t *)(uintptr_t)to->w + panel * rst_panel_bytes(kernels, to->k);
  double sums[RST_GROUP] = {0};
  for (size_t first = 0; first < to->k; first += K_BLOCK) {
    float(*block)[RST_GROUP] = s->panel + first;
    const size_t count = to->k - first < K_BLOCK ? to->k - first : K_BLOCK;
    transpose(s, ks + first, count, block);
    if (s->norm_weight != NULL) fold_block(s, ks + first, count, block, sums);
    if (overflow == RST_GROUP) overflow = find_overflow(kernels, block, count);
  }
  if (to->evening != NULL) rst_evening_weights(to->evening, s->panel, to->k);
  kernels->pack(s->panel[0], to->k, w);
  if (to->bias == NULL) return overflow;
  float *bias = (float *)(uintptr_t)to->bias + panel * RST_GROUP;
  for (size_t c = 0; c < RST_GROUP; c++) {
    bias[c] = (float)((double)s->biases[c] + sums[c]);
    if (!isfinite(bias[c])) overflow = c;
  }
  return overflow;
}

/* Fills `count` matrices of the same rows, the k's of each as s->ks has them. */
static void pack_panels(rst_packer *p, panel_source *s, const rst_columns *columns, const rst_linear *to,
                        size_t count) {
  for (size_t panel = 0; panel < to->panels && p->status == RST_OK; panel++) {
    read_rows(p, s, columns, panel);
    for (size_t i = 0; i < count && p->status == RST_OK; i++) {
      const size_t c = pack_panel(s, s->ks + i * to->k, &to[i], panel);
      if (c < RST_GROUP)
        p->status = rst_fail(p->err, RST_ERROR_WEIGHTS,
                             "%s: tensor %s: output %td has a weight that is too large for %s%s", p->path,
                             s->weight->name, source_of(columns, panel * RST_GROUP + c),
                             to->kernels->precision == RST_PRECISION_BF16 ? "bf16" : "float32",
                             s->norm_weight != NULL ? ", times that of the layer norm ahead" : "");
    }
  }
}

/* Scratch for the rows of a layer, a layer norm and panels of k rows, `ks` of them in all. */
static bool open_source(rst_packer *p, panel_source *s, size_t layer, const rst_layer *norm, size_t k,
                        size_t ks) {
  const rst_layer_tensors *t = &p->tensors[layer];
  *s = (panel_source){.weight = t->weight, .bias = t->bias};
  s->length = t->weight->elements / t->weight->shape[0];
  s->pitch = s->length + RST_GROUP;
  const size_t rows = s->pitch * RST_GROUP, floats = rows + 2 * s->length + k * RST_GROUP;
  s->values = rst_alloc_zeroed(floats, sizeof *s->values);
  s->ks = rst_alloc(ks, sizeof *s->ks);
  if (s->values == NULL || s->ks == NULL) {
    p->status = rst_fail_memory(p->err, "packing weights");
    return false;
  }
  s->panel = (float(*)[RST_GROUP])(s->values + rows + 2 * s->length);
  if (norm != NULL) {
    float *values = s->values + rows;
    t = &p->tensors[norm - p->layers];
    read_checked(p, NULL, t->weight, 0, s->length, values);
    s->norm_weight = values;
    if (t->bias != NULL) {
      read_checked(p, NULL, t->bias, 0, s->length, values + s->length);
      s->norm_bias = values + s->length;
    }
  }
  s->rows = s->values + RST_GROUP;
  return true;
}

static void close_source(panel_source *s) {
  rst_free(s->values);
  rst_free(s->ks);
}

/* ---- Layers -------------------------------------------------------------------------------- */

static rst_linear take_linear(rst_packer *p, const rst_kernels *kernels, size_t k, const rst_columns *columns,
                              bool bias) {
  rst_linear l = {.kernels = kernels,
                  .k = rst_round_up(k, kernels->step),
                  .panels = columns->groups * rst_padded(columns->count) / RST_GROUP};
  l.w = take(p, l.panels, rst_panel_bytes(kernels, l.k));
  if (kernels->quantize != NULL) l.evening = rst_pack_evening(p, l.k);
  if (bias) l.bias = take(p, l.panels * RST_GROUP, sizeof(float));
  return l;
}

rst_linear rst_pack_linear(rst_packer *p, const rst_matrix *m) {
  const bool bias = (p->layers[m->layer].bias || (m->norm != NULL && m->norm->bias)) && !m->without_bias;
  const rst_linear l =
      take_linear(p, m->kernels == NULL ? p->kernels : m->kernels, m->inputs, &m->columns, bias);
  if (!is_filling(p)) return l;
  panel_source s;
  if (open_source(p, &s, m->layer, m->norm, l.k, l.k)) {
    for (size_t i = 0; i < l.k; i++)
      s.ks[i] = i < m->inputs ? (ptrdiff_t)(m->first_input + i) : RST_NO_SOURCE;
    pack_panels(p, &s, &m->columns, &l, 1);
  }
  close_source(&s);
  return l;
}

rst_conv3x3 rst_pack_conv(rst_packer *p, size_t layer, rst_columns columns, const rst_kernels *kernels) {
  const size_t in = p->layers[layer].in, padded = rst_padded(in), k = 3 * padded;
  rst_conv3x3 conv;
  for (size_t row = 0; row < 3; row++)
    conv.row[row] = take_linear(p, kernels, k, &columns, row == 0 && p->layers[layer].bias);
  if (!is_filling(p)) return conv;
  panel_source s;
  if (open_source(p, &s, layer, NULL, k, 3 * k)) {
    for (size_t tap = 0; tap < RST_TAPS; tap++)
      for (size_t i = 0; i < padded; i++)
        s.ks[tap * padded + i] = i < in ? (ptrdiff_t)(i * RST_TAPS + tap) : RST_NO_SOURCE;
    pack_panels(p, &s, &columns, conv.row, 3);
  }
  close_source(&s);
  return conv;
}

rst_depthwise rst_pack_depthwise(rst_packer *p, size_t layer, rst_columns columns) {
  const size_t channels = columns.groups * rst_padded(columns.count);
  float *weights = take(p, channels * RST_TAPS, sizeof *weights), *bias = take(p, channels, sizeof *bias);
  const rst_layer_tensors *t = &p->tensors[layer];
  for (size_t c = 0; c < channels && is_filling(p); c++) {
    const ptrdiff_t from = source_of(&columns, c);
    float taps[RST_TAPS] = {0}, *group = weights + c / RST_GROUP * RST_TAPS * RST_GROUP + c % RST_GROUP;
    bias[c] = 0;
    if (from != RST_NO_SOURCE)
      read_checked(p, &p->weights, t->weight, (size_t)from * RST_TAPS, RST_TAPS, taps);
    if (from != RST_NO_SOURCE && t->bias != NULL)
      read_checked(p, &p->biases, t->bias, (size_t)from, 1, &bias[c]);
    for (size_t tap = 0; tap < RST_TAPS; tap++) group[tap * RST_GROUP] = taps[tap];
  }
  return (rst_depthwise){.weights = weights, .bias = bias, .channels = channels};
}

const float *rst_pack_values(rst_packer *p, size_t layer, size_t count) {
  float *values = take(p, count, sizeof *values);
  if (is_filling(p)) read_checked(p, NULL, p->tensors[layer].weight, 0, count, values);
  return values;
}
