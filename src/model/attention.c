/* attention.c - MDTA in two sweeps. The first makes q and k on the way and keeps only G = q k^T and the
 * squared norms of their rows, summed over each chunk of rows and column of cells. From these come the
 * attention matrices A = softmax(temperature * G / (|q| |k|)), and A is multiplied into project_out: M =
 * W_out blockdiag(A). The second sweep makes v and adds M v. Neither q, k, v nor A v is ever stored. */
#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/bfloat16.h"
#include "model/passes.h"

/* ---- Layout of the statistics ---------------------------------------------------------------- */

/* Sums of one chunk and cell: [channels][padded head width] of G, then the squared norms of q and k. */
typedef struct shape {
  size_t heads, head, padded; /* heads, channels of one, the same in whole groups */
  size_t channels;            /* padded */
  size_t gram, stride;        /* floats of G, of everything */
} shape;

static shape shape_of(const rst_block *b) {
  shape s = {.heads = b->heads, .head = b->channels / b->heads, .channels = rst_padded(b->channels)};
  s.padded = rst_padded(s.head);
  s.gram = b->channels * s.padded;
  s.stride = s.gram + 2 * s.channels;
  return s;
}

static float *partial_at(const rst_run *run, const rst_grid *grid, const shape *s, size_t chunk,
                         size_t cell) {
  return run->partials + (chunk * grid->x.cells + cell) * s->stride;
}

/* From one pixel's q and k to the next's: with a group more than they need, for the reason that a ring pixel
 * has one, and because a head of k may be read past its end. */
static size_t qk_pitch(const shape *s) {
  return 2 * s->channels + RST_GROUP;
}

/* ---- First sweep: statistics ------------------------------------------------------------------ */

/* The strips of a chunk come in order and from one thread, so its sums have one order: each call's pixels
 * first, then, in a chunk of a picture 4,000 pixels wide, up to three thousand calls. */
static void consume_qk(const rst_sweep *sweep, rst_worker *w, const void *const rows[3], size_t x, size_t y,
                       size_t n) {
  const rst_pass *pass = sweep->context;
  const rst_kernels *k = pass->run->kernels;
  const shape s = shape_of(pass->block);
  const size_t pitch = qk_pitch(&s);
  (void)y;
  float *sums = partial_at(pass->run, pass->grid, &s, w->chunk, rst_axis_cell(&pass->grid->x, x));
  const rst_dwconv conv = rst_pass_dwconv(&pass->block->qk_dwconv, sweep, rows, n);
  k->dwconv_gram(&conv, w->operand[0], pitch, sums + s.gram);
  for (size_t h = 0; h < s.heads; h++)
    k->gram(&(rst_gram){.x = w->operand[0],
                        .pitch = pitch,
                        .pixels = n,
                        .q = h * s.head,
                        .k = s.channels + h * s.head,
                        .rows = s.head,
                        .columns = s.head,
                        .sums = sums + h * s.head * s.padded,
                        .sums_pitch = s.padded});
}

static void gather_statistics(rst_run *run, const rst_block *block, int level, const rst_map *map) {
  const rst_grid *grid = &run->grid[level];
  const shape s = shape_of(block);
  const size_t bytes = grid->chunk_count * grid->x.cells * s.stride * sizeof(float);
  rst_need(&run->needs.partials, bytes);
  if (!run->planning) memset(run->partials, 0, bytes);
  const rst_pass pass = {.run = run, .grid = grid, .block = block, .in = &block->qk};
  rst_sweep sweep = {.source = map,
                     .ring_pixel = rst_pass_ring_pixel(2 * s.channels),
                     .produce = rst_pass_produce,
                     .consume = consume_qk,
                     .context = &pass};
  rst_run_sweep(run, level, &sweep, (rst_sweep_needs){.operand = {qk_pitch(&s), s.channels}});
}

/* ---- Attention matrices ----------------------------------------------------------------------- */

/* Squared norms and one row of G, summed over the cells that a window holds. */
typedef struct window_sums {
  double q;
  double *gram, *k; /* [head] each */
} window_sums;

static void add_chunk(const float *partial, const shape *s, size_t row, window_sums *w) {
  const size_t head = row / s->head;
  const float *gram = partial + row * s->padded, *q = partial + s->gram,
              *k = q + s->channels + head * s->head;
  w->q += (double)q[row];
  for (size_t j = 0; j < s->head; j++) w->gram[j] += (double)gram[j], w->k[j] += (double)k[j];
}

/* w->gram becomes the row of A. */
static void softmax_row(const shape *s, double temperature, window_sums *w) {
  const double q = fmax(sqrt(w->q), 1e-12);
  double most = -INFINITY, sum = 0;
  for (size_t j = 0; j < s->head; j++) {
    w->gram[j] *= temperature / (q * fmax(sqrt(w->k[j]), 1e-12));
    most = fmax(most, w->gram[j]);
  }
  for (size_t j = 0; j < s->head; j++) sum += w->gram[j] = exp(w->gram[j] - most);
  for (size_t j = 0; j < s->head; j++) w->gram[j] /= sum;
}

/* Transposed attention of a cell: [head][j][i]. */
static float *attention_at(const rst_run *run, const shape *s, size_t cell) {
  return run->attention + cell * s->heads * s->head * s->padded;
}

/* The row of G and its norms over one window: chunks of the window's rows, cells of its columns. */
static void sum_window(const rst_run *run, const rst_grid *grid, const shape *s, size_t row,
                       rst_range cells_x, rst_range cells_y, window_sums *sums) {
  sums->q = 0;
  memset(sums->gram, 0, s->head * sizeof(double));
  memset(sums->k, 0, s->head * sizeof(double));
  for (size_t chunk = 0; chunk < grid->chunk_count; chunk++) {
    if (grid->chunk_cell[chunk] < cells_y.first || grid->chunk_cell[chunk] >= cells_y.end) continue;
    for (size_t cx = cells_x.first; cx < cells_x.end; cx++)
      add_chunk(partial_at(run, grid, s, chunk, cx), s, row, sums);
  }
}

/* Adds the window's row of A, in sums->gram, to its cells, each of which is the mean over its windows. */
static void share_window(const rst_run *run, const rst_grid *grid, const shape *s, size_t row,
                         rst_range cells_x, rst_range cells_y, const window_sums *sums) {
  const size_t head = row / s->head, i = row % s->head;
  for (size_t cy = cells_y.first; cy < cells_y.end; cy++)
    for (size_t cx = cells_x.first; cx < cells_x.end; cx++) {
      const double share =
          1.0 / (double)(rst_axis_windows_over(&grid->y, cy) * rst_axis_windows_over(&grid->x, cx));
      float *a = attention_at(run, s, cy * grid->x.cells + cx) + head * s->head * s->padded + i;
      for (size_t j = 0; j < s->head; j++) a[j * s->padded] += (float)(share * sums->gram[j]);
    }
}

/* Row `row` of the attention of every window, averaged into the cells. `sums` is scratch. */
static void attention_row(const rst_run *run, const rst_grid *grid, const rst_block *block, const shape *s,
                          size_t row, window_sums *sums) {
  const size_t head = row / s->head, i = row % s->head;
  for (size_t cell = 0; cell < grid->x.cells * grid->y.cells; cell++)
    for (size_t j = 0; j < s->head; j++) attention_at(run, s, cell)[(head * s->head + j) * s->padded + i] = 0;
  for (size_t wy = 0; wy < grid->y.windows; wy++)
    for (size_t wx = 0; wx < grid->x.windows; wx++) {
      const rst_range cells_x = rst_axis_cells(&grid->x, wx), cells_y = rst_axis_cells(&grid->y, wy);
      sum_window(run, grid, s, row, cells_x, cells_y, sums);
      softmax_row(s, (double)block->temperature[head], sums);
      share_window(run, grid, s, row, cells_x, cells_y, sums);
    }
}

/* ---- Folding ---------------------------------------------------------------------------------- */

/* k of M as a packed right operand: see rst_gemm. */
static size_t folded_k(const rst_run *run, const rst_block *b) {
  return run->kernels->precision == RST_PRECISION_BF16 ? rst_round_up(b->channels, 2) : b->channels;
}

/* Bytes of one cell's M. */
static size_t folded_bytes(const rst_run *run, const rst_block *b) {
  return b->attention_out.panels * RST_GROUP * folded_k(run, b) * run->kernels->element;
}

static void *folded_at(const rst_run *run, const rst_block *b, size_t cell) {
  return (uint8_t *)run->folded + cell * folded_bytes(run, b);
}

/* The rows (head, j) of a cell's M: sum over i of A[i][j] W_out[.][(head, i)]. */
static void fold_head(const rst_run *run, const rst_block *block, const shape *s, size_t cell, size_t head) {
  const rst_linear *out = &block->attention_out;
  const size_t first = head * s->head, k = folded_k(run, block);
  const bool bf16 = run->kernels->precision == RST_PRECISION_BF16;
  float *product = bf16 ? run->product + first * out->panels * RST_GROUP
                        : (float *)folded_at(run, block, cell) + first * RST_GROUP;
  run->model->exact->gemm(&(rst_gemm){.a = attention_at(run, s, cell) + first * s->padded,
                                      .a_pitch = s->padded,
                                      .pixels = s->head,
                                      .k = s->head,
                                      .w = (const float *)out->w + first * RST_GROUP,
                                      .w_panel = out->k * RST_GROUP,
                                      .panels = out->panels,
                                      .out = product,
                                      .out_pitch = RST_GROUP,
                                      .out_panel = (bf16 ? s->head : k) * RST_GROUP});
  if (!bf16) return;
  uint16_t *m = folded_at(run, block, cell);
  for (size_t panel = 0; panel < out->panels; panel++)
    for (size_t j = 0; j < s->head; j++) {
      const size_t row = first + j;
      uint16_t *pair = m + (panel * k + row / 2 * 2) * RST_GROUP + row % 2;
      for (size_t c = 0; c < RST_GROUP; c++)
        pair[2 * c] = rst_f32_to_bf16(product[(panel * s->head + j) * RST_GROUP + c]);
    }
}

static void fold_attention(rst_run *run, const rst_block *block, int level) {
  const rst_grid *grid = &run->grid[level];
  const shape s = shape_of(block);
  const size_t cells = grid->x.cells * grid->y.cells;
  rst_need(&run->needs.sums, 2 * s.head * sizeof(double));
  rst_need(&run->needs.attention, cells * s.gram * sizeof(float));
  rst_need(&run->needs.folded, cells * folded_bytes(run, block));
  if (run->kernels->precision == RST_PRECISION_BF16)
    rst_need(&run->needs.product, block->channels * s.channels * sizeof(float));
  if (run->planning) return;
#pragma omp parallel for schedule(static) num_threads(run->threads)
  for (size_t row = 0; row < block->channels; row++) {
    double *scratch = run->workers[omp_get_thread_num()].sums;
    window_sums sums = {.gram = scratch, .k = scratch + s.head};
    attention_row(run, grid, block, &s, row, &sums);
  }
  for (size_t cell = 0; cell < cells; cell++) {
    if (run->kernels->precision == RST_PRECISION_BF16)
      memset(folded_at(run, block, cell), 0, folded_bytes(run, block));
#pragma omp parallel for schedule(dynamic, 1) num_threads(run->threads)
    for (size_t head = 0; head < s.heads; head++) fold_head(run, block, &s, cell, head);
  }
}

/* ---- Second sweep: x += M v + bias ------------------------------------------------------------ */

static void consume_v(const rst_sweep *sweep, rst_worker *w, const void *const rows[3], size_t x, size_t y,
                      size_t n) {
  const rst_pass *pass = sweep->context;
  const rst_grid *grid = pass->grid;
  const size_t channels = rst_padded(pass->block->channels);
  const rst_dwconv conv = rst_pass_dwconv(&pass->block->v_dwconv, sweep, rows, n);
  pass->run->kernels->dwconv_operand(&conv, w->operand[0], channels);
  const size_t cell = rst_axis_cell(&grid->y, y) * grid->x.cells + rst_axis_cell(&grid->x, x);
  rst_linear m = pass->block->attention_out; /* for its bias */
  m.w = folded_at(pass->run, pass->block, cell);
  m.k = folded_k(pass->run, pass->block);
  rst_pass_add(pass, w->operand[0], channels, &m, x, y, n);
}

static void apply(rst_run *run, const rst_block *block, int level, rst_map *map) {
  const size_t channels = rst_padded(block->channels);
  const rst_pass pass = {.run = run, .grid = &run->grid[level], .block = block, .in = &block->v, .map = map};
  rst_sweep sweep = {.source = map,
                     .in_place = true,
                     .ring_pixel = rst_pass_ring_pixel(channels),
                     .produce = rst_pass_produce,
                     .consume = consume_v,
                     .context = &pass};
  rst_run_sweep(run, level, &sweep, (rst_sweep_needs){.operand = {channels, channels}});
}

void rst_attention_run(rst_run *run, const rst_block *block, int level, rst_map *map) {
  gather_statistics(run, block, level, map);
  fold_attention(run, block, level);
  apply(run, block, level, map);
}
