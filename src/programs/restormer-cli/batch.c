#include "batch.h"

#include <pthread.h>
#include <stdlib.h>

#include "folders.h"
#include "machine.h"
#include "programs/common/cli.h"

/* More workers than pictures are computed at once, who write what is done and read what comes next: a disk
 * takes as long for a small file as the network does. */
enum {
  EXIT_SOME_FAILED = 1,
  WAITING = 4,
  AHEAD = 64 /* parts of the memory, of which one that all workers have does not count */
};

typedef struct batch {
  const cli_options *options;
  const stats_model *about;
  const job_list *list;
  stats_output *stats;
  progress progress;
  pthread_mutex_t lock; /* of what follows, and of stats */
  size_t next;          /* of the list */
  rst_status last_error;
  size_t failed;
} batch;

/* One of those who take pictures from the list. */
typedef struct worker {
  batch *all;
  picture_run run;
  pthread_t thread;
} worker;

static const cli_job *take(batch *b) {
  pthread_mutex_lock(&b->lock);
  const cli_job *job = b->next < b->list->count && !cli_interrupted() ? &b->list->jobs[b->next++] : NULL;
  pthread_mutex_unlock(&b->lock);
  return job;
}

static void note(worker *w, const cli_job *job, const picture_report *report, rst_status status,
                 const rst_error *err) {
  batch *b = w->all;
  pthread_mutex_lock(&b->lock);
  if (b->stats != NULL) stats_print(b->stats->stream, &w->run, b->about, job, report, status, err->message);
  if (status != RST_OK) {
    b->last_error = status;
    b->failed++;
  }
  pthread_mutex_unlock(&b->lock);
  if (status == RST_OK || status == RST_CANCELLED) return;
  progress_hold(&b->progress);
  cli_fail_error(PROGRAM, status, err);
  progress_release(&b->progress);
}

static void *work(void *user) {
  worker *w = user;
  for (const cli_job *job; (job = take(w->all)) != NULL;) {
    picture_report report = {0};
    rst_error err = {0};
    rst_status status = w->all->list->folder ? folder_make_for(job->output, &err) : RST_OK;
    if (status == RST_OK) status = picture_restore(&w->run, job, &report, &err);
    note(w, job, &report, status, &err);
  }
  return NULL;
}

/* Pictures that are computed at once share threads and memory in equal parts, whatever the others need, so
 * that tiles do not depend on which they are. */
static rst_status add_shares(gate *g, size_t count, int threads, uint64_t left, rst_error *err) {
  rst_status status = RST_OK;
  for (size_t i = 0; i < count && status == RST_OK; i++) {
    rst_budget *part;
    status = rst_budget_create(left > count ? left / count : 1, &part, err);
    if (status == RST_OK) gate_add_share(g, part, threads > (int)count ? threads / (int)count : 1);
  }
  return status;
}

/* Whether small pictures take so little of such a part of the memory that none is restored in tiles. */
static bool small_ones_fit(const batch *b, const rst_model *model, uint64_t part) {
  enum {
    SAMPLES = 64, /* bytes of a pixel in all the pictures, generously */
    THREADS = 16  /* that runs are planned with (rst_session_options.budget) */
  };
  const size_t side = PICTURE_SMALL_SIDE;
  rst_session_options how = b->options->run;
  rst_plan plan;
  rst_plan_init(&plan);
  how.threads = THREADS;
  return rst_plan_restore(rst_model_architecture(model), &b->options->model, side, side, &how, &plan, NULL) ==
             RST_OK &&
         2 * (plan.working_bytes + SAMPLES * side * side) <= part; /* by half, so that sessions stay */
}

/* The places of a run; how many pictures are computed at once at the most is in *jobs. */
static rst_status make_places(const batch *b, gate *g, picture_run *run, rst_budget *budget, size_t *jobs,
                              rst_error *err) {
  const cli_options *o = b->options;
  const int threads = o->threads > 0 ? o->threads : machine_processors();
  const uint64_t left = rst_budget_limit(budget) - rst_budget_used(budget);
  size_t shares = o->jobs > 0 ? (size_t)o->jobs : (size_t)threads;
  if (shares > b->list->count) shares = b->list->count;
  if (shares > GATE_MAX) shares = GATE_MAX;
  if (shares == 1 || (o->jobs == 0 && !small_ones_fit(b, run->model, left / shares))) shares = 0;
  *jobs = shares > 0 ? shares : 1;
  run->ahead = rst_budget_limit(budget) / AHEAD / (*jobs + WAITING);
  if (shares == 0 || o->jobs == 0) gate_add_whole(g, budget, o->threads);
  return shares == 0 ? RST_OK : add_shares(g, shares, threads, left, err);
}

static rst_status run_workers(batch *b, picture_run *run, size_t jobs, rst_error *err) {
  const size_t count = b->list->count - jobs < WAITING ? b->list->count : jobs + WAITING;
  worker *workers = calloc(count, sizeof *workers);
  if (workers == NULL) return cli_error(err, RST_ERROR_MEMORY, "out of memory for %zu jobs", jobs);
  for (size_t i = 0; i < count; i++) workers[i] = (worker){.all = b, .run = *run};
  /* Where the system has no more threads, those that there are do the work. */
  size_t started = 1;
  while (started < count && pthread_create(&workers[started].thread, NULL, work, &workers[started]) == 0)
    started++;
  work(&workers[0]);
  for (size_t i = 1; i < started; i++) pthread_join(workers[i].thread, NULL);
  free(workers);
  return RST_OK;
}

/* All pictures, with the places that they are computed in. */
static rst_status restore_all(batch *b, const rst_model *model, rst_budget *budget, rst_error *err) {
  gate g;
  size_t jobs;
  picture_run run = {.options = b->options, .model = model, .gate = &g, .progress = &b->progress};
  run.tell_stages = b->options->verbose && b->progress.kind != PROGRESS_BAR;
  gate_init(&g);
  rst_status status = make_places(b, &g, &run, budget, &jobs, err);
  if (status == RST_OK) status = run_workers(b, &run, jobs, err);
  gate_destroy(&g);
  for (size_t i = 0; i < g.count; i++) rst_budget_free(g.shares[i].budget);
  return status;
}

int batch_run(const cli_options *options, const rst_model *model, const stats_model *about,
              rst_budget *budget, const job_list *list, stats_output *stats) {
  batch b = {.options = options, .about = about, .list = list, .stats = stats};
  rst_error err = {0};
  progress_start(&b.progress, options->quiet ? PROGRESS_NONE : (progress_kind)options->progress, list->count,
                 list->folder);
  pthread_mutex_init(&b.lock, NULL);
  rst_status status = restore_all(&b, model, budget, &err);
  pthread_mutex_destroy(&b.lock);
  progress_end(&b.progress);
  if (cli_interrupted()) return cli_fail(PROGRAM, RST_CANCELLED, "interrupted");
  if (status != RST_OK) return cli_fail_error(PROGRAM, status, &err);
  if (b.failed == 0) return 0;
  if (!list->folder) return cli_exit_status(b.last_error);
  if (list->count > 1) cli_print_line(stderr, PROGRAM ": %zu of %zu pictures failed", b.failed, list->count);
  return EXIT_SOME_FAILED;
}
