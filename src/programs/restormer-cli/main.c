/* restormer-cli: restores one picture. The flow of a run; everything else is the library's. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "files.h"
#include "models.h"
#include "options.h"
#include "programs/common/cli.h"
#include "progress.h"
#include "restormer.h"

/* `message` with the file's name before it, which the functions that work on memory do not know. */
static void name_file(rst_error *err, const char *file) {
  rst_error plain = *err;
  snprintf(err->message, sizeof err->message, "%.300s: %.700s", file, plain.message);
}

/* With a limit of its own a run counts the program, too; without one, that is no longer available. */
static rst_status make_budget(const cli_options *options, rst_budget **budget, rst_error *err) {
  rst_status status = rst_budget_create(options->max_memory, budget, err);
  if (status == RST_OK && options->max_memory != 0 && !rst_budget_take(*budget, cli_memory_in_all(0, 0))) {
    snprintf(err->message, sizeof err->message,
             "--max-memory: %.1f MB are less than the program itself takes, %.1f MB",
             (double)options->max_memory / 1e6, (double)cli_memory_in_all(0, 0) / 1e6);
    status = RST_ERROR_MEMORY;
  }
  return status;
}

static rst_status load_model(const cli_options *options, rst_budget *budget, rst_model **model,
                             rst_error *err) {
  char *path = NULL;
  rst_weights *weights = NULL;
  rst_status status = models_find(options->weights, &path, err);
  if (status == RST_OK) status = rst_weights_open(path, &weights, err);
  if (status == RST_OK) {
    rst_weights_info info;
    rst_weights_info_init(&info);
    rst_weights_get_info(weights, &info);
    if (options->verbose) {
      cli_print_line(stderr, "%s: %s%s%s, %.2f M parameters, %s", path, info.name, info.task[0] ? ", " : "",
                     info.task, (double)info.parameters / 1e6, info.dtype);
    }
    if (info.architecture->dual_pixel != (options->right != NULL)) {
      snprintf(err->message, sizeof err->message,
               options->right ? "%s: the model takes one view, but --right gives a second one"
                              : "%s: a dual-pixel model; give the second view with --right",
               path);
      status = RST_ERROR_USAGE;
    }
  }
  if (status == RST_OK) {
    rst_model_options how = options->model;
    how.budget = budget;
    status = rst_model_create(weights, &how, model, err);
  }
  rst_weights_close(weights);
  free(path);
  return status;
}

static void print_warning(void *user, const char *message) {
  (void)user;
  cli_print_line(stderr, "%s: warning: %s", PROGRAM, message);
}

static bool is_interrupted(void *user) {
  (void)user;
  return cli_interrupted();
}

static rst_status read_image(const char *path, const cli_options *options, rst_image **image, rst_error *err) {
  rst_image_read_options how;
  rst_image_read_options_init(&how);
  if (!options->quiet) how.warning = print_warning;
  how.cancelled = is_interrupted;
  how.sandbox = !options->no_sandbox;
  rst_status status = rst_image_read(path, &how, image, err);
  if (status == RST_OK && options->verbose) {
    const int channels = rst_image_channels(*image);
    cli_print_line(stderr, "%s: %zu x %zu pixels, %d channel%s of %zu bits", path, rst_image_width(*image),
                   rst_image_height(*image), channels, channels == 1 ? "" : "s",
                   8 * rst_sample_size(rst_image_sample(*image)));
  }
  return status;
}

/* As exact as the output's format can hold. */
static rst_sample output_sample(const char *output, const rst_image *input) {
  return rst_image_output_sample(rst_image_format_of(output), NULL, rst_image_sample(input));
}

/* Bytes of the pictures that the program holds during a run. */
static uint64_t picture_bytes(const cli_options *options, const rst_model *model, const rst_image *input) {
  const rst_architecture *a = rst_model_architecture(model);
  const int channels = rst_image_channels(input);
  const size_t in = rst_sample_size(rst_image_sample(input)) * (options->right ? 2 : 1);
  const size_t out = rst_sample_size(output_sample(options->output, input));
  return (uint64_t)rst_image_width(input) * rst_image_height(input) *
         ((size_t)channels * in + (size_t)rst_restore_image_channels(a, channels) * out +
          rst_restore_image_held(a, channels));
}

/* Counts the pictures and tells what a run of the model over them will take when that is asked for or not what is
 * expected. */
static rst_status plan(const cli_options *options, const rst_model *model, const rst_image *input,
                       const rst_restore_options *how, rst_error *err) {
  const uint64_t pictures = picture_bytes(options, model, input);
  const double allowed = (double)rst_budget_limit(how->budget) / 1e6;
  if (!rst_budget_take(how->budget, pictures)) {
    snprintf(err->message, sizeof err->message,
             "the pictures and the weights take %.0f MB, allowed are %.0f MB",
             ceil((double)(rst_budget_used(how->budget) + pictures) / 1e6), floor(allowed));
    return RST_ERROR_MEMORY;
  }
  rst_session *session;
  rst_status status = rst_session_create(model, rst_image_width(input), rst_image_height(input), how, &session, err);
  if (status != RST_OK) return status;
  const rst_plan p = *rst_session_plan(session);
  rst_session_free(session);
  if (how->tile == 0 && p.tile != 0 && !options->quiet)
    cli_print_line(
        stderr, "%s: the whole picture does not fit into %.0f MB; %zu tiles of %zu pixels, %zu overlapping",
        options->input, allowed, p.tiles, p.tile, p.overlap);
  if (options->verbose)
    fprintf(stderr, "plan: %zu tile%s, %.1f MB of weights and %.1f MB to work in, %.1f MB in all\n", p.tiles,
            p.tiles == 1 ? "" : "s", (double)p.weight_bytes / 1e6, (double)p.working_bytes / 1e6,
            (double)cli_memory_in_all(p.bytes, pictures) / 1e6);
  return RST_OK;
}

static void print_stage(void *user, const char *stage, double seconds) {
  (void)user;
  fprintf(stderr, "  %-16s %8.1f ms\n", stage, 1e3 * seconds);
}

static rst_status restore(const cli_options *options, rst_budget *budget, const rst_model *model,
                          const rst_image *input, const rst_image *right, rst_image **output,
                          rst_error *err) {
  rst_restore_options how = options->run;
  how.budget = budget;
  const size_t width = rst_image_width(input), height = rst_image_height(input);
  const int channels = rst_restore_image_channels(rst_model_architecture(model), rst_image_channels(input));
  rst_status status = rst_image_check_output(options->output, NULL, width, height, channels, err);
  if (status != RST_OK) return status;
  status = plan(options, model, input, &how, err);
  progress_bar bar;
  progress_start(&bar, options->quiet);
  how.progress = progress_step, how.user = &bar;
  if (options->verbose && !bar.draw) how.stage_done = print_stage;
  if (status == RST_OK)
    status =
        rst_restore_image(model, input, right, output_sample(options->output, input), output, &how, err);
  progress_end(&bar);
  if (status != RST_OK) {
    name_file(err, options->input);
    return status;
  }
  if (options->verbose) {
    double gmac = (double)rst_architecture_macs(rst_model_architecture(model), width, height) / 1e9;
    fprintf(stderr, "restored in %.2f s, %.1f GMAC\n", progress_seconds(&bar), gmac);
  }
  return RST_OK;
}

static rst_status run(const cli_options *options, rst_error *err) {
  const char *inputs[] = {options->input, options->right, NULL};
  rst_budget *budget = NULL;
  rst_model *model = NULL;
  rst_image *input = NULL, *right = NULL, *output = NULL;

  rst_status status = files_check_output(options->output, inputs, err);
  if (status == RST_OK) status = make_budget(options, &budget, err);
  if (status == RST_OK) status = load_model(options, budget, &model, err);
  if (status == RST_OK) status = read_image(options->input, options, &input, err);
  if (status == RST_OK && options->right) status = read_image(options->right, options, &right, err);
  if (status == RST_OK) status = restore(options, budget, model, input, right, &output, err);
  if (status == RST_OK && cli_interrupted()) status = RST_CANCELLED;
  if (status == RST_OK) {
    rst_image_write_options how;
    rst_image_write_options_init(&how);
    if (!options->quiet) how.warning = print_warning;
    how.cancelled = is_interrupted;
    status = rst_image_write(options->output, output, &how, err);
    if (status == RST_ERROR_OUTPUT && cli_interrupted())
      status = RST_CANCELLED; /* while it waited for a pipe */
  }

  rst_image_free(output);
  rst_image_free(right);
  rst_image_free(input);
  rst_model_free(model);
  rst_budget_free(budget);
  return status;
}

static void print_peak_memory(void) {
  struct rusage usage;
  if (getrusage(RUSAGE_SELF, &usage) != 0) return;
#ifdef __APPLE__
  const double unit = 1; /* of ru_maxrss */
#else
  const double unit = 1024;
#endif
  fprintf(stderr, "peak memory %.1f MB\n", (double)usage.ru_maxrss * unit / 1e6);
}

int main(int argc, char **argv) {
  cli_open_standard_files();
  cli_options options;
  rst_error err = {0};
  switch (options_parse(argc, argv, &options)) {
    case OPTIONS_TELL:
      return cli_finish_stdout(PROGRAM, RST_OK);
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
  rst_status status = run(&options, &err);
  if (status == RST_CANCELLED) return cli_fail(PROGRAM, status, "interrupted");
  if (status != RST_OK) return cli_fail_error(PROGRAM, status, &err);
  if (options.verbose) print_peak_memory();
  return RST_OK;
}
