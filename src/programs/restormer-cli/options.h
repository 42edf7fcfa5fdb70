/* options.h - the command line of restormer-cli. */
#ifndef RST_CLI_OPTIONS_H
#define RST_CLI_OPTIONS_H

#include <stdbool.h>

#include "restormer.h"

#define PROGRAM "restormer-cli" /* as messages begin */

typedef struct cli_options {
  const char *input, *output; /* all strings point into argv */
  const char *right;          /* second view of a dual-pixel model, or NULL */
  const char *weights;        /* manifest, or NULL for the default */
  rst_model_options model;    /* threads 0: as many as the process may use */
  rst_restore_options run;    /* the callbacks are not set */
  bool quiet, verbose;
} cli_options;

typedef enum options_action {
  OPTIONS_RESTORE,
  OPTIONS_HELP,    /* --help */
  OPTIONS_VERSION, /* --version; with more detail when `verbose` */
  OPTIONS_WRONG    /* the reason has been printed */
} options_action;

/* Reads the command line, printing what is wrong with it to stderr. */
options_action options_parse(int argc, char **argv, cli_options *options);

/* Prints the help to stdout. */
void options_print_help(void);

#endif
