/* batch.h - the pictures of a run over one model. */
#ifndef RST_CLI_BATCH_H
#define RST_CLI_BATCH_H

#include "stats.h"

/* Restores all pictures of the list, telling how it goes and what went wrong, and returns the exit status of
 * the program. `stats` may be NULL. */
int batch_run(const cli_options *options, const rst_model *model, const stats_model *about,
              rst_budget *budget, const job_list *list, stats_output *stats);

#endif
