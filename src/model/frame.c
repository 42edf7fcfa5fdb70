/* frame.c - what is around the blocks: patch embedding, down- and upsampling, skip_conv, output. */
#include <string.h>

#include "model/run.h"

/* The context of these sweeps; each uses what it needs. */
typedef struct frame {
  const rst_run *run;
  const rst_conv3x3 *conv;
  const rst_linear *reduce_up, *reduce_skip;
  const rst_map *out, *skip;
  int level; /* the finer one of down and up */
} frame;

/* ---- Ring rows --------------------------------------------------------------------------------- */

static size_t reflect(size_t at, size_t length) {
  if (length == 1) return 0;
  at %= 2 * (length - 1);
  return at < length ? at : 2 * (length - 1) - at;
}

/* Pixels of the picture, padded by reflection to the network's size. */
static void produce_picture(const rst_sweep *s, rst_worker *w, const void *source, size_t x, size_t y,
                            size_t n, void *out) {
  const frame *f = s->context;
  const rst_pixels *in = f->run->input;
  const size_t padded = rst_padded((size_t)in->channels);
  (void)source;
  memset(w->values[1], 0, n * padded * sizeof(float));
  for (size_t i = 0; i < n; i++)
    rst_pixels_load(in, reflect(x + i, in->width), reflect(y, in->height), w->values[1] + i * padded);
  f->run->kernels->store(out, padded, w->values[1], padded, n, padded);
}

static void produce_copy(const rst_sweep *s, rst_worker *w, const void *source, size_t x, size_t y, size_t n,
                         void *out) {
  (void)w, (void)x, (void)y;
  memcpy(out, source, n * s->ring_pixel);
}

/* ---- Products ---------------------------------------------------------------------------------- */

static void product(const frame *f, const rst_linear *linear, const void *a, size_t a_pitch, size_t n,
                    void *out, rst_into into) {
  f->run->kernels->gemm(&(rst_gemm){.a = a,
                                    .a_pitch = a_pitch,
                                    .pixels = n,
                                    .k = linear->k,
                                    .w = linear->w,
                                    .w_panel = linear->k * RST_GROUP,
                                    .panels = linear->panels,
                                    .bias = linear->bias,
                                    .out = out,
                                    .out_pitch = linear->panels * RST_GROUP,
                                    .out_panel = RST_GROUP,
                                    .into = into});
}

/* values[0] = the 3x3 convolution. Three neighbours in a ring row are one left operand. */
static void convolve(const rst_sweep *s, rst_worker *w, const void *const rows[3], size_t n) {
  const frame *f = s->context;
  for (int i = 0; i < 3; i++)
    product(f, &f->conv->row[i], rows[i], s->ring_pixel / f->run->kernels->element, n, w->values[0],
            i > 0 ? RST_ADD_FLOATS : RST_INTO_FLOATS);
}

static size_t outputs(const rst_conv3x3 *conv) {
  return conv->row[0].panels * RST_GROUP;
}

/* ---- Patch embedding and downsampling ---------------------------------------------------------- */

static void consume_embed(const rst_sweep *s, rst_worker *w, const void *const rows[3], size_t x, size_t y,
                          size_t n) {
  const frame *f = s->context;
  const size_t channels = outputs(f->conv);
  convolve(s, w, rows, n);
  f->run->kernels->store(rst_map_at(f->out, x, y), channels, w->values[0], channels, n, channels);
}

static rst_sweep picture_sweep(const rst_run *run, const frame *f, rst_consume *consume) {
  const size_t in = rst_padded((size_t)run->model->architecture.in_channels);
  return (rst_sweep){
      .ring_pixel = in * run->kernels->element, .produce = produce_picture, .consume = consume, .context = f};
}

void rst_patch_embed_run(rst_run *run, rst_map *out) {
  const frame f = {.run = run, .conv = &run->model->patch_embed, .out = out};
  rst_sweep sweep = picture_sweep(run, &f, consume_embed);
  rst_run_sweep(run, 0, &sweep,
                (rst_sweep_needs){
                    .values = {outputs(f.conv), rst_padded((size_t)run->model->architecture.in_channels)}});
}

/* Pixel-unshuffle: channel i of (x, y) goes to channel 4 i + 2 (y % 2) + x % 2 of (x / 2, y / 2). */
static void consume_down(const rst_sweep *s, rst_worker *w, const void *const rows[3], size_t x, size_t y,
                         size_t n) {
  const frame *f = s->context;
  const size_t padded = outputs(f->conv), element = f->run->kernels->element;
  const size_t channels = ((size_t)f->run->model->architecture.dim << f->level) / 2;
  convolve(s, w, rows, n);
  f->run->kernels->store(w->operand[0], padded, w->values[0], padded, n, padded);
  for (size_t p = 0; p < n; p++) {
    const uint8_t *from = (const uint8_t *)w->operand[0] + p * padded * element;
    uint8_t *to = rst_map_at(f->out, (x + p) / 2, y / 2) + (2 * (y % 2) + (x + p) % 2) * element;
    if (element == sizeof(float))
      for (size_t i = 0; i < channels; i++)
        memcpy(to + 4 * i * sizeof(float), from + i * sizeof(float), sizeof(float));
    else
      for (size_t i = 0; i < channels; i++) memcpy(to + 4 * i * 2, from + i * 2, 2);
  }
}

void rst_down_run(rst_run *run, int level, const rst_map *in, rst_map *out) {
  const frame f = {.run = run, .conv = &run->model->down[level], .out = out, .level = level};
  rst_sweep sweep = {
      .source = in, .ring_pixel = in->pixel, .produce = produce_copy, .consume = consume_down, .context = &f};
  rst_run_sweep(run, level, &sweep,
                (rst_sweep_needs){.operand = {outputs(f.conv)}, .values = {outputs(f.conv)}});
}

/* ---- Upsampling -------------------------------------------------------------------------------- */

/* Pixel-shuffle: the outputs come in four groups, group 2 i + j for pixel (2 x + j, 2 y + i). */
static const float *corner(const frame *f, const rst_worker *w, size_t i, size_t j) {
  return w->values[0] + (2 * i + j) * outputs(f->conv) / 4;
}

static void consume_up_reduce(const rst_sweep *s, rst_worker *w, const void *const rows[3], size_t x,
                              size_t y, size_t n) {
  const frame *f = s->context;
  const rst_kernels *k = f->run->kernels;
  const size_t wide = outputs(f->conv), channels = wide / 4;
  convolve(s, w, rows, n);
  for (size_t i = 0; i < 2; i++) {
    uint8_t *row = rst_map_at(f->out, 2 * x, 2 * y + i);
    for (size_t j = 0; j < 2; j++)
      k->store((uint8_t *)w->operand[0] + j * channels * k->element, 2 * channels, corner(f, w, i, j), wide,
               n, channels);
    product(f, f->reduce_up, w->operand[0], channels, 2 * n, w->values[1], RST_INTO_FLOATS);
    product(f, f->reduce_skip, row, channels, 2 * n, w->values[1], RST_ADD_FLOATS);
    k->store(row, channels, w->values[1], channels, 2 * n, channels);
  }
}

void rst_up_reduce_run(rst_run *run, int level, const rst_map *in, rst_map *out) {
  const rst_model *m = run->model;
  const frame f = {.run = run,
                   .conv = &m->up[level],
                   .reduce_up = &m->reduce_up[level],
                   .reduce_skip = &m->reduce_skip[level],
                   .out = out};
  const size_t channels = outputs(f.conv) / 4;
  rst_sweep sweep = {.source = in,
                     .ring_pixel = in->pixel,
                     .produce = produce_copy,
                     .consume = consume_up_reduce,
                     .context = &f};
  rst_run_sweep(run, level + 1, &sweep,
                (rst_sweep_needs){.operand = {2 * channels}, .values = {4 * channels, 2 * channels}});
}

static void consume_up_concat(const rst_sweep *s, rst_worker *w, const void *const rows[3], size_t x,
                              size_t y, size_t n) {
  const frame *f = s->context;
  const rst_kernels *k = f->run->kernels;
  const size_t wide = outputs(f->conv), channels = wide / 4, pitch = f->out->pixel / k->element;
  const size_t half = (size_t)f->run->model->architecture.dim * k->element; /* bytes */
  convolve(s, w, rows, n);
  for (size_t i = 0; i < 2; i++) {
    for (size_t j = 0; j < 2; j++)
      k->store(rst_map_at(f->out, 2 * x + j, 2 * y + i), 2 * pitch, corner(f, w, i, j), wide, n, channels);
    for (size_t p = 2 * x; p < 2 * (x + n); p++)
      memcpy(rst_map_at(f->out, p, 2 * y + i) + half, rst_map_at(f->skip, p, 2 * y + i), half);
  }
}

/* Chunks that are done before the memory behind them is given back. */
enum { CHUNKS_AT_ONCE = 8 };

void rst_up_concat_run(rst_run *run, rst_map *in, rst_map *skip, rst_map *out) {
  const rst_grid *grid = &run->grid[1];
  const frame f = {.run = run, .conv = &run->model->up[0], .out = out, .skip = skip};
  rst_sweep sweep = {.source = in,
                     .ring_pixel = in->pixel,
                     .produce = produce_copy,
                     .consume = consume_up_concat,
                     .context = &f};
  for (size_t first = 0; first < grid->chunk_count; first += CHUNKS_AT_ONCE) {
    const size_t end =
        first + CHUNKS_AT_ONCE < grid->chunk_count ? first + CHUNKS_AT_ONCE : grid->chunk_count;
    const size_t row =
        grid->chunks[first] > 0 ? grid->chunks[first] - 1 : 0; /* the convolution still reads it */
    if (run->planning) {
      /* What is there at the end of this part: all but the rows given back and those not yet written. */
      const size_t rows = grid->height, end_row = grid->chunks[end];
      const size_t back = row * (in->bytes / rows) + grid->chunks[first] * (skip->bytes / rows);
      rst_need(&run->map_peak, run->map_bytes - back - (rows - end_row) * (out->bytes / rows));
    } else {
      rst_map_release_rows(in, row);
      rst_map_release_rows(skip, 2 * grid->chunks[first]);
    }
    rst_run_sweep_part(run, 1, &sweep, (rst_sweep_needs){.values = {outputs(f.conv)}}, first, end);
  }
}

/* ---- skip_conv and output ---------------------------------------------------------------------- */

static void consume_skip(const rst_sweep *s, rst_worker *w, const void *const rows[3], size_t x, size_t y,
                         size_t n) {
  const frame *f = s->context;
  const rst_kernels *k = f->run->kernels;
  const rst_linear *skip_conv = &f->run->model->skip_conv;
  const size_t in = outputs(f->conv);
  convolve(s, w, rows, n);
  k->store(w->operand[0], in, w->values[0], in, n, in);
  product(f, skip_conv, w->operand[0], in, n, rst_map_at(f->out, x, y), RST_ADD_ELEMENTS);
}

void rst_skip_conv_run(rst_run *run, rst_map *map) {
  const rst_model *m = run->model;
  const frame f = {.run = run, .conv = &m->patch_embed, .out = map};
  const size_t in = rst_padded((size_t)m->architecture.in_channels);
  rst_sweep sweep = picture_sweep(run, &f, consume_skip);
  rst_run_sweep(run, 0, &sweep,
                (rst_sweep_needs){.operand = {outputs(f.conv)}, .values = {outputs(f.conv), in}});
}

static void consume_output(const rst_sweep *s, rst_worker *w, const void *const rows[3], size_t x, size_t y,
                           size_t n) {
  const frame *f = s->context;
  const rst_pixels *in = f->run->input, *out = f->run->output;
  if (y >= out->height) return; /* padding */
  const size_t pitch = outputs(f->conv);
  convolve(s, w, rows, n);
  for (size_t p = 0; p < n && x + p < out->width; p++) {
    float *values = w->values[0] + p * pitch, picture[RST_MAX_CHANNELS];
    if (f->run->model->architecture.residual) {
      rst_pixels_load(in, x + p, y, picture);
      for (int c = 0; c < out->channels; c++) values[c] += picture[c];
    }
    rst_pixels_store(out, x + p, y, values);
  }
}

void rst_output_run(rst_run *run, const rst_map *in) {
  const frame f = {.run = run, .conv = &run->model->output};
  rst_sweep sweep = {.source = in,
                     .ring_pixel = in->pixel,
                     .produce = produce_copy,
                     .consume = consume_output,
                     .context = &f};
  rst_run_sweep(run, 0, &sweep, (rst_sweep_needs){.values = {outputs(f.conv)}});
}
