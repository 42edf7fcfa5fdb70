#include "model/plan.h"

#include <math.h>

#include "base/budget.h"
#include "base/error.h"
#include "base/threads.h"
#include "model/run.h"

/* ---- Checks ---------------------------------------------------------------------------------------- */

static rst_status check_size(size_t width, size_t height, rst_error *err) {
  if (width == 0 || height == 0)
    return rst_fail(err, RST_ERROR_USAGE, "picture is %zu x %zu, expected 1 x 1 or more", width, height);
  /* Padded and overlapping tiles cover less than that many times the picture. */
  if (width > SIZE_MAX / 4 || height > SIZE_MAX / 4 / width) return rst_fail_memory(err, "the feature maps");
  return RST_OK;
}

static rst_status check_options(const rst_architecture *a, const rst_session_options *o, rst_error *err) {
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

/* ---- Plan ------------------------------------------------------------------------------------------ */

enum {
  MAX_CHOSEN_OVERLAP = 128,
  PLANNED_THREADS = 16 /* tiles are chosen as if there were so many, so that they do not depend on fewer */
};

static uint64_t add_bytes(uint64_t a, uint64_t b) {
  return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

rst_tiles rst_plan_tiles(const rst_model *m, size_t width, size_t height, const rst_session_options *o,
                         const rst_plan *p) {
  const rst_architecture *a = &m->architecture;
  return rst_tiles_of(width, height, p->tile, p->overlap, rst_architecture_multiple(a), o->blend,
                      a->out_channels);
}

/* The plan with tiles of the given side, 0 for the whole picture. */
static rst_status plan_of(const rst_model *m, size_t width, size_t height, const rst_session_options *o,
                          size_t tile, size_t overlap, rst_plan *p, rst_error *err) {
  rst_plan_init(p);
  p->weight_bytes = m->arena_bytes;
  p->tile = tile, p->overlap = overlap, p->tiles = 1;
  rst_place place = {0};
  if (tile != 0) {
    rst_tiles t = rst_plan_tiles(m, width, height, o, p);
    p->tiles = t.x.count * t.y.count;
    rst_tiles_place(&t, &place);
    width = t.x.tile, height = t.y.tile;
  }
  rst_run run;
  const rst_status status = rst_network_plan(&run, m, width, height, o, err);
  p->working_bytes = add_bytes(place.used, rst_network_bytes(&run));
  p->bytes =
      add_bytes(p->weight_bytes, p->working_bytes > m->calibration ? p->working_bytes : m->calibration);
  rst_network_free(&run);
  return status;
}

/* Bytes that the plan adds to what the budget holds: the packed weights may be in it, or in another one,
 * already. */
static uint64_t added_bytes(const rst_model *m, const rst_plan *plan) {
  return m->budget != NULL ? plan->working_bytes : plan->bytes;
}

static bool fits(const rst_model *m, const rst_session_options *o, const rst_plan *plan) {
  return o->budget == NULL || added_bytes(m, plan) <= rst_budget_left(o->budget);
}

/* For messages: all that would be taken, and what may be. */
static double all_megabytes(const rst_model *m, const rst_session_options *o, const rst_plan *plan) {
  return ceil((double)add_bytes(rst_budget_used(o->budget), added_bytes(m, plan)) / 1e6);
}

static double allowed_megabytes(const rst_session_options *o) {
  return floor((double)rst_budget_limit(o->budget) / 1e6);
}

static size_t chosen_overlap(size_t tile, size_t multiple) {
  return rst_min(tile / 4, MAX_CHOSEN_OVERLAP) / multiple * multiple;
}

/* The largest tiles that fit into the budget. */
static rst_status choose_tiles(const rst_model *m, size_t width, size_t height, const rst_session_options *o,
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
  return rst_fail(err, RST_ERROR_MEMORY,
                  "%zu x %zu pixels take %.0f MB even in the smallest tiles, allowed are %.0f MB", width,
                  height, all_megabytes(m, o, &p), allowed_megabytes(o));
}

/* The whole picture, or tiles where that does not fit. */
static rst_status decide(const rst_model *m, size_t width, size_t height, const rst_session_options *o,
                         rst_plan *plan, rst_error *err) {
  rst_status status = plan_of(m, width, height, o, o->tile, o->overlap, plan, err);
  if (status != RST_OK || fits(m, o, plan)) return status;
  if (o->tile == 0) return choose_tiles(m, width, height, o, plan, err);
  return rst_fail(err, RST_ERROR_MEMORY, "tiles of %zu pixels take %.0f MB, allowed are %.0f MB", o->tile,
                  all_megabytes(m, o, plan), allowed_megabytes(o));
}

rst_status rst_plan_make(const rst_model *m, size_t width, size_t height, const rst_session_options *o,
                         rst_plan *plan, rst_error *err) {
  rst_status status = check_size(width, height, err);
  if (status == RST_OK) status = check_options(&m->architecture, o, err);
  if (status == RST_OK && o->budget != NULL && o->tile == 0 && rst_threads(o->threads) < PLANNED_THREADS) {
    rst_session_options more = *o;
    more.threads = PLANNED_THREADS;
    status = decide(m, width, height, &more, plan, err);
    if (status == RST_OK)
      status = plan_of(m, width, height, o, plan->tile, plan->overlap, plan, err);
    else if (status == RST_ERROR_MEMORY) /* so tight that it takes fewer threads */
      status = decide(m, width, height, o, plan, err);
  } else if (status == RST_OK) {
    status = decide(m, width, height, o, plan, err);
  }
  if (status != RST_OK) rst_plan_init(plan);
  return status;
}
