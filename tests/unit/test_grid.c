/* test_grid.c - windows of test-time local statistics and the cells and chunks between their borders, pixel
 * by pixel against the oracle's windows. */
#include <stdlib.h>

#include "model/grid.h"
#include "support/cmocka_all.h"
#include "support/fixture.h"
#include "support/oracle_ops.h"

static bool window_has_pixel(const rst_axis *axis, size_t window, size_t at) {
  return at >= axis->starts[window] && at - axis->starts[window] < axis->window;
}

static void check_axis(const rst_axis *axis, size_t length, size_t window) {
  size_t *starts = fixture_alloc(length, sizeof *starts);
  assert_int_equal(axis->windows, oracle_window_starts(length, window, starts));
  assert_memory_equal(axis->starts, starts, axis->windows * sizeof *starts);
  free(starts);
  assert_int_equal(axis->window, window == 0 || window > length ? length : window);
  assert_int_equal(axis->cuts[axis->cells - 1], length);
  for (size_t at = 0, cell = 0; at < length; at++) {
    if (at == axis->cuts[cell]) cell++; /* the cuts rise: each cell has a pixel */
    assert_int_equal(rst_axis_cell(axis, at), cell);
    size_t holders = 0;
    for (size_t w = 0; w < axis->windows; w++) {
      const rst_range cells = rst_axis_cells(axis, w);
      assert_int_equal(cell >= cells.first && cell < cells.end, window_has_pixel(axis, w, at));
      holders += window_has_pixel(axis, w, at);
    }
    assert_true(holders > 0);
    assert_int_equal(rst_axis_windows_over(axis, cell), holders);
  }
}

static void check_chunks(const rst_grid *grid) {
  assert_int_equal(grid->chunks[0], 0);
  assert_int_equal(grid->chunks[grid->chunk_count], grid->height);
  for (size_t i = 0; i < grid->chunk_count; i++) {
    assert_true(grid->chunks[i] < grid->chunks[i + 1]);
    assert_int_equal(rst_axis_cell(&grid->y, grid->chunks[i]), grid->chunk_cell[i]);
    assert_int_equal(rst_axis_cell(&grid->y, grid->chunks[i + 1] - 1), grid->chunk_cell[i]);
  }
}

static void windows_are_the_oracles(void **state) {
  (void)state;
  for (size_t length = 1; length <= 150; length++)
    for (size_t window = 0; window <= 60; window++) {
      rst_grid grid;
      const size_t height = length / 2 + 1;
      assert_int_equal(rst_grid_init(&grid, length, height, window, NULL), RST_OK);
      assert_int_equal(grid.width, length);
      assert_int_equal(grid.height, height);
      check_axis(&grid.x, length, window);
      check_axis(&grid.y, height, window);
      check_chunks(&grid);
      rst_grid_free(&grid);
    }
}

static void tall_maps_have_chunks_up_to_the_edge(void **state) {
  (void)state;
  static const size_t heights[] = {255, 256, 257, 4095, 4097, 70001};
  for (size_t i = 0; i < sizeof heights / sizeof *heights; i++)
    for (size_t window = 0; window <= 384; window += 384) {
      rst_grid grid;
      assert_int_equal(rst_grid_init(&grid, 3, heights[i], window, NULL), RST_OK);
      check_chunks(&grid);
      rst_grid_free(&grid);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(windows_are_the_oracles),
      cmocka_unit_test(tall_maps_have_chunks_up_to_the_edge),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
