#include "base/threads.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"

enum {
  MAX_THREADS = 1024,
  SPINS = 2000,          /* some tens of microseconds: longer than what lies between two jobs of a run */
  STACK_BYTES = 1 << 20, /* tasks need little; the default may be 8 MiB of address space, or 128 KiB */
  POLL_NANOSECONDS = 50000000
};

int rst_threads(int requested) {
  long threads = requested;
  if (requested <= 0) {
    threads = sysconf(_SC_NPROCESSORS_ONLN);
#ifdef CPU_COUNT
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) threads = CPU_COUNT(&set);
#endif
  }
  return threads < 1 ? 1 : threads < MAX_THREADS ? (int)threads : MAX_THREADS;
}

double rst_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- Pool ------------------------------------------------------------------------------------------ */

/* A thread other than the caller's. */
typedef struct worker {
  rst_pool *pool;
  pthread_t thread;
  int number;
} worker;

struct rst_pool {
  worker *workers; /* [threads]; the first one stands for the caller's thread */
  int threads;     /* asked for */
  int started;     /* including the caller's */
  pid_t owner;     /* process that they were started in; 0: none yet */
  int spins;       /* 0 where there are more threads than processors: others had better run */

  pthread_mutex_t lock; /* for all that follows; what is atomic is read without it, too, by who spins */
  pthread_cond_t begun, done;
  int asleep; /* waiting for `begun` */
  bool ending;
  rst_task *task;
  void *context;
  size_t next, count;       /* tasks not yet begun are next .. count - 1 */
  atomic_size_t unfinished; /* tasks */
  atomic_uint job;          /* number of jobs begun */
};

static void pause_processor(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb");
#endif
}

/* Does tasks as long as there are any; the lock is held before and after. */
static void do_tasks(rst_pool *p, int number) {
  while (p->next < p->count) {
    const size_t task = p->next++;
    rst_task *const run = p->task;
    void *const context = p->context;
    pthread_mutex_unlock(&p->lock);
    run(context, task, number);
    pthread_mutex_lock(&p->lock);
    if (atomic_fetch_sub(&p->unfinished, 1) == 1) pthread_cond_signal(&p->done);
  }
}

static void *work(void *argument) {
  const worker *w = argument;
  rst_pool *p = w->pool;
  unsigned seen = 0;
  for (;;) {
    for (int i = 0; i < p->spins && atomic_load(&p->job) == seen; i++) pause_processor();
    pthread_mutex_lock(&p->lock);
    p->asleep++;
    while (atomic_load(&p->job) == seen && !p->ending) pthread_cond_wait(&p->begun, &p->lock);
    p->asleep--;
    seen = atomic_load(&p->job);
    if (p->ending) break;
    do_tasks(p, w->number);
    pthread_mutex_unlock(&p->lock);
  }
  pthread_mutex_unlock(&p->lock);
  return NULL;
}

/* Starts as many threads as there may be. Signals are for the threads of the program. */
static void start(rst_pool *p) {
  pthread_attr_t attributes;
  sigset_t all, before;
  p->owner = getpid();
  p->started = 1;
  p->asleep = 0;
  atomic_store(&p->job, 0);
  pthread_mutex_init(&p->lock, NULL);
  pthread_cond_init(&p->begun, NULL);
  pthread_cond_init(&p->done, NULL);
  if (pthread_attr_init(&attributes) != 0) return;
  pthread_attr_setstacksize(&attributes, STACK_BYTES);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  for (int i = 1; i < p->threads; i++) {
    worker *w = &p->workers[i];
    *w = (worker){.pool = p, .number = i};
    if (pthread_create(&w->thread, &attributes, work, w) != 0) break;
    p->started++;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
}

rst_pool *rst_pool_create(int threads) {
  rst_pool *p = rst_alloc_zeroed(1, sizeof *p);
  worker *workers = rst_alloc_zeroed((size_t)threads, sizeof *workers);
  if (p == NULL || workers == NULL) {
    rst_free(p);
    rst_free(workers);
    return NULL;
  }
  p->workers = workers;
  p->threads = threads;
  p->spins = threads <= rst_threads(0) ? SPINS : 0;
  return p;
}

void rst_pool_free(rst_pool *p) {
  if (p == NULL) return;
  if (p->owner == getpid()) {
    pthread_mutex_lock(&p->lock);
    p->ending = true;
    pthread_cond_broadcast(&p->begun);
    pthread_mutex_unlock(&p->lock);
    for (int i = 1; i < p->started; i++) pthread_join(p->workers[i].thread, NULL);
    pthread_cond_destroy(&p->done);
    pthread_cond_destroy(&p->begun);
    pthread_mutex_destroy(&p->lock);
  }
  rst_free(p->workers);
  rst_free(p);
}

/* Waits on `done` until somebody signals it, or it is time to poll. */
static void wait_a_while(rst_pool *p) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until); /* what condition variables go by on every system */
  until.tv_nsec += POLL_NANOSECONDS;
  if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
  pthread_cond_timedwait(&p->done, &p->lock, &until);
}

void rst_pool_run(rst_pool *p, size_t count, rst_task *task, rst_poll *poll, void *context) {
  if (p->threads == 1 || count <= 1) {
    for (size_t i = 0; i < count; i++) task(context, i, 0);
    return;
  }
  if (p->owner != getpid()) start(p);
  pthread_mutex_lock(&p->lock);
  p->task = task, p->context = context;
  p->next = 0, p->count = count;
  atomic_store(&p->unfinished, count);
  atomic_fetch_add(&p->job, 1);
  for (size_t i = 1; i < count && i <= (size_t)p->asleep; i++) pthread_cond_signal(&p->begun);
  do_tasks(p, 0);
  pthread_mutex_unlock(&p->lock);
  for (int i = 0; i < p->spins && atomic_load(&p->unfinished) > 0; i++) pause_processor();
  pthread_mutex_lock(&p->lock);
  while (atomic_load(&p->unfinished) > 0) {
    wait_a_while(p);
    if (poll == NULL || atomic_load(&p->unfinished) == 0) continue;
    pthread_mutex_unlock(&p->lock);
    poll(context);
    pthread_mutex_lock(&p->lock);
  }
  pthread_mutex_unlock(&p->lock);
}
