/* run.h - one run of a model over a picture.
 *
 * The network is walked twice by the same code: planning, in which maps and buffers are only counted, and
 * then for real with buffers of the sizes found. */
#ifndef RST_MODEL_RUN_H
#define RST_MODEL_RUN_H

#include "model/grid.h"
#include "model/map.h"
#include "model/model.h"
#include "model/sweep.h"

/* Bytes of the buffers, the largest that any sweep asked for. */
typedef struct rst_needs {
  size_t ring, carry, operand[2], values[2], sums;          /* of each worker */
  size_t border_rows, partials, attention, folded, product; /* of the run */
} rst_needs;

struct rst_run {
  const rst_model *model;
  const rst_kernels *kernels;
  const rst_pixels *input, *output;
  size_t width, height; /* padded to the network's multiple */
  rst_grid grid[RST_MAX_LEVELS];
  rst_map maps[RST_MAX_LEVELS]; /* of each level, where there is one; the parts make, change and free them */
  rst_pool *pool; /* NULL while planning */
  int threads;    /* of the pool */

  bool planning;
  bool too_large; /* found in planning: no memory holds the maps */
  rst_needs needs;
  size_t map_bytes, map_peak; /* of maps alive now, of the most so far */

  rst_worker *workers; /* [threads] */
  uint8_t *border_rows;
  float *partials;  /* attention statistics per chunk and column of cells */
  float *attention; /* per cell: transposed attention matrices of all heads */
  void *folded;     /* per cell: attention multiplied into project_out, packed */
  float *product;   /* bf16: one cell's, before rounding */

  double work_done, work_total;       /* multiply-adds, for the progress */
  const rst_restore_options *options; /* for the callbacks */
  double stage_start;                 /* seconds */
};

/* What a sweep needs from a worker, per output pixel. */
typedef struct rst_sweep_needs {
  size_t operand[2]; /* elements */
  size_t values[2];  /* floats */
} rst_sweep_needs;

/* Completes the sweep (size, strip, cuts, buffers) for a level and runs it over chunks [first, end), or
 * counts what it needs. The caller sets source, in_place, ring_pixel and callbacks. */
void rst_run_sweep_part(rst_run *run, int level, rst_sweep *sweep, rst_sweep_needs needs, size_t first,
                        size_t end);
void rst_run_sweep(rst_run *run, int level, rst_sweep *sweep, rst_sweep_needs needs);

/* A map of a level. */
rst_status rst_run_map(rst_run *run, int level, size_t channels, rst_map *map, rst_error *err);
void rst_run_map_free(rst_run *run, rst_map *map);

/* Adds `work` multiply-adds and tells the progress; RST_CANCELLED when that says stop. */
rst_status rst_run_advance(rst_run *run, double work, rst_error *err);

/* Ends a stage, which began where the last one ended. */
void rst_run_stage_done(rst_run *run, const char *stage);

static inline void rst_need(size_t *most, size_t bytes) {
  *most = *most > bytes ? *most : bytes;
}

/* network.c: one run over the whole of `input`, whose shape and that of `output` fit the model; the options
 * for tiles and memory mean nothing here; the pool has as many threads as they say. RST_ERROR_MEMORY or
 * RST_CANCELLED. */
rst_status rst_network_run(const rst_model *model, rst_pool *pool, const rst_pixels *input,
                           const rst_pixels *output, const rst_restore_options *options, rst_error *err);
/* *bytes = maps and buffers at their peak in such a run; UINT64_MAX when that does not fit. The model need
 * not be filled. RST_ERROR_MEMORY when there is none for the planning itself. */
rst_status rst_network_bytes(const rst_model *model, size_t width, size_t height,
                             const rst_restore_options *options, uint64_t *bytes, rst_error *err);

/* pixels.c: samples of the caller's pictures as floats. */
void rst_pixels_load(const rst_pixels *p, size_t x, size_t y, float *channels);
void rst_pixels_store(const rst_pixels *p, size_t x, size_t y, const float *channels);

#endif
