#include "picture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adjust.h"
#include "folders.h"
#include "programs/common/cli.h"

typedef struct work {
  const picture_run *run;
  const cli_job *job;
  picture_report *report;
  progress_picture progress;
  rst_image_write_options write;
  rst_image *input, *right, *output;
  gate_place *place; /* NULL: others may compute */
  uint64_t taken;    /* of its budget */
} work;

/* `message` with the file's name before it, which the functions that work on memory do not know. */
static void name_file(rst_error *err, const char *file) {
  rst_error plain = *err;
  snprintf(err->message, sizeof err->message, "%.300s: %.700s", file, plain.message);
}

static rst_budget *budget_of(const work *w) {
  return w->place != NULL ? w->place->budget : NULL;
}

/* ---- What the library calls ---------------------------------------------------------------------- */

static void warn(void *user, const char *message) {
  const work *w = user;
  if (w->run->options->quiet) return;
  progress_hold(w->run->progress);
  cli_print_line(stderr, PROGRAM ": warning: %s", message);
  progress_release(w->run->progress);
}

static bool cancelled(void *user) {
  (void)user;
  return cli_interrupted();
}

/* Sessions call with their place, which has one picture after the other. */
static bool tell_step(void *user, double fraction) {
  work *w = ((const gate_place *)user)->user;
  return progress_step(&w->progress, fraction);
}

static void note_stage(void *user, const char *stage, double seconds) {
  work *w = ((const gate_place *)user)->user;
  picture_report *r = w->report;
  size_t i = 0;
  while (i < r->stage_count && strcmp(r->stages[i].name, stage) != 0) i++;
  if (i == r->stage_count && i < PICTURE_MAX_STAGES) {
    snprintf(r->stages[i].name, sizeof r->stages[i].name, "%s", stage);
    r->stages[i].seconds = 0;
    r->stage_count++;
  }
  if (i < PICTURE_MAX_STAGES) r->stages[i].seconds += seconds;
  if (!w->run->tell_stages) return;
  progress_hold(w->run->progress);
  fprintf(stderr, "  %-16s %8.1f ms\n", stage, 1e3 * seconds);
  progress_release(w->run->progress);
}

/* ---- Reading ------------------------------------------------------------------------------------- */

/* For reading a picture; more than 0. */
static uint64_t memory_left(const work *w) {
  const rst_budget *budget = budget_of(w);
  const uint64_t limit = budget != NULL ? rst_budget_limit(budget) : w->run->ahead;
  const uint64_t used = budget != NULL ? rst_budget_used(budget) : 0;
  return limit > used ? limit - used : 1;
}

static rst_status read_image(work *w, const char *path, rst_image **image, rst_error *err) {
  const cli_options *o = w->run->options;
  rst_image_read_options how;
  rst_image_read_options_init(&how);
  how.max_pixels = o->max_pixels < SIZE_MAX ? (size_t)o->max_pixels : SIZE_MAX;
  how.max_memory = memory_left(w);
  how.sandbox = !o->no_sandbox;
  how.warning = warn;
  how.cancelled = cancelled;
  how.user = w;
  rst_status status = rst_image_read(path, &how, image, err);
  if (status == RST_OK && o->verbose) {
    progress_hold(w->run->progress);
    cli_print_line(stderr, "%s: %zu x %zu pixels, %d channel%s of %zu bits", path, rst_image_width(*image),
                   rst_image_height(*image), rst_image_channels(*image),
                   rst_image_channels(*image) == 1 ? "" : "s", 8 * rst_sample_size(rst_image_sample(*image)));
    progress_release(w->run->progress);
  }
  const rectangle *part = &o->region;
  if (status != RST_OK || part->width == 0) return status;
  const size_t width = rst_image_width(*image), height = rst_image_height(*image);
  if (part->x >= width || part->width > width - part->x || part->y >= height ||
      part->height > height - part->y)
    return cli_error(err, RST_ERROR_USAGE,
                     "%s: --region %zu,%zu,%zu,%zu: is not within the %zu x %zu pixels of the picture", path,
                     part->x, part->y, part->width, part->height, width, height);
  return adjust_crop(image, part, err);
}

static rst_status read_images(work *w, rst_error *err) {
  rst_status status = read_image(w, w->job->input, &w->input, err);
  if (status == RST_OK && w->job->right != NULL) status = read_image(w, w->job->right, &w->right, err);
  if (status != RST_OK) return status;
  w->report->width = rst_image_width(w->input);
  w->report->height = rst_image_height(w->input);
  w->report->channels = rst_image_channels(w->input);
  w->report->bits = 8 * (int)rst_sample_size(rst_image_sample(w->input));
  return RST_OK;
}

/* ---- Restoring ----------------------------------------------------------------------------------- */

/* The type that the network's result is wanted in: as exact as what is written, but with all digits where it
 * is yet to be mixed with the input. */
static rst_status result_sample(work *w, rst_sample *sample, rst_error *err) {
  const rst_image_format *format;
  rst_status status = rst_image_output_format(w->job->output, &w->write, &format, err);
  if (status != RST_OK) return status;
  *sample = rst_image_output_sample(format, &w->write, rst_image_sample(w->input));
  if (w->run->options->strength < 1 && *sample != RST_SAMPLE_F32) {
    w->write.depth = 8 * (int)rst_sample_size(*sample);
    *sample = RST_SAMPLE_F32;
  }
  return RST_OK;
}

static int result_channels(const work *w) {
  return rst_restore_image_channels(rst_model_architecture(w->run->model), rst_image_channels(w->input));
}

/* Counts in the budget what the library does not: the library has the result and what it makes of it. */
static rst_status count_pictures(work *w, rst_sample sample, rst_error *err) {
  const uint64_t pixels = (uint64_t)rst_image_width(w->input) * rst_image_height(w->input);
  const int channels = rst_image_channels(w->input);
  const size_t in = rst_sample_size(rst_image_sample(w->input)) * (w->right != NULL ? 2 : 1);
  const uint64_t out = pixels * (size_t)result_channels(w) * rst_sample_size(sample);
  const uint64_t more = w->run->options->preview ? 2 * out : 0;
  rst_budget *budget = budget_of(w);
  w->report->picture_bytes =
      pixels *
          ((size_t)channels * in + rst_restore_image_held(rst_model_architecture(w->run->model), channels)) +
      out + more;
  rst_status status = rst_image_count(w->input, budget, err);
  if (status == RST_OK && w->right != NULL) status = rst_image_count(w->right, budget, err);
  if (status != RST_OK) return status;
  if (!rst_budget_take(budget, more))
    return cli_error(err, RST_ERROR_MEMORY, "out of memory for the preview: %.1f MB", (double)more / 1e6);
  w->taken = more;
  return RST_OK;
}

/* Tells what a run will take when that is asked for or not what is expected. */
static void tell_plan(void *user, const rst_plan *p) {
  work *w = ((const gate_place *)user)->user;
  const cli_options *o = w->run->options;
  w->report->plan = *p;
  progress_hold(w->run->progress);
  if (o->run.tile == 0 && p->tile != 0 && !o->quiet)
    cli_print_line(
        stderr, "%s: the whole picture does not fit into %.0f MB; %zu tiles of %zu pixels, %zu overlapping",
        w->job->input, (double)rst_budget_limit(budget_of(w)) / 1e6, p->tiles, p->tile, p->overlap);
  if (o->verbose)
    fprintf(stderr, "plan: %zu tile%s, %.1f MB of weights and %.1f MB to work in, %.1f MB in all\n", p->tiles,
            p->tiles == 1 ? "" : "s", (double)p->weight_bytes / 1e6, (double)p->working_bytes / 1e6,
            (double)cli_memory_in_all(p->bytes, w->report->picture_bytes) / 1e6);
  progress_release(w->run->progress);
}

/* The session of those who had the place before, else a new one. */
static rst_status open_session(const work *w, rst_error *err) {
  gate_place *place = w->place;
  if (place->session != NULL) return RST_OK;
  rst_session_options how = w->run->options->run;
  how.threads = place->threads;
  how.budget = place->budget;
  how.progress = tell_step, how.user = place;
  how.stage_done = note_stage, how.stage_user = place;
  how.planned = tell_plan, how.planned_user = place;
  return rst_session_create(w->run->model, 0, 0, &how, &place->session, err);
}

static rst_status restore(work *w, rst_error *err) {
  const cli_options *o = w->run->options;
  rst_sample sample;
  rst_status status = result_sample(w, &sample, err);
  if (status == RST_OK) status = count_pictures(w, sample, err);
  if (status == RST_OK) status = open_session(w, err);
  if (status == RST_OK)
    status = rst_session_restore(w->place->session, w->input, w->right, sample, &w->output, err);
  /* It stays for the next picture where it cannot stand in the way of that one, which may need other tiles.
   */
  if (status != RST_OK || w->report->plan.tile != 0 ||
      rst_budget_used(w->place->budget) > rst_budget_limit(w->place->budget) / 2)
    gate_close_session(w->place);
  if (status == RST_OK && o->strength < 1) adjust_blend(w->input, o->strength, w->output);
  if (status == RST_OK && o->preview) status = adjust_beside(w->input, &w->output, err);
  if (status != RST_OK) name_file(err, w->job->input);
  return status;
}

/* ---- The output ---------------------------------------------------------------------------------- */

static void write_options(work *w) {
  const cli_options *o = w->run->options;
  rst_image_write_options_init(&w->write);
  w->write.format = o->format;
  if (o->format == NULL && strcmp(w->job->output, "-") == 0) w->write.format = "png";
  w->write.depth = o->depth;
  w->write.quality = o->quality;
  w->write.strip = o->strip;
  memcpy(w->write.background, o->background, sizeof w->write.background);
  w->write.warning = warn;
  w->write.cancelled = cancelled;
  w->write.user = w;
}

/* Whether it can be written, as far as that is known before the picture is read. */
static rst_status check_target(work *w, rst_error *err) {
  const rst_image_format *format;
  rst_status status = rst_image_output_format(w->job->output, &w->write, &format, err);
  const rst_image_format *named = rst_image_format_of(w->job->output);
  if (status == RST_OK && named != NULL && named != format) {
    char *text = cli_format("%s: is written as %s, as --format says", w->job->output, format->title);
    if (text != NULL) warn(w, text);
    free(text);
  }
  if (status == RST_OK && strcmp(w->job->output, "-") == 0 && isatty(STDOUT_FILENO))
    status =
        cli_error(err, RST_ERROR_OUTPUT, "-: standard output is a terminal; send it to a file or a program");
  return status == RST_OK ? rst_output_check(w->job->output, err) : status;
}

/* And once its size is known, before anything is computed. */
static rst_status check_output(const work *w, rst_error *err) {
  const cli_options *o = w->run->options;
  const int channels = result_channels(w);
  if ((o->preview || o->strength < 1) && channels != rst_image_channels(w->input))
    return cli_error(err, RST_ERROR_USAGE,
                     "%s: has %d channels and the result %d; --preview and --strength need as many",
                     w->job->input, rst_image_channels(w->input), channels);
  return rst_image_check_output(w->job->output, &w->write, rst_image_width(w->input) * (o->preview ? 2 : 1),
                                rst_image_height(w->input), channels, err);
}

static rst_status write_output(work *w, rst_error *err) {
  rst_status status =
      cli_interrupted() ? RST_CANCELLED : rst_image_write(w->job->output, w->output, &w->write, err);
  if (status == RST_ERROR_OUTPUT && cli_interrupted())
    status = RST_CANCELLED; /* while it waited for a pipe */
  return status;
}

/* ---- All of it ----------------------------------------------------------------------------------- */

static rst_status timed(rst_status (*step)(work *w, rst_error *err), work *w, double *seconds,
                        rst_error *err) {
  struct timespec start;
  clock_gettime(CLOCK_MONOTONIC, &start);
  rst_status status = step(w, err);
  *seconds = progress_seconds_since(&start);
  return status;
}

static void free_images(work *w) {
  rst_image_free(w->output);
  rst_image_free(w->right);
  rst_image_free(w->input);
  w->output = w->right = w->input = NULL;
}

static void leave(work *w) {
  if (w->place == NULL) return;
  rst_budget_give(w->place->budget, w->taken);
  gate_leave(w->run->gate, w->place);
  w->place = NULL;
}

/* The next picture may begin while this one waits for the disk; so little does not count, and does not change
 * what that one is planned with. */
static void leave_early(work *w) {
  rst_image_free(w->right);
  rst_image_free(w->input);
  w->right = w->input = NULL;
  if (w->output != NULL) rst_image_count(w->output, NULL, NULL);
  leave(w);
}

/* Small files are read while others are computed, which take the system's time for opening and checking them.
 */
static bool is_small_file(const char *path) {
  enum { SMALL = 1 << 18 };
  struct stat found;
  return stat(path, &found) == 0 && S_ISREG(found.st_mode) && found.st_size <= SMALL;
}

static bool is_small(const rst_image *image) {
  return rst_image_width(image) <= PICTURE_SMALL_SIDE && rst_image_height(image) <= PICTURE_SMALL_SIDE;
}

static rst_status enter_and_read(work *w, rst_error *err) {
  rst_status status = RST_ERROR_MEMORY;
  if (is_small_file(w->job->input)) status = timed(read_images, w, &w->report->read, err);
  const bool is_read = status != RST_ERROR_MEMORY;
  if (is_read && status != RST_OK) return status;
  w->place = gate_enter(w->run->gate, is_read && is_small(w->input));
  w->place->user = w;
  w->report->threads = w->place->threads;
  if (is_read) return RST_OK;
  free_images(w);
  gate_close_session(w->place); /* a large picture may need all that there is */
  return timed(read_images, w, &w->report->read, err);
}

rst_status picture_restore(const picture_run *run, const cli_job *job, picture_report *report,
                           rst_error *err) {
  work w = {.run = run, .job = job, .report = report};
  *report = (picture_report){0};
  progress_picture_start(run->progress, &w.progress, job->input);
  write_options(&w);
  rst_status status = check_target(&w, err);
  if (status == RST_OK) status = enter_and_read(&w, err);
  if (status == RST_OK) status = check_output(&w, err);
  if (status == RST_OK) status = timed(restore, &w, &report->restore, err);
  if (report->picture_bytes <= run->ahead) leave_early(&w);
  if (status == RST_OK) status = timed(write_output, &w, &report->write, err);
  free_images(&w); /* before the next picture is planned */
  leave(&w);
  if (status == RST_OK && run->options->verbose) {
    progress_hold(run->progress);
    fprintf(stderr, "restored in %.2f s, %.1f GMAC\n", report->restore,
            (double)rst_architecture_macs(rst_model_architecture(run->model), report->width, report->height) /
                1e9);
    progress_release(run->progress);
  }
  progress_picture_end(&w.progress, job->output, status == RST_OK ? NULL : err->message);
  return status;
}
