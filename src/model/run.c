#include "model/run.h"

#include <math.h>

#include "base/error.h"
#include "base/pages.h"

/* Bytes of a worker's ring: with the weights that pass by it should stay in a second-level cache. */
enum { RING_BYTES = 192 * 1024, MIN_STRIP = 16, MAX_STRIP = 48, STRIP_STEP = 8 };

static size_t strip_columns(size_t ring_pixel) {
  const size_t columns = RING_BYTES / 3 / ring_pixel / STRIP_STEP * STRIP_STEP;
  return columns < MIN_STRIP ? MIN_STRIP : columns > MAX_STRIP ? MAX_STRIP : columns;
}

static void count_needs(rst_run *run, const rst_sweep *s, const rst_sweep_needs *n, size_t first,
                        size_t end) {
  rst_needs *needs = &run->needs;
  /* One output more than columns made, in the strip that ends at the right edge; an even number. */
  const size_t pixels = s->strip + 2;
  rst_need(&needs->ring, 3 * (s->strip + 3) * s->ring_pixel);
  rst_need(&needs->carry, (rst_sweep_band_rows(s, first, end) + 2) * 2 * s->ring_pixel);
  for (int i = 0; i < 2; i++) {
    rst_need(&needs->operand[i], pixels * n->operand[i] * run->kernels->operand);
    rst_need(&needs->values[i], (pixels * n->values[i] + RST_GROUP) * sizeof(float));
  }
  if (s->in_place)
    rst_need(&needs->border_rows, 2 * (rst_sweep_bands(s, first, end) - 1) * s->width * s->source->pixel);
}

void rst_run_sweep_part(rst_run *run, int level, rst_sweep *s, rst_sweep_needs needs, size_t first,
                        size_t end) {
  const rst_grid *grid = &run->grid[level];
  s->width = grid->width, s->height = grid->height;
  s->strip = strip_columns(s->ring_pixel);
  s->column_cuts = grid->x.cuts;
  s->watch = &run->watch;
  s->pool = run->pool, s->threads = run->threads;
  s->workers = run->workers;
  s->border_rows = run->border_rows;
  if (run->planning)
    count_needs(run, s, &needs, first, end);
  else
    rst_sweep_run(s, first, end);
}

void rst_run_sweep(rst_run *run, int level, rst_sweep *s, rst_sweep_needs needs) {
  rst_need(&run->map_peak, run->map_bytes); /* an ordinary sweep touches all of the maps there are */
  rst_run_sweep_part(run, level, s, needs, 0, run->grid[level].height);
}

/* ---- Maps -------------------------------------------------------------------------------------------- */

/* The first stretch of memory that no other map is in; planning and running find the same. */
static rst_span *find_span(rst_run *run, size_t bytes) {
  rst_span found = {0, rst_round_up(bytes, RST_PAGE)}, *free_one = NULL;
  for (size_t i = 0; i <= RST_MAX_LEVELS;) {
    const rst_span *s = &run->spans[i++];
    if (s->start == s->end) {
      free_one = &run->spans[i - 1];
    } else if (found.start < s->end && s->start < found.end) { /* try behind it */
      found = (rst_span){s->end, s->end + found.end - found.start};
      i = 0;
    }
  }
  if (free_one != NULL) *free_one = found; /* there always is: a map of each level and one more */
  rst_need(&run->spans_end, found.end);
  return free_one;
}

rst_status rst_run_map(rst_run *run, int level, size_t channels, rst_map *map, rst_error *err) {
  const size_t element = run->kernels->element;
  *map = (rst_map){.width = run->grid[level].width,
                   .height = run->grid[level].height,
                   .pixel = rst_padded(channels) * element};
  map->bytes = rst_map_bytes(map->width, map->height, channels, element);
  if (map->bytes > SIZE_MAX / 16) { /* a few such maps would wrap */
    run->too_large = true;
    map->bytes = 0;
  }
  map->span = find_span(run, map->bytes);
  if (map->span == NULL) return rst_fail_memory(err, "the feature maps");
  if (!run->planning) map->data = run->map_memory + map->span->start;
  run->map_bytes += map->bytes;
  return RST_OK;
}

void rst_run_map_free(rst_run *run, rst_map *map) {
  if (map->span == NULL) return;
  run->map_bytes -= map->bytes;
  if (!run->planning) rst_pages_release(map->data, map->span->end - map->span->start);
  *map->span = (rst_span){0};
  *map = (rst_map){0};
}

/* ---- Progress ---------------------------------------------------------------------------------------- */

static const double LOOK_EVERY = 0.05; /* seconds */

/* Tells how far the run is; never less than before. */
static void tell(rst_run *run, double work) {
  const rst_session_options *o = run->options;
  if (o->progress == NULL || atomic_load(&run->watch.stop)) return;
  const double fraction = run->first + run->share * fmin(1, work / run->work_total);
  run->told = fmax(run->told, fraction);
  if (!o->progress(o->user, run->told)) atomic_store(&run->watch.stop, true);
}

void rst_run_look(void *context) {
  rst_run *run = context;
  const double now = rst_seconds();
  if (now < run->next_look) return;
  run->next_look = now + LOOK_EVERY;
  const double pixels = (double)atomic_load(&run->watch.pixels);
  tell(run, run->work_done + run->part_work * fmin(1, pixels / run->part_pixels));
}

void rst_run_part_begin(rst_run *run, double work, double pixels) {
  run->part_work = work;
  run->part_pixels = pixels;
  atomic_store(&run->watch.pixels, 0);
}

rst_status rst_run_part_end(rst_run *run, rst_error *err) {
  if (run->planning) {
    run->work_total += run->part_work;
    return RST_OK;
  }
  run->work_done += run->part_work;
  run->next_look = rst_seconds() + LOOK_EVERY;
  tell(run, run->work_done);
  return atomic_load(&run->watch.stop) ? rst_fail(err, RST_CANCELLED, "cancelled") : RST_OK;
}

void rst_run_stage_done(rst_run *run, const char *stage) {
  if (run->planning || run->options->stage_done == NULL) return;
  const double now = rst_seconds();
  run->options->stage_done(run->options->stage_user, stage, now - run->stage_start);
  run->stage_start = now;
}
