/* jobs.h - the pictures of a run: which file is restored to which. */
#ifndef RST_CLI_JOBS_H
#define RST_CLI_JOBS_H

#include "options.h"

typedef struct cli_job {
  char *input, *output;
  char *right;      /* NULL: none */
  const char *name; /* the end of `input`: its name, below the folder that was named */
} cli_job;

typedef struct job_list {
  cli_job *jobs;
  size_t count;
  size_t existing; /* left out, as --skip-existing asks for */
  bool folder;     /* the outputs go to a folder: pictures that fail do not end the run */
} job_list;

/* Lists the jobs of a command line, in an order that depends on names only, leaving out those of other shards
 * and those whose output exists and is to be kept. Nothing is written. RST_ERROR_USAGE when inputs and
 * outputs do not go together (two jobs with one output, an output that is an input, ...), RST_ERROR_INPUT (a
 * folder cannot be listed, or there are no pictures), RST_ERROR_MEMORY; nothing to free then. */
rst_status jobs_list(const cli_options *options, job_list *list, rst_error *err);
void jobs_free(job_list *list);

#endif
