/* frame.c - the kinds of parts around the blocks: patch embedding, down- and upsampling, skip_conv, output.
 */
#include <math.h>
#include <string.h>

#include "model/passes.h"

/* The context of these sweeps; each uses what it needs. */
typedef struct frame {
  const rst_run *run;
  const rst_part *part;
  const rst_conv3x3 *conv;
  const rst_map *out, *skip;
  atomic_bool *overflow; /* set where the output is not finite */
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
  f->conv->row[0].kernels->store(out, padded, w->values[1], padded, n, padded);
}

void rst_produce_copy(const rst_sweep *s, rst_worker *w, const void *source, size_t x, size_t y, size_t n,
                      void *out) {
  const rst_run *run = *(const rst_run *const *)s->context;
  (void)w, (void)x, (void)y;
  if (rst_reads_elements(run)) {
    memcpy(out, source, n * s->ring_pixel);
    return;
  }
  const size_t channels = s->ring_pixel / sizeof(float);
  run->kernels->load(out, channels, source, channels, n, channels);
}

/* ---- Convolutions ------------------------------------------------------------------------------ */

enum { CONV, LAYERS }; /* of a kind with one convolution */

static size_t conv_layer(const rst_part *part, rst_layer *l, const char *name, size_t side, bool bias) {
  l[CONV] = (rst_layer){name, part->out, part->in, side, RST_CONV, bias};
  return LAYERS;
}

/* At the picture's ends. */
static void pack_conv(rst_packer *p, const rst_part *part) {
  rst_conv3x3 *conv = part->packed;
  *conv = rst_pack_conv(p, CONV, (rst_columns){.count = part->out, .groups = 1}, p->plain);
}

/* From level to level; like the products in blocks, unless others are fast, too, and keep more. */
static void pack_resampling(rst_packer *p, const rst_part *part, rst_columns columns) {
  rst_conv3x3 *conv = part->packed;
  *conv = rst_pack_conv(p, CONV, columns, p->plain->pairs ? p->plain : p->kernels);
}

static size_t layers_1x1(const rst_part *part, rst_layer *l) {
  return conv_layer(part, l, "", 1, part->bias);
}

static void pack_1x1(rst_packer *p, const rst_part *part) {
  rst_linear *linear = part->packed;
  *linear = rst_pack_linear(p, &(rst_matrix){.layer = CONV,
                                             .columns = {.count = part->out, .groups = 1},
                                             .inputs = part->in,
                                             .kernels = p->plain});
}

/* values[0] = the 3x3 convolution. Needs operand[0] of its scratch. */
static void convolve(const rst_sweep *s, rst_worker *w, const void *const rows[3], size_t n) {
  const frame *f = s->context;
  rst_conv3x3_run(f->conv, rows, s->ring_pixel / f->run->model->plain->element, n, w->operand[0],
                  w->values[0]);
}

static size_t outputs(const rst_conv3x3 *conv) {
  return rst_linear_outputs(&conv->row[0]);
}

/* The convolution's sweep over a map. */
static rst_sweep map_sweep(const rst_map *source, const frame *f, rst_consume *consume) {
  return (rst_sweep){.source = source,
                     .ring_pixel = rst_pass_plain_pixel(f->run, source),
                     .produce = rst_produce_copy,
                     .consume = consume,
                     .context = f};
}

/* ---- Patch embedding --------------------------------------------------------------------------- */

static size_t patch_embed_layers(const rst_part *part, rst_layer *l) {
  return conv_layer(part, l, ".proj", 3, false);
}

static void derive_patch_embed(const rst_part *part, const rst_checkpoint_shapes *shapes,
                               rst_architecture *a) {
  a->in_channels = rst_found_size(shapes, part, CONV, 1);
  a->dim = rst_found_size(shapes, part, CONV, 0);
}

static void consume_embed(const rst_sweep *s, rst_worker *w, const void *const rows[3], size_t x, size_t y,
                          size_t n) {
  const frame *f = s->context;
  const size_t channels = outputs(f->conv);
  convolve(s, w, rows, n);
  f->run->kernels->store(rst_map_at(f->out, x, y), channels, w->values[0], channels, n, channels);
}

/* A sweep of the patch embedding's convolution over the picture. */
static void sweep_picture(rst_run *run, const frame *f, rst_consume *consume, size_t operand, size_t values) {
  const size_t in = rst_padded((size_t)run->model->architecture.in_channels);
  rst_sweep sweep = {.ring_pixel = in * f->conv->row[0].kernels->element,
                     .produce = produce_picture,
                     .consume = consume,
                     .context = f};
  rst_run_sweep(run, 0, &sweep, (rst_sweep_needs){.operand = {operand}, .values = {values, in}});
}

static rst_status run_patch_embed(rst_run *run, const rst_part *part, rst_error *err) {
  rst_status status = rst_run_map(run, 0, part->out, &run->maps[0], err);
  if (status != RST_OK) return status;
  const frame f = {.run = run, .part = part, .conv = part->packed, .out = &run->maps[0]};
  sweep_picture(run, &f, consume_embed, 0, outputs(f.conv));
  return RST_OK;
}

const rst_kind rst_patch_embed = {.layers = patch_embed_layers,
                                  .derive = derive_patch_embed,
                                  .packed_size = sizeof(rst_conv3x3),
                                  .pack = pack_conv,
                                  .run = run_patch_embed,
                                  .sweeps = 1};

/* ---- Downsampling ------------------------------------------------------------------------------ */

static size_t resampling_layers(const rst_part *part, rst_layer *l) {
  return conv_layer(part, l, ".body.0", 3, false);
}

/* Pixel-unshuffle: channel i of (x, y) goes to channel 4 i + 2 (y % 2) + x % 2 of (x / 2, y / 2). */
static void consume_down(const rst_sweep *s, rst_worker *w, const void *const rows[3], size_t x, size_t y,
                         size_t n) {
  const frame *f = s->context;
  const size_t padded = outputs(f->conv), element = f->run->kernels->element, channels = f->part->out;
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
    if (y % 2 == 0 && (x + p) % 2 == 0)
      memset(to + 4 * channels * element, 0, f->out->pixel - 4 * channels * element);
  }
}

static void pack_down(rst_packer *p, const rst_part *part) {
  pack_resampling(p, part, (rst_columns){.count = part->out, .groups = 1});
}

static rst_status run_down(rst_run *run, const rst_part *part, rst_error *err) {
  rst_map *in = &run->maps[part->level], *out = in + 1;
  rst_status status = rst_run_map(run, part->level + 1, 4 * part->out, out, err);
  if (status != RST_OK) return status;
  const frame f = {.run = run, .part = part, .conv = part->packed, .out = out};
  rst_sweep sweep = map_sweep(in, &f, consume_down);
  rst_run_sweep(run, part->level, &sweep,
                (rst_sweep_needs){.operand = {rst_max(outputs(f.conv), rst_conv3x3_scratch(f.conv))},
                                  .values = {outputs(f.conv)}});
  return RST_OK;
}

const rst_kind rst_down = {.layers = resampling_layers,
                           .packed_size = sizeof(rst_conv3x3),
                           .pack = pack_down,
                           .run = run_down,
                           .sweeps = 1};

/* ---- Upsampling -------------------------------------------------------------------------------- */

static void derive_reduce(const rst_part *part, const rst_checkpoint_shapes *shapes, rst_architecture *a) {
  a->bias = a->bias || rst_found_bias(shapes, part, CONV);
}

/* The convolution's two parts: for what comes from below, with the bias, and for the encoder's map. */
typedef struct reduce {
  rst_linear up, skip;
} reduce;

static void pack_reduce(rst_packer *p, const rst_part *part) {
  const size_t c = part->out, below = part->in - c;
  rst_matrix half = {
      .layer = CONV, .columns = {.count = c, .groups = 1}, .inputs = below, .kernels = p->plain};
  reduce *r = part->packed;
  r->up = rst_pack_linear(p, &half);
  half.first_input = below;
  half.inputs = c;
  half.without_bias = true;
  r->skip = rst_pack_linear(p, &half);
}

const rst_kind rst_reduce_chan = {
    .layers = layers_1x1, .derive = derive_reduce, .packed_size = sizeof(reduce), .pack = pack_reduce};

/* Pixel-shuffle: the outputs come in four groups, group 2 i + j for pixel (2 x + j, 2 y + i). */
static void pack_up(rst_packer *p, const rst_part *part) {
  pack_resampling(p, part, (rst_columns){.count = part->out / 4, .groups = 4, .interleaved = true});
}

static const float *corner(const frame *f, const rst_worker *w, size_t i, size_t j) {
  return w->values[0] + (2 * i + j) * outputs(f->conv) / 4;
}

/* out = reduce_chan(concat(up(in), out)) */
static void consume_up_reduce(const rst_sweep *s, rst_worker *w, const void *const rows[3], size_t x,
                              size_t y, size_t n) {
  const frame *f = s->context;
  const rst_kernels *k = f->run->kernels, *plain = f->run->model->plain;
  const reduce *r = f->part[1].packed;
  const size_t wide = outputs(f->conv), up = wide / 4, channels = rst_linear_outputs(&r->up);
  convolve(s, w, rows, n);
  for (size_t i = 0; i < 2; i++) {
    uint8_t *row = rst_map_at(f->out, 2 * x, 2 * y + i);
    const void *skip = row;
    if (!rst_reads_elements(f->run)) {
      k->load(w->operand[1], channels, row, channels, 2 * n, channels);
      skip = w->operand[1];
    }
    for (size_t j = 0; j < 2; j++)
      plain->store((uint8_t *)w->operand[0] + j * up * plain->element, 2 * up, corner(f, w, i, j), wide, n,
                   up);
    rst_linear_run(&r->up, w->operand[0], up, 2 * n, w->values[1], channels, RST_INTO_FLOATS);
    rst_linear_run(&r->skip, skip, channels, 2 * n, w->values[1], channels, RST_ADD_FLOATS);
    k->store(row, channels, w->values[1], channels, 2 * n, channels);
  }
}

static rst_status up_reduce(rst_run *run, const rst_part *part) {
  rst_map *in = &run->maps[part->level], *out = in - 1;
  const frame f = {.run = run, .part = part, .conv = part->packed, .out = out};
  const reduce *r = part[1].packed;
  const size_t up = outputs(f.conv) / 4, channels = rst_linear_outputs(&r->up);
  rst_sweep sweep = map_sweep(in, &f, consume_up_reduce);
  rst_run_sweep(run, part->level, &sweep,
                (rst_sweep_needs){.operand = {rst_max(2 * up, rst_conv3x3_scratch(f.conv)),
                                              rst_reads_elements(run) ? 0 : 2 * channels},
                                  .values = {4 * up, 2 * channels}});
  rst_run_map_free(run, in);
  return RST_OK;
}

/* out = concat(up(in), skip) */
static void consume_up_concat(const rst_sweep *s, rst_worker *w, const void *const rows[3], size_t x,
                              size_t y, size_t n) {
  const frame *f = s->context;
  const rst_kernels *k = f->run->kernels;
  const size_t wide = outputs(f->conv), channels = wide / 4, pitch = f->out->pixel / k->element;
  const size_t half = f->part->out / 4 * k->element; /* bytes */
  convolve(s, w, rows, n);
  for (size_t i = 0; i < 2; i++) {
    for (size_t j = 0; j < 2; j++)
      k->store(rst_map_at(f->out, 2 * x + j, 2 * y + i), 2 * pitch, corner(f, w, i, j), wide, n, channels);
    for (size_t p = 2 * x; p < 2 * (x + n); p++) {
      uint8_t *to = rst_map_at(f->out, p, 2 * y + i);
      memcpy(to + half, rst_map_at(f->skip, p, 2 * y + i), half);
      memset(to + 2 * half, 0, f->out->pixel - 2 * half);
    }
  }
}

/* Parts of the rows, and their least number, that are done before the memory behind them is given back. */
enum { PARTS = 8, LEAST_ROWS = 32 };

/* The first level's map becomes one of both; the two are given back on the way. */
static rst_status up_concat(rst_run *run, const rst_part *part, rst_error *err) {
  rst_map *in = &run->maps[1], *skip = &run->maps[0], top, *out = &top;
  rst_status status = rst_run_map(run, 0, part->out / 2, out, err);
  if (status != RST_OK) return status;
  const frame f = {.run = run, .part = part, .conv = part->packed, .out = out, .skip = skip};
  rst_sweep sweep = map_sweep(in, &f, consume_up_concat);
  const size_t rows = in->height, most = (rows + PARTS - 1) / PARTS,
               step = most > LEAST_ROWS ? most : LEAST_ROWS;
  for (size_t first = 0; first < rows; first += step) {
    const size_t end = first + step < rows ? first + step : rows;
    const size_t row = first > 0 ? first - 1 : 0; /* the convolution still reads it */
    if (run->planning) {
      /* What is there at the end of this part: all but the rows given back and those not yet written. */
      const size_t back = row * (in->bytes / rows) + first * (skip->bytes / rows);
      rst_need(&run->map_peak, run->map_bytes - back - (rows - end) * (out->bytes / rows));
    } else {
      rst_map_release_rows(in, row);
      rst_map_release_rows(skip, 2 * first);
    }
    rst_run_sweep_part(
        run, 1, &sweep,
        (rst_sweep_needs){.operand = {rst_conv3x3_scratch(f.conv)}, .values = {outputs(f.conv)}}, first, end);
  }
  rst_run_map_free(run, in);
  rst_run_map_free(run, skip);
  *skip = top;
  return RST_OK;
}

static rst_status run_up(rst_run *run, const rst_part *part, rst_error *err) {
  return part[1].kind == &rst_reduce_chan ? up_reduce(run, part) : up_concat(run, part, err);
}

const rst_kind rst_up = {.layers = resampling_layers,
                         .packed_size = sizeof(rst_conv3x3),
                         .pack = pack_up,
                         .run = run_up,
                         .sweeps = 1};

/* ---- Back from the sum of a map and its prompt --------------------------------------------------- */

static void derive_reduce_noise(const rst_part *part, const rst_checkpoint_shapes *shapes,
                                rst_architecture *a) {
  a->prompts[part->level].out_channels = rst_found_size(shapes, part, CONV, 0);
  derive_reduce(part, shapes, a);
}

static void consume_reduce_noise(const rst_sweep *s, rst_worker *w, const void *const rows[3], size_t x,
                                 size_t y, size_t n) {
  const frame *f = s->context;
  const rst_linear *linear = f->part->packed;
  const rst_kernels *k = f->run->kernels;
  const size_t out = rst_linear_outputs(linear);
  rst_linear_run(linear, (const uint8_t *)rows[1] + s->ring_pixel, s->ring_pixel / linear->kernels->element,
                 n, w->values[0], out, RST_INTO_FLOATS);
  k->store(rst_map_at(f->out, x, y), out, w->values[0], out, n, out);
}

static rst_status run_reduce_noise(rst_run *run, const rst_part *part, rst_error *err) {
  rst_map *map = &run->maps[part->level], narrow;
  rst_status status = rst_run_map(run, part->level, part->out, &narrow, err);
  if (status != RST_OK) return status;
  const frame f = {.run = run, .part = part, .out = &narrow};
  rst_sweep sweep = map_sweep(map, &f, consume_reduce_noise);
  rst_run_sweep(run, part->level, &sweep, (rst_sweep_needs){.values = {rst_padded(part->out)}});
  rst_run_map_free(run, map);
  *map = narrow;
  return RST_OK;
}

const rst_kind rst_reduce_noise = {.layers = layers_1x1,
                                   .derive = derive_reduce_noise,
                                   .packed_size = sizeof(rst_linear),
                                   .pack = pack_1x1,
                                   .run = run_reduce_noise,
                                   .sweeps = 1};

/* ---- skip_conv --------------------------------------------------------------------------------- */

static void derive_skip(const rst_part *part, const rst_checkpoint_shapes *shapes, rst_architecture *a) {
  a->dual_pixel = rst_found_any(shapes, part);
}

static void consume_skip(const rst_sweep *s, rst_worker *w, const void *const rows[3], size_t x, size_t y,
                         size_t n) {
  const frame *f = s->context;
  const rst_linear *skip_conv = f->part->packed;
  const size_t in = outputs(f->conv);
  convolve(s, w, rows, n);
  skip_conv->kernels->store(w->operand[0], in, w->values[0], in, n, in);
  void *map = rst_map_at(f->out, x, y);
  const size_t channels = rst_linear_outputs(skip_conv);
  f->run->kernels->load(w->values[0], channels, map, channels, n, channels);
  rst_linear_run(skip_conv, w->operand[0], in, n, w->values[0], channels, RST_ADD_FLOATS);
  f->run->kernels->store(map, channels, w->values[0], channels, n, channels);
}

/* map += skip_conv(patch_embed(picture)): the embedding is made again, which costs less than to keep it. */
static rst_status run_skip(rst_run *run, const rst_part *part, rst_error *err) {
  const frame f = {.run = run, .part = part, .conv = run->model->parts[0].packed, .out = &run->maps[0]};
  (void)err;
  sweep_picture(run, &f, consume_skip, outputs(f.conv), rst_linear_outputs(part->packed));
  return RST_OK;
}

const rst_kind rst_skip_conv = {.layers = layers_1x1,
                                .derive = derive_skip,
                                .packed_size = sizeof(rst_linear),
                                .pack = pack_1x1,
                                .run = run_skip,
                                .sweeps = 1};

/* ---- Output ------------------------------------------------------------------------------------ */

static size_t output_layers(const rst_part *part, rst_layer *l) {
  return conv_layer(part, l, "", 3, part->bias);
}

static void derive_output(const rst_part *part, const rst_checkpoint_shapes *shapes, rst_architecture *a) {
  a->out_channels = rst_found_size(shapes, part, CONV, 0);
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
    bool finite = true;
    for (int c = 0; c < out->channels; c++) finite = finite && isfinite(values[c]);
    if (!finite) atomic_store(f->overflow, true);
    rst_pixels_store(out, x + p, y, values);
  }
}

static rst_status run_output(rst_run *run, const rst_part *part, rst_error *err) {
  const frame f = {.run = run, .part = part, .conv = part->packed, .overflow = &run->overflow};
  rst_sweep sweep = map_sweep(&run->maps[0], &f, consume_output);
  (void)err;
  rst_run_sweep(run, 0, &sweep, (rst_sweep_needs){.values = {outputs(f.conv)}});
  return RST_OK;
}

const rst_kind rst_output = {.layers = output_layers,
                             .derive = derive_output,
                             .packed_size = sizeof(rst_conv3x3),
                             .pack = pack_conv,
                             .run = run_output,
                             .sweeps = 1};
