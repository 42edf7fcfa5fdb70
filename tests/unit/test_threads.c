/* test_threads.c - the pool: every task once, whatever number of threads there are, and after fork. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/threads.h"
#include "support/cmocka_all.h"
#include "support/fail_threads.h"
#include "support/fixture.h"
#include "support/model_fixture.h"

enum { MOST_TASKS = 300, MOST_THREADS = 9 };

typedef struct job {
  atomic_int done[MOST_TASKS]; /* how often */
  atomic_int wrong_worker, busy[MOST_THREADS];
  int threads;
} job;

/* No two tasks at once have the same worker. */
static void count_task(void *context, size_t task, int worker) {
  job *j = context;
  if (worker < 0 || worker >= j->threads || atomic_fetch_add(&j->busy[worker], 1) != 0)
    atomic_fetch_add(&j->wrong_worker, 1);
  atomic_fetch_add(&j->done[task], 1);
  atomic_fetch_sub(&j->busy[worker], 1);
}

static void expect_all_once(rst_pool *pool, int threads, size_t count) {
  job *j = fixture_alloc(1, sizeof *j);
  j->threads = threads;
  rst_pool_run(pool, count, count_task, NULL, j);
  for (size_t i = 0; i < MOST_TASKS; i++)
    if (j->done[i] != (i < count)) fail_msg("task %zu of %zu: done %d times", i, count, j->done[i]);
  assert_int_equal(j->wrong_worker, 0);
  free(j);
}

static void every_task_once(void **state) {
  (void)state;
  for (int threads = 1; threads <= MOST_THREADS; threads++) {
    rst_pool *pool = rst_pool_create(threads);
    assert_non_null(pool);
    for (size_t count = 0; count <= 2 * MOST_THREADS; count++) expect_all_once(pool, threads, count);
    for (int again = 0; again < 50; again++) expect_all_once(pool, threads, MOST_TASKS);
    rst_pool_free(pool);
  }
}

static void a_pool_without_jobs(void **state) {
  (void)state;
  rst_pool_free(rst_pool_create(4));
  rst_pool_free(NULL);
}

static void fewer_threads_than_asked_for(void **state) {
  (void)state;
  for (int given = 0; given < 3; given++) {
    fail_threads_after(given);
    rst_pool *pool = rst_pool_create(4);
    for (int again = 0; again < 5; again++) expect_all_once(pool, given + 1, MOST_TASKS);
    rst_pool_free(pool);
    fail_threads_after(-1);
  }
}

static void numbers_of_threads(void **state) {
  (void)state;
  assert_int_equal(rst_threads(3), 3);
  assert_int_equal(rst_threads(1 << 20), 1024);
  assert_true(rst_threads(0) >= 1 && rst_threads(-5) == rst_threads(0));
}

/* ---- Waiting ---------------------------------------------------------------------------------------------
 */

typedef struct slow_job {
  atomic_bool polled;
  pthread_t caller;
} slow_job;

/* The other thread's task takes until the caller's thread, which has none left, has polled. */
static void wait_for_poll(void *context, size_t task, int worker) {
  slow_job *j = context;
  (void)task;
  for (int i = 0; worker != 0 && !atomic_load(&j->polled) && i < 10000; i++) usleep(1000);
  if (worker == 0) usleep(1000);
}

static void note_poll(void *context) {
  slow_job *j = context;
  if (pthread_equal(pthread_self(), j->caller)) atomic_store(&j->polled, true);
}

static void the_caller_polls_while_it_waits(void **state) {
  (void)state;
  slow_job j = {.caller = pthread_self()};
  rst_pool *pool = rst_pool_create(2);
  for (int i = 0; i < 100 && !atomic_load(&j.polled); i++)
    rst_pool_run(pool, 40, wait_for_poll, note_poll, &j);
  assert_true(j.polled);
  rst_pool_free(pool);
}

static void note_signals(void *context, size_t task, int worker) {
  atomic_int *open = context;
  sigset_t blocked;
  (void)task;
  pthread_sigmask(SIG_SETMASK, NULL, &blocked);
  if (worker != 0 && !sigismember(&blocked, SIGINT)) atomic_fetch_add(open, 1);
  usleep(100);
}

static void signals_are_for_other_threads(void **state) {
  (void)state;
  atomic_int open = 0;
  rst_pool *pool = rst_pool_create(3);
  rst_pool_run(pool, 50, note_signals, NULL, &open);
  rst_pool_free(pool);
  assert_int_equal(open, 0);
}

/* ---- Fork ------------------------------------------------------------------------------------------------
 */

/* ThreadSanitizer's runtime takes the threads of a child for those of its parent. */
#ifdef __SANITIZE_THREAD__
#define NEED_THREADS_AFTER_FORK() skip()
#else
#define NEED_THREADS_AFTER_FORK() (void)0
#endif

static void expect_status(pid_t child, int expected) {
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), expected);
}

static void child_and_parent_go_on_with_a_pool(void **state) {
  (void)state;
  NEED_THREADS_AFTER_FORK();
  rst_pool *pool = rst_pool_create(4);
  expect_all_once(pool, 4, MOST_TASKS);
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    alarm(60);
    job *j = calloc(1, sizeof *j);
    j->threads = 4;
    for (int again = 0; again < 3; again++) rst_pool_run(pool, MOST_TASKS, count_task, NULL, j);
    int status = j->wrong_worker;
    for (size_t i = 0; i < MOST_TASKS; i++) status |= j->done[i] != 3;
    free(j);
    rst_pool_free(pool);
    _exit(status);
  }
  expect_all_once(pool, 4, MOST_TASKS);
  expect_status(child, 0);
  rst_pool_free(pool);
}

static void a_child_frees_what_it_inherited(void **state) {
  (void)state;
  rst_pool *pool = rst_pool_create(3);
  expect_all_once(pool, 3, 20);
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    alarm(60);
    rst_pool_free(pool);
    _exit(0);
  }
  expect_status(child, 0);
  rst_pool_free(pool);
}

static void a_session_runs_in_a_child(void **state) {
  (void)state;
  NEED_THREADS_AFTER_FORK();
  enum { SIDE = 40, SAMPLES = 3 * SIDE * SIDE };
  rst_model *model = fixture_channels(3, 3, false, 7);
  float *input = fixture_samples(1, SAMPLES), *expected = fixture_alloc(SAMPLES, sizeof *expected),
        *found = fixture_alloc(SAMPLES, sizeof *found);
  const rst_pixels from = fixture_planar(input, RST_SAMPLE_F32, 3, SIDE, SIDE);
  const rst_pixels to = fixture_planar(expected, RST_SAMPLE_F32, 3, SIDE, SIDE);
  const rst_pixels child_to = fixture_planar(found, RST_SAMPLE_F32, 3, SIDE, SIDE);
  rst_session *session;
  assert_int_equal(
      rst_session_create(model, SIDE, SIDE, &(rst_session_options){SESSION, .threads = 3}, &session, NULL),
      RST_OK);
  assert_int_equal(rst_session_run(session, &from, &to, NULL), RST_OK);
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    alarm(60);
    const rst_status status = rst_session_run(session, &from, &child_to, NULL);
    const bool same = memcmp(found, expected, SAMPLES * sizeof *found) == 0; /* NOLINT: bytes */
    rst_session_free(session);
    _exit(status == RST_OK && same ? 0 : 1);
  }
  expect_status(child, 0);
  assert_int_equal(rst_session_run(session, &from, &child_to, NULL), RST_OK);
  assert_memory_equal(found, expected, SAMPLES * sizeof *found);
  rst_session_free(session);
  free(input);
  free(expected);
  free(found);
  rst_model_free(model);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(numbers_of_threads),
      cmocka_unit_test(every_task_once),
      cmocka_unit_test(a_pool_without_jobs),
      cmocka_unit_test(fewer_threads_than_asked_for),
      cmocka_unit_test(the_caller_polls_while_it_waits),
      cmocka_unit_test(signals_are_for_other_threads),
      cmocka_unit_test(child_and_parent_go_on_with_a_pool),
      cmocka_unit_test(a_child_frees_what_it_inherited),
      cmocka_unit_test(a_session_runs_in_a_child),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
