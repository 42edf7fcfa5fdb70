/* run.h - runs of a model over pictures of one size.
 *
 * The network is walked by the same code first for planning, in which maps and buffers are only counted, and
 * then for every run, in memory of the sizes found. */
#ifndef RST_MODEL_RUN_H
#define RST_MODEL_RUN_H

#include "base/memory.h"
#include "model/grid.h"
#include "model/map.h"
#include "model/model.h"
#include "model/sweep.h"

/* Bytes of the buffers, the largest that any sweep asked for. */
typedef struct rst_needs {
  size_t ring, carry, operand[2], values[2], sums;                  /* of each worker */
  size_t border_rows, partials, attention, folded, product, prompt; /* of the run */
} rst_needs;

enum {
  RST_PAGE = 4096
}; /* where maps begin: a page, or less, and then those at its borders are not given back */

/* A stretch of the maps' memory. */
typedef struct rst_span {
  size_t start, end; /* bytes */
} rst_span;

struct rst_run {
  const rst_model *model;
  const rst_kernels *kernels;
  size_t width, height; /* padded to the network's multiple */
  rst_grid grid[RST_MAX_LEVELS];
  int threads;

  bool planning;
  bool too_large; /* found in planning: no memory holds the maps */
  rst_needs needs;
  size_t map_bytes, map_peak;         /* of maps alive now, of the most so far */
  rst_span spans[RST_MAX_LEVELS + 1]; /* of the maps alive now; empty ones are free */
  size_t spans_end;                   /* behind the last one so far */

  uint8_t *map_memory;          /* [spans_end] */
  rst_map maps[RST_MAX_LEVELS]; /* of each level, where there is one; the parts make, change and free them */
  rst_worker *workers;          /* [threads] */
  uint8_t *border_rows;
  float *partials;  /* statistics per chunk (attention's: and column of cells) */
  float *attention; /* per cell: transposed attention matrices of all heads */
  void *folded;     /* per cell: attention multiplied into project_out, packed */
  float *product;   /* one cell's, before it is packed; where the packed ones are no floats */
  float *prompt;    /* before it is resized */

  /* Of one run. */
  rst_pool *pool;
  const rst_pixels *input, *output;
  const rst_session_options *options; /* for the callbacks */
  double stage_start;                 /* seconds */
  double work_done, work_total;       /* multiply-adds of whole parts; the total is found in planning */
  double part_work, part_pixels;      /* of the part that runs: multiply-adds, outputs of its sweeps */
  double first, share;                /* what the caller is told begins at `first` and grows by `share` */
  double told, next_look;             /* the last fraction; seconds */
  rst_watch watch;
  atomic_bool overflow; /* a result was not finite */
};

/* What a sweep needs from a worker, per output pixel. */
typedef struct rst_sweep_needs {
  size_t operand[2]; /* operands of products, which are no smaller than elements */
  size_t values[2];  /* floats */
} rst_sweep_needs;

/* Completes the sweep (size, strip, cuts, buffers) for a level and runs it over rows [first, end), or counts
 * what it needs. The caller sets source, in_place, ring_pixel and callbacks. */
void rst_run_sweep_part(rst_run *run, int level, rst_sweep *sweep, rst_sweep_needs needs, size_t first,
                        size_t end);
void rst_run_sweep(rst_run *run, int level, rst_sweep *sweep, rst_sweep_needs needs);

/* A map of a level, uninitialised. Freeing gives its memory back to the system. */
rst_status rst_run_map(rst_run *run, int level, size_t channels, rst_map *map, rst_error *err);
void rst_run_map_free(rst_run *run, rst_map *map);

/* Tells the progress within a part now and then, for `watch`; `context` is the run. */
void rst_run_look(void *context);
/* Begins a part of so many multiply-adds and outputs of sweeps; ends it and tells the progress, RST_CANCELLED
 * when that says, or has said, stop. */
void rst_run_part_begin(rst_run *run, double work, double pixels);
rst_status rst_run_part_end(rst_run *run, rst_error *err);

/* Ends a stage, which began where the last one ended. */
void rst_run_stage_done(rst_run *run, const char *stage);

static inline void rst_need(size_t *most, size_t bytes) {
  *most = *most > bytes ? *most : bytes;
}

/* network.c: a run over pictures of that size (or smaller by less than the network's multiple), planned. It
 * ends, also on failure, with rst_network_free. RST_ERROR_MEMORY when there is none for the planning itself.
 */
rst_status rst_network_plan(rst_run *run, const rst_model *model, size_t width, size_t height,
                            const rst_session_options *options, rst_error *err);
void rst_network_free(rst_run *run);
/* Bytes of maps and buffers at their peak; UINT64_MAX when that does not fit. */
uint64_t rst_network_bytes(const rst_run *run);
/* Takes memory for the buffers and the maps. The maps' is more than the peak: rows are given back early. */
void rst_network_take(rst_run *run, rst_place *place);
/* One run over the whole of `input`, whose shape and that of `output` fit. The pool has run->threads threads;
 * the progress is told from `first` on, `share` of it. RST_ERROR_NUMBERS or RST_CANCELLED. */
rst_status rst_network_run(rst_run *run, rst_pool *pool, const rst_pixels *input, const rst_pixels *output,
                           double first, double share, rst_error *err);

/* calibrate.c: opens the eyes of int8 products. The model is filled for the first time, and filled again
 * afterwards; the pool has so many threads. RST_ERROR_MEMORY. */
rst_status rst_model_calibrate(const rst_model *model, rst_pool *pool, int threads, rst_budget *budget,
                               rst_error *err);
/* What that takes, for a while. */
rst_status rst_model_plan_calibration(const rst_model *model, int threads, uint64_t *bytes, rst_error *err);

/* pixels.c: whether the pictures fit the model and each other; and whether their samples may lie where they
 * do. */
rst_status rst_pixels_check(const rst_architecture *a, const rst_pixels *in, const rst_pixels *out,
                            rst_error *err);
rst_status rst_pixels_check_overlap(const rst_pixels *in, const rst_pixels *out, rst_error *err);
/* Samples of the caller's pictures as floats. */
void rst_pixels_load(const rst_pixels *p, size_t x, size_t y, float *channels);
void rst_pixels_store(const rst_pixels *p, size_t x, size_t y, const float *channels);

#endif
