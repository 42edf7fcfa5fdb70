/* network.c - the whole network, from picture to picture. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/threads.h"
#include "model/run.h"

static rst_status run_part(rst_run *run, const rst_part *part, rst_error *err) {
  const rst_grid *grid = &run->grid[part->level];
  const double pixels = (double)grid->width * (double)grid->height;
  rst_run_part_begin(run, (double)rst_part_macs(part) * pixels, part->kind->sweeps * pixels);
  const rst_status status = part->kind->run(run, part, err);
  return status == RST_OK ? rst_run_part_end(run, err) : status;
}

static rst_status walk(rst_run *run, rst_error *err) {
  const rst_model *m = run->model;
  const rst_part *part = m->parts, *end = part + m->part_count;
  rst_status status = RST_OK;
  for (; part < end && status == RST_OK; part++) {
    if (part->kind->run == NULL) continue;
    status = run_part(run, part, err);
    if (status == RST_OK && (part + 1 == end || strcmp(part->stage, part[1].stage) != 0))
      rst_run_stage_done(run, part->stage);
  }
  for (int l = 0; l < RST_MAX_LEVELS; l++) rst_run_map_free(run, &run->maps[l]);
  return status;
}

/* ---- Planning -------------------------------------------------------------------------------------- */

enum { LARGEST_SIDE = 1 << 28 }; /* far beyond any memory, and no product of sizes wraps */

rst_status rst_network_plan(rst_run *run, const rst_model *model, size_t width, size_t height,
                            const rst_session_options *options, rst_error *err) {
  *run = (rst_run){.model = model, .kernels = model->kernels, .planning = true, .options = options};
  run->threads = rst_threads(options->threads);
  const size_t multiple = rst_architecture_multiple(&model->architecture);
  if (width > LARGEST_SIDE || height > LARGEST_SIDE) {
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

void rst_network_free(rst_run *run) {
  for (int l = 0; l < RST_MAX_LEVELS; l++) rst_grid_free(&run->grid[l]);
  *run = (rst_run){0};
}

static void place_buffers(rst_run *run, rst_place *p) {
  const rst_needs *n = &run->needs;
  rst_worker *workers = rst_place_take(p, (size_t)run->threads * sizeof *workers);
  for (int t = 0; t < run->threads; t++) {
    rst_worker w = {.ring = rst_place_take(p, n->ring), .carry = rst_place_take(p, n->carry)};
    for (int i = 0; i < 2; i++) {
      w.operand[i] = rst_place_take(p, n->operand[i]);
      w.values[i] = rst_place_take(p, n->values[i]);
    }
    w.sums = rst_place_take(p, n->sums);
    if (workers != NULL) workers[t] = w;
  }
  run->workers = workers;
  run->border_rows = rst_place_take(p, n->border_rows);
  run->partials = rst_place_take(p, n->partials);
  run->attention = rst_place_take(p, n->attention);
  run->folded = rst_place_take(p, n->folded);
  run->product = rst_place_take(p, n->product);
  run->prompt = rst_place_take(p, n->prompt);
}

uint64_t rst_network_bytes(const rst_run *run) {
  rst_run counted = *run;
  rst_place p = {0};
  size_t bytes;
  place_buffers(&counted, &p);
  return !run->too_large && rst_add(p.used, run->map_peak, &bytes) ? bytes : UINT64_MAX;
}

void rst_network_take(rst_run *run, rst_place *p) {
  place_buffers(run, p);
  p->used = rst_round_up(p->used, RST_PAGE);
  run->map_memory = rst_place_take(p, run->spans_end);
}

/* ---- Running --------------------------------------------------------------------------------------- */

rst_status rst_network_run(rst_run *run, rst_pool *pool, const rst_pixels *input, const rst_pixels *output,
                           double first, double share, rst_error *err) {
  run->planning = false;
  run->pool = pool;
  run->input = input;
  run->output = output;
  run->first = first;
  run->told = first > 0 ? fmax(run->told, first) : 0; /* rounding must not let it fall from tile to tile */
  run->share = share;
  run->work_done = 0;
  run->watch.look = rst_run_look;
  run->watch.context = run;
  atomic_store(&run->watch.stop, false);
  atomic_store(&run->overflow, false);
  run->stage_start = rst_seconds();
  run->next_look = run->stage_start;
  const rst_status status = walk(run, err);
  if (status != RST_OK || !atomic_load(&run->overflow)) return status;
  return rst_fail(err, RST_ERROR_NUMBERS,
                  "the computation overflowed: the result has samples that are not finite");
}
