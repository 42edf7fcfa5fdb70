#include "model/grid.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"

/* A chunk costs memory for its sums, and two rows made twice where bands are cut at it; a thread needs one to
 * have work in the first of attention's sweeps: 16 at the last of four levels of a picture of 256 rows. */
enum { MIN_CHUNK_ROWS = 2, MAX_CHUNKS = 64 };

static int compare_sizes(const void *a, const void *b) {
  const size_t x = *(const size_t *)a, y = *(const size_t *)b;
  return (x > y) - (x < y);
}

/* The windows as the authors of TLC (arXiv 2112.04491) lay them: equal steps, the last one at the edge. */
static bool axis_init(rst_axis *axis, size_t length, size_t window) {
  axis->window = window == 0 || window > length ? length : window;
  const size_t k = axis->window, n = (length + k - 1) / k;
  const size_t step = n == 1 ? k : (length - k + n - 2) / (n - 1);
  axis->starts = rst_alloc(n, sizeof *axis->starts);
  axis->cuts = rst_alloc(2 * n, sizeof *axis->cuts);
  if (axis->starts == NULL || axis->cuts == NULL) return false;
  for (size_t i = 0; i < n; i++) {
    const size_t start = i * step;
    axis->starts[axis->windows++] = start + k >= length ? length - k : start;
    if (start + k >= length) break;
  }
  size_t count = 0;
  for (size_t i = 0; i < axis->windows; i++) {
    if (axis->starts[i] > 0) axis->cuts[count++] = axis->starts[i];
    axis->cuts[count++] = axis->starts[i] + k;
  }
  qsort(axis->cuts, count, sizeof *axis->cuts, compare_sizes);
  for (size_t i = 0; i < count; i++)
    if (axis->cells == 0 || axis->cuts[i] != axis->cuts[axis->cells - 1])
      axis->cuts[axis->cells++] = axis->cuts[i];
  return true;
}

static bool chunks_init(rst_grid *g) {
  size_t rows = (g->height + MAX_CHUNKS - 1) / MAX_CHUNKS;
  if (rows < MIN_CHUNK_ROWS) rows = MIN_CHUNK_ROWS;
  const size_t most = g->height / rows + 1 + g->y.cells;
  g->chunks = rst_alloc(most + 1, sizeof *g->chunks);
  g->chunk_cell = rst_alloc(most, sizeof *g->chunk_cell);
  if (g->chunks == NULL || g->chunk_cell == NULL) return false;
  size_t y = 0;
  for (size_t cell = 0; cell < g->y.cells; cell++)
    while (y < g->y.cuts[cell]) {
      g->chunks[g->chunk_count] = y;
      g->chunk_cell[g->chunk_count++] = cell;
      const size_t next = (y / rows + 1) * rows;
      y = next < g->y.cuts[cell] ? next : g->y.cuts[cell];
    }
  g->chunks[g->chunk_count] = g->height;
  return true;
}

rst_status rst_grid_init(rst_grid *grid, size_t width, size_t height, size_t window, rst_error *err) {
  *grid = (rst_grid){.width = width, .height = height};
  if (axis_init(&grid->x, width, window) && axis_init(&grid->y, height, window) && chunks_init(grid))
    return RST_OK;
  rst_grid_free(grid);
  return rst_fail_memory(err, "the windows");
}

void rst_grid_free(rst_grid *grid) {
  rst_free(grid->x.starts);
  rst_free(grid->x.cuts);
  rst_free(grid->y.starts);
  rst_free(grid->y.cuts);
  rst_free(grid->chunks);
  rst_free(grid->chunk_cell);
  *grid = (rst_grid){0};
}

size_t rst_axis_cell(const rst_axis *axis, size_t at) {
  size_t cell = 0;
  while (axis->cuts[cell] <= at) cell++;
  return cell;
}

rst_range rst_axis_cells(const rst_axis *axis, size_t w) {
  const size_t start = axis->starts[w];
  return (rst_range){rst_axis_cell(axis, start), rst_axis_cell(axis, start + axis->window - 1) + 1};
}

size_t rst_axis_windows_over(const rst_axis *axis, size_t cell) {
  const size_t last = axis->cuts[cell] - 1; /* any pixel of it will do */
  size_t n = 0;
  for (size_t w = 0; w < axis->windows; w++)
    n += last >= axis->starts[w] && last < axis->starts[w] + axis->window;
  return n;
}
