/* peak.c - see peak.h. The arithmetic loops run twelve independent chains in registers, more than the latency
 * times the number of units of any processor so far. */
#include "peak.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/threads.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

/* ---- Loops ---------------------------------------------------------------------------------- */

enum { CHAINS = 12 };
#define EACH_CHAIN(do) \
  do (0) do(1) do(2) do(3) do(4) do(5) do(6) do(7) do(8) do(9) do(10) do(11)

/* Runs `rounds` steps of every chain; the result depends on all of them. */
typedef float burn(size_t rounds);

/* sum = sum * factor + addend, which stays between 0 and 1. */
#define FACTOR 0.999F
#define ADDEND 0.0005F

/* A loop named `name`. STEP, a macro, is one step of the vector `s` with the constants `f` and `a`, and FIRST
 * gets a float out of a sum. */
/* All differ, or the compiler would do the work of one. */
#define DECLARE(i) sum s##i = a + 0.01F * (i);
#define ADVANCE(i) s##i = STEP(s##i);
#define COLLECT(i) total += FIRST(s##i);
#define BURN(name, attributes, sum_type, factor_type, factor, addend) \
  attributes static float name(size_t rounds) {                       \
    typedef sum_type sum;                                             \
    const factor_type f = factor;                                     \
    const sum_type a = addend;                                        \
    EACH_CHAIN(DECLARE)                                               \
    for (size_t r = 0; r < rounds; r++) {                             \
      EACH_CHAIN(ADVANCE)                                             \
    }                                                                 \
    float total = 0;                                                  \
    EACH_CHAIN(COLLECT)                                               \
    return total;                                                     \
  }

/* Without a fused instruction: a product and a sum in 16 bytes, which every processor of today has. */
typedef float portable __attribute__((vector_size(16)));
#define PORTABLE_SET(x) \
  { (x), (x), (x), (x) }
#define STEP(s) ((s)*f + a)
#define FIRST(s) (s)[0]
BURN(burn_portable, , portable, portable, PORTABLE_SET(FACTOR), PORTABLE_SET(ADDEND))
#undef STEP
#undef FIRST

#if defined(__x86_64__)
#define STEP(s) _mm256_fmadd_ps(s, f, a)
#define FIRST(s) _mm256_cvtss_f32(s)
BURN(burn_avx2, __attribute__((target("avx2,fma"))), __m256, __m256, _mm256_set1_ps(FACTOR),
     _mm256_set1_ps(ADDEND))
#undef STEP
#undef FIRST
#define STEP(s) _mm512_fmadd_ps(s, f, a)
#define FIRST(s) _mm512_cvtss_f32(s)
BURN(burn_avx512, __attribute__((target("avx512f"))), __m512, __m512, _mm512_set1_ps(FACTOR),
     _mm512_set1_ps(ADDEND))
#undef STEP
/* The sums grow by the same small amount in every step. */
#define STEP(s) _mm512_dpbf16_ps(s, f, f)
BURN(burn_avx512bf16, __attribute__((target("avx512f,avx512bf16"))), __m512, __m512bh,
     _mm512_cvtne2ps_pbh(_mm512_set1_ps(1e-4F), _mm512_set1_ps(1e-4F)), _mm512_setzero_ps())
#undef STEP
#undef FIRST

/* Four tiles of sums, which hide each other's latency; all numbers are zero. */
enum { TILES_OF_SUMS = 4, TILE_FLOP = 16 * 16 * 32 * 2 };
__attribute__((target("amx-tile,amx-bf16"))) static float burn_amx(size_t rounds) {
  enum { TILES = 6, ROWS = 16, ROW_BYTES = 64 };
  struct { /* as the instruction reads it */
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
  } shapes = {.palette = 1};
  for (int tile = 0; tile < TILES; tile++) shapes.row_bytes[tile] = ROW_BYTES, shapes.rows[tile] = ROWS;
  __asm__ volatile("" ::: "memory"); /* gcc does not know what the instruction reads: store it all */
  _tile_loadconfig(&shapes);         /* and clears all tiles */
  for (size_t r = 0; r < rounds; r++) {
    _tile_dpbf16ps(0, 4, 5);
    _tile_dpbf16ps(1, 4, 5);
    _tile_dpbf16ps(2, 4, 5);
    _tile_dpbf16ps(3, 4, 5);
  }
  _tile_release();
  return 0;
}
#elif defined(__aarch64__)
#define STEP(s) vfmaq_f32(a, s, f)
#define FIRST(s) vgetq_lane_f32(s, 0)
BURN(burn_neon, , float32x4_t, float32x4_t, vdupq_n_f32(FACTOR), vdupq_n_f32(ADDEND))
#undef STEP
#undef FIRST
#endif

/* ---- Measuring ------------------------------------------------------------------------------ */

double bench_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static volatile float sink; /* keeps the loops from being left out */

/* What the threads that measure together share. */
typedef struct meter {
  burn *loop; /* NULL: copying */
  int threads;
  double seconds;
  atomic_int ready;
  double rates[]; /* of each thread */
} meter;

/* Waits until all are there, or some do not come. */
static void meet(meter *m) {
  const double start = bench_now();
  atomic_fetch_add(&m->ready, 1);
  while (atomic_load(&m->ready) < m->threads && bench_now() - start < 1) continue;
}

/* The sum of all threads' rates. */
static double together(burn *loop, rst_task *measure, int threads, double seconds) {
  meter *m = calloc(1, sizeof *m + (size_t)threads * sizeof m->rates[0]);
  rst_pool *pool = rst_pool_create(threads);
  double rate = 0;
  if (m != NULL && pool != NULL) {
    m->loop = loop, m->threads = threads, m->seconds = seconds;
    rst_pool_run(pool, (size_t)threads, measure, NULL, m);
    for (int i = 0; i < threads; i++) rate += m->rates[i];
  }
  rst_pool_free(pool);
  free(m);
  return rate;
}

/* Rounds per second. Each thread works for `seconds` in batches shorter than a slice of the scheduler, and
 * its fastest batch counts: what else the machine does must not lower the yardstick. */
static void burn_once(void *context, size_t task, int worker) {
  enum { ROUNDS = 100000 };
  meter *m = context;
  (void)worker;
  sink = m->loop(ROUNDS);
  meet(m);
  const double first = bench_now();
  double start, end = first, shortest = INFINITY;
  do {
    start = end;
    sink = m->loop(ROUNDS);
    end = bench_now();
    shortest = fmin(shortest, end - start);
  } while (end - first < m->seconds);
  m->rates[task] = ROUNDS / shortest;
}

static double burn_rate(burn *loop, int threads, double seconds) {
  return together(loop, burn_once, threads, seconds);
}

double peak_f32(rst_isa isa, int threads, double seconds) {
  if (isa == RST_ISA_AUTO) isa = rst_isa_best();
  if (!rst_isa_available(isa)) return 0;
  burn *loop = burn_portable;
  double lanes = 4;
#if defined(__x86_64__)
  if (isa == RST_ISA_AVX2 || isa == RST_ISA_AVXVNNI) loop = burn_avx2, lanes = 8;
  if (isa >= RST_ISA_AVX512 && isa <= RST_ISA_AMX) loop = burn_avx512, lanes = 16;
#elif defined(__aarch64__)
  if (isa == RST_ISA_NEON || isa == RST_ISA_NEONDOT) loop = burn_neon;
#endif
  return burn_rate(loop, threads, seconds) * CHAINS * lanes * 2;
}

double peak_bf16(rst_isa isa, int threads, double seconds) {
  if (isa == RST_ISA_AUTO) isa = rst_isa_best();
  if (!rst_isa_available(isa)) return 0;
#if defined(__x86_64__)
  if (isa == RST_ISA_AMX) return burn_rate(burn_amx, threads, seconds) * TILES_OF_SUMS * TILE_FLOP;
  if (isa == RST_ISA_AVX512BF16) return burn_rate(burn_avx512bf16, threads, seconds) * CHAINS * 16 * 4;
#endif
  (void)threads;
  (void)seconds;
  return 0;
}

static void copy_once(void *context, size_t task, int worker) {
  enum { TRIES = 3 };
  meter *m = context;
  const size_t bytes = (size_t)128 << 20;
  char *from = malloc(bytes), *to = malloc(bytes);
  (void)worker;
  if (from != NULL && to != NULL) {
    memset(from, 1, bytes);
    memset(to, 2, bytes);
    meet(m);
    for (int try = 0; try < TRIES; try++) {
      const double start = bench_now();
      double end, copied = 0;
      do {
        memcpy(to, from, bytes);
        copied += (double)bytes;
        end = bench_now();
      } while (end - start < m->seconds);
      m->rates[task] = fmax(m->rates[task], copied / (end - start));
    }
  }
  free(from);
  free(to);
}

double peak_copy(int threads, double seconds) {
  return together(NULL, copy_once, threads, seconds);
}
