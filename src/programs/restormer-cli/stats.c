#include "stats.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "machine.h"
#include "programs/common/cli.h"

rst_status stats_open(const char *path, stats_output *stats, rst_error *err) {
  *stats = (stats_output){.path = path};
  stats->stream = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
  if (stats->stream != NULL) return RST_OK;
  return cli_error(err, errno == ENOMEM ? RST_ERROR_MEMORY : RST_ERROR_OUTPUT, "%s: cannot be written: %s",
                   path, strerror(errno));
}

rst_status stats_close(stats_output *stats, rst_error *err) {
  const bool failed = ferror(stats->stream) || fflush(stats->stream) != 0;
  const int reason = errno;
  const bool unclosed = stats->stream != stdout && fclose(stats->stream) != 0;
  stats->stream = NULL;
  if (!failed && !unclosed) return RST_OK;
  return cli_error(err, RST_ERROR_OUTPUT, "%s: cannot be written: %s", stats->path,
                   strerror(failed ? reason : errno));
}

static void print_text(FILE *stream, const char *key, const char *value) {
  fprintf(stream, ", \"%s\": ", key);
  rst_print_json_string(stream, value);
}

static void print_seconds(FILE *stream, const picture_report *r) {
  fprintf(stream, ", \"seconds\": {\"read\": %.6f, \"restore\": %.6f, \"write\": %.6f}", r->read, r->restore,
          r->write);
  fputs(", \"stages\": {", stream);
  for (size_t i = 0; i < r->stage_count; i++) {
    if (i > 0) fputs(", ", stream);
    rst_print_json_string(stream, r->stages[i].name);
    fprintf(stream, ": %.6f", r->stages[i].seconds);
  }
  putc('}', stream);
}

void stats_print(FILE *stream, const picture_run *run, const stats_model *model, const cli_job *job,
                 const picture_report *r, rst_status status, const char *message) {
  const rst_model_options *how = &run->options->model;
  fputs("{\"input\": ", stream);
  rst_print_json_string(stream, job->input);
  print_text(stream, "output", job->output);
  fprintf(stream, ", \"status\": %d", cli_exit_status(status));
  if (status != RST_OK) print_text(stream, "message", message);
  if (r->width > 0)
    fprintf(stream, ", \"width\": %zu, \"height\": %zu, \"channels\": %d, \"bits\": %d", r->width, r->height,
            r->channels, r->bits);
  if (status == RST_OK) {
    print_seconds(stream, r);
    fprintf(stream, ", \"tile\": %zu, \"overlap\": %zu, \"tiles\": %zu", r->plan.tile, r->plan.overlap,
            r->plan.tiles);
    fprintf(stream, ", \"planned_bytes\": %" PRIu64 ", \"peak_bytes\": %" PRIu64,
            cli_memory_in_all(r->plan.bytes, r->picture_bytes), machine_peak_memory());
  }
  print_text(stream, "precision", rst_precision_name(how->precision));
  print_text(stream, "isa", rst_isa_name(how->isa == RST_ISA_AUTO ? rst_isa_best() : how->isa));
  if (r->threads > 0) fprintf(stream, ", \"threads\": %d", r->threads);
  print_text(stream, "model", model->name);
  print_text(stream, "weights", model->path);
  print_text(stream, "sha256", model->sha256);
  print_text(stream, "version", rst_version());
  fputs("}\n", stream);
  fflush(stream); /* for those who watch it */
}
