/* file.h - files mapped for reading, and output files that appear whole or not at all. */
#ifndef RST_BASE_FILE_H
#define RST_BASE_FILE_H

#include <stdint.h>
#include <stdio.h>

#include "restormer.h"

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

/* An output file under construction: a temporary file beside its final path. Where the file system can (most
 * of Linux's), the temporary has no name until it is complete, so that even a killed process leaves nothing
 * behind; elsewhere it is called `.restormer-RANDOM`. */
typedef struct rst_output {
  FILE *stream;    /* write here; errors are seen by rst_output_commit at the latest */
  char *path;      /* as the caller named it, for messages */
  char *target;    /* what rename replaces: `path` with symbolic links followed; NULL: written directly */
  char *temporary; /* beside `target`; NULL: written directly */
  bool unnamed;    /* the temporary file does not have its name yet */
  int error;       /* errno of the first write that rst_output_write saw failing */
} rst_output;

/* The temporary file has the permissions that a plainly created `path` would have (an existing one's are
 * kept, and one that may not be written is refused). A `path` that is a symbolic link keeps being one: the
 * file it points to is replaced, or created. A `path` that exists and is not a regular file (/dev/null, a
 * pipe) is written directly. RST_ERROR_OUTPUT, RST_ERROR_MEMORY. */
rst_status rst_output_open(const char *path, rst_output *output, rst_error *err);
/* fwrite to the stream that remembers why the first write failed. False once a write has failed, so that a
 * long-winded writer may stop early; the message comes from rst_output_commit. */
bool rst_output_write(rst_output *output, const void *data, size_t size);
/* Flushes, checks every write so far, renames. On failure the temporary file is gone and `path` untouched. */
rst_status rst_output_commit(rst_output *output, rst_error *err);
/* Removes the temporary file; a no-op on a zeroed, committed or discarded output. */
void rst_output_discard(rst_output *output);

#endif
