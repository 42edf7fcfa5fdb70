#include "model/run.h"

#include "base/error.h"

/* Bytes of a worker's ring: with the weights that pass by it should stay in a second-level cache. */
enum { RING_BYTES = 192 * 1024, MIN_STRIP = 16, MAX_STRIP = 48, STRIP_STEP = 8 };

static size_t strip_columns(size_t ring_pixel) {
  const size_t columns = RING_BYTES / 3 / ring_pixel / STRIP_STEP * STRIP_STEP;
  return columns < MIN_STRIP ? MIN_STRIP : columns > MAX_STRIP ? MAX_STRIP : columns;
}

/* The needs of a sweep over `chunk_count` chunks, `chunks` being the first rows. A part of a sweep has bands
 * of its own, which can be taller than those of the whole. */
static void count_needs(rst_run *run, const rst_sweep *s, const rst_sweep_needs *n, const size_t *chunks,
                        size_t chunk_count) {
  rst_needs *needs = &run->needs;
  const size_t bands = rst_sweep_bands(chunks, chunk_count, run->threads);
  const size_t rows = rst_sweep_band_rows(chunks, chunk_count, run->threads);
  /* One output more than columns made, in the strip that ends at the right edge; an even number. */
  const size_t pixels = s->strip + 2;
  rst_need(&needs->ring, 3 * (s->strip + 3) * s->ring_pixel);
  rst_need(&needs->carry, (rows + 2) * 2 * s->ring_pixel);
  for (int i = 0; i < 2; i++) {
    rst_need(&needs->operand[i], pixels * n->operand[i] * run->kernels->element);
    rst_need(&needs->values[i], (pixels * n->values[i] + RST_GROUP) * sizeof(float));
  }
  if (s->in_place) rst_need(&needs->border_rows, 2 * (bands - 1) * s->width * s->source->pixel);
}

void rst_run_sweep_part(rst_run *run, int level, rst_sweep *s, rst_sweep_needs needs, size_t first,
                        size_t end) {
  const rst_grid *grid = &run->grid[level];
  s->width = grid->width, s->height = grid->height;
  s->strip = strip_columns(s->ring_pixel);
  s->column_cuts = grid->x.cuts;
  s->chunks = grid->chunks, s->chunk_count = grid->chunk_count;
  s->pool = run->pool, s->threads = run->threads;
  s->workers = run->workers;
  s->border_rows = run->border_rows;
  if (run->planning)
    count_needs(run, s, &needs, s->chunks + first, end - first);
  else
    rst_sweep_run(s, first, end);
}

void rst_run_sweep(rst_run *run, int level, rst_sweep *s, rst_sweep_needs needs) {
  rst_need(&run->map_peak, run->map_bytes); /* an ordinary sweep touches all of the maps there are */
  rst_run_sweep_part(run, level, s, needs, 0, run->grid[level].chunk_count);
}

rst_status rst_run_map(rst_run *run, int level, size_t channels, rst_map *map, rst_error *err) {
  const size_t width = run->grid[level].width, height = run->grid[level].height;
  const size_t element = run->kernels->element;
  if (run->planning) {
    *map = (rst_map){.width = width, .height = height, .pixel = rst_padded(channels) * element};
    map->bytes = rst_map_bytes(width, height, channels, element);
    if (map->bytes > SIZE_MAX / 16) { /* a few such maps would wrap */
      run->too_large = true;
      map->bytes = 0;
    }
  } else if (!rst_map_alloc(map, width, height, channels, element)) {
    *map = (rst_map){0}; /* nothing to count when it is freed */
    return rst_fail_memory(err, "the feature maps");
  }
  run->map_bytes += map->bytes;
  return RST_OK;
}

void rst_run_map_free(rst_run *run, rst_map *map) {
  run->map_bytes -= map->bytes;
  if (!run->planning) rst_map_free(map);
  *map = (rst_map){0};
}

rst_status rst_run_advance(rst_run *run, double work, rst_error *err) {
  if (run->planning) {
    run->work_total += work;
    return RST_OK;
  }
  run->work_done += work;
  const rst_restore_options *o = run->options;
  if (o->progress == NULL || o->progress(o->user, run->work_done / run->work_total)) return RST_OK;
  return rst_fail(err, RST_CANCELLED, "cancelled");
}

void rst_run_stage_done(rst_run *run, const char *stage) {
  if (run->planning || run->options->stage_done == NULL) return;
  const double now = rst_seconds();
  run->options->stage_done(run->options->stage_user, stage, now - run->stage_start);
  run->stage_start = now;
}
