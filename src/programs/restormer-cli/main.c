/* restormer-cli: restores pictures. The flow of a run; everything else is the library's and its neighbours'.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "folders.h"
#include "jobs.h"
#include "machine.h"
#include "options.h"
#include "programs/common/cli.h"
#include "programs/common/models.h"
#include "restormer.h"
#include "stats.h"

/* With a limit of its own a run counts the program, too; without one, that is no longer available. */
static rst_status make_budget(const cli_options *options, rst_budget **budget, rst_error *err) {
  rst_status status = rst_budget_create(options->max_memory, budget, err);
  if (status == RST_OK && options->max_memory != 0 && !rst_budget_take(*budget, cli_memory_in_all(0, 0)))
    status = cli_error(err, RST_ERROR_MEMORY,
                       "--max-memory: %.1f MB are less than the program itself takes, %.1f MB",
                       (double)options->max_memory / 1e6, (double)cli_memory_in_all(0, 0) / 1e6);
  return status;
}

/* What does not fit the model does not fit any of the pictures. */
static rst_status check_options(const cli_options *options, const rst_architecture *architecture,
                                const char *path, rst_error *err) {
  enum { SIDE = 64 }; /* any will do */
  rst_plan plan = {.struct_size = sizeof plan};
  if (architecture->dual_pixel != (options->right != NULL))
    return cli_error(err, RST_ERROR_USAGE,
                     options->right ? "%s: the model takes one view, but --right gives a second one"
                                    : "%s: a dual-pixel model; give the second view with --right",
                     path);
  return rst_plan_restore(architecture, &options->model, SIDE, SIDE, &options->run, &plan, err);
}

static rst_status load_model(const cli_options *options, rst_budget *budget, rst_model **model,
                             stats_model *about, rst_error *err) {
  rst_weights *weights = NULL;
  rst_status status = models_find(options->weights, &about->path, err);
  if (status == RST_OK) status = rst_weights_open(about->path, &weights, err);
  if (status == RST_OK) {
    rst_weights_info info;
    rst_weights_info_init(&info);
    rst_weights_get_info(weights, &info);
    about->name = strdup(info.name);
    snprintf(about->sha256, sizeof about->sha256, "%s", info.sha256);
    if (options->verbose) {
      cli_print_line(stderr, "%s: %s%s%s, %.2f M parameters, %s", about->path, info.name,
                     info.task[0] ? ", " : "", info.task, (double)info.parameters / 1e6, info.dtype);
    }
    status = check_options(options, info.architecture, about->path, err);
  }
  if (status == RST_OK) {
    rst_model_options how = options->model;
    how.budget = budget;
    status = rst_model_create(weights, &how, model, err);
  }
  rst_weights_close(weights);
  return status;
}

/* The jobs over one model, which is not loaded when there are none. */
static int run(const cli_options *options) {
  rst_error err = {0};
  rst_budget *budget = NULL;
  rst_model *model = NULL;
  job_list list = {0};
  stats_model about = {0};
  stats_output stats = {0};
  int exit_status = 0;

  rst_status status = jobs_list(options, &list, &err);
  if (status == RST_OK && options->verbose && list.existing > 0)
    fprintf(stderr, "%zu output%s there already\n", list.existing, list.existing == 1 ? " is" : "s are");
  if (status == RST_OK && list.folder && list.count > 0) status = folder_make_for(list.jobs[0].output, &err);
  if (status == RST_OK && options->stats != NULL) status = stats_open(options->stats, &stats, &err);
  if (status == RST_OK && list.count > 0) status = make_budget(options, &budget, &err);
  if (status == RST_OK && list.count > 0) status = load_model(options, budget, &model, &about, &err);
  if (status == RST_OK && list.count > 0)
    exit_status = batch_run(options, model, &about, budget, &list, options->stats != NULL ? &stats : NULL);
  if (stats.stream != NULL && stats_close(&stats, &err) != RST_OK && status == RST_OK && exit_status == 0)
    status = RST_ERROR_OUTPUT;

  free(about.name);
  free(about.path);
  rst_model_free(model);
  rst_budget_free(budget);
  jobs_free(&list);
  return status == RST_OK ? exit_status : cli_fail_error(PROGRAM, status, &err);
}

int main(int argc, char **argv) {
  cli_open_standard_files();
  cli_options options;
  rst_error err = {0};
  switch (options_parse(argc, argv, &options)) {
    case OPTIONS_TELL:
      return cli_finish_stdout(PROGRAM, 0);
    case OPTIONS_WRONG:
      return cli_exit_status(RST_ERROR_USAGE);
    case OPTIONS_LIST_WEIGHTS: {
      const rst_status status = models_print_list(stdout, &err);
      return status == RST_OK ? cli_finish_stdout(PROGRAM, 0) : cli_fail_error(PROGRAM, status, &err);
    }
    case OPTIONS_RESTORE:
      break;
  }
  cli_catch_signals();
  const int exit_status = run(&options);
  if (exit_status == 0 && options.verbose)
    fprintf(stderr, "peak memory %.1f MB\n", (double)machine_peak_memory() / 1e6);
  return exit_status;
}
