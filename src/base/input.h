/* input.h - a regular file that is read a piece at a time. Nothing of it is mapped: when somebody cuts the
 * file short, that is an error and not the end of the process. */
#ifndef RST_BASE_INPUT_H
#define RST_BASE_INPUT_H

#include <stdint.h>

#include "restormer.h"

typedef struct rst_input {
  char *path;
  int fd;
  uint64_t size; /* bytes, when it was opened */
} rst_input;

/* RST_ERROR_WEIGHTS, or RST_ERROR_MEMORY, with a message that names the path and the system's reason;
 * directories, devices and pipes are refused. An input that is not open has no path. */
rst_status rst_input_open(const char *path, rst_input *input, rst_error *err);
/* Bytes [offset, offset + size). By several threads at once, too. RST_ERROR_WEIGHTS when they are not there.
 */
rst_status rst_input_read(const rst_input *input, uint64_t offset, void *out, size_t size, rst_error *err);
void rst_input_close(rst_input *input); /* a no-op on one that is not open */

#endif
