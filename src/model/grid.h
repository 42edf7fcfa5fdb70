/* grid.h - how a level's map is cut: into chunks of rows whose statistics are summed apart (so that the sum's
 * order does not depend on the threads), and, for test-time local statistics (TLC), into windows and the
 * cells between their borders. Without windows there is one window and one cell: the whole map. */
#ifndef RST_MODEL_GRID_H
#define RST_MODEL_GRID_H

#include "restormer.h"

/* Overlapping windows along one axis, and the cells that their borders cut it into. */
typedef struct rst_axis {
  size_t *starts; /* of the windows */
  size_t windows;
  size_t window; /* length of each */
  size_t *cuts;  /* ends of the cells, rising; the last one is the length of the axis */
  size_t cells;
} rst_axis;

typedef struct rst_grid {
  size_t width, height;
  rst_axis x, y;
  size_t *chunks;     /* first rows; chunks[chunk_count] == height; no chunk crosses a cell's border */
  size_t *chunk_cell; /* the row of cells that a chunk lies in */
  size_t chunk_count;
} rst_grid;

/* `window` is the side of the windows at this level, 0 for none. RST_ERROR_MEMORY. */
rst_status rst_grid_init(rst_grid *grid, size_t width, size_t height, size_t window, rst_error *err);
void rst_grid_free(rst_grid *grid);

/* The cell of an axis that holds `at`. */
size_t rst_axis_cell(const rst_axis *axis, size_t at);

/* Cells [first, end) of window w: its borders are borders of cells. */
typedef struct rst_range {
  size_t first, end;
} rst_range;
rst_range rst_axis_cells(const rst_axis *axis, size_t w);

/* How many windows hold the cell. */
size_t rst_axis_windows_over(const rst_axis *axis, size_t cell);

#endif
