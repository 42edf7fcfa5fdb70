/* info.h - what `restormer-weights info` prints on stdout. */
#ifndef RST_PROGRAMS_RESTORMER_WEIGHTS_INFO_H
#define RST_PROGRAMS_RESTORMER_WEIGHTS_INFO_H

#include "restormer.h"

/* A table for readers, and one JSON object for programs; MACs for a picture of that size. */
void info_print_table(const rst_weights_info *info, size_t width, size_t height);
void info_print_json(const rst_weights_info *info, size_t width, size_t height);

#endif
