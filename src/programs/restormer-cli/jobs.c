#include "jobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "folders.h"
#include "programs/common/cli.h"

typedef struct building {
  const cli_options *options;
  job_list *list;
  size_t room;
  size_t seen;        /* pictures so far, of all shards */
  const char *folder; /* that the outputs go to, without a slash at its end */
} building;

static rst_status out_of_memory(rst_error *err) {
  return cli_error(err, RST_ERROR_MEMORY, "out of memory for the list of pictures");
}

/* ---- Names --------------------------------------------------------------------------------------- */

/* What follows the last dot of a file's name; "" when there is none. */
static const char *ending_of(const char *path) {
  const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
  const char *dot = strrchr(name, '.');
  return dot == NULL || dot == name ? "" : dot;
}

/* The ending of an output: the usual one of --format, else that of the input where it can be written, else
 * PNG's. */
static void output_ending(const cli_options *options, const char *input, char *ending, size_t size) {
  const rst_image_format *format =
      options->format != NULL ? rst_image_format_named(options->format) : rst_image_format_of(input);
  if (options->format == NULL && format != NULL && format->writes)
    snprintf(ending, size, "%s", ending_of(input));
  else if (options->format == NULL || format == NULL)
    snprintf(ending, size, ".png");
  else
    snprintf(ending, size, "%.*s", (int)strcspn(format->endings, " "), format->endings);
}

/* Every count-th: parts are equally large, and the same in every process that is given the same inputs. */
static bool in_shard(const shard *s, size_t place) {
  return s->count == 0 || place % (size_t)s->count == (size_t)s->index - 1;
}

/* ---- Adding -------------------------------------------------------------------------------------- */

/* The last `name_length` bytes of the input are its name in folders. Takes the three strings, any of which
 * may be missing for lack of memory. */
static rst_status add(building *b, char *input, char *output, char *right, size_t name_length,
                      rst_error *err) {
  job_list *list = b->list;
  struct stat found;
  bool taken = false;
  rst_status status = RST_OK;
  if (input == NULL || output == NULL || (b->options->right != NULL && right == NULL)) {
    status = out_of_memory(err);
  } else if (in_shard(&b->options->shard, b->seen++)) {
    if (b->options->skip_existing && stat(output, &found) == 0 && S_ISREG(found.st_mode)) {
      list->existing++;
    } else {
      if (list->count == b->room) {
        const size_t room = b->room == 0 ? 16 : 2 * b->room;
        cli_job *jobs = realloc(list->jobs, room * sizeof *jobs);
        if (jobs == NULL) status = out_of_memory(err);
        if (jobs != NULL) list->jobs = jobs, b->room = room;
      }
      if (status == RST_OK) {
        list->jobs[list->count++] = (cli_job){input, output, right, input + strlen(input) - name_length};
        taken = true;
      }
    }
  }
  if (!taken) {
    free(input);
    free(output);
    free(right);
  }
  return status;
}

/* `name` is what the picture is called below the input folder: the output's folder mirrors that. */
static rst_status add_to_folder(building *b, char *input, const char *name, rst_error *err) {
  const cli_options *o = b->options;
  char ending[16];
  output_ending(o, name, ending, sizeof ending);
  const int stem = (int)(strlen(name) - strlen(ending_of(name)));
  char *output = cli_format("%s/%.*s%s%s", b->folder, stem, name, o->suffix != NULL ? o->suffix : "", ending);
  char *right = o->right != NULL ? cli_format("%s/%s", o->right, name) : NULL;
  return add(b, input, output, right, strlen(name), err);
}

static rst_status add_folder(building *b, const char *folder, rst_error *err) {
  struct stat output;
  const bool exists = stat(b->folder, &output) == 0;
  folder_files files;
  char *top = strdup(folder);
  if (top == NULL) return out_of_memory(err);
  for (size_t n = strlen(top); n > 1 && top[n - 1] == '/'; n--) top[n - 1] = '\0';
  rst_status status = folder_list(top, b->options->recursive, exists ? &output : NULL, &files, err);
  for (size_t i = 0; status == RST_OK && i < files.count; i++)
    status = add_to_folder(b, cli_format("%s/%s", top, files.paths[i]), files.paths[i], err);
  if (status == RST_OK && files.count == 0)
    status = cli_error(err, RST_ERROR_INPUT, "%s: there are no pictures in this folder%s", folder,
                       b->options->recursive ? "" : " (its subfolders are looked at with --recursive)");
  folder_free(&files);
  free(top);
  return status;
}

static rst_status add_file(building *b, const char *path, rst_error *err) {
  if (strcmp(path, "-") == 0)
    return cli_error(err, RST_ERROR_USAGE, "-: standard input has no name for a file in %s", b->folder);
  const char *slash = strrchr(path, '/');
  return add_to_folder(b, strdup(path), slash != NULL ? slash + 1 : path, err);
}

/* ---- Checks -------------------------------------------------------------------------------------- */

static int by_output(const void *a, const void *b) {
  return strcmp((*(const cli_job *const *)a)->output, (*(const cli_job *const *)b)->output);
}

static rst_status check_outputs_differ(const job_list *list, rst_error *err) {
  const cli_job **sorted = calloc(list->count, sizeof(void *));
  if (sorted == NULL) return out_of_memory(err);
  for (size_t i = 0; i < list->count; i++) sorted[i] = &list->jobs[i];
  qsort(sorted, list->count, sizeof(void *), by_output);
  rst_status status = RST_OK;
  for (size_t i = 1; status == RST_OK && i < list->count; i++)
    if (strcmp(sorted[i - 1]->output, sorted[i]->output) == 0)
      status = cli_error(err, RST_ERROR_USAGE, "%s and %s: both would be written to %s", sorted[i - 1]->input,
                         sorted[i]->input, sorted[i]->output);
  free(sorted);
  return status;
}

typedef struct identity {
  dev_t device;
  ino_t file;
  const char *path;
} identity;

static int by_identity(const void *a, const void *b) {
  const identity *x = a, *y = b;
  if (x->device != y->device) return x->device < y->device ? -1 : 1;
  return x->file == y->file ? 0 : x->file < y->file ? -1 : 1;
}

static void identify(const char *path, identity *known, size_t *count) {
  struct stat found;
  if (path != NULL && stat(path, &found) == 0)
    known[(*count)++] = (identity){found.st_dev, found.st_ino, path};
}

/* By whatever link. */
static rst_status check_outputs_are_no_inputs(const job_list *list, const char *stats, rst_error *err) {
  identity *inputs = calloc(list->count, 2 * sizeof *inputs);
  if (inputs == NULL) return out_of_memory(err);
  size_t count = 0;
  for (size_t i = 0; i < list->count; i++) {
    identify(list->jobs[i].input, inputs, &count);
    identify(list->jobs[i].right, inputs, &count);
  }
  qsort(inputs, count, sizeof *inputs, by_identity);
  rst_status status = RST_OK;
  for (size_t i = 0; status == RST_OK && i <= list->count; i++) {
    identity output;
    size_t exists = 0;
    identify(i < list->count ? list->jobs[i].output : stats, &output, &exists);
    const identity *same = exists > 0 ? bsearch(&output, inputs, count, sizeof *inputs, by_identity) : NULL;
    if (same != NULL)
      status = cli_error(err, RST_ERROR_USAGE, "%s: is the input %s; write to another file", output.path,
                         same->path);
  }
  free(inputs);
  return status;
}

/* ---- The list ------------------------------------------------------------------------------------ */

static bool ends_in_slash(const char *path) {
  const size_t n = strlen(path);
  return n > 0 && path[n - 1] == '/';
}

/* Whether the last of the names is, or is to be, a folder for the outputs; as cp decides it. */
static rst_status find_folder(const cli_options *o, bool *folder, rst_error *err) {
  const char *last = o->names[o->count - 1];
  bool folders_only = true;
  for (size_t i = 0; i + 1 < o->count; i++) folders_only = folders_only && folder_exists(o->names[i]);
  struct stat found;
  const bool exists = stat(last, &found) == 0, is_folder = exists && S_ISDIR(found.st_mode);
  *folder = ends_in_slash(last) || is_folder || folders_only || o->count > 2;
  if (!*folder || is_folder) return RST_OK;
  if (exists || strcmp(last, "-") == 0)
    return cli_error(err, RST_ERROR_USAGE, "%s: is not a folder, which %s needs as its output", last,
                     o->count > 2 ? "more than one input" : "a folder as input");
  if (!ends_in_slash(last) && !folders_only)
    return cli_error(err, RST_ERROR_USAGE,
                     "%s: there is no such folder for the outputs; with a slash at the end (%s/) it is made",
                     last, last);
  return RST_OK;
}

static rst_status list_folder_jobs(building *b, rst_error *err) {
  const cli_options *o = b->options;
  if (o->right != NULL && !folder_exists(o->right))
    return cli_error(
        err, RST_ERROR_USAGE,
        "--right %s: is not a folder; outputs in a folder have their second views in one, by the same "
        "names",
        o->right);
  char *folder = strdup(o->names[o->count - 1]);
  if (folder == NULL) return out_of_memory(err);
  size_t n = strlen(folder);
  while (n > 1 && folder[n - 1] == '/') folder[--n] = '\0';
  b->folder = folder;
  rst_status status = RST_OK;
  for (size_t i = 0; status == RST_OK && i + 1 < o->count; i++)
    status = folder_exists(o->names[i]) ? add_folder(b, o->names[i], err) : add_file(b, o->names[i], err);
  free(folder);
  return status;
}

rst_status jobs_list(const cli_options *options, job_list *list, rst_error *err) {
  *list = (job_list){0};
  building b = {.options = options, .list = list};
  rst_status status = find_folder(options, &list->folder, err);
  if (status == RST_OK && list->folder) {
    status = list_folder_jobs(&b, err);
  } else if (status == RST_OK) {
    const char *input = options->names[0];
    if (options->suffix != NULL)
      status = cli_error(err, RST_ERROR_USAGE, "--suffix: goes with a folder for the outputs");
    else
      status = add(&b, strdup(input), strdup(options->names[1]),
                   options->right != NULL ? strdup(options->right) : NULL, strlen(input), err);
  }
  if (status == RST_OK && list->count > 0) status = check_outputs_differ(list, err);
  if (status == RST_OK && list->count > 0) status = check_outputs_are_no_inputs(list, options->stats, err);
  if (status != RST_OK) jobs_free(list);
  return status;
}

void jobs_free(job_list *list) {
  for (size_t i = 0; i < list->count; i++) {
    free(list->jobs[i].input);
    free(list->jobs[i].output);
    free(list->jobs[i].right);
  }
  free(list->jobs);
  list->jobs = NULL;
  list->count = 0;
}
