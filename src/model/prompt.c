/* prompt.c - a prompt of PromptIR: learnt components, mixed as the mean of a level's map says, resized to the
 * map, convolved and put beside it, map = concat(map, prompt). Nothing that is as large as the map is made on
 * the way. */
#include <math.h>
#include <string.h>

#include "model/passes.h"

/* ---- Tensors and packing ---------------------------------------------------------------------- */

enum { COMPONENTS, LINEAR, CONV, LAYERS };

static size_t layers(const rst_part *part, rst_layer *l) {
  const size_t length = (size_t)part->prompt.length, dim = (size_t)part->prompt.dim;
  l[COMPONENTS] = (rst_layer){".prompt_param", length, dim, (size_t)part->prompt.size, RST_COMPONENTS, false};
  l[LINEAR] = (rst_layer){".linear_layer", length, part->in, 1, RST_LINEAR, true};
  l[CONV] = (rst_layer){".conv3x3", dim, dim, 3, RST_CONV, false};
  return LAYERS;
}

static void derive(const rst_part *part, const rst_checkpoint_shapes *shapes, rst_architecture *a) {
  rst_prompt *prompt = &a->prompts[part->level];
  prompt->length = rst_found_size(shapes, part, COMPONENTS, 1);
  prompt->dim = rst_found_size(shapes, part, COMPONENTS, 2);
  prompt->size = rst_found_size(shapes, part, COMPONENTS, 3);
}

typedef struct packed_prompt {
  const float *components; /* [length][dim][size][size] */
  rst_linear linear;
  rst_conv3x3 conv;
} packed_prompt;

static void pack(rst_packer *p, const rst_part *part) {
  const size_t length = (size_t)part->prompt.length, dim = (size_t)part->prompt.dim,
               size = (size_t)part->prompt.size;
  packed_prompt *m = part->packed;
  m->components = rst_pack_values(p, COMPONENTS, length * dim * size * size);
  m->linear = rst_pack_linear(p, &(rst_matrix){.layer = LINEAR,
                                               .columns = {.count = length, .groups = 1},
                                               .inputs = part->in,
                                               .kernels = p->plain});
  m->conv = rst_pack_conv(p, CONV, (rst_columns){.count = dim, .groups = 1}, p->plain);
}

/* The context of both sweeps. */
typedef struct prompting {
  const rst_run *run;
  const rst_part *part;
  const packed_prompt *packed;
  const rst_map *in, *out;
} prompting;

/* ---- First sweep: how much of each component ----------------------------------------------------- */

/* The linear layer of the mean is the mean of the linear layer, of which there are fewer channels to sum. */
static void consume_sum(const rst_sweep *s, rst_worker *w, const void *const rows[3], size_t x, size_t y,
                        size_t n) {
  const prompting *p = s->context;
  const rst_linear *linear = &p->packed->linear;
  const size_t outputs = rst_linear_outputs(linear);
  float *sums = p->run->partials + w->chunk * outputs;
  (void)x, (void)y;
  rst_linear_run(linear, (const uint8_t *)rows[1] + s->ring_pixel, s->ring_pixel / linear->kernels->element,
                 n, w->values[0], outputs, RST_INTO_FLOATS);
  for (size_t i = 0; i < outputs; i++) {
    float sum = 0;
    for (size_t pixel = 0; pixel < n; pixel++) sum += w->values[0][pixel * outputs + i];
    sums[i] += sum;
  }
}

static void sum_up(rst_run *run, const prompting *p) {
  const rst_grid *grid = &run->grid[p->part->level];
  const size_t outputs = rst_linear_outputs(&p->packed->linear),
               bytes = grid->chunk_count * outputs * sizeof(float);
  rst_need(&run->needs.partials, bytes);
  if (!run->planning) memset(run->partials, 0, bytes);
  rst_sweep sweep = {.source = p->in,
                     .ring_pixel = rst_pass_plain_pixel(run, p->in),
                     .produce = rst_produce_copy,
                     .consume = consume_sum,
                     .context = p,
                     .chunks = grid->chunks,
                     .chunk_count = grid->chunk_count};
  rst_run_sweep(run, p->part->level, &sweep, (rst_sweep_needs){.values = {outputs}});
}

/* shares = softmax(mean) */
static void find_shares(const prompting *p, double shares[RST_MAX_PROMPT_LENGTH]) {
  const rst_grid *grid = &p->run->grid[p->part->level];
  const size_t length = (size_t)p->part->prompt.length, outputs = rst_linear_outputs(&p->packed->linear);
  double most = -INFINITY, sum = 0;
  for (size_t i = 0; i < length; i++) {
    double total = 0;
    for (size_t chunk = 0; chunk < grid->chunk_count; chunk++)
      total += (double)p->run->partials[chunk * outputs + i];
    shares[i] = total / ((double)grid->width * (double)grid->height);
    most = fmax(most, shares[i]);
  }
  for (size_t i = 0; i < length; i++) sum += shares[i] = exp(shares[i] - most);
  for (size_t i = 0; i < length; i++) shares[i] /= sum;
}

/* run->prompt = the mixture, [size][size][padded dim]. */
static void mix(rst_run *run, const prompting *p) {
  const rst_prompt *prompt = &p->part->prompt;
  const size_t length = (size_t)prompt->length, dim = (size_t)prompt->dim, padded = rst_padded(dim),
               pixels = (size_t)prompt->size * (size_t)prompt->size;
  double shares[RST_MAX_PROMPT_LENGTH];
  rst_need(&run->needs.prompt, pixels * padded * sizeof(float));
  if (run->planning) return;
  find_shares(p, shares);
  memset(run->prompt, 0, pixels * padded * sizeof(float));
  for (size_t c = 0; c < dim; c++)
    for (size_t pixel = 0; pixel < pixels; pixel++) {
      double sum = 0;
      for (size_t i = 0; i < length; i++)
        sum += shares[i] * (double)p->packed->components[(i * dim + c) * pixels + pixel];
      run->prompt[pixel * padded + c] = (float)sum;
    }
}

/* ---- Second sweep: map and prompt side by side ------------------------------------------------------ */

/* Two neighbours of one axis, and the second one's share. */
typedef struct between {
  size_t first, second;
  float share;
} between;

/* Bilinear: centres of pixels on centres of pixels (align_corners=False), without a filter where it shrinks.
 */
static between place_of(size_t at, size_t length, size_t size) {
  const double place = fmax(0, ((double)at + 0.5) * (double)size / (double)length - 0.5);
  const size_t first = (size_t)place;
  return (between){first, first + 1 < size ? first + 1 : first, (float)(place - (double)first)};
}

static void produce_prompt(const rst_sweep *s, rst_worker *w, const void *source, size_t x, size_t y,
                           size_t n, void *out) {
  const prompting *p = s->context;
  const size_t size = (size_t)p->part->prompt.size, padded = rst_padded((size_t)p->part->prompt.dim);
  const between row = place_of(y, s->height, size);
  (void)source;
  for (size_t i = 0; i < n; i++) {
    const between column = place_of(x + i, s->width, size);
    const float *above = p->run->prompt + row.first * size * padded,
                *below = p->run->prompt + row.second * size * padded;
    const size_t left = column.first * padded, right = column.second * padded;
    for (size_t c = 0; c < padded; c++) {
      const float top = above[left + c] + column.share * (above[right + c] - above[left + c]);
      const float bottom = below[left + c] + column.share * (below[right + c] - below[left + c]);
      w->values[1][i * padded + c] = top + row.share * (bottom - top);
    }
  }
  p->run->model->plain->store(out, padded, w->values[1], padded, n, padded);
}

static void consume_prompt(const rst_sweep *s, rst_worker *w, const void *const rows[3], size_t x, size_t y,
                           size_t n) {
  const prompting *p = s->context;
  const rst_kernels *k = p->run->kernels;
  const size_t padded = rst_padded((size_t)p->part->prompt.dim);
  const size_t map = p->part->in * k->element, both = p->part->out * k->element; /* bytes */
  rst_conv3x3_run(&p->packed->conv, rows, s->ring_pixel / p->run->model->plain->element, n, NULL,
                  w->values[0]);
  k->store(w->operand[0], padded, w->values[0], padded, n, padded);
  for (size_t i = 0; i < n; i++) {
    uint8_t *to = rst_map_at(p->out, x + i, y);
    memcpy(to, rst_map_at(p->in, x + i, y), map);
    memcpy(to + map, (const uint8_t *)w->operand[0] + i * padded * k->element, both - map);
    memset(to + both, 0, p->out->pixel - both);
  }
}

static rst_status run_prompt(rst_run *run, const rst_part *part, rst_error *err) {
  rst_map *map = &run->maps[part->level], wide;
  const prompting p = {.run = run, .part = part, .packed = part->packed, .in = map, .out = &wide};
  const size_t padded = rst_padded((size_t)part->prompt.dim);
  sum_up(run, &p);
  mix(run, &p);
  rst_status status = rst_run_map(run, part->level, part->out, &wide, err);
  if (status != RST_OK) return status;
  rst_sweep sweep = {.ring_pixel = padded * run->model->plain->element,
                     .produce = produce_prompt,
                     .consume = consume_prompt,
                     .context = &p};
  rst_run_sweep(run, part->level, &sweep, (rst_sweep_needs){.operand = {padded}, .values = {padded, padded}});
  rst_run_map_free(run, map);
  *map = wide;
  return RST_OK;
}

const rst_kind rst_prompt_gen = {.layers = layers,
                                 .derive = derive,
                                 .packed_size = sizeof(packed_prompt),
                                 .pack = pack,
                                 .run = run_prompt,
                                 .sweeps = 2};
