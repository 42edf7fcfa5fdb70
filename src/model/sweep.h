/* clang-format off */
/* sweep.h - one pass over a picture or map, in which every output pixel sees a 3 x 3 neighbourhood of
 * something that is made on the way and never stored: hidden layers of a block, pixels of a map with zero
 * padding.
 *
 * The rows are cut into bands, which threads take; a band is walked in strips of columns from left to right,
 * a strip row by row from top to bottom. A strip keeps three rows of its columns in a ring:
 *
 *      columns of the strip     produce makes row y + 1 of columns [x, x + n), consume turns rows y - 1 ..
 *    . c c|# # # # # #          y + 1 into outputs [x - 1, x + n - 1) of row y: one column to the left, so
 *    . c c|# # # # # #          that nothing is made twice. The two columns c come from the strip before,
 *    . c c|# # # # # #          through `carry`.
 *
 * Because outputs trail the inputs by a row and a column, consume may overwrite the map that produce reads:
 * only the rows at the borders between bands are needed in their old form by two bands, and are kept aside. */
/* clang-format on */
#ifndef RST_MODEL_SWEEP_H
#define RST_MODEL_SWEEP_H

#include <stdatomic.h>

#include "base/threads.h"
#include "model/map.h"

/* What one thread works with. The buffers are uninitialised and hold what the pass makes of them. */
typedef struct rst_worker {
  uint8_t *ring, *carry; /* of the sweep */
  void *operand[2];      /* left operands of products, or elements */
  float *values[2];      /* results of products */
  double *sums;          /* of a window's statistics */
  size_t chunk;          /* that the row being consumed lies in; where the sweep has chunks */
} rst_worker;

/* Between sweeps and who wants to know how far they are, or to stop them. */
typedef struct rst_watch {
  void (*look)(void *context); /* called by the caller's thread after every few pixels and while it waits */
  void *context;
  atomic_size_t pixels; /* outputs made so far */
  atomic_bool stop;     /* whatever is running is to end soon, its results do not matter any more */
} rst_watch;

typedef struct rst_sweep rst_sweep;

/* Makes columns [x, x + n) of row y into `out` (ring pixels). `source` is the first of them in the source
 * map, in its old form; NULL when the sweep has no source. */
typedef void rst_produce(const rst_sweep *s, rst_worker *w, const void *source, size_t x, size_t y, size_t n,
                         void *out);
/* Takes outputs [x, x + n) of row y; rows[i] points at column x - 1 of row y - 1 + i. */
typedef void rst_consume(const rst_sweep *s, rst_worker *w, const void *const rows[3], size_t x, size_t y,
                         size_t n);

struct rst_sweep {
  size_t width, height;
  const rst_map *source; /* of the same size, or NULL */
  bool in_place;         /* consume writes to the source */
  size_t strip;          /* columns at once, 2 or more */
  size_t ring_pixel;     /* bytes */
  rst_produce *produce;
  rst_consume *consume;
  const void *context; /* for the callbacks */

  const size_t *column_cuts; /* rising, the last one is width; outputs of a strip never cross one */
  /* For statistics that are summed apart, in an order that does not depend on the threads: first rows,
   * rising, chunks[chunk_count] is height; bands are made of whole chunks. NULL: bands begin at any row. */
  const size_t *chunks;
  size_t chunk_count;

  rst_watch *watch;
  rst_pool *pool;
  int threads;          /* of the pool */
  rst_worker *workers;  /* [threads] */
  uint8_t *border_rows; /* in place: two source rows for each border between bands */
};

/* Makes the outputs of rows [first, end); in place, and with chunks, only all of them at once. */
void rst_sweep_run(const rst_sweep *s, size_t first, size_t end);

/* How many bands these rows are cut into, and the rows of the tallest. The cut depends on the number of
 * threads; what is computed does not. */
size_t rst_sweep_bands(const rst_sweep *s, size_t first, size_t end);
size_t rst_sweep_band_rows(const rst_sweep *s, size_t first, size_t end);

#endif
