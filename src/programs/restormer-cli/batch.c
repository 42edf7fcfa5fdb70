#include "batch.h"

#include <pthread.h>
#include <stdlib.h>

#include "folders.h"
#include "machine.h"
#include "programs/common/cli.h"

/* More workers than pictures are computed at once, who write what is done and read what comes next: a disk
 * takes as long for a small file as the network does. */
enum { EXIT_SOME_FAILED = 1, WAITING = 4 };

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
static rst_status share(gate *g, picture_run *run, size_t jobs, rst_budget *budget, rst_error *err) {
  enum { AHEAD = 64 * WAITING }; /* parts of what there is; so little does not count */
  gate_init(g);
  run->ahead = rst_budget_limit(budget) / jobs / AHEAD;
  if (jobs == 1) {
    gate_add(g, budget);
    return RST_OK;
  }
  const int threads = run->threads > 0 ? run->threads : machine_processors();
  run->threads = threads > (int)jobs ? threads / (int)jobs : 1;
  const uint64_t left = rst_budget_limit(budget) - rst_budget_used(budget);
  rst_status status = RST_OK;
  for (size_t i = 0; i < jobs && status == RST_OK; i++) {
    rst_budget *part;
    status = rst_budget_create(left > jobs ? left / jobs : 1, &part, err);
    if (status == RST_OK) gate_add(g, part);
  }
  return status;
}

static rst_status run_workers(batch *b, picture_run *run, size_t jobs, rst_budget *budget, rst_error *err) {
  const size_t count = b->list->count - jobs < WAITING ? b->list->count : jobs + WAITING;
  worker *workers = calloc(count, sizeof *workers);
  if (workers == NULL) return cli_error(err, RST_ERROR_MEMORY, "out of memory for %zu jobs", jobs);
  gate g;
  rst_status status = share(&g, run, jobs, budget, err);
  run->gate = &g;
  size_t made = 0;
  do workers[made] = (worker){.all = b, .run = *run};
  while (++made < count);
  if (status == RST_OK) {
    /* Where the system has no more threads, those that there are do the work. */
    size_t started = 1;
    while (started < count && pthread_create(&workers[started].thread, NULL, work, &workers[started]) == 0)
      started++;
    work(&workers[0]);
    for (size_t i = 1; i < started; i++) pthread_join(workers[i].thread, NULL);
  }
  gate_destroy(&g);
  for (size_t i = 0; jobs > 1 && i < g.count; i++) rst_budget_free(g.places[i].budget);
  run->gate = NULL;
  free(workers);
  return status;
}

int batch_run(const cli_options *options, const rst_model *model, const stats_model *about,
              rst_budget *budget, const job_list *list, stats_output *stats) {
  batch b = {.options = options, .about = about, .list = list, .stats = stats};
  rst_error err = {0};
  size_t jobs = (size_t)options->jobs;
  if (jobs > list->count) jobs = list->count;
  progress_start(&b.progress, options->quiet ? PROGRESS_NONE : (progress_kind)options->progress, list->count,
                 list->folder);
  pthread_mutex_init(&b.lock, NULL);
  picture_run run = {
      .options = options, .model = model, .threads = options->threads, .progress = &b.progress};
  run.tell_stages = options->verbose && b.progress.kind != PROGRESS_BAR;
  rst_status status = run_workers(&b, &run, jobs, budget, &err);
  pthread_mutex_destroy(&b.lock);
  progress_end(&b.progress);
  if (cli_interrupted()) return cli_fail(PROGRAM, RST_CANCELLED, "interrupted");
  if (status != RST_OK) return cli_fail_error(PROGRAM, status, &err);
  if (b.failed == 0) return 0;
  if (!list->folder) return cli_exit_status(b.last_error);
  if (list->count > 1) cli_print_line(stderr, PROGRAM ": %zu of %zu pictures failed", b.failed, list->count);
  return EXIT_SOME_FAILED;
}
