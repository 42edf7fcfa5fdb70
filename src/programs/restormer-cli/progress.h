/* progress.h - what is told about a run while it goes on, on stderr: a bar, plain lines, or JSON. */
#ifndef RST_CLI_PROGRESS_H
#define RST_CLI_PROGRESS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "restormer.h"

#define PROGRESS_KINDS "auto|bar|lines|json|none"
typedef enum progress_kind {
  PROGRESS_AUTO, /* a bar on a terminal, else lines */
  PROGRESS_BAR,
  PROGRESS_LINES,
  PROGRESS_JSON,
  PROGRESS_NONE
} progress_kind;

/* Of a whole run; several threads may tell it about their pictures. */
typedef struct progress {
  progress_kind kind;
  bool tell_finished; /* a line for each picture */
  size_t pictures;    /* in all */
  pthread_mutex_t lock;
  size_t finished, failed;
  double running; /* sum of the fractions of the pictures that are being restored */
  double shown;   /* seconds from the start to when something was shown last */
  bool drawn;     /* a bar is on the terminal */
  struct timespec start;
} progress;

/* Of one picture. */
typedef struct progress_picture {
  progress *all;
  const char *input;
  double fraction;
  struct timespec start;
} progress_picture;

/* `folder`: the pictures go to a folder, so that each of them is news. */
void progress_start(progress *p, progress_kind kind, size_t pictures, bool folder);
void progress_end(progress *p);

void progress_picture_start(progress *p, progress_picture *picture, const char *input);
/* An rst_progress; `user` is a progress_picture. False once the process was asked to stop. */
bool progress_step(void *user, double fraction);
/* `message` is what went wrong, NULL when nothing did. */
void progress_picture_end(progress_picture *picture, const char *output, const char *message);

/* Takes the bar off the terminal, and keeps others from drawing one until progress_release, so that lines can
 * be printed. */
void progress_hold(progress *p);
void progress_release(progress *p);

double progress_seconds_since(const struct timespec *start);

#endif
