#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/text.h"
#include "programs/common/cli.h"

enum { BAR_WIDTH = 30, DEFAULT_COLUMNS = 80 };
/* Seconds between two bars, JSON objects or lines. */
static const double interval[] = {
    [PROGRESS_BAR] = 0.1, [PROGRESS_LINES] = 5, [PROGRESS_JSON] = 0.2, [PROGRESS_NONE] = 1e9};

double progress_seconds_since(const struct timespec *start) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)(now.tv_sec - start->tv_sec) + 1e-9 * (double)(now.tv_nsec - start->tv_nsec);
}

/* ---- What is shown ------------------------------------------------------------------------------- */

typedef struct state {
  double fraction, elapsed, remaining; /* remaining < 0: too early to tell */
} state;

static state state_of(const progress *p) {
  state s = {.elapsed = progress_seconds_since(&p->start), .remaining = -1};
  s.fraction = ((double)p->finished + p->running) / (double)p->pictures;
  if (s.fraction > 1) s.fraction = 1; /* rounding of the sum */
  if (s.fraction > 0.02) s.remaining = s.elapsed * (1 - s.fraction) / s.fraction;
  return s;
}

/* 0:07, 12:34, 1:02:03 */
static void print_duration(double seconds, char *text, size_t size) {
  const unsigned long s = (unsigned long)(seconds + 0.5), h = s / 3600, m = s / 60 % 60;
  if (h > 0)
    snprintf(text, size, "%lu:%02lu:%02lu", h, m, s % 60);
  else
    snprintf(text, size, "%lu:%02lu", m, s % 60);
}

/* "37 %, 3 of 10, 0:12 elapsed, 0:20 left" */
static void describe(const progress *p, const state *s, char *text, size_t size) {
  char elapsed[32], left[32] = "?", count[64] = "";
  print_duration(s->elapsed, elapsed, sizeof elapsed);
  if (s->remaining >= 0) print_duration(s->remaining, left, sizeof left);
  if (p->pictures > 1) snprintf(count, sizeof count, "%zu of %zu, ", p->finished, p->pictures);
  snprintf(text, size, "%3.0f %%, %s%s elapsed, %s left", 100 * s->fraction, count, elapsed, left);
}

static void clear_bar(progress *p) {
  if (p->drawn) fputs("\r\033[K", stderr);
  p->drawn = false;
}

static void draw_bar(progress *p, const state *s) {
  char cells[BAR_WIDTH + 1], text[160];
  const int filled = (int)(BAR_WIDTH * s->fraction);
  for (int i = 0; i < BAR_WIDTH; i++) cells[i] = i < filled ? '#' : '.';
  cells[BAR_WIDTH] = '\0';
  describe(p, s, text, sizeof text);
  struct winsize window;
  const int columns =
      ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 ? window.ws_col : DEFAULT_COLUMNS;
  char line[BAR_WIDTH + sizeof text + 8];
  snprintf(line, sizeof line, "[%s] %s", cells, text);
  fprintf(stderr, "\r%.*s\033[K", columns - 1, line);
  fflush(stderr);
  p->drawn = true;
}

static void begin_event(const char *event, const char *input) {
  fprintf(stderr, "{\"event\": \"%s\"", event);
  if (input == NULL) return;
  fputs(", \"input\": ", stderr);
  rst_print_json_string(stderr, input);
}

static void end_event(const progress *p) {
  const state s = state_of(p);
  fprintf(stderr, ", \"finished\": %zu, \"failed\": %zu, \"pictures\": %zu, \"fraction\": %.4f", p->finished,
          p->failed, p->pictures, s.fraction);
  fprintf(stderr, ", \"elapsed\": %.3f, \"remaining\": ", s.elapsed);
  if (s.remaining >= 0)
    fprintf(stderr, "%.3f}\n", s.remaining);
  else
    fputs("null}\n", stderr);
}

static void show(progress *p, const progress_picture *picture) {
  const state s = state_of(p);
  char text[160];
  switch (p->kind) {
    case PROGRESS_BAR:
      draw_bar(p, &s);
      break;
    case PROGRESS_LINES:
      describe(p, &s, text, sizeof text);
      cli_print_line(stderr, "%s: %s", picture->input, text + strspn(text, " "));
      break;
    case PROGRESS_JSON:
      begin_event("progress", picture->input);
      fprintf(stderr, ", \"picture_fraction\": %.4f", picture->fraction);
      end_event(p);
      break;
    default:
      break;
  }
}

/* ---- A run --------------------------------------------------------------------------------------- */

void progress_start(progress *p, progress_kind kind, size_t pictures, bool folder) {
  *p = (progress){.kind = kind, .tell_finished = folder || kind == PROGRESS_LINES, .pictures = pictures};
  if (kind == PROGRESS_AUTO) p->kind = isatty(STDERR_FILENO) ? PROGRESS_BAR : PROGRESS_LINES;
  p->shown = p->kind == PROGRESS_LINES ? 0 : -1; /* a bar at once, lines only when it takes long */
  pthread_mutex_init(&p->lock, NULL);
  clock_gettime(CLOCK_MONOTONIC, &p->start);
  if (p->kind != PROGRESS_JSON) return;
  begin_event("start", NULL);
  end_event(p);
}

void progress_end(progress *p) {
  clear_bar(p);
  if (p->kind == PROGRESS_JSON) {
    begin_event("end", NULL);
    end_event(p);
  }
  pthread_mutex_destroy(&p->lock);
}

void progress_hold(progress *p) {
  pthread_mutex_lock(&p->lock);
  clear_bar(p);
}

void progress_release(progress *p) {
  pthread_mutex_unlock(&p->lock);
}

/* ---- A picture ----------------------------------------------------------------------------------- */

void progress_picture_start(progress *p, progress_picture *picture, const char *input) {
  *picture = (progress_picture){.all = p, .input = input};
  clock_gettime(CLOCK_MONOTONIC, &picture->start);
}

static void set_fraction(progress_picture *picture, double fraction) {
  picture->all->running += fraction - picture->fraction;
  picture->fraction = fraction;
}

bool progress_step(void *user, double fraction) {
  progress_picture *picture = user;
  progress *p = picture->all;
  if (p->kind != PROGRESS_NONE && fraction >= 0 && fraction <= 1) {
    pthread_mutex_lock(&p->lock);
    set_fraction(picture, fraction);
    const double now = progress_seconds_since(&p->start);
    if (now - p->shown >= interval[p->kind]) {
      p->shown = now;
      show(p, picture);
    }
    pthread_mutex_unlock(&p->lock);
  }
  return !cli_interrupted();
}

void progress_picture_end(progress_picture *picture, const char *output, const char *message) {
  progress *p = picture->all;
  const double seconds = progress_seconds_since(&picture->start);
  progress_hold(p);
  set_fraction(picture, 0);
  p->finished++;
  if (message != NULL) p->failed++;
  if (p->kind == PROGRESS_JSON) {
    begin_event(message != NULL ? "failed" : "done", picture->input);
    fputs(message != NULL ? ", \"message\": " : ", \"output\": ", stderr);
    rst_print_json_string(stderr, message != NULL ? message : output);
    fprintf(stderr, ", \"seconds\": %.3f", seconds);
    end_event(p);
  } else if (p->kind == PROGRESS_LINES && p->tell_finished && message == NULL) {
    cli_print_line(stderr, "%s -> %s, %zu of %zu, %.2f s", picture->input, output, p->finished, p->pictures,
                   seconds);
  } else if (p->kind == PROGRESS_BAR && p->finished < p->pictures) {
    show(p, picture);
  }
  progress_release(p);
}
