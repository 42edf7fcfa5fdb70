#include "defaults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_MANIFEST "denoise.json"

/* The folder of the running program, free() it; NULL where the system does not tell. */
static char *program_folder(void) {
  char *path = realpath("/proc/self/exe", NULL);
  char *slash = path ? strrchr(path, '/') : NULL;
  if (!slash) {
    free(path);
    return NULL;
  }
  *slash = 0;
  return path;
}

static rst_status out_of_memory(rst_error *err) {
  snprintf(err->message, sizeof err->message, "out of memory");
  return RST_ERROR_MEMORY;
}

/* Sets *path to the first of the places that has the manifest; NULL, with a list of what was tried, when none
 * has. */
static rst_status find_shipped(const char *folder, char **path, char *tried, size_t tried_size,
                               rst_error *err) {
  /* From bin/ of an installation, wherever it was moved to, and from the build folder. */
  static const char *const places[] = {"../share/restormer-cli/weights", RST_SOURCE_WEIGHTS};
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
    if (asprintf(path, "%s/%s/" DEFAULT_MANIFEST, folder, places[i]) < 0) {
      *path = NULL; /* unspecified until now */
      return out_of_memory(err);
    }
    if (access(*path, F_OK) == 0) return RST_OK;
    size_t used = strlen(tried);
    snprintf(tried + used, tried_size - used, "%s%s", used ? ", " : "", *path);
    free(*path);
  }
  *path = NULL;
  return RST_OK;
}

rst_status defaults_weights(char **path, rst_error *err) {
  *path = NULL;
  const char *environment = getenv("RESTORMER_WEIGHTS");
  if (environment && *environment) {
    *path = strdup(environment);
    return *path ? RST_OK : out_of_memory(err);
  }
  char tried[sizeof err->message / 2] = "";
  char *folder = program_folder();
  rst_status status = folder ? find_shipped(folder, path, tried, sizeof tried, err) : RST_OK;
  free(folder);
  if (status != RST_OK || *path) return status;
  snprintf(
      err->message, sizeof err->message,
      DEFAULT_MANIFEST
      ": default weights not found (looked for: %s); name a manifest with --weights or $RESTORMER_WEIGHTS",
      tried[0] ? tried : "nothing, for the system does not tell where this program lies");
  return RST_ERROR_WEIGHTS;
}
