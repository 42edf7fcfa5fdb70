/* picture.h - one picture from its file to the restored one's. */
#ifndef RST_CLI_PICTURE_H
#define RST_CLI_PICTURE_H

#include "gate.h"
#include "jobs.h"
#include "options.h"
#include "progress.h"

/* What the pictures of a run share. */
typedef struct picture_run {
  const cli_options *options;
  const rst_model *model;
  struct gate *gate;
  uint64_t ahead;   /* bytes of small pictures, which may be read and written while others are computed */
  bool tell_stages; /* print how long each stage took */
  progress *progress;
} picture_run;

enum { PICTURE_MAX_STAGES = 64, PICTURE_STAGE_NAME = 32 };

/* Several threads are less busy with a picture of no longer sides than with as many such pictures, one each.
 */
enum { PICTURE_SMALL_SIDE = 128 };

/* What there is to tell of a picture. */
typedef struct picture_report {
  size_t width, height; /* of what was restored; 0: it was not read */
  int channels;
  int bits;    /* of a sample */
  int threads; /* that restored it; 0: as many as the process may use */
  rst_plan plan;
  uint64_t picture_bytes;      /* that the pictures take in memory */
  double read, restore, write; /* seconds */
  struct {
    char name[PICTURE_STAGE_NAME];
    double seconds; /* of all tiles */
  } stages[PICTURE_MAX_STAGES];
  size_t stage_count;
} picture_report;

/* Restores one picture. Any status but RST_ERROR_WEIGHTS; `err` names the file. */
rst_status picture_restore(const picture_run *run, const cli_job *job, picture_report *report,
                           rst_error *err);

#endif
