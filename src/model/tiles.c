/* tiles.c - rst_restore and its plan: the picture at once where it fits, in overlapping tiles otherwise.
 *
 * Tiles lie on multiples of the network's 2^(levels - 1) pixels of the padded picture, so that a tile
 * downsamples the same pixels together as the whole picture does. */
#include <math.h>

#include "base/budget.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/threads.h"
#include "model/run.h"

/* ---- Checks -------------------------------------------------------------------------------------- */

static rst_status check_size(size_t width, size_t height, rst_error *err) {
  if (width == 0 || height == 0)
    return rst_fail(err, RST_ERROR_USAGE, "picture is %zu x %zu, expected 1 x 1 or more", width, height);
  /* Padded and overlapping tiles cover less than that many times the picture. */
  if (width > SIZE_MAX / 4 || height > SIZE_MAX / 4 / width) return rst_fail_memory(err, "the feature maps");
  return RST_OK;
}

static rst_status check_options(const rst_architecture *a, const rst_restore_options *o, rst_error *err) {
  const size_t multiple = rst_architecture_multiple(a);
  if (o->window != 0 && o->window < multiple)
    return rst_fail(err, RST_ERROR_USAGE, "window %zu: expected %zu or more with %d levels", o->window,
                    multiple, a->levels);
  if (o->tile % multiple != 0)
    return rst_fail(err, RST_ERROR_USAGE, "tile %zu: expected a multiple of %zu with %d levels", o->tile,
                    multiple, a->levels);
  if (o->tile != 0 && (o->overlap > o->tile || o->tile - o->overlap < multiple))
    return rst_fail(err, RST_ERROR_USAGE, "overlap %zu: expected %zu or less with tiles of %zu and %d levels",
                    o->overlap, o->tile - multiple, o->tile, a->levels);
  return RST_OK;
}

static rst_status check_pixels(const rst_architecture *a, const rst_pixels *in, const rst_pixels *out,
                               rst_error *err) {
  if (in->channels != a->in_channels)
    return rst_fail(err, RST_ERROR_USAGE, "input has %d channels, the model takes %d", in->channels,
                    a->in_channels);
  if (out->channels != a->out_channels)
    return rst_fail(err, RST_ERROR_USAGE, "output has %d channels, the model gives %d", out->channels,
                    a->out_channels);
  if (in->width == 0 || in->height == 0)
    return rst_fail(err, RST_ERROR_USAGE, "input is %zu x %zu, expected 1 x 1 or more", in->width,
                    in->height);
  if (in->width != out->width || in->height != out->height)
    return rst_fail(err, RST_ERROR_USAGE, "output is %zu x %zu, the input %zu x %zu", out->width, out->height,
                    in->width, in->height);
  return RST_OK;
}

/* ---- Tiles along an axis --------------------------------------------------------------------------- */

typedef struct tiling {
  size_t length, padded; /* pixels; with the network's padding */
  size_t tile, stride, count;
} tiling;

static tiling tiling_of(size_t length, size_t tile, size_t overlap, size_t multiple) {
  tiling a = {.length = length, .padded = rst_round_up(length, multiple)};
  a.tile = rst_min(tile, a.padded);
  a.stride = (tile - overlap) / multiple * multiple;
  a.count = 1 + (a.padded - a.tile + a.stride - 1) / a.stride;
  return a;
}

static size_t tile_start(const tiling *a, size_t i) {
  return rst_min(i * a->stride, a->padded - a->tile);
}

/* Where tile i ends within the picture. */
static size_t tile_end(const tiling *a, size_t i) {
  return rst_min(tile_start(a, i) + a->tile, a->length);
}

/* Weight of pixel x in tile i, which holds it. Pixels near a tile's inner borders lack neighbours: the ramp
 * from 0 to 1 takes the middle third of the overlap, so that they count for nothing. */
static double tile_weight(const tiling *a, size_t i, size_t x, rst_blend blend) {
  const size_t start = tile_start(a, i), end = start + a->tile;
  if (blend == RST_BLEND_UNIFORM) return 1;
  double weight = 1;
  if (i > 0) {
    const double overlap = (double)(tile_start(a, i - 1) + a->tile - start);
    weight *= fmin(1, fmax(0, ((double)(x - start) + 0.5 - overlap / 3) / (overlap / 3)));
  }
  if (i + 1 < a->count) {
    const double overlap = (double)(end - tile_start(a, i + 1));
    weight *= fmin(1, fmax(0, ((double)(end - x) - 0.5 - overlap / 3) / (overlap / 3)));
  }
  return weight;
}

/* The sum over the tiles of each pixel's weights; NULL when there is no memory. */
static double *weight_sums(const tiling *a, rst_blend blend) {
  double *sums = rst_alloc_zeroed(a->length, sizeof *sums);
  for (size_t i = 0; sums != NULL && i < a->count; i++)
    for (size_t x = tile_start(a, i); x < tile_end(a, i); x++) sums[x] += tile_weight(a, i, x, blend);
  return sums;
}

/* ---- Plan ------------------------------------------------------------------------------------------ */

enum {
  MAX_CHOSEN_OVERLAP = 128,
  PLANNED_THREADS = 16 /* tiles are chosen as if there were so many, so that they do not depend on fewer */
};

/* What a tiled run keeps: floats of the caller's size and of a tile, and the weights of the blending. */
static uint64_t tiled_bytes(const rst_model *m, const tiling *x, const tiling *y) {
  const double pixels = (double)x->length * (double)y->length + (double)x->tile * (double)y->tile;
  const double weights = (double)x->length + (double)y->length + (double)x->tile;
  const double bytes = pixels * m->architecture.out_channels * sizeof(float) + weights * sizeof(double);
  return bytes < 1e18 ? (uint64_t)bytes : UINT64_MAX / 2;
}

static uint64_t add_bytes(uint64_t a, uint64_t b) {
  return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* The plan with tiles of the given side, 0 for the whole picture. */
static rst_status plan_of(const rst_model *m, size_t width, size_t height, const rst_restore_options *o,
                          size_t tile, size_t overlap, rst_plan *p, rst_error *err) {
  const size_t multiple = rst_architecture_multiple(&m->architecture);
  *p = (rst_plan){.weight_bytes = m->arena_bytes, .tile = tile, .overlap = overlap, .tiles = 1};
  rst_status status;
  if (tile != 0) {
    const tiling ax = tiling_of(width, tile, overlap, multiple), ay = tiling_of(height, tile, overlap, multiple);
    p->tiles = ax.count * ay.count;
    status = rst_network_bytes(m, ax.tile, ay.tile, o, &p->working_bytes, err);
    p->working_bytes = add_bytes(p->working_bytes, tiled_bytes(m, &ax, &ay));
  } else {
    status = rst_network_bytes(m, width, height, o, &p->working_bytes, err);
  }
  p->bytes = add_bytes(p->weight_bytes, p->working_bytes);
  return status;
}

/* Bytes that the plan adds to what the budget holds: the packed weights may be in it already. */
static uint64_t added_bytes(const rst_model *m, const rst_restore_options *o, const rst_plan *plan) {
  return m->budget != NULL && m->budget == o->budget ? plan->working_bytes : plan->bytes;
}

static bool fits(const rst_model *m, const rst_restore_options *o, const rst_plan *plan) {
  return o->budget == NULL || added_bytes(m, o, plan) <= rst_budget_left(o->budget);
}

/* For messages: all that would be taken, and what may be. */
static double all_megabytes(const rst_model *m, const rst_restore_options *o, const rst_plan *plan) {
  return ceil((double)add_bytes(rst_budget_used(o->budget), added_bytes(m, o, plan)) / 1e6);
}

static double allowed_megabytes(const rst_restore_options *o) {
  return floor((double)rst_budget_limit(o->budget) / 1e6);
}

static size_t chosen_overlap(size_t tile, size_t multiple) {
  return rst_min(tile / 4, MAX_CHOSEN_OVERLAP) / multiple * multiple;
}

/* The largest tiles that fit into the budget. */
static rst_status choose_tiles(const rst_model *m, size_t width, size_t height, const rst_restore_options *o,
                               rst_plan *plan, rst_error *err) {
  const size_t multiple = rst_architecture_multiple(&m->architecture);
  size_t low = 0, high = rst_round_up(width > height ? width : height, multiple) / multiple;
  rst_plan p;
  while (low < high) { /* low multiples fit (0: untried), more than high do not */
    const size_t middle = low + (high - low + 1) / 2, tile = middle * multiple;
    rst_status status = plan_of(m, width, height, o, tile, chosen_overlap(tile, multiple), &p, err);
    if (status != RST_OK) return status;
    if (fits(m, o, &p)) {
      *plan = p;
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  if (low > 0) return RST_OK;
  rst_status status = plan_of(m, width, height, o, multiple, 0, &p, err);
  if (status != RST_OK) return status;
  return rst_fail(
      err, RST_ERROR_MEMORY, "%zu x %zu pixels take %.0f MB even in the smallest tiles, allowed are %.0f MB",
      width, height, all_megabytes(m, o, &p), allowed_megabytes(o));
}

/* The whole picture, or tiles where that does not fit. */
static rst_status decide(const rst_model *m, size_t width, size_t height, const rst_restore_options *o,
                         rst_plan *plan, rst_error *err) {
  rst_status status = plan_of(m, width, height, o, o->tile, o->overlap, plan, err);
  if (status != RST_OK || fits(m, o, plan)) return status;
  if (o->tile == 0) return choose_tiles(m, width, height, o, plan, err);
  return rst_fail(err, RST_ERROR_MEMORY, "tiles of %zu pixels take %.0f MB, allowed are %.0f MB", o->tile,
                  all_megabytes(m, o, plan), allowed_megabytes(o));
}

static rst_status make_plan(const rst_model *m, size_t width, size_t height, const rst_restore_options *o,
                            rst_plan *plan, rst_error *err) {
  *plan = (rst_plan){0};
  rst_status status = check_size(width, height, err);
  if (status == RST_OK) status = check_options(&m->architecture, o, err);
  if (status == RST_OK && o->budget != NULL && o->tile == 0 && rst_threads(o->threads) < PLANNED_THREADS) {
    rst_restore_options more = *o;
    more.threads = PLANNED_THREADS;
    status = decide(m, width, height, &more, plan, err);
    if (status == RST_OK)
      status = plan_of(m, width, height, o, plan->tile, plan->overlap, plan, err);
    else if (status == RST_ERROR_MEMORY) /* so tight that it takes fewer threads */
      status = decide(m, width, height, o, plan, err);
  } else if (status == RST_OK) {
    status = decide(m, width, height, o, plan, err);
  }
  if (status != RST_OK) *plan = (rst_plan){0};
  return status;
}

rst_status rst_plan_restore(const rst_architecture *architecture, const rst_model_options *model_options,
                            size_t width, size_t height, const rst_restore_options *options, rst_plan *plan,
                            rst_error *err) {
  const rst_restore_options o = options == NULL ? (rst_restore_options){0} : *options;
  rst_model *m;
  *plan = (rst_plan){0};
  rst_model_options mo;
  rst_model_options_init(&mo);
  rst_status status = rst_options_read(&mo, sizeof mo, model_options, "rst_model_options", err);
  if (status == RST_OK) status = rst_architecture_check(architecture, "the model", err);
  if (status == RST_OK) status = rst_model_outline(architecture, &mo, &m, err);
  if (status != RST_OK) return status;
  status = make_plan(m, width, height, &o, plan, err);
  rst_model_free(m);
  return rst_end(err, status);
}

/* ---- Tiled run ------------------------------------------------------------------------------------- */

typedef struct tiled {
  const rst_model *model;
  rst_pool *pool;
  const rst_pixels *input, *output;
  const rst_restore_options *options;
  tiling x, y;
  double *x_sums, *y_sums; /* weights of all tiles at a column, a row */
  double *shares;          /* [tile width]: the tile's shares in its columns */
  float *tile;             /* [tile height][tile width][channels]: one tile's result */
  float *total;            /* [height][width][channels] */
  size_t done;             /* tiles */
} tiled;

static bool tile_progress(void *user, double fraction) {
  const tiled *t = user;
  return t->options->progress(t->options->user,
                              ((double)t->done + fraction) / (double)(t->x.count * t->y.count));
}

/* The part of the caller's picture that a tile sees; the network pads what the picture lacks. */
static rst_pixels view(const tiled *t, size_t x, size_t y) {
  rst_pixels v = *t->input;
  const ptrdiff_t offset = (ptrdiff_t)y * v.row_stride + (ptrdiff_t)x * v.column_stride;
  v.samples = (uint8_t *)v.samples + offset * (ptrdiff_t)rst_sample_size(v.sample);
  v.width = rst_min(t->x.tile, v.width - x);
  v.height = rst_min(t->y.tile, v.height - y);
  return v;
}

static void blend_tile(const tiled *t, const rst_pixels *result, size_t i, size_t j, size_t x0, size_t y0) {
  const size_t channels = (size_t)result->channels;
  const rst_blend blend = t->options->blend;
  for (size_t x = 0; x < result->width; x++)
    t->shares[x] = tile_weight(&t->x, i, x0 + x, blend) / t->x_sums[x0 + x];
  for (size_t y = 0; y < result->height; y++) {
    const double share = tile_weight(&t->y, j, y0 + y, blend) / t->y_sums[y0 + y];
    for (size_t x = 0; x < result->width; x++) {
      const float weight = (float)(t->shares[x] * share);
      const float *from = t->tile + (y * result->width + x) * channels;
      float *to = t->total + ((y0 + y) * t->x.length + x0 + x) * channels;
      if (weight > 0)
        for (size_t c = 0; c < channels; c++) to[c] += weight * from[c];
    }
  }
}

static rst_status run_tile(tiled *t, size_t i, size_t j, rst_error *err) {
  const rst_restore_options *o = t->options;
  const size_t x = tile_start(&t->x, i), y = tile_start(&t->y, j);
  const rst_pixels in = view(t, x, y);
  const int channels = t->output->channels;
  const rst_pixels result = {.samples = t->tile,
                             .sample = RST_SAMPLE_F32,
                             .width = in.width,
                             .height = in.height,
                             .channels = channels,
                             .row_stride = (ptrdiff_t)in.width * channels,
                             .column_stride = channels,
                             .channel_stride = 1};
  rst_restore_options mine = *o;
  if (o->progress != NULL) mine.progress = tile_progress, mine.user = t;
  rst_status status = rst_network_run(t->model, t->pool, &in, &result, &mine, err);
  if (status == RST_OK) blend_tile(t, &result, i, j, x, y);
  t->done++;
  return status;
}

static rst_status run_tiles(tiled *t, rst_error *err) {
  rst_status status = RST_OK;
  for (size_t j = 0; j < t->y.count && status == RST_OK; j++)
    for (size_t i = 0; i < t->x.count && status == RST_OK; i++) status = run_tile(t, i, j, err);
  const size_t channels = (size_t)t->output->channels;
  for (size_t y = 0; y < t->y.length && status == RST_OK; y++)
    for (size_t x = 0; x < t->x.length; x++)
      rst_pixels_store(t->output, x, y, t->total + (y * t->x.length + x) * channels);
  return status;
}

static rst_status restore_tiled(const rst_model *m, rst_pool *pool, const rst_pixels *in, const rst_pixels *out,
                                const rst_restore_options *o, const rst_plan *plan, rst_error *err) {
  const size_t multiple = rst_architecture_multiple(&m->architecture), channels = (size_t)out->channels;
  tiled t = {.model = m, .pool = pool, .input = in, .output = out, .options = o};
  t.x = tiling_of(in->width, plan->tile, plan->overlap, multiple);
  t.y = tiling_of(in->height, plan->tile, plan->overlap, multiple);
  t.x_sums = weight_sums(&t.x, o->blend);
  t.y_sums = weight_sums(&t.y, o->blend);
  t.shares = rst_alloc(t.x.tile, sizeof *t.shares);
  t.tile = rst_alloc(t.x.tile * t.y.tile, channels * sizeof *t.tile);
  size_t pixels;
  if (rst_mul(in->width, in->height, &pixels)) t.total = rst_alloc_zeroed(pixels, channels * sizeof *t.total);
  rst_status status;
  if (t.x_sums == NULL || t.y_sums == NULL || t.shares == NULL || t.tile == NULL || t.total == NULL)
    status = rst_fail_memory(err, "the tiles");
  else
    status = run_tiles(&t, err);
  rst_free(t.x_sums);
  rst_free(t.y_sums);
  rst_free(t.shares);
  rst_free(t.tile);
  rst_free(t.total);
  return status;
}

/* ---- Sessions -------------------------------------------------------------------------------------- */

struct rst_session {
  const rst_model *model;
  rst_restore_options options;
  size_t width, height;
  rst_plan plan;
  rst_pool *pool;
};

rst_status rst_session_create(const rst_model *model, size_t width, size_t height,
                              const rst_restore_options *options, rst_session **session, rst_error *err) {
  *session = NULL;
  rst_session *s = rst_alloc_zeroed(1, sizeof *s);
  if (s == NULL) return rst_fail_memory(err, "the session");
  *s = (rst_session){.model = model, .width = width, .height = height};
  if (options != NULL) s->options = *options;
  rst_status status = make_plan(model, width, height, &s->options, &s->plan, err);
  if (status == RST_OK)
    status = rst_budget_claim(s->options.budget, s->plan.working_bytes, "the run", err);
  if (status != RST_OK) {
    rst_free(s);
    return status;
  }
  s->pool = rst_pool_create(rst_threads(s->options.threads));
  if (s->pool == NULL) {
    rst_session_free(s);
    return rst_fail_memory(err, "the threads");
  }
  *session = s;
  return rst_end(err, status);
}

void rst_session_free(rst_session *s) {
  if (s == NULL) return;
  rst_pool_free(s->pool);
  rst_budget_give(s->options.budget, s->plan.working_bytes);
  rst_free(s);
}

const rst_plan *rst_session_plan(const rst_session *s) {
  return &s->plan;
}

rst_status rst_session_run(rst_session *s, const rst_pixels *input, const rst_pixels *output,
                           rst_error *err) {
  rst_status status = check_pixels(&s->model->architecture, input, output, err);
  if (status != RST_OK) return status;
  if (input->width != s->width || input->height != s->height)
    return rst_fail(err, RST_ERROR_USAGE, "input is %zu x %zu, the session %zu x %zu", input->width,
                    input->height, s->width, s->height);
  if (s->plan.tile != 0)
    status = restore_tiled(s->model, s->pool, input, output, &s->options, &s->plan, err);
  else
    status = rst_network_run(s->model, s->pool, input, output, &s->options, err);
  return rst_end(err, status);
}

rst_status rst_restore(const rst_model *model, const rst_pixels *input, const rst_pixels *output,
                       const rst_restore_options *options, rst_error *err) {
  rst_session *session = NULL;
  rst_status status = check_pixels(&model->architecture, input, output, err);
  if (status == RST_OK)
    status = rst_session_create(model, input->width, input->height, options, &session, err);
  if (status == RST_OK) status = rst_session_run(session, input, output, err);
  rst_session_free(session);
  return status;
}
