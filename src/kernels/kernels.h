/* kernels.h - the inner loops, as one table of functions per instruction set and precision.
 *
 * Layouts. A map is [height][width][channels] with the channels of a pixel padded with zeros to a multiple of
 * RST_GROUP. Maps and the left operands of matrix products hold elements: float32, or bf16 in the bf16
 * tables; everything between them is float32. Pitches count elements (of the buffer's own type) from one
 * pixel to the next. No pointer needs to be aligned.
 *
 * In the int8 tables maps hold bf16, and left operands are made as floats, which `quantize` turns into
 * integers of -127 to 127 where they are: x is q times the pixel's scale. A product sums q times q exactly,
 * in 32 bits.
 *
 * Kernels read and write whole groups, and only inside the padded extents. */
#ifndef RST_KERNELS_KERNELS_H
#define RST_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "restormer.h"

enum { RST_GROUP = 16, RST_TAPS = 9 };

static inline size_t rst_round_up(size_t n, size_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

/* Where the sums of a product go. */
typedef enum rst_into {
  RST_INTO_FLOATS, /* out holds floats, which are replaced */
  RST_ADD_FLOATS,  /* the same, added to */
  RST_ADD_ELEMENTS /* out holds elements: a map, added to */
} rst_into;

/* out[p][c] = sum over k of a[p][k] * w[k][c] (+ bias[c]) (+ out[p][c]), for `pixels` p and `panels` * 16 c.
 * Every sum runs over k in rising order, whatever p's neighbours are.
 * Right operand, packed: w[panel][k / step][16][step], float32 with a step of 1, bf16 with a step of 2; int8
 * as each instruction set likes it, with scales behind. */
typedef struct rst_gemm {
  const void *a; /* operands: elements, or what quantize left */
  size_t a_pitch;
  size_t pixels;
  size_t k;       /* a multiple of the table's step: a's padding is zero */
  const void *w;  /* as `pack` makes it */
  size_t w_panel; /* bytes from one panel to the next: rst_panel_bytes */
  size_t panels;
  const float *bias; /* [panels * 16], or NULL */
  void *out;
  size_t out_pitch;
  size_t out_panel; /* from one panel's columns to the next's: 16 in a row-major result */
  rst_into into;
} rst_gemm;

/* Layer norm of each pixel without its weights, which are folded into the product that follows:
 * out = (x - mean) / sqrt(var + 1e-5), or x / sqrt(var + 1e-5) when not centred (BiasFree); var is the biased
 * variance about the mean in both. Padding comes out zero. */
typedef struct rst_normalize {
  const void *x; /* elements */
  size_t x_pitch;
  size_t pixels;
  size_t channels; /* without padding */
  bool centred;
  void *out; /* operands */
  size_t out_pitch;
  const void *next; /* NULL, or where the same number of pixels will be read from next: fetched ahead */
} rst_normalize;

/* Depthwise 3x3: out[p][c] = bias[c] + sum over taps (i, j) of rows[i][p + j][c] * weights[c][3 i + j].
 * rows[i] point at the left neighbour of the first output pixel. */
typedef struct rst_dwconv {
  const float *rows[3];
  size_t pitch;
  size_t pixels;
  size_t channels;      /* a multiple of RST_GROUP; of the result where two halves are gated */
  const float *weights; /* [channels / 16][9][16] */
  const float *bias;    /* [channels] */
} rst_dwconv;

/* sums[i][j] += sum over pixels of x[p][q + i] * x[p][k + j], i < rows, j < columns rounded up to a group
 * (what stands past `columns` is of no meaning). Reads x up to the rounded column. The pixels of one call are
 * summed before they are added. x is [pixel][pitch] float32; bf16: [pixel / 2][pitch][2], where an odd last
 * pixel stands beside zeros. */
typedef struct rst_gram {
  const void *x; /* elements */
  size_t pitch;
  size_t pixels;
  size_t q, k; /* first channels of the two */
  size_t rows, columns;
  float *sums;
  size_t sums_pitch; /* floats from row to row: columns rounded up or more */
} rst_gram;

typedef struct rst_kernels {
  rst_isa isa;
  rst_precision precision;
  size_t element; /* bytes */
  size_t operand; /* bytes of one that normalize, dwconv_operand or dwconv_gate makes: an element; int8: a
                     float */
  size_t step;    /* a product's k is a multiple of it */
  bool pairs;     /* the processor itself multiplies and adds pairs of bf16: elsewhere float32 is as fast or
                     faster */
  size_t weight, tail; /* bytes of a packed weight, and of what stands behind a panel */
  /* Packs k rows of 16 columns, a panel that rst_gemm reads; k is a multiple of step. */
  void (*pack)(const float *rows, size_t k, void *w);
  /* In place: x[p][c] times even[c], c < k, a multiple of RST_GROUP, becomes a left operand of gemm. For
   * every pixel it is q = round(x even / scale), ties to even, where scale is the largest |x even| / 127; not
   * finite when one of them is not. NULL where operands are elements. */
  void (*quantize)(float *x, size_t pitch, size_t pixels, size_t k, const float *even);
  void (*gemm)(const rst_gemm *g);
  void (*normalize)(const rst_normalize *n);
  /* The convolution's result as operands. As elements, laid out as rst_gram's x, and squares[c] += the sum of
   * the squares of what is stored. Operands gelu(first half) * second half: for that the input has 2 *
   * channels, weights and bias as many. GELU is x/2 (1 + erf(x / sqrt 2)), with an absolute error below 4e-7
   * * max(1, |x|); in bf16 3e-5 * max(1, |x|), before the result is rounded. */
  void (*dwconv_operand)(const rst_dwconv *d, void *out, size_t pitch);
  void (*dwconv_gram)(const rst_dwconv *d, void *out, size_t pitch, float *squares);
  void (*dwconv_gate)(const rst_dwconv *d, void *out, size_t pitch);
  void (*gram)(const rst_gram *g);
  /* map[p][c] = values[p][c], and values[p][c] = map[p][c]; channels is a multiple of RST_GROUP. */
  void (*store)(void *map, size_t map_pitch, const float *values, size_t pitch, size_t n, size_t channels);
  void (*load)(float *values, size_t pitch, const void *map, size_t map_pitch, size_t n, size_t channels);
} rst_kernels;

/* Bytes of a packed panel of k rows. */
static inline size_t rst_panel_bytes(const rst_kernels *kernels, size_t k) {
  return k * RST_GROUP * kernels->weight + kernels->tail;
}

/* The table for an instruction set that rst_isa_available, or for the best one with RST_ISA_AUTO; NULL when
 * it is not available. */
const rst_kernels *rst_kernels_for(rst_isa isa, rst_precision precision);

#endif
