/* defaults.h - which weights are used when the command line names none. */
#ifndef RST_CLI_DEFAULTS_H
#define RST_CLI_DEFAULTS_H

#include "restormer.h"

/* Sets *path (free it with free()) to $RESTORMER_WEIGHTS where that is set, else to the first that exists of:
 * the weights installed beside the program, and those of the source tree that it was built in. Otherwise
 * RST_ERROR_WEIGHTS, with a message that lists where it looked; or RST_ERROR_MEMORY. */
rst_status defaults_weights(char **path, rst_error *err);

#endif
