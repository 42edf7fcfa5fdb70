/* gdfn.c - the gated feed-forward network, x += GDFN(norm2(x)), in place, and what it shares with MDTA. */
#include "model/passes.h"

/* ---- Passes of a block --------------------------------------------------------------------- */

void rst_pass_produce(const rst_sweep *s, rst_worker *w, const void *source, size_t x, size_t y, size_t n,
                      void *out) {
  const rst_pass *pass = s->context;
  const rst_kernels *k = pass->in->kernels;
  const size_t pitch = rst_padded(pass->part->in);
  k->normalize(&(rst_normalize){.x = source,
                                .x_pitch = pitch,
                                .pixels = n,
                                .channels = pass->part->in,
                                .centred = pass->part->norm_bias,
                                .out = w->operand[1],
                                .out_pitch = pitch,
                                .next = y + 1 < s->height ? rst_map_at(s->source, x, y + 1) : NULL});
  rst_linear_prepare(pass->in, w->operand[1], pitch, n);
  rst_linear_run(pass->in, w->operand[1], pitch, n, out, s->ring_pixel / sizeof(float), RST_INTO_FLOATS);
}

rst_dwconv rst_pass_dwconv(const rst_depthwise *d, const rst_sweep *s, const void *const rows[3], size_t n) {
  return (rst_dwconv){.rows = {rows[0], rows[1], rows[2]},
                      .pitch = s->ring_pixel / sizeof(float),
                      .pixels = n,
                      .channels = d->channels,
                      .weights = d->weights,
                      .bias = d->bias};
}

void rst_pass_add(const rst_pass *pass, void *a, size_t pitch, const rst_linear *linear, size_t x, size_t y,
                  size_t n) {
  rst_linear_prepare(linear, a, pitch, n);
  rst_linear_run(linear, a, pitch, n, rst_map_at(pass->map, x, y), rst_linear_outputs(linear),
                 RST_ADD_ELEMENTS);
}

/* ---- GDFN ---------------------------------------------------------------------------------- */

enum { NORM, PROJECT_IN, DWCONV, PROJECT_OUT, LAYERS };

static size_t layers(const rst_part *part, rst_layer *l) {
  const size_t c = part->in, h = part->hidden;
  l[NORM] = (rst_layer){".norm2", c, .form = RST_NORM, .bias = part->norm_bias};
  l[PROJECT_IN] = (rst_layer){".ffn.project_in", 2 * h, c, 1, RST_CONV, part->bias};
  l[DWCONV] = (rst_layer){".ffn.dwconv", 2 * h, 1, 3, RST_CONV, part->bias};
  l[PROJECT_OUT] = (rst_layer){".ffn.project_out", c, h, 1, RST_CONV, part->bias};
  return LAYERS;
}

static void derive(const rst_part *part, const rst_checkpoint_shapes *shapes, rst_architecture *a) {
  int *hidden = rst_part_hidden(part, a);
  if (*hidden == 0) *hidden = rst_found_size(shapes, part, PROJECT_OUT, 1);
  if (*hidden == 0) *hidden = rst_found_size(shapes, part, PROJECT_IN, 0) / 2;
  a->bias = a->bias || rst_found_bias(shapes, part, PROJECT_IN);
  a->norm_bias = a->norm_bias || rst_found_bias(shapes, part, NORM);
}

/* Channels are padded to groups: x1 and x2, the gate's two halves, side by side. */
typedef struct gdfn {
  rst_linear in, out;
  rst_depthwise dwconv;
} gdfn;

static void pack(rst_packer *p, const rst_part *part) {
  const size_t c = part->in, h = part->hidden;
  gdfn *g = part->packed;
  g->in = rst_pack_linear(
      p,
      &(rst_matrix){
          .layer = PROJECT_IN, .columns = {.count = h, .groups = 2}, .inputs = c, .norm = &p->layers[NORM]});
  g->dwconv = rst_pack_depthwise(p, DWCONV, (rst_columns){.count = h, .groups = 2});
  g->out = rst_pack_linear(
      p, &(rst_matrix){.layer = PROJECT_OUT, .columns = {.count = c, .groups = 1}, .inputs = h});
}

static void consume(const rst_sweep *s, rst_worker *w, const void *const rows[3], size_t x, size_t y,
                    size_t n) {
  const rst_pass *pass = s->context;
  const gdfn *g = pass->part->packed;
  const size_t hidden = rst_padded(pass->part->hidden);
  rst_dwconv conv = rst_pass_dwconv(&g->dwconv, s, rows, n);
  conv.channels = hidden; /* of the gate's result */
  g->out.kernels->dwconv_gate(&conv, w->operand[0], hidden);
  rst_pass_add(pass, w->operand[0], hidden, &g->out, x, y, n);
}

static rst_status run_gdfn(rst_run *run, const rst_part *part, rst_error *err) {
  const size_t channels = rst_padded(part->in), hidden = rst_padded(part->hidden);
  const gdfn *g = part->packed;
  rst_map *map = &run->maps[part->level];
  const rst_pass pass = {.run = run, .grid = &run->grid[part->level], .part = part, .in = &g->in, .map = map};
  rst_sweep sweep = {.source = map,
                     .in_place = true,
                     .ring_pixel = rst_pass_ring_pixel(2 * hidden),
                     .produce = rst_pass_produce,
                     .consume = consume,
                     .context = &pass};
  (void)err;
  rst_run_sweep(run, part->level, &sweep, (rst_sweep_needs){.operand = {hidden, channels}});
  return RST_OK;
}

const rst_kind rst_gdfn = {.title = "GDFN",
                           .layers = layers,
                           .derive = derive,
                           .packed_size = sizeof(gdfn),
                           .pack = pack,
                           .run = run_gdfn,
                           .sweeps = 1};
