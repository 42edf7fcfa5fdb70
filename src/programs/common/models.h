/* models.h - finding weights by their name. */
#ifndef RST_PROGRAMS_COMMON_MODELS_H
#define RST_PROGRAMS_COMMON_MODELS_H

#include <stdio.h>

#include "restormer.h"

#define MODELS_DEFAULT "photo" /* of those that come with restormer-cli */

/* Sets *path (free it with free()) to the manifest that NAME means (of --weights, say); with NULL what
 * $RESTORMER_WEIGHTS names, else MODELS_DEFAULT. A NAME that is a file, or has a slash, is a path; otherwise
 * NAME.json is looked for in the folders of $RESTORMER_WEIGHTS_PATH, $XDG_DATA_HOME/restormer, the weights
 * installed beside the program, and those of the source tree that it was built in. RST_ERROR_WEIGHTS, with a
 * message that lists where it looked, or RST_ERROR_MEMORY. */
rst_status models_find(const char *name, char **path, rst_error *err);

/* Prints a line for every manifest in these folders: name, parameters and type of the weights, path, task; in
 * the order in which they are looked for, so that the first of a name is the one that is found. */
rst_status models_print_list(FILE *stream, rst_error *err);

#endif
