/* Writing an output in a process that is killed at every step of it in turn: the old or the new file, never
 * half of one; and that the data is on the disk before its name is. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int steps_left;              /* until the process is killed */
static int synchronised, fail_sync; /* calls of fsync; the errno that the next one fails with */

static void step(void) {
  if (--steps_left == 0) raise(SIGKILL);
}

static int step_fsync(int fd) {
  step();
  if (fail_sync != 0) {
    errno = fail_sync;
    return -1;
  }
  int result = fsync(fd);
  synchronised++;
  step();
  return result;
}

static int step_linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
  step();
  int result = linkat(from_folder, from, to_folder, to, flags);
  step();
  return result;
}

static int step_rename(const char *from, const char *to) {
  step();
  if (synchronised == 0) raise(SIGABRT);
  int result = rename(from, to);
  step();
  return result;
}

static size_t step_fwrite(const void *data, size_t size, size_t count, FILE *stream) {
  step();
  size_t result = fwrite(data, size, count, stream);
  step();
  return result;
}

static int step_fflush(FILE *stream) {
  step();
  int result = fflush(stream);
  step();
  return result;
}

#define fsync step_fsync
#define linkat step_linkat
#define rename step_rename
#define fwrite step_fwrite
#define fflush step_fflush
#include "base/output.c"
#undef fsync
#undef linkat
#undef rename
#undef fwrite
#undef fflush

#include "support/cmocka_all.h"
#include "support/scratch.h"

enum { SIZE = 100000, MAX_STEPS = 40 };

static char text[SIZE];

static rst_status write_new(rst_error *err) {
  rst_output output;
  rst_status status = rst_output_open("f", &output, err);
  if (status != RST_OK) return status;
  for (int i = 0; i < SIZE; i += SIZE / 4) rst_output_write(&output, text + i, SIZE / 4);
  return rst_output_commit(&output, err);
}

/* True when the process came to the end before the step. */
static bool write_and_die(int at) {
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    steps_left = at;
    _exit(write_new(NULL) != RST_OK);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  if (WIFSIGNALED(status)) assert_int_equal(WTERMSIG(status), SIGKILL);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* The size of the file, which must be `old` or all of the new one; -1: there is none. */
static long read_result(const char *old) {
  static char found[SIZE + 1];
  FILE *f = fopen("f", "rb");
  if (f == NULL) return -1;
  size_t n = fread(found, 1, sizeof found, f);
  fclose(f);
  if (n == SIZE) assert_memory_equal(found, text, SIZE);
  if (n != SIZE) assert_true(old != NULL && n == strlen(old) && memcmp(found, old, n) == 0);
  return (long)n;
}

static int temporaries(void) {
  int n = 0;
  DIR *folder = opendir(".");
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) n += is_temporary_name(entry->d_name);
  closedir(folder);
  return n;
}

static void test_killed_anywhere_the_old_or_the_new_file_is_there(void **state) {
  (void)state;
  int olds = 0, news = 0, left = 0, at = 1;
  for (bool done = false; !done; at++) {
    assert_true(at < MAX_STEPS);
    scratch_put_text("f", "old");
    done = write_and_die(at);
    long size = read_result("old");
    assert_true(size > 0);
    if (size == SIZE) news++;
    if (size != SIZE) olds++;
    if (temporaries() > 0) left++;
    assert_int_equal(system("touch -d '2 days ago' .restormer-* 2>/dev/null; true"), 0);
  }
  assert_true(olds > 5 && news > 1);
  assert_true(left > 0); /* between the link and the rename */
  steps_left = 0;
  assert_int_equal(write_new(NULL), RST_OK);
  assert_int_equal(temporaries(), 0); /* and cleaned up by the next run */
}

/* Where there was no file, no name is ever there that is not the whole file's. */
static void test_killed_anywhere_a_new_file_is_whole_or_not_there(void **state) {
  (void)state;
  int at = 1;
  for (bool done = false; !done; at++) {
    assert_true(at < MAX_STEPS);
    unlink("f");
    done = write_and_die(at);
    read_result(NULL);
    assert_int_equal(temporaries(), 0);
  }
  assert_true(at > 10);
}

static void test_data_that_does_not_reach_the_disk_is_an_error(void **state) {
  (void)state;
  rst_error err;
  scratch_put_text("f", "old");
  fail_sync = EIO;
  assert_int_equal(write_new(&err), RST_ERROR_OUTPUT);
  assert_string_equal(err.message, "f: cannot be written: Input/output error");
  assert_int_equal(read_result("old"), 3);
  fail_sync = EINVAL; /* a file system without it */
  assert_int_equal(write_new(NULL), RST_OK);
  fail_sync = 0;
  synchronised = 0;
  assert_int_equal(write_new(NULL), RST_OK);
  assert_int_equal(synchronised, 2); /* the file and its folder */
  assert_int_equal(temporaries(), 0);
}

int main(void) {
  for (int i = 0; i < SIZE; i++) text[i] = (char)('a' + i % 23);
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_enter, scratch_leave)
  const struct CMUnitTest tests[] = {
      TEST(test_killed_anywhere_the_old_or_the_new_file_is_there),
      TEST(test_killed_anywhere_a_new_file_is_whole_or_not_there),
      TEST(test_data_that_does_not_reach_the_disk_is_an_error),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
