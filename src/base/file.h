/* file.h - files that are read as a whole into memory. */
#ifndef RST_BASE_FILE_H
#define RST_BASE_FILE_H

#include <stdint.h>

#include "restormer.h"

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
