/* progress.h - a progress bar on the terminal. */
#ifndef RST_CLI_PROGRESS_H
#define RST_CLI_PROGRESS_H

#include <stdbool.h>
#include <time.h>

typedef struct progress_bar {
  bool draw; /* stderr is a terminal and nobody asked for quiet */
  bool drawn;
  int permille; /* what the bar shows */
  struct timespec start;
} progress_bar;

void progress_start(progress_bar *bar, bool quiet);
/* An rst_progress; `user` is a progress_bar. False once the process was asked to stop. */
bool progress_step(void *user, double fraction);
/* Takes the bar off the terminal. */
void progress_end(progress_bar *bar);

/* Seconds since progress_start. */
double progress_seconds(const progress_bar *bar);

#endif
