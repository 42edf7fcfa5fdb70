#include "progress.h"

#include <stdio.h>
#include <unistd.h>

#include "programs/common/cli.h"

enum { BAR_WIDTH = 40 };

void progress_start(progress_bar *bar, bool quiet) {
  *bar = (progress_bar){.draw = !quiet && isatty(STDERR_FILENO), .permille = -1};
  clock_gettime(CLOCK_MONOTONIC, &bar->start);
}

double progress_seconds(const progress_bar *bar) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)(now.tv_sec - bar->start.tv_sec) + 1e-9 * (double)(now.tv_nsec - bar->start.tv_nsec);
}

static void draw_bar(progress_bar *bar, double fraction) {
  int permille = (int)(1000 * fraction);
  if (permille == bar->permille) return;
  bar->permille = permille;
  bar->drawn = true;
  char cells[BAR_WIDTH + 1];
  int filled = (int)(BAR_WIDTH * fraction);
  for (int i = 0; i < BAR_WIDTH; i++) cells[i] = i < filled ? '#' : '.';
  cells[BAR_WIDTH] = 0;
  fprintf(stderr, "\r[%s] %3d %%", cells, permille / 10);
  if (fraction > 0.02 && fraction < 1) /* before that the estimate jumps */
    fprintf(stderr, ", %.0f s left ", progress_seconds(bar) * (1 - fraction) / fraction);
  fputs("\033[K", stderr);
  fflush(stderr);
}

bool progress_step(void *user, double fraction) {
  progress_bar *bar = user;
  if (bar->draw && fraction >= 0 && fraction <= 1) draw_bar(bar, fraction);
  return !cli_interrupted();
}

void progress_end(progress_bar *bar) {
  if (bar->drawn) fputs("\r\033[K", stderr);
  bar->drawn = false;
}
