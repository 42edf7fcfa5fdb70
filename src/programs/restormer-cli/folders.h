/* folders.h - what is in a folder, and folders for what will be written. */
#ifndef RST_CLI_FOLDERS_H
#define RST_CLI_FOLDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "restormer.h"

/* Paths below a folder; free with folder_free. */
typedef struct folder_files {
  char **paths; /* in the order of their bytes */
  size_t count;
} folder_files;

/* The files of the folder whose endings are those of formats that can be read, without hidden ones; where
 * `recursive` is set, those of its subfolders, too, but of `except` (of which there may be none), and without
 * following links to folders. RST_ERROR_INPUT or RST_ERROR_MEMORY, with nothing to free. */
rst_status folder_list(const char *folder, bool recursive, const struct stat *except, folder_files *files,
                       rst_error *err);
void folder_free(folder_files *files);

bool folder_exists(const char *path);

/* Makes the folder that `path`, a file, is to be in, and those above it, where they are missing.
 * RST_ERROR_OUTPUT or RST_ERROR_MEMORY. */
rst_status folder_make_for(const char *path, rst_error *err);

#endif
