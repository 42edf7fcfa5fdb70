/* output.h - output files that appear whole or not at all. */
#ifndef RST_BASE_OUTPUT_H
#define RST_BASE_OUTPUT_H

#include <stdio.h>

#include "restormer.h"

/* An output file under construction: a temporary file beside its final path. Where the file system can (most
 * of Linux's), the temporary has no name until it is complete, so that even a killed process leaves nothing
 * behind but for the instant in which an existing file is replaced; elsewhere it is called
 * `.restormer-RANDOM`. Opening an output removes such files of killed runs from its folder. */
typedef struct rst_output {
  FILE *stream;    /* write here; errors are seen by rst_output_commit at the latest */
  char *path;      /* as the caller named it, for messages */
  char *target;    /* what rename replaces: `path` with symbolic links followed; NULL: written directly */
  char *folder;    /* of `target`, ending in "/." or "."; NULL: written directly */
  char *temporary; /* beside `target`; NULL: it has no name (yet), or the output is written directly */
  bool existed;    /* there was a file to be replaced */
  const char *otherwise; /* the caller's: the path to take when a file has appeared at a free `target`
                            meanwhile, which then is not replaced; NULL: it is */
  bool appeared;         /* what rst_output_commit has done so */
  int error;             /* errno of the first write that rst_output_write saw failing */
} rst_output;

/* The temporary file has the permissions that a plainly created `path` would have (an existing one's are
 * kept, and one that may not be written, or that could not be replaced in the end, is refused). A `path` that
 * is a symbolic link keeps being one: the file it points to is replaced, or created. A `path` that exists and
 * is not a regular file (/dev/null, a pipe) is written directly, and so is standard output, "-".
 * RST_ERROR_OUTPUT, RST_ERROR_MEMORY. */
rst_status rst_output_open(const char *path, rst_output *output, rst_error *err);
/* fwrite to the stream that remembers why the first write failed. False once a write has failed, so that a
 * long-winded writer may stop early; the message comes from rst_output_commit. */
bool rst_output_write(rst_output *output, const void *data, size_t size);
/* Flushes to the disk, checks every write so far, renames. On failure the temporary file is gone and `path`
 * untouched. */
rst_status rst_output_commit(rst_output *output, rst_error *err);
/* Removes the temporary file. A no-op on a zeroed or finished output. */
void rst_output_discard(rst_output *output);

#endif
