/* Reading files into memory. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "support/cmocka_all.h"
#include "support/fail_alloc.h"
#include "support/scratch.h"

static bool cancel_at_once(void *user) {
  ++*(int *)user;
  return true;
}

static bool go_on(void *user) {
  ++*(int *)user;
  return false;
}

static const rst_reading plain = {.status = RST_ERROR_INPUT, .limit = 1 << 30};

static void assert_reads(const char *path, const char *text, size_t size) {
  rst_contents c;
  rst_error err;
  assert_int_equal(rst_file_read(path, &plain, &c, &err), RST_OK);
  assert_int_equal(c.size, size);
  assert_memory_equal(c.data, text, size);
  rst_contents_free(&c);
  assert_null(c.data);
  rst_contents_free(&c);
}

static void test_read_has_the_bytes_of_files_of_all_sizes(void **state) {
  (void)state;
  enum { SIZE = 300000 };
  static char text[SIZE];
  for (int i = 0; i < SIZE; i++) text[i] = (char)(i * 7 + i / 251);
  static const size_t sizes[] = {0, 1, 65535, 65536, 65537, SIZE};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    scratch_put("f", text, sizes[i]);
    assert_reads("f", text, sizes[i]);
  }
}

/* Writes in pieces, with pauses, so that reads come up short. */
static pid_t feed(const char *path, const char *text, size_t size) {
  pid_t child = fork();
  assert_true(child >= 0);
  if (child != 0) return child;
  FILE *f = fopen(path, "wb");
  size_t half = size / 2;
  if (f == NULL || fwrite(text, 1, half, f) != half || fflush(f) != 0) _exit(1);
  usleep(20000);
  if (fwrite(text + half, 1, size - half, f) != size - half || fclose(f) != 0) _exit(1);
  _exit(0);
}

static void test_read_takes_pipes_and_standard_input(void **state) {
  (void)state;
  enum { SIZE = 200000 };
  static char text[SIZE];
  for (int i = 0; i < SIZE; i++) text[i] = (char)(i * 5 + i / 253);
  assert_int_equal(mkfifo("pipe", 0666), 0);
  pid_t child = feed("pipe", text, SIZE);
  assert_reads("pipe", text, SIZE);
  int status, old = dup(STDIN_FILENO);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  scratch_put("f", text, SIZE);
  assert_non_null(freopen("f", "rb", stdin));
  assert_reads("-", text, SIZE);
  if (old >= 0) dup2(old, STDIN_FILENO), close(old);
}

static void assert_read_fails(const char *path, const rst_reading *reading, rst_status status,
                              const char *message) {
  rst_contents c;
  rst_error err;
  assert_int_equal(rst_file_read(path, reading, &c, &err), status);
  assert_string_equal(err.message, message);
  assert_null(c.data);
}

static void test_read_refuses_with_a_reason(void **state) {
  (void)state;
  mkdir("folder", 0777);
  assert_read_fails("none", &plain, RST_ERROR_INPUT, "none: cannot be opened: No such file or directory");
  assert_read_fails("folder", &plain, RST_ERROR_INPUT, "folder: is a directory, expected a file");
}

static void test_read_is_bounded(void **state) {
  (void)state;
  enum { LIMIT = 100000 };
  static char text[LIMIT + 1];
  rst_contents c;
  const rst_reading bounded = {.status = RST_ERROR_WEIGHTS, .limit = LIMIT};
  scratch_put("f", text, LIMIT);
  assert_int_equal(rst_file_read("f", &bounded, &c, NULL), RST_OK);
  rst_contents_free(&c);
  scratch_put("f", text, LIMIT + 1);
  assert_read_fails("f", &bounded, RST_ERROR_WEIGHTS, "f: has more than 100000 bytes, which is the limit");
  assert_read_fails("/dev/zero", &bounded, RST_ERROR_WEIGHTS,
                    "/dev/zero: has more than 100000 bytes, which is the limit");
}

static void test_read_can_be_cancelled_while_it_waits(void **state) {
  (void)state;
  int asked = 0;
  const rst_reading cancelled = {
      .status = RST_ERROR_INPUT, .limit = 1 << 20, .cancelled = cancel_at_once, .user = &asked};
  assert_int_equal(mkfifo("pipe", 0666), 0); /* that nobody writes to */
  assert_read_fails("pipe", &cancelled, RST_CANCELLED, "pipe: reading was cancelled");
  assert_int_equal(asked, 1);
}

static void ignore_alarm(int number) {
  (void)number;
}

static void test_read_goes_on_after_a_signal_unless_it_is_cancelled(void **state) {
  (void)state;
  struct sigaction catch = {.sa_handler = ignore_alarm}, old;
  int asked = 0;
  const rst_reading asking = {
      .status = RST_ERROR_INPUT, .limit = 1 << 20, .cancelled = go_on, .user = &asked};
  sigaction(SIGALRM, &catch, &old);
  assert_int_equal(mkfifo("pipe", 0666), 0);
  ualarm(50000, 0);
  assert_read_fails("pipe", &plain, RST_ERROR_INPUT, "pipe: cannot be read: Interrupted system call");
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    usleep(200000);
    FILE *f = fopen("pipe", "wb");
    _exit(f == NULL || fputs("late", f) < 0 || fclose(f) != 0);
  }
  ualarm(50000, 0);
  rst_contents c;
  assert_int_equal(rst_file_read("pipe", &asking, &c, NULL), RST_OK);
  assert_int_equal(c.size, 4);
  rst_contents_free(&c);
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_true(asked >= 2);
  sigaction(SIGALRM, &old, NULL);
}

static rst_status read_f(void *user, rst_error *err) {
  (void)user;
  rst_contents c;
  rst_status status = rst_file_read("f", &plain, &c, err);
  rst_contents_free(&c);
  return status;
}

static void test_every_failed_allocation_of_a_read_is_out_of_memory(void **state) {
  (void)state;
  static const char text[65536] = {0}; /* exactly the first buffer, so that it grows */
  scratch_put("f", text, sizeof text - 1);
  assert_true(fail_each_alloc(read_f, NULL) >= 1);
  scratch_put("f", text, sizeof text);
  assert_true(fail_each_alloc(read_f, NULL) >= 1);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_enter, scratch_leave)
  const struct CMUnitTest tests[] = {
      TEST(test_read_has_the_bytes_of_files_of_all_sizes),
      TEST(test_read_takes_pipes_and_standard_input),
      TEST(test_read_refuses_with_a_reason),
      TEST(test_read_is_bounded),
      TEST(test_read_can_be_cancelled_while_it_waits),
      TEST(test_read_goes_on_after_a_signal_unless_it_is_cancelled),
      TEST(test_every_failed_allocation_of_a_read_is_out_of_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
