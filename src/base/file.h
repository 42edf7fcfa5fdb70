/* file.h - files for reading: mapped, or as a whole in memory. */
#ifndef RST_BASE_FILE_H
#define RST_BASE_FILE_H

#include <stdint.h>

#include "restormer.h"

/* ---- Mappings ------------------------------------------------------------------------------ */

/* A regular file mapped read-only. */
typedef struct rst_mapping {
  const uint8_t *data; /* NULL for an empty file */
  size_t size;         /* bytes */
} rst_mapping;

/* `status` is what to return on failure (RST_ERROR_WEIGHTS, RST_ERROR_INPUT): the message names the path
 * and the system's reason. Directories, devices and pipes are refused. */
rst_status rst_map_file(const char *path, rst_status status, rst_mapping *mapping, rst_error *err);
/* A no-op on a zeroed or unmapped one. */
void rst_unmap_file(rst_mapping *mapping);

/* Tells the system that the pages wholly inside [data, data + size) of a mapping are not needed for now: they
 * leave the process's memory and come back from the page cache when touched. */
void rst_mapping_release(const void *data, size_t size);

/* ---- In memory ----------------------------------------------------------------------------- */

/* The bytes of a file, which nobody can change or cut short any more. */
typedef struct rst_contents {
  uint8_t *data; /* not NULL, even of an empty file */
  size_t size;   /* bytes */
} rst_contents;

typedef struct rst_reading {
  rst_status status; /* what to return on failure; the message names the path and the system's reason */
  uint64_t limit;    /* bytes; a file that has more is refused */
  /* May be NULL. Asked every tenth of a second: true ends the reading with RST_CANCELLED. Without it, a
   * signal whose handler does not restart system calls makes the reading fail. */
  bool (*cancelled)(void *user);
  void *user; /* passed to cancelled */
} rst_reading;

/* Reads all of a file, pipe or device; "-" is standard input. Besides reading->status, RST_ERROR_MEMORY and
 * RST_CANCELLED, with nothing left to free. */
rst_status rst_file_read(const char *path, const rst_reading *reading, rst_contents *contents,
                         rst_error *err);
/* A no-op on a zeroed or freed one. */
void rst_contents_free(rst_contents *contents);

#endif
