#include "programs/common/models.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "programs/common/cli.h"

/* ---- Where weights are --------------------------------------------------------------------------- */

typedef struct folders {
  char **paths;
  size_t count;
} folders;

static rst_status out_of_memory(rst_error *err) {
  return cli_error(err, RST_ERROR_MEMORY, "out of memory for the list of weights");
}

/* Takes `path`, NULL where there was no memory for it. */
static rst_status add(folders *f, char *path, rst_error *err) {
  char **paths = path != NULL ? realloc(f->paths, (f->count + 1) * sizeof *paths) : NULL;
  if (paths == NULL) {
    free(path);
    return out_of_memory(err);
  }
  f->paths = paths;
  f->paths[f->count++] = path;
  return RST_OK;
}

/* From bin/ of an installation, wherever it was moved to, and from the build folder. */
static rst_status add_beside_program(folders *f, rst_error *err) {
  static const char *const places[] = {"../share/restormer-cli/weights", RST_SOURCE_WEIGHTS};
  char *program = realpath("/proc/self/exe", NULL);
  char *slash = program != NULL ? strrchr(program, '/') : NULL; /* NULL where the system does not tell */
  rst_status status = RST_OK;
  for (size_t i = 0; status == RST_OK && slash != NULL && i < sizeof places / sizeof places[0]; i++)
    status = add(f, cli_format("%.*s/%s", (int)(slash - program), program, places[i]), err);
  free(program);
  return status;
}

static rst_status find_folders(folders *f, rst_error *err) {
  *f = (folders){0};
  rst_status status = RST_OK;
  const char *path = getenv("RESTORMER_WEIGHTS_PATH");
  while (status == RST_OK && path != NULL && *path != '\0') {
    const size_t n = strcspn(path, ":");
    if (n > 0) status = add(f, strndup(path, n), err);
    path += n;
    if (*path == ':') path++;
  }
  const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
  if (status == RST_OK && data != NULL &&
      *data == '/') /* others are to be ignored, as its specification says */
    status = add(f, cli_format("%s/restormer", data), err);
  else if (status == RST_OK && home != NULL && *home != '\0')
    status = add(f, cli_format("%s/.local/share/restormer", home), err);
  return status == RST_OK ? add_beside_program(f, err) : status;
}

static void free_folders(folders *f) {
  for (size_t i = 0; i < f->count; i++) free(f->paths[i]);
  free(f->paths);
}

/* ---- Finding ------------------------------------------------------------------------------------- */

static bool is_json(const char *name) {
  const size_t n = strlen(name);
  return n > 5 && strcmp(name + n - 5, ".json") == 0;
}

static rst_status search(const folders *f, const char *name, char **path, rst_error *err) {
  char tried[sizeof err->message / 2] = "";
  const char *ending = is_json(name) ? "" : ".json";
  for (size_t i = 0; i < f->count; i++) {
    *path = cli_format("%s/%s%s", f->paths[i], name, ending);
    if (*path == NULL) return out_of_memory(err);
    if (access(*path, F_OK) == 0) return RST_OK;
    const size_t used = strlen(tried);
    snprintf(tried + used, sizeof tried - used, "%s%s", used > 0 ? ", " : "", f->paths[i]);
    free(*path);
    *path = NULL;
  }
  return cli_error(err, RST_ERROR_WEIGHTS, "%s%s: there are no such weights (looked for in: %s)", name,
                   ending, tried);
}

static rst_status search_folders(const char *name, char **path, rst_error *err) {
  folders f;
  rst_status status = find_folders(&f, err);
  if (status == RST_OK) status = search(&f, name, path, err);
  free_folders(&f);
  return status;
}

rst_status models_find(const char *name, char **path, rst_error *err) {
  *path = NULL;
  if (name == NULL) name = getenv("RESTORMER_WEIGHTS");
  if (name == NULL || *name == '\0') return search_folders(MODELS_DEFAULT, path, err);
  struct stat found;
  const bool exists = stat(name, &found) == 0;
  if (strchr(name, '/') == NULL && !(exists && S_ISREG(found.st_mode))) {
    rst_status status = search_folders(name, path, err);
    if (status != RST_ERROR_WEIGHTS || !exists) return status;
  }
  *path = strdup(name); /* not a file, maybe, which opening it will tell */
  return *path != NULL ? RST_OK : out_of_memory(err);
}

/* ---- Listing ------------------------------------------------------------------------------------- */

static int manifests_only(const struct dirent *entry) {
  return entry->d_name[0] != '.' && is_json(entry->d_name);
}

static void print_model(FILE *stream, const char *folder, const char *file) {
  char *path = cli_format("%s/%s", folder, file);
  rst_weights *weights = NULL;
  rst_weights_info info;
  rst_weights_info_init(&info);
  /* Other JSON files, the schema of manifests say, are not listed. */
  if (path != NULL && rst_weights_open(path, &weights, NULL) == RST_OK) {
    rst_weights_get_info(weights, &info);
    cli_print_line(stream, "%-16.*s %6.2f M %-5s %s%s%s", (int)(strlen(file) - 5), file,
                   (double)info.parameters / 1e6, info.dtype, path, *info.task != '\0' ? "  " : "",
                   info.task);
  }
  rst_weights_close(weights);
  free(path);
}

rst_status models_print_list(FILE *stream, rst_error *err) {
  folders f;
  rst_status status = find_folders(&f, err);
  for (size_t i = 0; status == RST_OK && i < f.count; i++) {
    struct dirent **entries;
    const int count = scandir(f.paths[i], &entries, manifests_only, alphasort);
    for (int k = 0; k < count; k++) {
      print_model(stream, f.paths[i], entries[k]->d_name);
      free(entries[k]);
    }
    if (count >= 0) free(entries);
  }
  free_folders(&f);
  return status;
}
