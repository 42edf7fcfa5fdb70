/* options.h - the command line of restormer-cli. */
#ifndef RST_CLI_OPTIONS_H
#define RST_CLI_OPTIONS_H

#include <stdbool.h>

#include "adjust.h"
#include "programs/common/options.h"
#include "restormer.h"

#define PROGRAM "restormer-cli" /* as messages begin */

typedef struct shard {
  int index, count; /* 1..count; count 0: all pictures */
} shard;

typedef struct cli_options { /* all strings point into argv */
  char **names;              /* inputs and, as the last, the output */
  size_t count;
  bool recursive, skip_existing;
  const char *suffix, *format; /* NULL: none, the input's or the output name's */
  shard shard;
  rectangle region; /* width 0: the whole picture */
  double strength;
  bool preview;
  int depth, quality;    /* 0: default */
  uint8_t background[3]; /* RGB */
  bool strip;
  uint64_t max_pixels;
  const char *right;   /* second view of a dual-pixel model, or NULL */
  const char *weights; /* a manifest's path or name, or NULL for the default */
  int threads;         /* 0: as many as the process may use */
  int jobs;            /* 0: as many small pictures as threads, of others one */
  rst_model_options model;
  rst_session_options run; /* budget, threads and callbacks are not set */
  uint64_t max_memory;     /* bytes; 0: what is available */
  int progress;            /* a progress_kind */
  const char *stats;       /* NULL: none */
  bool no_sandbox;
  bool quiet, verbose;
  bool list_weights;
  bool help, version; /* with more detail when `verbose` */
  int generate;       /* a cli_form, or -1 */
} cli_options;

typedef enum options_action {
  OPTIONS_RESTORE,
  OPTIONS_LIST_WEIGHTS,
  OPTIONS_TELL, /* what was asked for has been printed to stdout */
  OPTIONS_WRONG /* the reason has been printed */
} options_action;

/* Reads the command line, printing what is wrong with it to stderr. */
options_action options_parse(int argc, char **argv, cli_options *options);

#endif
