/* files.h - what can be said about the files of a run before the long computation. */
#ifndef RST_CLI_FILES_H
#define RST_CLI_FILES_H

#include "restormer.h"

/* Refuses an output whose format is not known or that is one of the input files, by whatever link
 * (RST_ERROR_USAGE), and one whose folder cannot be written to (RST_ERROR_OUTPUT). NULL ends `inputs`. */
rst_status files_check_output(const char *output, const char *const *inputs, rst_error *err);

#endif
