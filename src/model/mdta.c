/* mdta.c - x += MDTA(norm1(x)), multi-Dconv head transposed attention, in two sweeps. The first makes q and k
 * on the way and keeps only G = q k^T and the squared norms of their rows, summed over each chunk of rows and
 * column of cells. From these come the attention matrices A = softmax(temperature * G / (|q| |k|)), and A is
 * multiplied into project_out: M = W_out blockdiag(A). The second sweep makes v and adds M v. Neither q, k, v
 * nor A v is ever stored. */
#include <math.h>
#include <string.h>

#include "model/passes.h"

/* ---- Tensors and packing ---------------------------------------------------------------------- */

enum { NORM, TEMPERATURE, QKV, QKV_DWCONV, PROJECT_OUT, LAYERS };

static size_t layers(const rst_part *part, rst_layer *l) {
  const size_t c = part->in;
  l[NORM] = (rst_layer){".norm1", c, .form = RST_NORM, .bias = part->norm_bias};
  l[TEMPERATURE] = (rst_layer){".attn.temperature", part->heads, .form = RST_SCALE};
  l[QKV] = (rst_layer){".attn.qkv", 3 * c, c, 1, RST_CONV, part->bias};
  l[QKV_DWCONV] = (rst_layer){".attn.qkv_dwconv", 3 * c, 1, 3, RST_CONV, part->bias};
  l[PROJECT_OUT] = (rst_layer){".attn.project_out", c, c, 1, RST_CONV, part->bias};
  return LAYERS;
}

static void derive(const rst_part *part, const rst_checkpoint_shapes *shapes, rst_architecture *a) {
  int *heads = rst_part_heads(part, a);
  if (*heads == 0) *heads = rst_found_size(shapes, part, TEMPERATURE, 0);
  if (rst_part_is_of_stage(part) && rst_found_any(shapes, part)) a->attention[part->level] = true;
}

/* Channels are padded to groups: q and k side by side. */
typedef struct mdta {
  rst_linear qk, v;
  rst_depthwise qk_dwconv, v_dwconv;
  const float *temperature; /* [heads] */
  rst_linear project_out;   /* always float32: the attention matrix is multiplied into it */
  rst_evening *evening;     /* of the product, or NULL */
} mdta;

static void pack(rst_packer *p, const rst_part *part) {
  const size_t c = part->in;
  const rst_columns qk = {.count = c, .groups = 2}, v = {.first = 2 * c, .count = c, .groups = 1};
  mdta *m = part->packed;
  m->qk =
      rst_pack_linear(p, &(rst_matrix){.layer = QKV, .columns = qk, .inputs = c, .norm = &p->layers[NORM]});
  m->v = rst_pack_linear(p, &(rst_matrix){.layer = QKV, .columns = v, .inputs = c, .norm = &p->layers[NORM]});
  m->qk_dwconv = rst_pack_depthwise(p, QKV_DWCONV, qk);
  m->v_dwconv = rst_pack_depthwise(p, QKV_DWCONV, v);
  m->temperature = rst_pack_values(p, TEMPERATURE, part->heads);
  m->project_out = rst_pack_linear(
      p, &(rst_matrix){
             .layer = PROJECT_OUT, .columns = {.count = c, .groups = 1}, .inputs = c, .kernels = p->exact});
  m->evening = rst_pack_evening(p, c);
}

/* ---- Layout of the statistics ---------------------------------------------------------------- */

/* Sums of one chunk and cell: [channels][padded head width] of G, then the squared norms of q and k. */
typedef struct shape {
  size_t heads, head, padded; /* heads, channels of one, the same in whole groups */
  size_t channels;            /* padded */
  size_t gram, stride;        /* floats of G, of everything */
} shape;

static shape shape_of(const rst_part *part) {
  shape s = {.heads = part->heads, .head = part->in / part->heads, .channels = rst_padded(part->in)};
  s.padded = rst_padded(s.head);
  s.gram = part->in * s.padded;
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
  const rst_kernels *k = pass->run->model->plain;
  const mdta *m = pass->part->packed;
  const shape s = shape_of(pass->part);
  const size_t pitch = qk_pitch(&s);
  (void)y;
  float *sums = partial_at(pass->run, pass->grid, &s, w->chunk, rst_axis_cell(&pass->grid->x, x));
  const rst_dwconv conv = rst_pass_dwconv(&m->qk_dwconv, sweep, rows, n);
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

static void gather_statistics(rst_run *run, const rst_part *part) {
  const rst_grid *grid = &run->grid[part->level];
  const mdta *m = part->packed;
  const shape s = shape_of(part);
  const size_t bytes = grid->chunk_count * grid->x.cells * s.stride * sizeof(float);
  rst_need(&run->needs.partials, bytes);
  if (!run->planning) memset(run->partials, 0, bytes);
  const rst_pass pass = {.run = run, .grid = grid, .part = part, .in = &m->qk};
  rst_sweep sweep = {.source = &run->maps[part->level],
                     .ring_pixel = rst_pass_ring_pixel(2 * s.channels),
                     .produce = rst_pass_produce,
                     .consume = consume_qk,
                     .context = &pass,
                     .chunks = grid->chunks,
                     .chunk_count = grid->chunk_count};
  rst_run_sweep(run, part->level, &sweep, (rst_sweep_needs){.operand = {qk_pitch(&s), s.channels}});
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

/* Of squares whose sum has overflowed it is not a number, which goes on into the result: divided by infinity,
 * all would be 0. */
static double norm(double squares) {
  return isfinite(squares) ? fmax(sqrt(squares), 1e-12) : (double)NAN;
}

/* w->gram becomes the row of A. */
static void softmax_row(const shape *s, double temperature, window_sums *w) {
  const double q = norm(w->q);
  double most = -INFINITY, sum = 0;
  for (size_t j = 0; j < s->head; j++) {
    w->gram[j] *= temperature / (q * norm(w->k[j]));
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
static void attention_row(const rst_run *run, const rst_grid *grid, const mdta *m, const shape *s, size_t row,
                          window_sums *sums) {
  const size_t head = row / s->head, i = row % s->head;
  for (size_t cell = 0; cell < grid->x.cells * grid->y.cells; cell++)
    for (size_t j = 0; j < s->head; j++) attention_at(run, s, cell)[(head * s->head + j) * s->padded + i] = 0;
  for (size_t wy = 0; wy < grid->y.windows; wy++)
    for (size_t wx = 0; wx < grid->x.windows; wx++) {
      const rst_range cells_x = rst_axis_cells(&grid->x, wx), cells_y = rst_axis_cells(&grid->y, wy);
      sum_window(run, grid, s, row, cells_x, cells_y, sums);
      softmax_row(s, (double)m->temperature[head], sums);
      share_window(run, grid, s, row, cells_x, cells_y, sums);
    }
}

/* ---- Folding ---------------------------------------------------------------------------------- */

/* Bytes of a cell's M. */
static size_t folded_bytes(const rst_linear *folded) {
  return folded->panels * rst_panel_bytes(folded->kernels, folded->k);
}

/* One cell's M. */
static rst_linear folded_at(const rst_run *run, const mdta *m, size_t cell) {
  rst_linear folded = m->project_out;
  folded.kernels = run->kernels;
  folded.k = rst_round_up(folded.k, folded.kernels->step);
  folded.evening = m->evening;
  folded.w = (uint8_t *)run->folded + cell * folded_bytes(&folded);
  return folded;
}

/* The rows (head, j) of a cell's M: sum over i of A[i][j] W_out[.][(head, i)], in panels of k rows. */
static void fold_head(const rst_run *run, const mdta *m, const shape *s, size_t cell, size_t head, size_t k,
                      float *rows) {
  const rst_linear *out = &m->project_out;
  const size_t first = head * s->head;
  out->kernels->gemm(&(rst_gemm){.a = attention_at(run, s, cell) + first * s->padded,
                                 .a_pitch = s->padded,
                                 .pixels = s->head,
                                 .k = s->head,
                                 .w = (const float *)out->w + first * RST_GROUP,
                                 .w_panel = rst_panel_bytes(out->kernels, out->k),
                                 .panels = out->panels,
                                 .out = rows + first * RST_GROUP,
                                 .out_pitch = RST_GROUP,
                                 .out_panel = k * RST_GROUP});
}

/* What the tasks of folding share; the later members are for one cell. */
typedef struct folding {
  const rst_run *run;
  const rst_grid *grid;
  const mdta *m;
  shape shape;
  size_t cell;
  rst_linear folded;
  float *rows; /* of M as floats */
} folding;

/* Some rows, so that a job has few tasks. */
enum { ROWS_AT_ONCE = 8 };

static void make_rows(void *context, size_t task, int worker) {
  const folding *f = context;
  double *scratch = f->run->workers[worker].sums;
  window_sums sums = {.gram = scratch, .k = scratch + f->shape.head};
  for (size_t row = task * ROWS_AT_ONCE; row < (task + 1) * ROWS_AT_ONCE && row < f->m->project_out.k; row++)
    attention_row(f->run, f->grid, f->m, &f->shape, row, &sums);
}

static void make_head(void *context, size_t head, int worker) {
  const folding *f = context;
  (void)worker;
  fold_head(f->run, f->m, &f->shape, f->cell, head, f->folded.k, f->rows);
}

static void pack_panel(void *context, size_t i, int worker) {
  const folding *f = context;
  const rst_kernels *k = f->folded.kernels;
  float *rows = f->rows + i * f->folded.k * RST_GROUP;
  (void)worker;
  if (f->folded.evening != NULL)
    rst_evening_weights(f->folded.evening, (float(*)[RST_GROUP])rows, f->folded.k);
  k->pack(rows, f->folded.k, (uint8_t *)(uintptr_t)f->folded.w + i * rst_panel_bytes(k, f->folded.k));
}

static void fold_cell(folding *f, size_t cell) {
  rst_pool *pool = f->run->pool;
  f->cell = cell;
  f->folded = folded_at(f->run, f->m, cell);
  const bool exact = f->folded.kernels == f->m->project_out.kernels; /* whose panels are rows of floats */
  f->rows = exact ? (float *)(uintptr_t)f->folded.w : f->run->product;
  if (!exact && f->folded.k != f->m->project_out.k) /* rows that no head has */
    memset(f->rows, 0, rst_linear_outputs(&f->folded) * f->folded.k * sizeof *f->rows);
  rst_pool_run(pool, f->shape.heads, make_head, NULL, f);
  if (!exact) rst_pool_run(pool, f->folded.panels, pack_panel, NULL, f);
}

static void fold_attention(rst_run *run, const rst_part *part) {
  const rst_grid *grid = &run->grid[part->level];
  folding f = {.run = run, .grid = grid, .m = part->packed, .shape = shape_of(part)};
  const size_t cells = grid->x.cells * grid->y.cells;
  const rst_linear folded = folded_at(run, f.m, 0);
  rst_need(&run->needs.sums, 2 * f.shape.head * sizeof(double));
  rst_need(&run->needs.attention, cells * f.shape.gram * sizeof(float));
  rst_need(&run->needs.folded, cells * folded_bytes(&folded));
  if (folded.kernels != f.m->project_out.kernels)
    rst_need(&run->needs.product, rst_linear_outputs(&folded) * folded.k * sizeof(float));
  if (run->planning) return;
  rst_pool_run(run->pool, (part->in + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE, make_rows, NULL, &f);
  for (size_t cell = 0; cell < cells; cell++) fold_cell(&f, cell);
}

/* ---- Second sweep: x += M v + bias ------------------------------------------------------------ */

static void consume_v(const rst_sweep *sweep, rst_worker *w, const void *const rows[3], size_t x, size_t y,
                      size_t n) {
  const rst_pass *pass = sweep->context;
  const rst_grid *grid = pass->grid;
  const mdta *m = pass->part->packed;
  const size_t channels = rst_padded(pass->part->in);
  const rst_dwconv conv = rst_pass_dwconv(&m->v_dwconv, sweep, rows, n);
  const size_t cell = rst_axis_cell(&grid->y, y) * grid->x.cells + rst_axis_cell(&grid->x, x);
  const rst_linear folded = folded_at(pass->run, m, cell);
  folded.kernels->dwconv_operand(&conv, w->operand[0], channels);
  rst_pass_add(pass, w->operand[0], channels, &folded, x, y, n);
}

static void apply(rst_run *run, const rst_part *part) {
  const size_t channels = rst_padded(part->in);
  const mdta *m = part->packed;
  rst_map *map = &run->maps[part->level];
  const rst_pass pass = {.run = run, .grid = &run->grid[part->level], .part = part, .in = &m->v, .map = map};
  rst_sweep sweep = {.source = map,
                     .in_place = true,
                     .ring_pixel = rst_pass_ring_pixel(channels),
                     .produce = rst_pass_produce,
                     .consume = consume_v,
                     .context = &pass};
  rst_run_sweep(run, part->level, &sweep, (rst_sweep_needs){.operand = {channels, channels}});
}

static rst_status run_mdta(rst_run *run, const rst_part *part, rst_error *err) {
  (void)err;
  gather_statistics(run, part);
  fold_attention(run, part);
  apply(run, part);
  return RST_OK;
}

const rst_kind rst_mdta = {.title = "MDTA",
                           .layers = layers,
                           .derive = derive,
                           .packed_size = sizeof(mdta),
                           .pack = pack,
                           .run = run_mdta,
                           .sweeps = 2};
