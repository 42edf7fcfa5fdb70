/* stats.h - one JSON object a line for each picture of a run. */
#ifndef RST_CLI_STATS_H
#define RST_CLI_STATS_H

#include <stdio.h>

#include "picture.h"

/* What all lines have in common. */
typedef struct stats_model {
  char *path, *name; /* owned */
  char sha256[65];   /* of the manifest */
} stats_model;

typedef struct stats_output {
  FILE *stream;
  const char *path;
} stats_output;

/* `path` is created or emptied; "-" is stdout. RST_ERROR_OUTPUT. */
rst_status stats_open(const char *path, stats_output *stats, rst_error *err);
/* RST_ERROR_OUTPUT when something could not be written. */
rst_status stats_close(stats_output *stats, rst_error *err);

/* Not for several threads at once. `message` is what went wrong, when `status` says so. */
void stats_print(FILE *stream, const picture_run *run, const stats_model *model, const cli_job *job,
                 const picture_report *report, rst_status status, const char *message);

#endif
