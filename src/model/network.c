/* network.c - the whole network, from picture to picture. */
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/threads.h"
#include "model/run.h"

static rst_status walk(rst_run *run, rst_error *err) {
  const rst_model *m = run->model;
  const rst_part *part = m->parts, *end = part + m->part_count;
  rst_status status = RST_OK;
  for (; part < end && status == RST_OK; part++) {
    if (part->kind->run == NULL) continue;
    const rst_grid *grid = &run->grid[part->level];
    status = part->kind->run(run, part, err);
    if (status != RST_OK) break;
    if (part + 1 == end || strcmp(part->stage, part[1].stage) != 0) rst_run_stage_done(run, part->stage);
    status =
        rst_run_advance(run, (double)rst_part_macs(part) * (double)grid->width * (double)grid->height, err);
  }
  for (int l = 0; l < RST_MAX_LEVELS; l++) rst_run_map_free(run, &run->maps[l]);
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

enum { MAX_MAP_SIDE = 1 << 28 }; /* far beyond any memory, and no product of sizes wraps */

static rst_status init_run(rst_run *run, const rst_model *model, size_t width, size_t height,
                           const rst_restore_options *options, rst_error *err) {
  *run = (rst_run){.model = model, .kernels = model->kernels, .planning = true, .options = options};
  run->threads = rst_threads(options->threads);
  const size_t multiple = rst_architecture_multiple(&model->architecture);
  if (width > MAX_MAP_SIDE || height > MAX_MAP_SIDE) {
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

rst_status rst_network_run(const rst_model *model, rst_pool *pool, const rst_pixels *input,
                           const rst_pixels *output, const rst_restore_options *options, rst_error *err) {
  rst_run run;
  rst_status status = init_run(&run, model, input->width, input->height, options, err);
  run.pool = pool;
  run.input = input;
  run.output = output;
  run.planning = false;
  if (status == RST_OK && run.too_large) status = rst_fail_memory(err, "the feature maps");
  if (status == RST_OK) status = buffers_alloc(&run, err);
  run.stage_start = rst_seconds();
  if (status == RST_OK) status = walk(&run, err);
  run_free(&run);
  return status;
}
