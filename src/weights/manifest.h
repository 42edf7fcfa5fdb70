/* manifest.h - reads a manifest: the JSON that describes a model and names its files. weights/README.md has
 * the format. */
#ifndef RST_WEIGHTS_MANIFEST_H
#define RST_WEIGHTS_MANIFEST_H

#include <cjson/cJSON.h>

#include "base/sha256.h"
#include "restormer.h"

typedef struct rst_manifest_file {
  char *path; /* with the manifest's folder before it */
  uint64_t bytes;
  char sha256[RST_SHA256_HEX];
  char data_sha256[RST_SHA256_HEX]; /* which the file has in its header; "" where the manifest has none */
} rst_manifest_file;

typedef struct rst_manifest {
  char *path;
  char sha256[RST_SHA256_HEX];          /* of its text */
  char *name, *task, *license, *source; /* "" where the manifest has none */
  rst_architecture architecture;        /* checked */
  rst_manifest_file *files;
  size_t file_count;
  cJSON *root;          /* the tree, for `tensors`; may be given up early with rst_manifest_drop_tree */
  const cJSON *tensors; /* the object of inline tensors, its contents not yet looked at; may be NULL */
} rst_manifest;

/* Whether `files` may have this path: relative, of plain names only (no "..", no backslash, no control
 * characters), so that nothing in a manifest leads out of its folder. */
bool rst_manifest_can_name(const char *path);

/* RST_ERROR_WEIGHTS or RST_ERROR_MEMORY, with `manifest` zeroed. */
rst_status rst_manifest_read(const char *path, rst_manifest *manifest, rst_error *err);
void rst_manifest_drop_tree(rst_manifest *manifest);
void rst_manifest_free(rst_manifest *manifest); /* a zeroed one is allowed */

#endif
