/* test_kernels.c - every kernel of every instruction set and precision that this processor can run, against
 * plain float64 sums: random and extreme numbers, odd shapes, unaligned buffers without a byte to spare (so
 * that AddressSanitizer sees a step outside), and sentinels around what may be written.
 *
 * A mismatch prints the table, the kind of numbers and the shape. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "support/cmocka_all.h"
#include "support/fixture.h"
#include "support/oracle_ops.h"
#include "support/random_model.h"

static const double EPSILON = 0x1p-24;     /* half a unit in the last place of float32, relative */
static const double EPSILON_BF16 = 0x1p-8; /* of bf16 */
static const float SENTINEL = -12345.0F;

/* ---- Tables ----------------------------------------------------------------------------------------------
 */

typedef void (*check_table)(const rst_kernels *k);

static void for_every_table(check_table check) {
  for (int isa = RST_ISA_BASELINE; isa < RST_ISA_COUNT; isa++)
    for (int precision = RST_PRECISION_F32; precision < RST_PRECISION_COUNT; precision++) {
      const rst_kernels *k = rst_kernels_for((rst_isa)isa, (rst_precision)precision);
      if (k != NULL) check(k);
    }
}

/* Whose elements are bf16. */
static bool is_bf16(const rst_kernels *k) {
  return k->precision != RST_PRECISION_F32;
}

static bool is_int8(const rst_kernels *k) {
  return k->precision == RST_PRECISION_INT8;
}

/* The name of the table and kind of numbers, for messages. */
static const char *table_name(const rst_kernels *k) {
  static char name[64];
  snprintf(name, sizeof name, "%s %s", rst_isa_name(k->isa), rst_precision_name(k->precision));
  return name;
}

/* ---- Numbers ---------------------------------------------------------------------------------------------
 */

typedef enum kind { RANDOM, ZEROS, ONES, HUGE_ONES, TINY, SUBNORMAL, WIDE, KINDS } kind;
static const char *const KIND_NAMES[KINDS] = {"random", "zeros", "ones", "huge", "tiny", "subnormal", "wide"};

/* `wide` is of both signs and any size from 2^-20 to 2^20. */
static float number(kind how, uint64_t seed, size_t i) {
  const float unit = random_unit(seed, i);
  switch (how) {
    case RANDOM:
      return unit;
    case ONES:
      return 1;
    case HUGE_ONES:
      return unit * 0x1p55F;
    case TINY:
      return unit * 0x1p-60F;
    case SUBNORMAL:
      return unit * 0x1p-130F;
    case WIDE:
      return ldexpf(unit, (int)(random_bits(seed + 1, i) % 41) - 20);
    default:
      return 0;
  }
}

static uint16_t to_bf16(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static float from_bf16(uint16_t half) {
  const uint32_t bits = (uint32_t)half << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* A buffer of floats or of a table's elements with one element before the start, so that it is not aligned,
 * and nothing after its end. */
typedef struct buffer {
  char *memory;
  void *data;
  size_t count;
  size_t element; /* bytes: 4 or 2 */
} buffer;

static double get(const buffer *b, size_t i) {
  if (b->element == 4) return (double)((const float *)b->data)[i];
  return (double)from_bf16(((const uint16_t *)b->data)[i]);
}

static void set(buffer *b, size_t i, float value) {
  if (b->element == 4)
    ((float *)b->data)[i] = value;
  else
    ((uint16_t *)b->data)[i] = to_bf16(value);
}

static buffer new_buffer(size_t element, size_t count) {
  buffer b = {.count = count, .element = element};
  b.memory = fixture_alloc(count + 1, element);
  b.data = b.memory + element;
  for (size_t i = 0; i < count; i++) set(&b, i, SENTINEL);
  return b;
}

static buffer filled(size_t element, size_t count, kind how, uint64_t seed) {
  buffer b = new_buffer(element, count);
  for (size_t i = 0; i < count; i++) set(&b, i, number(how, seed, i));
  return b;
}

static buffer copy(const buffer *from) {
  buffer b = new_buffer(from->element, from->count);
  memcpy(b.data, from->data, from->count * from->element);
  return b;
}

static void release(buffer *b) {
  free(b->memory);
}

/* True when the element is still what new_buffer left. */
static bool is_untouched(const buffer *b, size_t i) {
  return get(b, i) == (double)(b->element == 4 ? SENTINEL : from_bf16(to_bf16(SENTINEL)));
}

/* Fails where anything but the first `channels` of each pixel was written. `end` is the count of pixels. */
static void check_untouched(const buffer *b, size_t pitch, size_t pixels, size_t channels, const char *what) {
  for (size_t i = 0; i < b->count; i++)
    if ((i / pitch >= pixels || i % pitch >= channels) && !is_untouched(b, i))
      fail_msg("%s: wrote outside its extent, at pixel %zu, channel %zu", what, i / pitch, i % pitch);
}

/* Rounding a result to the buffer's element: relative to its size, and absolute below the normal numbers,
 * which some instructions flush to zero. */
static double store_error(const buffer *b, double value) {
  return (b->element == 2 ? EPSILON_BF16 : EPSILON) * fabs(value) + (double)FLT_MIN;
}

static void check_value(const buffer *b, size_t i, double expected, double tolerance, const char *what) {
  const double found = get(b, i);
  if (fabs(found - expected) <= tolerance + store_error(b, expected)) return;
  fail_msg("%s: element %zu is %.9g, expected %.9g, within %.3g", what, i, found, expected,
           tolerance + store_error(b, expected));
}

/* ---- pack ------------------------------------------------------------------------------------------------
 */

/* Row k, column c is element [k / step][c][k % step], and nothing else is written. */
static void pack_shapes(const rst_kernels *k) {
  if (is_int8(k)) return; /* a layout of each instruction set's own, which its gemm shows */
  assert_int_equal(k->step, is_bf16(k) ? 2 : 1);
  for (int how = 0; how < KINDS; how++)
    for (size_t steps = 1; steps <= 5; steps++) {
      const size_t rows = steps * k->step, pitch = rows * RST_GROUP;
      char what[80];
      snprintf(what, sizeof what, "pack %s, %s: k %zu", table_name(k), KIND_NAMES[how], rows);
      buffer from = filled(4, pitch, (kind)how, 1), w = new_buffer(k->element, 2 * pitch);
      k->pack(from.data, rows, w.data);
      for (size_t i = 0; i < pitch; i++) {
        const size_t row = i / RST_GROUP, at = (row / k->step * RST_GROUP + i % RST_GROUP) * k->step;
        check_value(&w, at + row % k->step, get(&from, i), 0, what);
      }
      check_untouched(&w, 2 * pitch, 1, pitch, what);
      release(&from);
      release(&w);
    }
}

/* ---- gemm ------------------------------------------------------------------------------------------------
 */

typedef struct gemm_case {
  size_t pixels, k, panels, a_extra, out_extra; /* beyond the pitches that the shape needs */
  bool bias, by_panel;                          /* by_panel: each panel's result in a map of its own */
  rst_into into;
  kind how;
} gemm_case;

static const char *const INTO_NAMES[] = {"", ", added to floats", ", added to elements"};
enum { INTOS = sizeof INTO_NAMES / sizeof *INTO_NAMES };

static void describe_gemm(const rst_kernels *k, const gemm_case *c, char *out, size_t n) {
  snprintf(out, n, "gemm %s, %s: pixels %zu, k %zu, panels %zu%s%s%s", table_name(k), KIND_NAMES[c->how],
           c->pixels, c->k, c->panels, c->bias ? ", bias" : "", INTO_NAMES[c->into],
           c->by_panel ? ", by panel" : "");
}

/* The place of w[k][column] in the packed right operand. */
static size_t packed_index(const rst_kernels *k, const rst_gemm *g, size_t row, size_t column) {
  const size_t panel = column / RST_GROUP * g->k * RST_GROUP, lane = column % RST_GROUP;
  return is_bf16(k) ? panel + row / 2 * 2 * RST_GROUP + lane * 2 + row % 2 : panel + row * RST_GROUP + lane;
}

static void check_gemm_result(const rst_kernels *k, const rst_gemm *g, const buffer *a, const buffer *w,
                              const buffer *bias, const buffer *before, const buffer *out, const char *what) {
  for (size_t p = 0; p < g->pixels; p++)
    for (size_t c = 0; c < g->panels * RST_GROUP; c++) {
      const size_t at = p * g->out_pitch + c / RST_GROUP * g->out_panel + c % RST_GROUP;
      double sum = 0, size = 0, largest = 1;
      for (size_t i = 0; i < g->k; i++) {
        const double left = get(a, p * g->a_pitch + i), right = get(w, packed_index(k, g, i, c));
        sum += left * right;
        size += fabs(left * right);
        largest = fmax(largest, fmax(fabs(left), fabs(right)));
      }
      if (g->bias != NULL) sum += get(bias, c), size += fabs(get(bias, c));
      if (g->into != RST_INTO_FLOATS) sum += get(before, at), size += fabs(get(before, at));
      /* Products and operands below the normal numbers may be flushed to zero. */
      const double flushed = (double)g->k * (double)FLT_MIN * largest;
      check_value(out, at, sum, ((double)g->k + 4) * EPSILON * size + flushed, what);
    }
}

/* The sum for a pixel must not depend on its neighbours: alone it gives the same bytes. */
static void check_gemm_alone(const rst_kernels *k, const rst_gemm *g, const buffer *before, const buffer *out,
                             const char *what) {
  buffer alone = copy(before);
  for (size_t p = 0; p < g->pixels; p++) {
    rst_gemm one = *g;
    one.pixels = 1;
    one.a = (const char *)g->a + p * g->a_pitch * k->operand;
    one.out = (char *)alone.data + p * g->out_pitch * alone.element;
    k->gemm(&one);
  }
  if (memcmp(alone.data, out->data, out->count * out->element) != 0)
    fail_msg("%s: a pixel's sum depends on its neighbours", what);
  release(&alone);
}

static void check_int8(const rst_kernels *k, const gemm_case *c, const char *what);

static void check_gemm(const rst_kernels *k, const gemm_case *c) {
  char what[160];
  describe_gemm(k, c, what, sizeof what);
  if (is_int8(k)) {
    check_int8(k, c, what);
    return;
  }
  const size_t columns = c->panels * RST_GROUP, a_pitch = c->k + c->a_extra;
  const size_t out_pitch = (c->by_panel ? RST_GROUP : columns) + c->out_extra;
  const size_t out_panel = c->by_panel ? c->pixels * out_pitch : RST_GROUP;
  const size_t out_count = c->by_panel ? c->panels * out_panel : c->pixels * out_pitch;
  const size_t w_panel = c->k * RST_GROUP;
  buffer a = filled(k->element, (c->pixels - 1) * a_pitch + c->k, c->how, 1);
  buffer w = filled(k->element, c->panels * w_panel, c->how, 2);
  buffer bias = filled(4, columns, c->how, 3);
  buffer out = new_buffer(c->into == RST_ADD_ELEMENTS ? k->element : 4, out_count);
  for (size_t p = 0; c->into != RST_INTO_FLOATS && p < c->pixels; p++)
    for (size_t i = 0; i < columns; i++)
      set(&out, p * out_pitch + i / RST_GROUP * out_panel + i % RST_GROUP,
          number(c->how, 4, p * columns + i));
  buffer before = copy(&out);
  const rst_gemm g = {.a = a.data,
                      .a_pitch = a_pitch,
                      .pixels = c->pixels,
                      .k = c->k,
                      .w = w.data,
                      .w_panel = rst_panel_bytes(k, c->k),
                      .panels = c->panels,
                      .bias = c->bias ? bias.data : NULL,
                      .out = out.data,
                      .out_pitch = out_pitch,
                      .out_panel = out_panel,
                      .into = c->into};
  k->gemm(&g);
  check_gemm_result(k, &g, &a, &w, &bias, &before, &out, what);
  check_untouched(&out, out_pitch, c->pixels * (c->by_panel ? c->panels : 1),
                  c->by_panel ? RST_GROUP : columns, what);
  check_gemm_alone(k, &g, &before, &out, what);
  release(&a);
  release(&w);
  release(&bias);
  release(&out);
  release(&before);
}

static void gemm_shapes(const rst_kernels *k) {
  static const size_t pixels[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 23, 27, 28, 29, 31, 65};
  static const size_t ks[] = {1, 2, 3, 5, 16, 17, 48, 130};
  for (size_t i = 0; i < sizeof pixels / sizeof *pixels; i++)
    for (size_t j = 0; j < sizeof ks / sizeof *ks; j++)
      for (size_t panels = 1; panels <= 8; panels++) {
        const size_t mix = i + j + panels;
        const gemm_case c = {.pixels = pixels[i],
                             .k = rst_round_up(ks[j], k->step),
                             .panels = panels,
                             .a_extra = mix % 3 * 2,
                             .out_extra = mix % 2 * 16,
                             .bias = mix % 2 == 0,
                             .into = (rst_into)(mix % INTOS),
                             .by_panel = mix % 5 == 0,
                             .how = mix % 7 == 0 ? WIDE : RANDOM};
        check_gemm(k, &c);
      }
}

static void gemm_extremes(const rst_kernels *k) {
  for (int how = 0; how < KINDS; how++)
    for (int options = 0; options < 2 * INTOS; options++) {
      const gemm_case c = {.pixels = 19,
                           .k = 36,
                           .panels = 5,
                           .bias = options % 2 == 1,
                           .into = (rst_into)(options / 2),
                           .how = (kind)how};
      check_gemm(k, &c);
    }
}

static void gemm_with_many_k(const rst_kernels *k) {
  const gemm_case c = {.pixels = 17, .k = 1024, .panels = 4, .bias = true, .how = RANDOM};
  check_gemm(k, &c);
}

/* ---- int8 ------------------------------------------------------------------------------------------------
 */

/* Every column or row of `k` numbers, `stride` apart, as integers, and their scale. */
static float oracle_quantize(const float *x, const float *even, size_t stride, size_t k, int *q) {
  float largest = 0;
  for (size_t i = 0; i < k; i++) largest = fmaxf(largest, fabsf(x[i * stride] * even[i]));
  const bool nothing = largest < 0x1p-100F;
  const float inverse = nothing ? 0 : 127 / largest;
  for (size_t i = 0; i < k; i++) {
    const float value = x[i * stride] * even[i], scaled = value * inverse;
    q[i] = (int)lrintf(scaled);
    assert_in_range(q[i] + 127, 0, 254);
  }
  return nothing ? 0 : largest / 127;
}

/* Rows [panel][k][16], every other column with the other sign, so that sums of the largest products go both
 * ways. */
static float *int8_weights(const gemm_case *c) {
  const size_t count = c->panels * c->k * RST_GROUP;
  float *rows = fixture_alloc(count, sizeof *rows);
  for (size_t i = 0; i < count; i++) rows[i] = (i % 2 == 0 ? 1 : -1) * number(c->how, 2, i);
  return rows;
}

/* The integers' sums are exact, so that what gemm gives may only be off by the rounding of floats. */
static void check_int8_result(const gemm_case *c, const float *x, size_t pitch, const float *even,
                              const float *rows, const rst_gemm *g, const buffer *before, const buffer *out,
                              const char *what) {
  int *left = fixture_alloc(c->k, sizeof *left), *right = fixture_alloc(c->k, sizeof *right);
  float *ones = fixture_alloc(c->k, sizeof *ones);
  for (size_t i = 0; i < c->k; i++) ones[i] = 1;
  for (size_t column = 0; column < c->panels * RST_GROUP; column++) {
    const float *w = rows + column / RST_GROUP * c->k * RST_GROUP + column % RST_GROUP;
    const double right_scale = (double)oracle_quantize(w, ones, RST_GROUP, c->k, right);
    for (size_t p = 0; p < c->pixels; p++) {
      const double scale = (double)oracle_quantize(x + p * pitch, even, 1, c->k, left) * right_scale;
      const size_t at = p * g->out_pitch + column / RST_GROUP * g->out_panel + column % RST_GROUP;
      int64_t sum = 0;
      for (size_t i = 0; i < c->k; i++) sum += (int64_t)left[i] * right[i];
      double expected = (double)sum * scale, size = fabs(expected);
      if (g->bias != NULL) expected += (double)g->bias[column], size += fabs((double)g->bias[column]);
      if (c->into != RST_INTO_FLOATS) expected += get(before, at), size += fabs(get(before, at));
      check_value(out, at, expected, 6 * EPSILON * size + 4 * (double)FLT_MIN * fabs((double)sum), what);
    }
  }
  free(left);
  free(right);
  free(ones);
}

/* quantize, pack and gemm together. */
static void check_int8(const rst_kernels *k, const gemm_case *c, const char *what) {
  const size_t columns = c->panels * RST_GROUP, padded = rst_round_up(c->k, RST_GROUP),
               pitch = padded + c->a_extra;
  const size_t out_pitch = (c->by_panel ? RST_GROUP : columns) + c->out_extra;
  const size_t out_panel = c->by_panel ? c->pixels * out_pitch : RST_GROUP;
  const size_t out_count = c->by_panel ? c->panels * out_panel : c->pixels * out_pitch;
  buffer a = new_buffer(4, c->pixels * pitch);
  float *even = fixture_alloc(padded, sizeof *even);
  for (size_t i = 0; i < padded; i++) even[i] = ldexpf(1 + random_unit(9, i) / 4, (int)(i % 3) - 1);
  for (size_t p = 0; p < c->pixels; p++)
    for (size_t i = 0; i < padded; i++)
      set(&a, p * pitch + i, i < c->k ? (p % 2 == 0 ? 1 : -1) * number(c->how, 1, p * c->k + i) : 0);
  buffer x = copy(&a);
  k->quantize(a.data, pitch, c->pixels, padded, even);
  for (size_t i = 0; i < a.count; i++)
    if (i % pitch >= padded && !is_untouched(&a, i))
      fail_msg("%s: quantize wrote outside of pixel %zu", what, i / pitch);
  const size_t panel = rst_panel_bytes(k, c->k);
  float *rows = int8_weights(c);
  char *w = fixture_alloc(c->panels * panel + 1, 1);
  for (size_t i = 0; i < c->panels; i++) k->pack(rows + i * c->k * RST_GROUP, c->k, w + 1 + i * panel);
  buffer bias = filled(4, columns, c->how, 3),
         out = new_buffer(c->into == RST_ADD_ELEMENTS ? k->element : 4, out_count);
  for (size_t p = 0; c->into != RST_INTO_FLOATS && p < c->pixels; p++)
    for (size_t i = 0; i < columns; i++)
      set(&out, p * out_pitch + i / RST_GROUP * out_panel + i % RST_GROUP,
          number(c->how, 4, p * columns + i));
  buffer before = copy(&out);
  rst_gemm g = {.a = a.data,
                .a_pitch = pitch,
                .pixels = c->pixels,
                .k = c->k,
                .w = w + 1,
                .w_panel = panel,
                .panels = c->panels,
                .bias = c->bias ? bias.data : NULL,
                .out = out.data,
                .out_pitch = out_pitch,
                .out_panel = out_panel,
                .into = c->into};
  k->gemm(&g);
  check_int8_result(c, x.data, pitch, even, rows, &g, &before, &out, what);
  check_untouched(&out, out_pitch, c->pixels * (c->by_panel ? c->panels : 1),
                  c->by_panel ? RST_GROUP : columns, what);
  check_gemm_alone(k, &g, &before, &out, what);
  free(even);
  free(rows);
  free(w);
  release(&a);
  release(&x);
  release(&bias);
  release(&out);
  release(&before);
}

/* One operand that is not finite makes all of the pixel's results so, and no other pixel's. */
static void int8_keeps_what_is_not_finite(const rst_kernels *k) {
  if (!is_int8(k)) return;
  static const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
  enum { K = 32, PIXELS = 3 };
  float a[PIXELS * K], rows[K * RST_GROUP], even[K], out[PIXELS * RST_GROUP];
  char *w = fixture_alloc(rst_panel_bytes(k, K), 1);
  for (size_t i = 0; i < K * RST_GROUP; i++) rows[i] = number(RANDOM, 1, i);
  for (size_t i = 0; i < K; i++) even[i] = 1;
  k->pack(rows, K, w);
  for (size_t b = 0; b < sizeof bad / sizeof *bad; b++) {
    for (size_t i = 0; i < PIXELS * K; i++) a[i] = number(RANDOM, 2, i);
    a[K + 7 * b] = bad[b];
    k->quantize(a, K, PIXELS, K, even);
    k->gemm(&(rst_gemm){.a = a,
                        .a_pitch = K,
                        .pixels = PIXELS,
                        .k = K,
                        .w = w,
                        .panels = 1,
                        .out = out,
                        .out_pitch = RST_GROUP});
    for (size_t i = 0; i < PIXELS * RST_GROUP; i++)
      if (isfinite(out[i]) != (i / RST_GROUP != 1))
        fail_msg("%s: with %g in pixel 1, pixel %zu is %g", table_name(k), (double)bad[b], i / RST_GROUP,
                 (double)out[i]);
  }
  free(w);
}

/* ---- normalize -------------------------------------------------------------------------------------------
 */

/* Blocks of pixels are an optimisation only: a pixel alone gives the same bytes. */
static void check_normalize_alone(const rst_kernels *k, const rst_normalize *n, const buffer *out,
                                  const char *what) {
  buffer alone = new_buffer(out->element, n->out_pitch);
  rst_normalize one = *n;
  one.pixels = 1;
  one.out = alone.data;
  for (size_t p = 0; p < n->pixels; p++) {
    one.x = (const char *)n->x + p * n->x_pitch * k->element;
    k->normalize(&one);
    const char *together = (const char *)out->data + p * n->out_pitch * out->element;
    if (memcmp(alone.data, together, rst_round_up(n->channels, RST_GROUP) * out->element) != 0)
      fail_msg("%s: pixel %zu depends on its neighbours", what, p);
  }
  release(&alone);
}

static void check_normalize(const rst_kernels *k, size_t channels, size_t pixels, size_t extra, bool centred,
                            kind how, double offset) {
  char what[160];
  snprintf(what, sizeof what, "normalize %s, %s + %g: channels %zu, pixels %zu%s", table_name(k),
           KIND_NAMES[how], offset, channels, pixels, centred ? ", centred" : "");
  const size_t padded = rst_round_up(channels, RST_GROUP), pitch = padded + extra;
  buffer x = new_buffer(k->element, (pixels - 1) * pitch + padded);
  buffer out = new_buffer(k->operand, pixels * pitch);
  for (size_t p = 0; p < pixels; p++)
    for (size_t c = 0; c < padded; c++)
      set(&x, p * pitch + c, c < channels ? number(how, p, c) + (float)offset : 0);
  const rst_normalize n = {.x = x.data,
                           .x_pitch = pitch,
                           .pixels = pixels,
                           .channels = channels,
                           .centred = centred,
                           .out = out.data,
                           .out_pitch = pitch};
  k->normalize(&n);
  double *column = oracle_alloc(channels), *ones = oracle_alloc(channels), *zeros = oracle_alloc(channels);
  double *expected = oracle_alloc(channels);
  for (size_t p = 0; p < pixels; p++) {
    double largest = 0, mean = 0, var = 0;
    for (size_t c = 0; c < channels; c++) {
      column[c] = get(&x, p * pitch + c);
      ones[c] = 1;
      mean += column[c] / (double)channels;
      largest = fmax(largest, fabs(column[c]));
    }
    for (size_t c = 0; c < channels; c++) var += (column[c] - mean) * (column[c] - mean) / (double)channels;
    oracle_layer_norm(column, channels, 1, ones, centred ? zeros : NULL, expected);
    /* The mean's rounding error (a sum of `channels` numbers) stays in the difference, and grows with the
     * scale. */
    const double mean_error = ((double)channels / 4 + 4) * EPSILON * largest, scale = 1 / sqrt(var + 1e-5);
    for (size_t c = 0; c < channels; c++) {
      const double relative = ((double)channels / 4 + 8) * EPSILON + pow(mean_error * scale, 2);
      const double tolerance = fabs(expected[c]) * relative + (centred ? mean_error * scale : 0);
      check_value(&out, p * pitch + c, expected[c], tolerance, what);
    }
    for (size_t c = channels; c < padded; c++)
      if (get(&out, p * pitch + c) != 0) fail_msg("%s: padding of pixel %zu is not zero", what, p);
  }
  check_untouched(&out, pitch, pixels, padded, what);
  check_normalize_alone(k, &n, &out, what);
  free(column);
  free(ones);
  free(zeros);
  free(expected);
  release(&x);
  release(&out);
}

static void normalize_shapes(const rst_kernels *k) {
  for (size_t channels = 1; channels <= 100; channels++)
    for (size_t pixels = 1; pixels <= 5; pixels += 2) {
      check_normalize(k, channels, pixels, channels % 2 * 16, true, RANDOM, 0);
      check_normalize(k, channels, pixels, channels % 3 * 16, false, RANDOM, 0.5);
    }
  check_normalize(k, 384, 33, 0, true, RANDOM, 1);
  check_normalize(k, 383, 33, 0, false, RANDOM, 0);
}

static void normalize_extremes(const rst_kernels *k) {
  static const size_t channels[] = {1, 7, 16, 48, 65};
  for (size_t i = 0; i < sizeof channels / sizeof *channels; i++)
    for (int how = 0; how < KINDS; how++)
      for (int centred = 0; centred < 2; centred++) {
        check_normalize(k, channels[i], 3, 0, centred == 1, (kind)how, 0);
        check_normalize(k, channels[i], 3, 0, centred == 1, (kind)how, 16);
      }
}

/* ---- dwconv ----------------------------------------------------------------------------------------------
 */

typedef enum form { AS_OPERAND, FOR_GRAM, GATED, FORMS } form;
static const char *const FORM_NAMES[FORMS] = {"dwconv_operand", "dwconv_gram", "dwconv_gate"};

/* Pixels that stand side by side where a Gram matrix reads them, and the place of one of their elements. */
static size_t gram_step(const rst_kernels *k) {
  return is_bf16(k) ? 2 : 1;
}

static size_t gram_index(const rst_kernels *k, size_t pitch, size_t p, size_t c) {
  const size_t step = gram_step(k);
  return p / step * step * pitch + c * step + p % step;
}

/* Absolute errors that kernels.h promises, for |x| <= 1; they grow with |x| above. */
static const double GELU_ERROR = 4e-7, GELU_ERROR_BF16 = 3e-5;

/* One tap sum of channel c of `all`, in float64, and the sum of its terms' sizes. */
static double tap_sum(const rst_dwconv *d, size_t p, size_t c, double *size) {
  double sum = (double)d->bias[c];
  *size = fabs(sum);
  for (size_t t = 0; t < RST_TAPS; t++) {
    const double x = (double)d->rows[t / 3][(p + t % 3) * d->pitch + c];
    const double w = (double)d->weights[(c / RST_GROUP * RST_TAPS + t) * RST_GROUP + c % RST_GROUP];
    sum += x * w;
    *size += fabs(x * w);
  }
  return sum;
}

static void check_dwconv_result(const rst_kernels *k, const rst_dwconv *d, form f, const buffer *out,
                                size_t out_pitch, const char *what) {
  for (size_t p = 0; p < d->pixels; p++)
    for (size_t c = 0; c < d->channels; c++) {
      double size, size2;
      double expected = tap_sum(d, p, c, &size), tolerance = 11 * EPSILON * size + 10 * (double)FLT_MIN;
      if (f == GATED) {
        const double x1 = expected, x2 = tap_sum(d, p, c + d->channels, &size2);
        const double error2 = 11 * EPSILON * size2 + 10 * (double)FLT_MIN;
        /* gelu has a slope of at most 1.13, and an error of its own. */
        const double error1 =
            1.13 * tolerance + (is_bf16(k) ? GELU_ERROR_BF16 : GELU_ERROR) * fmax(1, fabs(x1));
        expected = oracle_gelu(x1) * x2;
        tolerance =
            error1 * fabs(x2) + (fabs(oracle_gelu(x1)) + error1) * error2 + 2 * EPSILON * fabs(expected);
      }
      const size_t at = f == FOR_GRAM ? gram_index(k, out_pitch, p, c) : p * out_pitch + c;
      check_value(out, at, expected, tolerance, what);
    }
}

/* What dwconv_gram adds to the squares is what gram finds for each channel and itself: both take the results
 * as they were stored, so that no cosine comes out above 1. An odd last pixel stands beside zeros. */
static void check_squares(const rst_kernels *k, const rst_dwconv *d, const buffer *out, size_t out_pitch,
                          const buffer *before, const buffer *squares, const char *what) {
  buffer gram = filled(4, d->channels * d->channels, ZEROS, 0);
  k->gram(&(rst_gram){.x = out->data,
                      .pitch = out_pitch,
                      .pixels = d->pixels,
                      .rows = d->channels,
                      .columns = d->channels,
                      .sums = gram.data,
                      .sums_pitch = d->channels});
  for (size_t c = 0; c < d->channels; c++) {
    double sum = 0;
    for (size_t p = 0; p < d->pixels; p++) sum += pow(get(out, gram_index(k, out_pitch, p, c)), 2);
    const double tolerance =
        ((double)d->pixels + 2) * EPSILON * (sum + get(before, c)) + (double)d->pixels * (double)FLT_MIN;
    check_value(squares, c, get(before, c) + sum, tolerance, what);
    check_value(&gram, c * d->channels + c, sum, tolerance, what);
    for (size_t p = d->pixels; p % gram_step(k) != 0; p++)
      if (get(out, gram_index(k, out_pitch, p, c)) != 0)
        fail_msg("%s: padding of channel %zu is not zero", what, c);
  }
  check_untouched(squares, squares->count, 1, d->channels, what);
  release(&gram);
}

static void check_dwconv(const rst_kernels *k, form f, size_t channels, size_t pixels, size_t extra,
                         kind how) {
  char what[160];
  snprintf(what, sizeof what, "%s %s, %s: channels %zu, pixels %zu", FORM_NAMES[f], table_name(k),
           KIND_NAMES[how], channels, pixels);
  const size_t all = f == GATED ? 2 * channels : channels, pitch = all + extra, out_pitch = channels + extra;
  buffer rows[3];
  for (size_t i = 0; i < 3; i++) rows[i] = filled(4, (pixels + 1) * pitch + all, how, i);
  buffer weights = filled(4, all * RST_TAPS, how, 3), bias = filled(4, all, how, 4);
  const size_t step = f == FOR_GRAM ? gram_step(k) : 1, steps = (pixels + step - 1) / step;
  buffer out = new_buffer(f == FOR_GRAM ? k->element : k->operand, steps * step * out_pitch),
         squares = new_buffer(4, out_pitch);
  for (size_t c = 0; c < channels; c++) set(&squares, c, fabsf(number(how, 5, c)));
  buffer before = copy(&squares);
  const rst_dwconv d = {.rows = {rows[0].data, rows[1].data, rows[2].data},
                        .pitch = pitch,
                        .pixels = pixels,
                        .channels = channels,
                        .weights = weights.data,
                        .bias = bias.data};
  switch (f) {
    case AS_OPERAND:
      k->dwconv_operand(&d, out.data, out_pitch);
      break;
    case FOR_GRAM:
      k->dwconv_gram(&d, out.data, out_pitch, squares.data);
      check_squares(k, &d, &out, out_pitch, &before, &squares, what);
      break;
    default:
      k->dwconv_gate(&d, out.data, out_pitch);
  }
  check_dwconv_result(k, &d, f, &out, out_pitch, what);
  check_untouched(&out, step * out_pitch, steps, step * channels, what);
  for (size_t i = 0; i < 3; i++) release(&rows[i]);
  release(&weights);
  release(&bias);
  release(&out);
  release(&squares);
  release(&before);
}

static void dwconv_shapes(const rst_kernels *k) {
  for (int f = 0; f < FORMS; f++)
    for (size_t groups = 1; groups <= 9; groups++)
      for (size_t pixels = 1; pixels <= 18; pixels++)
        check_dwconv(k, (form)f, groups * RST_GROUP, pixels, (groups + pixels) % 3 * 16, RANDOM);
}

/* Outputs of huge and wide numbers are squares, gated even cubes, of them: 2^110 and 2^220 for the huge ones,
 * which float32 does not hold, nor the squares of such outputs. */
static void dwconv_extremes(const rst_kernels *k) {
  for (int f = 0; f < FORMS; f++)
    for (int how = 0; how < KINDS; how++)
      if (f == AS_OPERAND || how != HUGE_ONES) check_dwconv(k, (form)f, 2 * RST_GROUP, 7, 0, (kind)how);
}

/* x gelu'd with a second half of 1: the centre tap is 1 for the first half, the bias for the second. */
static void gelu_of(const rst_kernels *k, const float *x, size_t pixels, buffer *out) {
  float *row = fixture_alloc((pixels + 2) * 2 * RST_GROUP, sizeof *row);
  float *zeros = fixture_alloc((pixels + 2) * 2 * RST_GROUP, sizeof *zeros);
  float weights[2 * RST_GROUP * RST_TAPS] = {0}, bias[2 * RST_GROUP] = {0};
  for (size_t c = 0; c < RST_GROUP; c++) {
    weights[4 * RST_GROUP + c] = 1;
    bias[RST_GROUP + c] = 1;
  }
  for (size_t i = 0; i < pixels * RST_GROUP; i++)
    row[(i / RST_GROUP + 1) * 2 * RST_GROUP + i % RST_GROUP] = x[i];
  const rst_dwconv d = {.rows = {zeros, row, zeros},
                        .pitch = 2 * (size_t)RST_GROUP,
                        .pixels = pixels,
                        .channels = RST_GROUP,
                        .weights = weights,
                        .bias = bias};
  k->dwconv_gate(&d, out->data, RST_GROUP);
  free(row);
  free(zeros);
}

/* Every 4096th float up to 2^14 in size, both signs, where the approximation does its work. */
static void gelu_over_its_range(const rst_kernels *k) {
  enum { PIXELS = 1024, COUNT = PIXELS * RST_GROUP };
  static float x[COUNT];
  buffer out = new_buffer(k->operand, COUNT);
  char what[96];
  snprintf(what, sizeof what, "gelu %s", table_name(k));
  const uint32_t first = UINT32_C(0x30000000), last = UINT32_C(0x46800000), step = 4096; /* 2^-31 .. 2^14 */
  uint32_t bits = first;
  for (int sign = 0; sign < 2; sign++)
    for (bits = first; bits < last;) {
      for (size_t i = 0; i < COUNT; i++, bits += step) {
        const uint32_t now = (bits < last ? bits : last) | (uint32_t)sign << 31;
        memcpy(&x[i], &now, sizeof now);
      }
      gelu_of(k, x, PIXELS, &out);
      for (size_t i = 0; i < COUNT; i++)
        check_value(&out, i, oracle_gelu((double)x[i]),
                    (is_bf16(k) ? GELU_ERROR_BF16 : GELU_ERROR) * fmax(1, fabs((double)x[i])), what);
    }
  release(&out);
}

/* What is not a number stays none, infinities and huge numbers become themselves or next to nothing, and tiny
 * ones their halves. The numbers are the bias of a convolution of zeros. */
static void gelu_of_special_numbers(const rst_kernels *k) {
  static const float zeros[2 * RST_GROUP * RST_TAPS];
  const float numbers[RST_GROUP] = {NAN,       -NAN,   INFINITY,  -INFINITY,  0x1p127F,  -0x1p127F,
                                    1e10F,     -1e10F, 0x1p-126F, -0x1p-126F, 0x1p-140F, -0x1p-140F,
                                    0x1p-149F, 0,      -0.0F,     1};
  float bias[2 * RST_GROUP];
  for (size_t c = 0; c < RST_GROUP; c++) bias[c] = numbers[c], bias[RST_GROUP + c] = 1;
  const rst_dwconv d = {.rows = {zeros, zeros, zeros},
                        .pitch = 2 * (size_t)RST_GROUP,
                        .pixels = 1,
                        .channels = RST_GROUP,
                        .weights = zeros,
                        .bias = bias};
  buffer out = new_buffer(k->operand, RST_GROUP);
  k->dwconv_gate(&d, out.data, RST_GROUP);
  const double error = is_bf16(k) ? GELU_ERROR_BF16 : GELU_ERROR;
  char what[96];
  snprintf(what, sizeof what, "gelu of special numbers, %s", table_name(k));
  for (size_t c = 0; c < RST_GROUP; c++) {
    const double x = (double)numbers[c];
    if (isnan(x) || x == (double)INFINITY) {
      if (isnan(x) ? !isnan(get(&out, c)) : get(&out, c) != x)
        fail_msg("%s: of %g is %g", what, x, get(&out, c));
    } else if (fabs(x) < 1e-20) {
      check_value(&out, c, x / 2, error * fabs(x), what);
    } else {
      const double cut_off = 8; /* beyond it the error of a negative number grows no more */
      /* Nor does that of a positive one show in 8 bits. */
      const double growth = x > 0 && is_int8(k) ? x : fmin(-x, cut_off);
      check_value(&out, c, x < -cut_off ? 0 : oracle_gelu(x), error * fmax(1, growth), what);
    }
  }
  release(&out);
}

/* ---- gram ------------------------------------------------------------------------------------------------
 */

/* q and k side by side in the channels of a pixel, in either order. */
typedef struct gram_case {
  size_t rows, columns, pixels, extra;
  bool k_first;
  kind how;
} gram_case;

/* The operand: `channels` of each pixel filled, an odd last pixel's neighbour zero, nothing after the last
 * step. */
static buffer gram_operand(const rst_kernels *k, const gram_case *c, size_t pitch, size_t channels) {
  const size_t step = gram_step(k), steps = (c->pixels + step - 1) / step;
  buffer x = new_buffer(k->element, (steps - 1) * step * pitch + step * channels);
  for (size_t p = 0; p < steps * step; p++)
    for (size_t i = 0; i < channels; i++)
      set(&x, gram_index(k, pitch, p, i), p < c->pixels ? number(c->how, 1, p * channels + i) : 0);
  return x;
}

static void check_gram(const rst_kernels *k, const gram_case *c) {
  char what[160];
  snprintf(what, sizeof what, "gram %s, %s: %zu x %zu over %zu pixels%s", table_name(k), KIND_NAMES[c->how],
           c->rows, c->columns, c->pixels, c->k_first ? ", k first" : "");
  const size_t padded = rst_round_up(c->columns, RST_GROUP);
  const size_t channels = c->rows + padded, pitch = channels + c->extra, sums_pitch = padded + c->extra;
  buffer x = gram_operand(k, c, pitch, channels), sums = new_buffer(4, c->rows * sums_pitch);
  for (size_t i = 0; i < c->rows; i++)
    for (size_t j = 0; j < padded; j++) set(&sums, i * sums_pitch + j, number(c->how, 3, i * padded + j));
  buffer before = copy(&sums);
  const rst_gram g = {.x = x.data,
                      .pitch = pitch,
                      .pixels = c->pixels,
                      .q = c->k_first ? padded : 0,
                      .k = c->k_first ? 0 : c->rows,
                      .rows = c->rows,
                      .columns = c->columns,
                      .sums = sums.data,
                      .sums_pitch = sums_pitch};
  k->gram(&g);
  for (size_t i = 0; i < c->rows; i++)
    for (size_t j = 0; j < c->columns; j++) {
      double sum = get(&before, i * sums_pitch + j), size = fabs(sum);
      for (size_t p = 0; p < c->pixels; p++) {
        const double product =
            get(&x, gram_index(k, pitch, p, g.q + i)) * get(&x, gram_index(k, pitch, p, g.k + j));
        sum += product;
        size += fabs(product);
      }
      const double flushed = (double)c->pixels * (double)FLT_MIN;
      check_value(&sums, i * sums_pitch + j, sum, ((double)c->pixels + 2) * EPSILON * size + flushed, what);
    }
  check_untouched(&sums, sums_pitch, c->rows, padded, what);
  release(&x);
  release(&sums);
  release(&before);
}

static void gram_shapes(const rst_kernels *k) {
  static const size_t sides[] = {1,  2,  3,  5,  6,  7,  8,  9,  12, 15, 16,
                                 17, 24, 31, 32, 33, 48, 49, 64, 65, 80, 96};
  static const size_t pixels[] = {1, 2, 3, 5, 47, 64};
  enum { SIDES = sizeof sides / sizeof *sides };
  for (size_t i = 0; i < SIDES; i++)
    for (size_t p = 0; p < sizeof pixels / sizeof *pixels; p++) {
      gram_case c = {.rows = sides[i],
                     .columns = sides[i],
                     .pixels = pixels[p],
                     .extra = i % 3 * 16,
                     .k_first = p % 2 == 1,
                     .how = RANDOM};
      check_gram(k, &c);
      c.columns = sides[(i * 7 + 3) % SIDES], c.extra = 0, c.how = WIDE;
      check_gram(k, &c);
    }
}

static void gram_extremes(const rst_kernels *k) {
  for (int how = 0; how < KINDS; how++)
    check_gram(k, &(gram_case){.rows = 13, .columns = 21, .pixels = 9, .how = (kind)how});
}

/* ---- store -----------------------------------------------------------------------------------------------
 */

static void check_store(const rst_kernels *k, size_t channels, size_t pixels, size_t extra, kind how) {
  char what[160];
  snprintf(what, sizeof what, "store %s, %s: channels %zu, pixels %zu", table_name(k), KIND_NAMES[how],
           channels, pixels);
  const size_t pitch = channels + extra, values_pitch = channels + 3 * extra;
  buffer map = new_buffer(k->element, pixels * pitch);
  buffer values = filled(4, (pixels - 1) * values_pitch + channels, how, 1);
  k->store(map.data, pitch, values.data, values_pitch, pixels, channels);
  for (size_t p = 0; p < pixels; p++)
    for (size_t c = 0; c < channels; c++)
      check_value(&map, p * pitch + c, get(&values, p * values_pitch + c), 0, what);
  check_untouched(&map, pitch, pixels, channels, what);
  buffer back = new_buffer(4, pixels * values_pitch); /* exactly what was stored */
  k->load(back.data, values_pitch, map.data, pitch, pixels, channels);
  for (size_t p = 0; p < pixels; p++)
    for (size_t c = 0; c < channels; c++)
      assert_true(get(&back, p * values_pitch + c) == get(&map, p * pitch + c));
  check_untouched(&back, values_pitch, pixels, channels, what);
  release(&back);
  release(&map);
  release(&values);
}

static void store(const rst_kernels *k) {
  for (size_t groups = 1; groups <= 6; groups++)
    for (size_t pixels = 1; pixels <= 9; pixels++)
      check_store(k, groups * RST_GROUP, pixels, (groups + pixels) % 3 * 16, RANDOM);
  for (int how = 0; how < KINDS; how++) check_store(k, 48, 5, 16, (kind)how);
}

/* Rounding to bf16 is to nearest, ties to even; NaN and infinities stay what they are. */
static void store_rounds_to_bf16(const rst_kernels *k) {
  if (!is_bf16(k)) return;
  static const uint32_t bits[RST_GROUP] = {
      0x3f800000, 0x3f807fff, 0x3f808000, 0x3f808001, 0x3f818000, 0x3f817fff, 0xbf818000, 0xbf808000,
      0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001, 0xffffffff, 0x7f7fffff, 0x7f7f7fff, 0x00000000};
  float values[RST_GROUP];
  uint16_t out[RST_GROUP];
  memcpy(values, bits, sizeof values);
  k->store(out, RST_GROUP, values, RST_GROUP, 1, RST_GROUP);
  for (size_t i = 0; i < RST_GROUP; i++) {
    const float found = from_bf16(out[i]);
    if (isnan(values[i]) ? isnan(found) : out[i] == to_bf16(values[i])) continue;
    fail_msg("store %s: 0x%08x became 0x%04x", table_name(k), (unsigned)bits[i], (unsigned)out[i]);
  }
}

/* ---- The tables themselves -------------------------------------------------------------------------------
 */

static void tables(void **state) {
  (void)state;
  assert_true(rst_isa_available(RST_ISA_BASELINE));
  assert_true(rst_isa_available(RST_ISA_AUTO));
  assert_true(rst_isa_available(rst_isa_best()));
  for (int precision = RST_PRECISION_F32; precision < RST_PRECISION_COUNT; precision++) {
    const size_t element = precision == RST_PRECISION_F32 ? 4 : 2;
    for (int isa = RST_ISA_BASELINE; isa < RST_ISA_COUNT; isa++) {
      const rst_kernels *k = rst_kernels_for((rst_isa)isa, (rst_precision)precision);
      assert_int_equal(k != NULL, rst_isa_available((rst_isa)isa));
      if (k == NULL) continue;
      assert_int_equal(k->precision, precision);
      assert_int_equal(k->element, element);
    }
    assert_ptr_equal(rst_kernels_for(RST_ISA_AUTO, (rst_precision)precision),
                     rst_kernels_for(rst_isa_best(), (rst_precision)precision));
  }
  assert_null(rst_kernels_for(RST_ISA_COUNT, RST_PRECISION_F32));
  assert_null(rst_kernels_for(RST_ISA_BASELINE, RST_PRECISION_COUNT));
}

#define OVER_TABLES(check)                 \
  static void test_##check(void **state) { \
    (void)state;                           \
    for_every_table(check);                \
  }
OVER_TABLES(pack_shapes)
OVER_TABLES(gemm_shapes)
OVER_TABLES(gemm_extremes)
OVER_TABLES(gemm_with_many_k)
OVER_TABLES(int8_keeps_what_is_not_finite)
OVER_TABLES(normalize_shapes)
OVER_TABLES(normalize_extremes)
OVER_TABLES(dwconv_shapes)
OVER_TABLES(dwconv_extremes)
OVER_TABLES(gelu_over_its_range)
OVER_TABLES(gelu_of_special_numbers)
OVER_TABLES(gram_shapes)
OVER_TABLES(gram_extremes)
OVER_TABLES(store)
OVER_TABLES(store_rounds_to_bf16)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(tables),
      cmocka_unit_test(test_pack_shapes),
      cmocka_unit_test(test_gemm_shapes),
      cmocka_unit_test(test_gemm_extremes),
      cmocka_unit_test(test_gemm_with_many_k),
      cmocka_unit_test(test_int8_keeps_what_is_not_finite),
      cmocka_unit_test(test_normalize_shapes),
      cmocka_unit_test(test_normalize_extremes),
      cmocka_unit_test(test_dwconv_shapes),
      cmocka_unit_test(test_dwconv_extremes),
      cmocka_unit_test(test_gelu_over_its_range),
      cmocka_unit_test(test_gelu_of_special_numbers),
      cmocka_unit_test(test_gram_shapes),
      cmocka_unit_test(test_gram_extremes),
      cmocka_unit_test(test_store),
      cmocka_unit_test(test_store_rounds_to_bf16),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
