#include "folders.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "programs/common/cli.h"

bool folder_exists(const char *path) {
  struct stat found;
  return stat(path, &found) == 0 && S_ISDIR(found.st_mode);
}

/* ---- Listing ------------------------------------------------------------------------------------- */

typedef struct listing {
  const char *folder;
  bool recursive;
  const struct stat *except;
  folder_files *files;
  size_t room;
} listing;

static rst_status add(listing *l, char *path, rst_error *err) {
  folder_files *f = l->files;
  if (f->count == l->room) {
    const size_t room = l->room == 0 ? 64 : 2 * l->room;
    char **paths = realloc(f->paths, room * sizeof *paths);
    if (paths == NULL) {
      free(path);
      return cli_error(err, RST_ERROR_MEMORY, "%s: out of memory for its list of files", l->folder);
    }
    f->paths = paths;
    l->room = room;
  }
  f->paths[f->count++] = path;
  return RST_OK;
}

static bool is_picture(const char *name) {
  const rst_image_format *format = rst_image_format_of(name);
  return format != NULL && format->reads;
}

static rst_status list_below(listing *l, const char *below, rst_error *err);

/* `path` is that of the entry below the folder; owned. */
static rst_status take_entry(listing *l, char *path, rst_error *err) {
  char *full = cli_format("%s/%s", l->folder, path);
  struct stat found;
  rst_status status = RST_OK;
  if (full == NULL) {
    status = cli_error(err, RST_ERROR_MEMORY, "%s: out of memory for its list of files", l->folder);
  } else if (lstat(full, &found) == 0 && S_ISDIR(found.st_mode)) {
    if (l->recursive &&
        (l->except == NULL || found.st_dev != l->except->st_dev || found.st_ino != l->except->st_ino))
      status = list_below(l, path, err);
  } else if (is_picture(path) && stat(full, &found) == 0 && !S_ISDIR(found.st_mode)) {
    free(full);
    return add(l, path, err);
  }
  free(full);
  free(path);
  return status;
}

/* `below` is "" or a folder below the listed one. */
static rst_status list_below(listing *l, const char *below, rst_error *err) {
  char *full = cli_format("%s/%s", l->folder, below);
  if (full == NULL)
    return cli_error(err, RST_ERROR_MEMORY, "%s: out of memory for its list of files", l->folder);
  DIR *entries = opendir(full);
  if (entries == NULL) {
    cli_error(err, RST_ERROR_INPUT, "%s: cannot be listed: %s", *below != '\0' ? full : l->folder,
              strerror(errno));
    free(full);
    return RST_ERROR_INPUT;
  }
  rst_status status = RST_OK;
  for (struct dirent *entry; status == RST_OK && (entry = readdir(entries)) != NULL;) {
    if (entry->d_name[0] == '.') continue;
    char *path = *below != '\0' ? cli_format("%s/%s", below, entry->d_name) : strdup(entry->d_name);
    if (path == NULL)
      status = cli_error(err, RST_ERROR_MEMORY, "%s: out of memory for its list of files", full);
    else
      status = take_entry(l, path, err);
  }
  closedir(entries);
  free(full);
  return status;
}

static int by_bytes(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

rst_status folder_list(const char *folder, bool recursive, const struct stat *except, folder_files *files,
                       rst_error *err) {
  *files = (folder_files){0};
  listing l = {folder, recursive, except, files, 0};
  rst_status status = list_below(&l, "", err);
  if (status != RST_OK)
    folder_free(files);
  else if (files->count > 0)
    qsort(files->paths, files->count, sizeof *files->paths, by_bytes);
  return status;
}

void folder_free(folder_files *files) {
  for (size_t i = 0; i < files->count; i++) free(files->paths[i]);
  free(files->paths);
  *files = (folder_files){0};
}

/* ---- Making -------------------------------------------------------------------------------------- */

rst_status folder_make_for(const char *path, rst_error *err) {
  char *folder = strdup(path);
  if (folder == NULL) return cli_error(err, RST_ERROR_MEMORY, "%s: out of memory", path);
  rst_status status = RST_OK;
  char *last = strrchr(folder, '/');
  if (last != NULL) *last = '\0';
  if (*folder != '\0' && last != NULL && !folder_exists(folder)) {
    for (char *slash = folder; status == RST_OK && slash != NULL;) {
      slash = strchr(slash + 1, '/');
      if (slash != NULL) *slash = '\0';
      if (mkdir(folder, 0777) != 0 && !folder_exists(folder))
        status = cli_error(err, RST_ERROR_OUTPUT, "%s: the folder cannot be made: %s", folder,
                           strerror(errno == EEXIST ? ENOTDIR : errno));
      if (slash != NULL) *slash = '/';
    }
  }
  free(folder);
  return status;
}
