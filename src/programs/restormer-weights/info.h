/* info.h - what `restormer-weights info` prints on stdout. */
#ifndef RST_PROGRAMS_RESTORMER_WEIGHTS_INFO_H
#define RST_PROGRAMS_RESTORMER_WEIGHTS_INFO_H

#include "restormer.h"

/* What to count: multiply-accumulates and memory are those of one picture. */
typedef struct info_run {
  size_t width, height;
  int threads; /* 0: as many as the process may use */
} info_run;

/* A table for readers, and one JSON object for programs. */
void info_print_table(const rst_weights_info *info, const info_run *run);
void info_print_json(const rst_weights_info *info, const info_run *run);

#endif
