/* block.c - a transformer block, in place: x += MDTA(norm1(x)), x += GDFN(norm2(x)). */
#include "model/passes.h"

/* out = a * linear; `into` may make that +=. */
static rst_gemm product(const rst_linear *linear, const void *a, size_t a_pitch, size_t pixels, void *out,
                        size_t out_pitch, rst_into into) {
  return (rst_gemm){.a = a,
                    .a_pitch = a_pitch,
                    .pixels = pixels,
                    .k = linear->k,
                    .w = linear->w,
                    .w_panel = linear->k * RST_GROUP,
                    .panels = linear->panels,
                    .bias = linear->bias,
                    .out = out,
                    .out_pitch = out_pitch,
                    .out_panel = RST_GROUP,
                    .into = into};
}

void rst_pass_produce(const rst_sweep *s, rst_worker *w, const void *source, size_t x, size_t y, size_t n,
                      void *out) {
  const rst_pass *pass = s->context;
  const rst_kernels *k = pass->run->kernels;
  const size_t pitch = rst_padded(pass->block->channels);
  k->normalize(&(rst_normalize){.x = source,
                                .x_pitch = pitch,
                                .pixels = n,
                                .channels = pass->block->channels,
                                .centred = pass->run->model->architecture.norm_bias,
                                .out = w->operand[1],
                                .out_pitch = pitch,
                                .next = y + 1 < s->height ? rst_map_at(s->source, x, y + 1) : NULL});
  const rst_gemm gemm =
      product(pass->in, w->operand[1], pitch, n, out, s->ring_pixel / sizeof(float), RST_INTO_FLOATS);
  k->gemm(&gemm);
}

rst_dwconv rst_pass_dwconv(const rst_depthwise *d, const rst_sweep *s, const void *const rows[3], size_t n) {
  return (rst_dwconv){.rows = {rows[0], rows[1], rows[2]},
                      .pitch = s->ring_pixel / sizeof(float),
                      .pixels = n,
                      .channels = d->channels,
                      .weights = d->weights,
                      .bias = d->bias};
}

void rst_pass_add(const rst_pass *pass, const void *a, size_t pitch, const rst_linear *linear, size_t x,
                  size_t y, size_t n) {
  const rst_gemm gemm =
      product(linear, a, pitch, n, rst_map_at(pass->map, x, y), linear->panels * RST_GROUP, RST_ADD_ELEMENTS);
  pass->run->kernels->gemm(&gemm);
}

static void consume_ffn(const rst_sweep *s, rst_worker *w, const void *const rows[3], size_t x, size_t y,
                        size_t n) {
  const rst_pass *pass = s->context;
  const size_t hidden = rst_padded(pass->block->hidden);
  rst_dwconv conv = rst_pass_dwconv(&pass->block->ffn_dwconv, s, rows, n);
  conv.channels = hidden; /* of the gate's result */
  pass->run->kernels->dwconv_gate(&conv, w->operand[0], hidden);
  rst_pass_add(pass, w->operand[0], hidden, &pass->block->ffn_out, x, y, n);
}

static void feed_forward(rst_run *run, const rst_block *block, int level, rst_map *map) {
  const size_t channels = rst_padded(block->channels), hidden = rst_padded(block->hidden);
  const rst_pass pass = {
      .run = run, .grid = &run->grid[level], .block = block, .in = &block->ffn_in, .map = map};
  rst_sweep sweep = {.source = map,
                     .in_place = true,
                     .ring_pixel = rst_pass_ring_pixel(2 * hidden),
                     .produce = rst_pass_produce,
                     .consume = consume_ffn,
                     .context = &pass};
  rst_run_sweep(run, level, &sweep, (rst_sweep_needs){.operand = {hidden, channels}});
}

/* Multiply-adds per pixel, for the progress. */
static double block_work(const rst_block *b) {
  const double c = (double)b->channels, h = (double)b->hidden;
  const double attention = c * (4 * c + 27 + c / (double)b->heads);
  return (b->attention ? attention : 0) + h * (3 * c + 18);
}

rst_status rst_block_run(rst_run *run, const rst_block *block, int level, rst_map *map, rst_error *err) {
  if (block->attention) rst_attention_run(run, block, level, map);
  feed_forward(run, block, level, map);
  return rst_run_advance(run, block_work(block) * (double)map->width * (double)map->height, err);
}
