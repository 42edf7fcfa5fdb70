/* network.c - the whole network, from picture to picture. */
#include <omp.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/threads.h"
#include "model/run.h"

static rst_status run_stage(rst_run *run, const rst_stage *stage, int level, rst_map *map, rst_error *err) {
  rst_status status = RST_OK;
  for (size_t i = 0; i < stage->count && status == RST_OK; i++)
    status = rst_block_run(run, &stage->blocks[i], level, map, err);
  return status;
}

static rst_status new_map(rst_run *run, int level, size_t channels, rst_map *map, rst_error *err) {
  return rst_run_map(run, map, run->grid[level].width, run->grid[level].height, channels, err);
}

/* From the picture to the latent features: maps[l] is the encoder's result of level l. */
static rst_status encode(rst_run *run, rst_map *maps, rst_error *err) {
  const rst_model *m = run->model;
  const int levels = m->architecture.levels;
  rst_status status = new_map(run, 0, (size_t)m->architecture.dim, &maps[0], err);
  if (status != RST_OK) return status;
  rst_patch_embed_run(run, &maps[0]);
  rst_run_stage_done(run, "patch_embed");
  for (int l = 0; l < levels && status == RST_OK; l++) {
    status = run_stage(run, &m->encoder[l], l, &maps[l], err);
    if (status != RST_OK) break;
    if (l == levels - 1) {
      rst_run_stage_done(run, "latent");
      break;
    }
    rst_run_stage_done(run, "encoder_level%d", l + 1);
    status = new_map(run, l + 1, (size_t)m->architecture.dim << (l + 1), &maps[l + 1], err);
    if (status != RST_OK) break;
    rst_down_run(run, l, &maps[l], &maps[l + 1]);
    rst_run_stage_done(run, "down%d_%d", l + 1, l + 2);
  }
  return status;
}

/* Back up to the first level, whose map takes the place of maps[0] (twice as wide if there are more). */
static rst_status decode(rst_run *run, rst_map *maps, rst_error *err) {
  const rst_model *m = run->model;
  rst_status status = RST_OK;
  for (int l = m->architecture.levels - 2; l > 0 && status == RST_OK; l--) {
    rst_up_reduce_run(run, l, &maps[l + 1], &maps[l]);
    rst_run_map_free(run, &maps[l + 1]);
    rst_run_stage_done(run, "up%d_%d", l + 2, l + 1);
    status = run_stage(run, &m->decoder[l], l, &maps[l], err);
    if (status == RST_OK) rst_run_stage_done(run, "decoder_level%d", l + 1);
  }
  if (status != RST_OK || m->architecture.levels == 1) return status;
  rst_map top;
  status = new_map(run, 0, rst_top_channels(&m->architecture), &top, err);
  if (status != RST_OK) return status;
  rst_up_concat_run(run, &maps[1], &maps[0], &top);
  rst_run_map_free(run, &maps[1]);
  rst_run_map_free(run, &maps[0]);
  maps[0] = top;
  rst_run_stage_done(run, "up2_1");
  status = run_stage(run, &m->decoder[0], 0, &maps[0], err);
  if (status == RST_OK) rst_run_stage_done(run, "decoder_level1");
  return status;
}

static rst_status walk(rst_run *run, rst_error *err) {
  const rst_model *m = run->model;
  rst_map maps[RST_MAX_LEVELS] = {{0}};
  rst_status status = encode(run, maps, err);
  if (status == RST_OK) status = decode(run, maps, err);
  if (status == RST_OK) status = run_stage(run, &m->refinement, 0, &maps[0], err);
  if (status == RST_OK) {
    rst_run_stage_done(run, "refinement");
    if (m->architecture.dual_pixel) rst_skip_conv_run(run, &maps[0]);
    rst_output_run(run, &maps[0]);
    rst_run_stage_done(run, "output");
  }
  for (int l = 0; l < RST_MAX_LEVELS; l++) rst_run_map_free(run, &maps[l]);
  return status;
}

/* ---- Buffers ----------------------------------------------------------------------------------- */

static bool worker_alloc(rst_worker *w, const rst_needs *n) {
  w->ring = rst_alloc(n->ring, 1);
  w->carry = rst_alloc(n->carry, 1);
  w->sums = rst_alloc(n->sums, 1);
  bool all = w->ring != NULL && w->carry != NULL && w->sums != NULL;
  for (int i = 0; i < 2; i++) {
    w->operand[i] = rst_alloc(n->operand[i], 1);
    w->values[i] = rst_alloc(n->values[i], 1);
    all = all && w->operand[i] != NULL && w->values[i] != NULL;
  }
  return all;
}

static void worker_free(rst_worker *w) {
  rst_free(w->ring);
  rst_free(w->carry);
  rst_free(w->sums);
  for (int i = 0; i < 2; i++) {
    rst_free(w->operand[i]);
    rst_free(w->values[i]);
  }
}

static rst_status buffers_alloc(rst_run *run, rst_error *err) {
  const rst_needs *n = &run->needs;
  run->workers = rst_alloc_zeroed((size_t)run->threads, sizeof *run->workers);
  run->border_rows = rst_alloc(n->border_rows, 1);
  run->partials = rst_alloc(n->partials, 1);
  run->attention = rst_alloc(n->attention, 1);
  run->folded = rst_alloc(n->folded, 1);
  run->product = rst_alloc(n->product, 1);
  bool all = run->workers != NULL && run->border_rows != NULL && run->partials != NULL &&
             run->attention != NULL && run->folded != NULL && run->product != NULL;
  for (int t = 0; t < run->threads && all; t++) all = worker_alloc(&run->workers[t], n);
  return all ? RST_OK : rst_fail_memory(err, "the working buffers");
}

static void run_free(rst_run *run) {
  for (int l = 0; l < RST_MAX_LEVELS; l++) rst_grid_free(&run->grid[l]);
  for (int t = 0; t < run->threads && run->workers != NULL; t++) worker_free(&run->workers[t]);
  rst_free(run->workers);
  rst_free(run->border_rows);
  rst_free(run->partials);
  rst_free(run->attention);
  rst_free(run->folded);
  rst_free(run->product);
}

/* ---- Entry points --------------------------------------------------------------------------------- */

enum { MAX_SIDE = 1 << 28 }; /* far beyond any memory, and no product of sizes wraps */

static rst_status init_run(rst_run *run, const rst_model *model, size_t width, size_t height,
                           const rst_restore_options *options, rst_error *err) {
  *run = (rst_run){.model = model, .kernels = model->kernels, .planning = true, .options = options};
  run->threads = rst_threads(options->threads);
  const size_t multiple = rst_architecture_multiple(&model->architecture);
  if (width > MAX_SIDE || height > MAX_SIDE) {
    run->too_large = true;
    return RST_OK;
  }
  run->width = rst_round_up(width, multiple);
  run->height = rst_round_up(height, multiple);
  rst_status status = RST_OK;
  for (int l = 0; l < model->architecture.levels && status == RST_OK; l++)
    status = rst_grid_init(&run->grid[l], run->width >> l, run->height >> l, options->window >> l, err);
  return status == RST_OK ? walk(run, err) : status;
}

rst_status rst_network_bytes(const rst_model *model, size_t width, size_t height,
                             const rst_restore_options *options, uint64_t *bytes, rst_error *err) {
  rst_run run;
  *bytes = UINT64_MAX;
  const rst_status status = init_run(&run, model, width, height, options, err);
  if (status == RST_OK && !run.too_large) {
    const rst_needs *n = &run.needs;
    const size_t worker =
        n->ring + n->carry + n->operand[0] + n->operand[1] + n->values[0] + n->values[1] + n->sums;
    *bytes = (uint64_t)run.map_peak + (uint64_t)run.threads * worker + n->border_rows + n->partials +
             n->attention + n->folded + n->product;
  }
  run_free(&run);
  return status;
}

rst_status rst_network_run(const rst_model *model, const rst_pixels *input, const rst_pixels *output,
                           const rst_restore_options *options, rst_error *err) {
  rst_run run;
  rst_status status = init_run(&run, model, input->width, input->height, options, err);
  run.input = input;
  run.output = output;
  run.planning = false;
  if (status == RST_OK && run.too_large) status = rst_fail_memory(err, "the feature maps");
  if (status == RST_OK) status = buffers_alloc(&run, err);
  run.stage_start = omp_get_wtime();
  if (status == RST_OK) status = walk(&run, err);
  run_free(&run);
  return status;
}
