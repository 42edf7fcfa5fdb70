/* kernels.c - the rate of every kernel, at the shapes that the full model gives it, and its share of the peak
 * that one thread was measured to reach just before. Each result is also compared with the portable table's,
 * which tests/unit/test_kernels.c compares with plain float64 sums (`make bench-kernels` runs that first). */
#include "kernels/kernels.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bfloat16.h"
#include "peak.h"

static const char USAGE[] =
    "usage: kernels [options] [KERNEL]        KERNEL: only those whose name contains it\n"
    "  --isa NAME        only this instruction set (best: the best one) [all]\n"
    "  --precision P     only float32, bf16 or int8 [all]\n"
    "  --pixels N        pixels of a call [48]\n"
    "  --seconds S       of each measurement; the best of many calls counts [0.03]\n";

/* ---- Shapes --------------------------------------------------------------------------------- */

typedef enum kernel {
  GEMM,
  NORMALIZE,
  DWCONV_OPERAND,
  DWCONV_GRAM,
  DWCONV_GATE,
  GRAM,
  STORE,
  QUANTIZE
} kernel;
static const char *const KERNEL_NAMES[] = {"gemm",        "normalize", "dwconv_operand", "dwconv_gram",
                                           "dwconv_gate", "gram",      "store",          "quantize"};

/* Where the shape comes from, and its numbers: gemm k x columns, gram rows x columns, else channels. */
typedef struct shape {
  kernel kernel;
  const char *where;
  size_t a, b;
} shape;

static const shape SHAPES[] = {{GEMM, "level 1 qk", 48, 96},
                               {GEMM, "level 1 project_in", 48, 256},
                               {GEMM, "level 1 project_out", 128, 48},
                               {GEMM, "level 2 v", 96, 96},
                               {GEMM, "level 2 project_in", 96, 512},
                               {GEMM, "level 2 project_out", 256, 96},
                               {GEMM, "level 3 qk", 192, 384},
                               {GEMM, "level 3 project_in", 192, 1024},
                               {GEMM, "level 3 project_out", 512, 192},
                               {GEMM, "level 4 qk", 384, 768},
                               {GEMM, "level 4 project_in", 384, 2048},
                               {GEMM, "level 4 project_out", 1024, 384},
                               {GEMM, "down 1", 432, 32},
                               {GEMM, "output", 288, 16},
                               {NORMALIZE, "level 1", 48, 0},
                               {NORMALIZE, "level 2", 96, 0},
                               {NORMALIZE, "level 4", 384, 0},
                               {DWCONV_GRAM, "level 1 qk", 96, 0},
                               {DWCONV_GRAM, "level 2 qk", 192, 0},
                               {DWCONV_GRAM, "level 4 qk", 768, 0},
                               {DWCONV_OPERAND, "level 1 v", 48, 0},
                               {DWCONV_OPERAND, "level 2 v", 96, 0},
                               {DWCONV_OPERAND, "level 4 v", 384, 0},
                               {DWCONV_GATE, "level 1", 128, 0},
                               {DWCONV_GATE, "level 2", 256, 0},
                               {DWCONV_GATE, "level 3", 512, 0},
                               {DWCONV_GATE, "level 4", 1024, 0},
                               {GRAM, "a head", 48, 48},
                               {GRAM, "decoder level 1", 96, 96},
                               {STORE, "level 1", 48, 0},
                               {QUANTIZE, "level 1 norm", 48, 0},
                               {QUANTIZE, "level 1 gate", 128, 0},
                               {QUANTIZE, "level 4 gate", 1024, 0}};
enum { SHAPE_COUNT = sizeof SHAPES / sizeof *SHAPES };

/* Floating-point operations (or 0) and bytes moved of one call. */
typedef struct work {
  double flop, bytes;
} work;

static work work_of(const rst_kernels *k, const shape *s, size_t pixels) {
  const double p = (double)pixels, a = (double)s->a, e = (double)k->element, o = (double)k->operand;
  switch (s->kernel) {
    case GEMM:
    case GRAM:
      return (work){.flop = 2 * p * a * (double)s->b};
    case DWCONV_OPERAND:
      return (work){.flop = 2 * RST_TAPS * p * a};
    case DWCONV_GRAM: /* and the squares */
      return (work){.flop = 2 * (RST_TAPS + 1) * p * a};
    case DWCONV_GATE: /* the convolutions of both halves */
      return (work){.flop = 4 * RST_TAPS * p * a};
    case NORMALIZE:
      return (work){.bytes = p * a * (e + o)};
    case QUANTIZE:
      return (work){.bytes = p * a * (o + (double)k->weight)};
    default:
      return (work){.bytes = p * a * (e + 4)};
  }
}

/* ---- Calls ---------------------------------------------------------------------------------- */

/* What a kernel reads and writes, made once, large enough for all shapes: numbers between -1 and 1. */
enum { INPUT = 1 << 20, OUTPUT = 1 << 19 };
static float *floats, *result; /* [INPUT], [OUTPUT] */
static uint16_t *halves;       /* floats rounded */
static float *quantized;       /* [INPUT / 4]: quantize's result for the shape, and its factors, all 1 */
static void *packed;           /* panels of the shape */

static void *allocate(size_t bytes) {
  void *memory = aligned_alloc(64, bytes);
  if (memory == NULL) {
    fputs("kernels: out of memory\n", stderr);
    exit(2);
  }
  return memory;
}

static void make_input(void) {
  floats = allocate(INPUT * sizeof *floats);
  result = allocate(OUTPUT * sizeof *result);
  halves = allocate(INPUT * sizeof *halves);
  quantized = allocate(INPUT / 4 * sizeof *quantized);
  packed = allocate(INPUT * sizeof *floats);
  uint32_t state = 1;
  for (size_t i = 0; i < INPUT; i++) {
    state = state * 1664525U + 1013904223U;
    floats[i] = (float)(int32_t)state * 0x1p-31F;
    uint32_t bits;
    memcpy(&bits, &floats[i], sizeof bits);
    halves[i] = rst_bits_to_bf16(bits);
  }
}

/* A gemm's operands. */
static void prepare(const rst_kernels *k, const shape *s, size_t pixels) {
  if (s->kernel != GEMM) return;
  for (size_t panel = 0; panel < s->b / RST_GROUP; panel++)
    k->pack(floats + INPUT / 8 + panel * s->a * RST_GROUP, s->a,
            (char *)packed + panel * rst_panel_bytes(k, s->a));
  if (k->quantize == NULL) return;
  memcpy(quantized, floats, pixels * s->a * sizeof *quantized);
  float *ones = quantized + INPUT / 4 - s->a;
  for (size_t i = 0; i < s->a; i++) ones[i] = 1;
  k->quantize(quantized, s->a, pixels, s->a, ones);
}

static void call(const rst_kernels *k, const shape *s, size_t pixels) {
  const void *elements = k->element == 2 ? (const void *)halves : floats;
  const size_t a = s->a, b = s->b,
               pitch = 2 * a + RST_GROUP; /* of depthwise input, as of the model's rings */
  const float *weights = floats + INPUT / 2;
  const rst_dwconv d = {.rows = {floats, floats + pitch, floats + 2 * pitch},
                        .pitch = pitch,
                        .pixels = pixels,
                        .channels = a,
                        .weights = weights,
                        .bias = weights};
  switch (s->kernel) {
    case GEMM:
      k->gemm(&(rst_gemm){.a = k->quantize != NULL ? quantized : elements,
                          .a_pitch = a,
                          .pixels = pixels,
                          .k = a,
                          .w = packed,
                          .w_panel = rst_panel_bytes(k, a),
                          .panels = b / RST_GROUP,
                          .bias = weights,
                          .out = result,
                          .out_pitch = b + RST_GROUP,
                          .out_panel = RST_GROUP});
      break;
    case NORMALIZE:
      k->normalize(&(rst_normalize){.x = elements,
                                    .x_pitch = a,
                                    .pixels = pixels,
                                    .channels = a,
                                    .centred = true,
                                    .out = result,
                                    .out_pitch = a});
      break;
    case DWCONV_OPERAND:
      k->dwconv_operand(&d, result, a);
      break;
    case DWCONV_GRAM:
      k->dwconv_gram(&d, result, a + RST_GROUP, result + OUTPUT / 2);
      break;
    case DWCONV_GATE:
      k->dwconv_gate(&d, result, a);
      break;
    case GRAM:
      k->gram(&(rst_gram){.x = elements,
                          .pitch = a + b + RST_GROUP,
                          .pixels = pixels,
                          .k = a,
                          .rows = a,
                          .columns = b,
                          .sums = result,
                          .sums_pitch = b});
      break;
    case QUANTIZE:
      memcpy(result, floats, pixels * a * sizeof *result);
      k->quantize(result, a, pixels, a, weights);
      break;
    default:
      k->store(result, a, floats, a, pixels, a);
  }
}

/* ---- Checking ------------------------------------------------------------------------------- */

/* Bytes of what it writes. */
static size_t size_of_result(const rst_kernels *k, kernel which) {
  if (which == NORMALIZE || which == DWCONV_OPERAND || which == DWCONV_GATE) return k->operand;
  return which == DWCONV_GRAM || which == STORE ? k->element : sizeof(float);
}

static float output(const rst_kernels *k, const shape *s, const float *from, size_t i) {
  if (size_of_result(k, s->kernel) == sizeof(float)) return from[i];
  uint16_t half;
  memcpy(&half, (const char *)from + 2 * i, sizeof half);
  return rst_bf16_to_f32(half);
}

/* Whether the first outputs are those of the portable table: within rounding of sums of up to some thousand
 * terms, and of bf16 where the result is that. */
static bool agrees(const rst_kernels *k, const shape *s, size_t pixels) {
  enum { COMPARED = 1 << 12 };
  static float expected[COMPARED];
  if (s->kernel == QUANTIZE) return true; /* whose layout is each instruction set's own: gemm shows it */
  memset(result, 0, OUTPUT * sizeof *result);
  prepare(rst_kernels_for(RST_ISA_BASELINE, k->precision), s, pixels);
  call(rst_kernels_for(RST_ISA_BASELINE, k->precision), s, pixels);
  memcpy(expected, result, sizeof expected);
  memset(result, 0, OUTPUT * sizeof *result);
  prepare(k, s, pixels);
  call(k, s, pixels);
  const float tolerance = size_of_result(k, s->kernel) == 2 ? 0x1p-7F : 1e-5F;
  const size_t columns = s->kernel == GEMM || s->kernel == GRAM ? s->b : s->a;
  const size_t row = s->kernel == GEMM || s->kernel == DWCONV_GRAM ? columns + RST_GROUP : columns;
  for (size_t i = 0; i < COMPARED && i / row < pixels; i++) {
    const float want = output(k, s, expected, i), found = output(k, s, result, i);
    if (!(fabsf(found - want) <= tolerance * (4 + fabsf(want)))) {
      printf("%s %s %s %s: element %zu is %.9g, portable %.9g\n", rst_isa_name(k->isa),
             rst_precision_name(k->precision), KERNEL_NAMES[s->kernel], s->where, i, (double)found,
             (double)want);
      return false;
    }
  }
  return true;
}

/* ---- Timing --------------------------------------------------------------------------------- */

/* Seconds of one call: the fastest of many batches. */
static double seconds_of(const rst_kernels *k, const shape *s, size_t pixels, double seconds) {
  enum { BATCHES = 20 };
  double start = bench_now();
  call(k, s, pixels);
  const double once = bench_now() - start;
  const size_t calls = 1 + (size_t)(seconds / BATCHES / (once + 1e-7));
  double best = INFINITY;
  for (int b = 0; b < BATCHES; b++) {
    /* Sums that are added to would grow without end. */
    memset(result, 0, (s->a + RST_GROUP) * (s->b + pixels) * sizeof *result);
    start = bench_now();
    for (size_t i = 0; i < calls; i++) call(k, s, pixels);
    best = fmin(best, (bench_now() - start) / (double)calls);
  }
  return best;
}

static bool measure(const rst_kernels *k, const char *filter, size_t pixels, double seconds) {
  const bool bf16 = k->precision == RST_PRECISION_BF16;
  const double peak = peak_f32(k->isa, 1, seconds), dot_peak = bf16 ? peak_bf16(k->isa, 1, seconds) : 0;
  printf("\n%s %s: peak of one thread %.1f GFLOP/s", rst_isa_name(k->isa), rst_precision_name(k->precision),
         peak * 1e-9);
  if (dot_peak > 0) printf(", of bf16 dot products %.1f", dot_peak * 1e-9);
  printf("\n%-15s %-20s %11s %10s %9s %7s %6s\n", "kernel", "where", "shape", "us a call", "GFLOP/s",
         "of peak", "GB/s");
  bool all_agree = true;
  for (int i = 0; i < SHAPE_COUNT; i++) {
    const shape *s = &SHAPES[i];
    if (s->kernel == QUANTIZE && k->quantize == NULL) continue;
    if (filter != NULL && strstr(KERNEL_NAMES[s->kernel], filter) == NULL) continue;
    all_agree &= agrees(k, s, pixels);
    const double time = seconds_of(k, s, pixels, seconds);
    const work w = work_of(k, s, pixels);
    char text[32];
    snprintf(text, sizeof text, s->b > 0 ? "%zu x %zu" : "%zu", s->a, s->b);
    printf("%-15s %-20s %11s %10.2f", KERNEL_NAMES[s->kernel], s->where, text, time * 1e6);
    /* Only the products of elements can use dot products; the rest is float32. */
    const double limit = (s->kernel == GEMM || s->kernel == GRAM) && dot_peak > 0 ? dot_peak : peak;
    if (w.flop > 0) printf(" %9.1f %6.1f%%\n", w.flop / time * 1e-9, 100 * w.flop / time / limit);
    if (w.bytes > 0) printf(" %9s %7s %6.1f\n", "", "", w.bytes / time * 1e-9);
    fflush(stdout);
  }
  return all_agree;
}

int main(int argc, char **argv) {
  static const struct option options[] = {{"isa", required_argument, NULL, 'i'},
                                          {"precision", required_argument, NULL, 'p'},
                                          {"pixels", required_argument, NULL, 'n'},
                                          {"seconds", required_argument, NULL, 's'},
                                          {NULL, 0, NULL, 0}};
  const char *only_isa = NULL, *only_precision = NULL;
  char *end = "";
  size_t pixels = 48;
  double seconds = 0.03;
  for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    if (option == 'i') only_isa = strcmp(optarg, "best") == 0 ? rst_isa_name(rst_isa_best()) : optarg;
    if (option == 'p') only_precision = optarg;
    if (option == 'n') pixels = strtoul(optarg, &end, 10);
    if (option == 's') seconds = strtod(optarg, &end);
    if (option == '?' || *end != '\0' || pixels < 1 || pixels > 128 || !(seconds > 0 && seconds < 10)) {
      fputs(USAGE, stderr);
      return 2;
    }
  }
  make_input();
  bool all_agree = true, any = false;
  for (int isa = RST_ISA_BASELINE; isa < RST_ISA_COUNT; isa++)
    for (int precision = RST_PRECISION_F32; precision < RST_PRECISION_COUNT; precision++) {
      const rst_kernels *k = rst_kernels_for((rst_isa)isa, (rst_precision)precision);
      if (k == NULL || (only_isa != NULL && strcmp(only_isa, rst_isa_name((rst_isa)isa)) != 0)) continue;
      if (only_precision != NULL && strcmp(only_precision, rst_precision_name((rst_precision)precision)) != 0)
        continue;
      all_agree &= measure(k, argv[optind], pixels, seconds);
      any = true;
    }
  if (!any) fputs("kernels: there is no such table of kernels on this processor\n", stderr);
  return !any ? 2 : all_agree ? 0 : 1;
}
