/* What the helper process can do, what it cannot, and what becomes of one that goes wrong. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "sandbox/sandbox.h"
#include "support/cmocka_all.h"
#include "support/fail_alloc.h"

static rst_sandbox_options plain(void) {
  return (rst_sandbox_options){
      .name = "x", .status = RST_ERROR_INPUT, .memory = 64 << 20, .shared = 64 << 20, .seconds = 20};
}

#define NEED_SANDBOX() \
  if (!rst_sandbox_available()) skip()

/* Runs the work, which must end so. */
static void assert_ends(const rst_sandbox_options *options, rst_sandbox_work work, void *user,
                        rst_status status, const char *message) {
  rst_error err = {.message = ""};
  rst_shared shared;
  assert_int_equal(rst_sandbox_run(options, work, user, &shared, &err), status);
  assert_string_equal(err.message, message);
  if (status != RST_OK) assert_null(shared.data);
  rst_shared_free(&shared);
  assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
  assert_int_equal(errno, ECHILD);
}

static int open_files(void) {
  int n = 0;
  for (int fd = 0; fd < 1024; fd++) n += fcntl(fd, F_GETFD) >= 0;
  return n;
}

/* ---- What comes back ----------------------------------------------------------------------- */

enum { SHARED = 300000, RECORD = 200000 };

typedef struct received {
  unsigned kinds[8];
  size_t sizes[8], count;
  bool right;
} received;

static bool receive(void *user, unsigned kind, const void *data, size_t size) {
  received *r = user;
  const uint8_t *bytes = data;
  for (size_t i = 0; i < size; i++) r->right = r->right && bytes[i] == (uint8_t)(i * 7 + kind);
  r->kinds[r->count] = kind;
  r->sizes[r->count++] = size;
  return true;
}

static rst_status give_much(void *user, rst_sandbox *sandbox, rst_error *err) {
  static uint8_t record[RECORD];
  (void)user;
  for (unsigned kind = 3; kind < 6; kind++) {
    for (size_t i = 0; i < sizeof record; i++) record[i] = (uint8_t)(i * 7 + kind);
    if (!rst_sandbox_send(sandbox, kind, record, kind == 4 ? 0 : RECORD / kind))
      return rst_fail(err, RST_ERROR_INPUT, "a record is not taken");
  }
  uint8_t *shared = rst_sandbox_share(sandbox, SHARED);
  if (shared == NULL) return rst_fail_memory(err, "what is shared");
  for (size_t i = 0; i < SHARED; i++) {
    if (shared[i] != 0) return rst_fail(err, RST_ERROR_INPUT, "what is shared is not zero");
    shared[i] = (uint8_t)(i * 13);
  }
  if (rst_sandbox_share(sandbox, SHARED) != NULL) return rst_fail(err, RST_ERROR_INPUT, "shared twice");
  return RST_OK;
}

static void test_records_and_memory_come_back(void **state) {
  (void)state;
  NEED_SANDBOX();
  received r = {.right = true};
  rst_sandbox_options options = plain();
  options.receive = receive, options.user = &r;
  rst_shared shared;
  int files = open_files();
  assert_int_equal(rst_sandbox_run(&options, give_much, NULL, &shared, NULL), RST_OK);
  assert_int_equal(shared.size, SHARED);
  const uint8_t *bytes = shared.data;
  for (size_t i = 0; i < SHARED; i++) assert_int_equal(bytes[i], (uint8_t)(i * 13));
  rst_shared_free(&shared);
  rst_shared_free(&shared);
  assert_true(r.right);
  assert_int_equal(r.count, 3);
  assert_int_equal(r.kinds[2], 5);
  assert_int_equal(r.sizes[0], RECORD / 3);
  assert_int_equal(r.sizes[1], 0);
  assert_int_equal(open_files(), files);
}

static rst_status refuse(void *user, rst_sandbox *sandbox, rst_error *err) {
  (void)sandbox;
  return rst_fail(err, *(rst_status *)user, "x: no\nsuch %s", "thing");
}

static void test_status_and_message_come_back(void **state) {
  (void)state;
  NEED_SANDBOX();
  rst_sandbox_options options = plain();
  rst_status wanted[] = {RST_ERROR_INPUT, RST_ERROR_MEMORY, RST_ERROR_WEIGHTS, RST_CANCELLED};
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
    assert_ends(&options, refuse, &wanted[i], wanted[i], "x: no?such thing");
}

/* ---- What it cannot do --------------------------------------------------------------------- */

static rst_status try_everything(void *user, rst_sandbox *sandbox, rst_error *err) {
  (void)user, (void)sandbox;
  const char *done = NULL;
  char byte;
  if (open("/etc/passwd", O_RDONLY) >= 0) done = "opened a file";
  if (open("/tmp/restormer-sandbox-escape", O_WRONLY | O_CREAT, 0666) >= 0) done = "created a file";
  if (unlink("/tmp") == 0 || errno != EPERM) done = "was asked to remove something";
  if (mkdir("/tmp/restormer-sandbox-escape", 0777) == 0) done = "made a folder";
  if (fork() >= 0) done = "forked";
  if (kill(getppid(), 0) == 0) done = "sent a signal";
  if (write(STDOUT_FILENO, "", 1) >= 0 || write(STDERR_FILENO, "", 1) >= 0) done = "wrote to the terminal";
  if (read(STDIN_FILENO, &byte, 1) >= 0) done = "read from the terminal";
  if (mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
    done = "made code";
  void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) done = "got no memory";
  if (page != MAP_FAILED && mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0) done = "made code of data";
  if (chdir("/") == 0) done = "went elsewhere";
  if (setuid(0) == 0) done = "became root";
  return done == NULL ? RST_OK : rst_fail(err, RST_ERROR_INPUT, "x: %s", done);
}

static void test_helper_has_given_up_everything(void **state) {
  (void)state;
  NEED_SANDBOX();
  rst_sandbox_options options = plain();
  assert_ends(&options, try_everything, NULL, RST_OK, "");
}

static rst_status open_socket(void *user, rst_sandbox *sandbox, rst_error *err) {
  (void)user, (void)sandbox, (void)err;
  socket(AF_INET, SOCK_STREAM, 0);
  return RST_OK;
}

static rst_status start_program(void *user, rst_sandbox *sandbox, rst_error *err) {
  (void)user, (void)sandbox, (void)err;
  execl("/bin/sh", "sh", "-c", "true", (char *)NULL);
  return RST_OK;
}

static void test_network_and_programs_end_the_helper(void **state) {
  (void)state;
  NEED_SANDBOX();
  static const char message[] =
      "x: its decoder has tried what no decoder does, and was stopped: the file is an attack";
  rst_sandbox_options options = plain();
  assert_ends(&options, open_socket, NULL, RST_ERROR_INPUT, message);
  assert_ends(&options, start_program, NULL, RST_ERROR_INPUT, message);
}

/* ---- What it must not do ------------------------------------------------------------------- */

static rst_status crash(void *user, rst_sandbox *sandbox, rst_error *err) {
  (void)sandbox, (void)err;
  raise(*(int *)user);
  return RST_OK;
}

static void test_crash_is_an_error_of_the_file(void **state) {
  (void)state;
  NEED_SANDBOX();
  rst_sandbox_options options = plain();
  int signals[] = {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL};
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
    char message[128];
    snprintf(message, sizeof message,
             "x: its decoder has crashed (signal %d): the file is damaged, or an attack", signals[i]);
    assert_ends(&options, crash, &signals[i], RST_ERROR_INPUT, message);
  }
  options.status = RST_ERROR_WEIGHTS;
  int killed = SIGKILL;
  assert_ends(&options, crash, &killed, RST_ERROR_MEMORY,
              "x: its decoder was killed, perhaps for lack of memory");
}

static rst_status leave(void *user, rst_sandbox *sandbox, rst_error *err) {
  (void)sandbox, (void)err;
  _exit(*(int *)user);
}

static void test_helper_without_an_answer_is_an_error(void **state) {
  (void)state;
  NEED_SANDBOX();
  rst_sandbox_options options = plain();
  for (int status = 0; status < 2; status++)
    assert_ends(&options, leave, &status, RST_ERROR_INPUT, "x: its decoder has ended without an answer");
}

static rst_status loop_for_ever(void *user, rst_sandbox *sandbox, rst_error *err) {
  (void)user, (void)sandbox, (void)err;
  for (volatile unsigned i = 0;; i++) continue;
  return RST_OK;
}

static void test_processor_time_is_limited(void **state) {
  (void)state;
  NEED_SANDBOX();
  rst_sandbox_options options = plain();
  options.seconds = 1;
  assert_ends(&options, loop_for_ever, NULL, RST_ERROR_INPUT,
              "x: takes more than 1 s of processor time to be read");
}

static bool cancel_later(void *user) {
  return ++*(int *)user > 2;
}

static rst_status wait_for_nothing(void *user, rst_sandbox *sandbox, rst_error *err) {
  pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  (void)user, (void)sandbox, (void)err;
  pthread_mutex_lock(&lock);
  pthread_mutex_lock(&lock);
  return RST_OK;
}

static void test_helper_that_hangs_is_given_up(void **state) {
  (void)state;
  NEED_SANDBOX();
  rst_sandbox_options options = plain();
  options.idle = 1;
  assert_ends(&options, wait_for_nothing, NULL, RST_ERROR_INPUT,
              "x: its decoder hangs: the file is damaged, or an attack");
}

static void test_helper_is_killed_when_the_caller_cancels(void **state) {
  (void)state;
  NEED_SANDBOX();
  rst_sandbox_options options = plain();
  int asked = 0;
  struct timespec start, end;
  options.cancelled = cancel_later, options.user = &asked;
  clock_gettime(CLOCK_MONOTONIC, &start);
  assert_ends(&options, loop_for_ever, NULL, RST_CANCELLED, "x: cancelled");
  clock_gettime(CLOCK_MONOTONIC, &end);
  assert_true(end.tv_sec - start.tv_sec < 5);
}

static rst_status take_memory(void *user, rst_sandbox *sandbox, rst_error *err) {
  (void)sandbox;
  size_t bytes = *(size_t *)user;
  char *p = rst_alloc(bytes, 1);
  if (p == NULL) return rst_fail_memory(err, "much");
  for (size_t i = 0; i < bytes; i += 4096) ((volatile char *)p)[i] = 1;
  rst_free(p);
  return RST_OK;
}

static rst_status share_too_much(void *user, rst_sandbox *sandbox, rst_error *err) {
  return rst_sandbox_share(sandbox, *(size_t *)user) != NULL ? RST_OK
                                                             : rst_fail_memory(err, "what is shared");
}

static void test_memory_is_limited(void **state) {
  (void)state;
  NEED_SANDBOX();
  rst_sandbox_options options = plain();
  size_t most = 64 << 20, more = (64 << 20) + 1, half = 32 << 20;
  assert_ends(&options, share_too_much, &more, RST_ERROR_MEMORY, "out of memory for what is shared");
  assert_ends(&options, share_too_much, &most, RST_OK, "");
  assert_ends(&options, take_memory, &half, RST_OK, "");
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
  size_t much = (size_t)300 << 20;
  assert_ends(&options, take_memory, &much, RST_ERROR_MEMORY, "out of memory for much");
#endif
}

static const char nonsense[] =
    "x: its decoder gives an answer that makes no sense: the file is damaged, or an attack";

static bool refuse_record(void *user, unsigned kind, const void *data, size_t size) {
  (void)user, (void)kind, (void)data, (void)size;
  return false;
}

static rst_status send_kind(void *user, rst_sandbox *sandbox, rst_error *err) {
  (void)err;
  rst_sandbox_send(sandbox, *(unsigned *)user, "abc", 3);
  return RST_OK;
}

static void test_answers_that_make_no_sense_are_refused(void **state) {
  (void)state;
  NEED_SANDBOX();
  rst_sandbox_options options = plain();
  unsigned kinds[] = {1, 256, 257, ~0u}; /* nobody takes records; an ending that is none; what there is not */
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    assert_ends(&options, send_kind, &kinds[i], RST_ERROR_INPUT, nonsense);
  options.receive = refuse_record;
  assert_ends(&options, send_kind, &kinds[0], RST_ERROR_INPUT, nonsense);
}

static rst_status end_strangely(void *user, rst_sandbox *sandbox, rst_error *err) {
  (void)sandbox;
  memset(err->message, 'a', sizeof err->message); /* without an end */
  return (rst_status) * (int *)user;
}

static void test_statuses_that_there_are_not_are_refused(void **state) {
  (void)state;
  NEED_SANDBOX();
  rst_sandbox_options options = plain();
  int wrong[] = {-1, RST_CANCELLED + 1, 1000};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    assert_ends(&options, end_strangely, &wrong[i], RST_ERROR_INPUT, nonsense);
  rst_error err;
  rst_shared shared;
  int right = RST_ERROR_INPUT;
  assert_int_equal(rst_sandbox_run(&options, end_strangely, &right, &shared, &err), RST_ERROR_INPUT);
  assert_int_equal(strlen(err.message), sizeof err.message - 1);
}

/* ---- Many, and without memory -------------------------------------------------------------- */

static void *run_many(void *user) {
  (void)user;
  rst_sandbox_options options = plain();
  for (int i = 0; i < 20; i++) {
    received r = {.right = true};
    rst_shared shared;
    options.receive = receive, options.user = &r;
    if (rst_sandbox_run(&options, give_much, NULL, &shared, NULL) != RST_OK || !r.right || r.count != 3 ||
        ((uint8_t *)shared.data)[SHARED - 1] != (uint8_t)((SHARED - 1) * 13))
      return "wrong";
    rst_shared_free(&shared);
  }
  return NULL;
}

static void *see_whether_available(void *available) {
  *(bool *)available = rst_sandbox_available();
  return NULL;
}

static void test_threads_have_a_helper_each(void **state) {
  (void)state;
  NEED_SANDBOX();
  pthread_t threads[8];
  bool available;
  assert_int_equal(pthread_create(&threads[0], NULL, see_whether_available, &available), 0);
  pthread_join(threads[0], NULL);
  if (!available) skip(); /* under sanitizers, whose allocators do not see to their locks at a fork */
  for (int i = 0; i < 8; i++) assert_int_equal(pthread_create(&threads[i], NULL, run_many, NULL), 0);
  for (int i = 0; i < 8; i++) {
    void *wrong;
    pthread_join(threads[i], &wrong);
    assert_null(wrong);
  }
}

static rst_status run_once(void *user, rst_error *err) {
  rst_sandbox_options options = plain();
  rst_shared shared;
  options.receive = receive, options.user = &(received){0};
  rst_status status = rst_sandbox_run(&options, give_much, user, &shared, err);
  rst_shared_free(&shared);
  return status;
}

static void test_every_failed_allocation_is_out_of_memory(void **state) {
  (void)state;
  NEED_SANDBOX();
  assert_true(fail_each_alloc(run_once, NULL) >= 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_records_and_memory_come_back),
      cmocka_unit_test(test_status_and_message_come_back),
      cmocka_unit_test(test_helper_has_given_up_everything),
      cmocka_unit_test(test_network_and_programs_end_the_helper),
      cmocka_unit_test(test_crash_is_an_error_of_the_file),
      cmocka_unit_test(test_helper_without_an_answer_is_an_error),
      cmocka_unit_test(test_processor_time_is_limited),
      cmocka_unit_test(test_helper_that_hangs_is_given_up),
      cmocka_unit_test(test_helper_is_killed_when_the_caller_cancels),
      cmocka_unit_test(test_memory_is_limited),
      cmocka_unit_test(test_answers_that_make_no_sense_are_refused),
      cmocka_unit_test(test_statuses_that_there_are_not_are_refused),
      cmocka_unit_test(test_threads_have_a_helper_each),
      cmocka_unit_test(test_every_failed_allocation_is_out_of_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
