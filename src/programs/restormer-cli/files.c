#include "files.h"

#include <errno.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The file that will be written: behind `path` where that is a link. free() it; NULL: no memory. */
static char *target(const char *path) {
  char *resolved = realpath(path, NULL);
  return resolved ? resolved : strdup(path);
}

static rst_status check_folder(const char *output, rst_error *err) {
  char *path = target(output);
  if (!path) {
    snprintf(err->message, sizeof err->message, "out of memory");
    return RST_ERROR_MEMORY;
  }
  rst_status status = RST_OK;
  const char *folder = dirname(path);
  struct stat found;
  bool usable = stat(folder, &found) == 0;
  if (usable && !S_ISDIR(found.st_mode)) {
    errno = ENOTDIR;
    usable = false;
  }
  if (!usable || access(folder, W_OK | X_OK) != 0) {
    snprintf(err->message, sizeof err->message, "%s: cannot be written into its folder: %s", output,
             strerror(errno));
    status = RST_ERROR_OUTPUT;
  }
  free(path);
  return status;
}

rst_status files_check_output(const char *output, const char *const *inputs, rst_error *err) {
  const rst_image_format *format;
  rst_status status = rst_image_output_format(output, NULL, &format, err);
  if (status != RST_OK) return status;
  struct stat out, in;
  if (stat(output, &out) != 0) {
    if (errno != EACCES && errno != ELOOP) return check_folder(output, err);
    snprintf(err->message, sizeof err->message, "%s: cannot be written: %s", output, strerror(errno));
    return RST_ERROR_OUTPUT;
  }
  for (; *inputs; inputs++) {
    if (stat(*inputs, &in) == 0 && in.st_dev == out.st_dev && in.st_ino == out.st_ino) {
      snprintf(err->message, sizeof err->message, "%s: is the input %s; write to another file", output,
               *inputs);
      return RST_ERROR_USAGE;
    }
  }
  if (S_ISDIR(out.st_mode)) {
    snprintf(err->message, sizeof err->message, "%s: is a directory, expected a file", output);
    return RST_ERROR_OUTPUT;
  }
  return S_ISREG(out.st_mode) ? check_folder(output, err) : RST_OK;
}
