/* Output files that appear whole or not at all. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/output.h"
#include "support/cmocka_all.h"
#include "support/fail_alloc.h"
#include "support/scratch.h"

static int enter_folder(void **state) {
  umask(022);
  return scratch_enter(state);
}

static void assert_content(const char *path, const char *text) {
  char buffer[64] = "";
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  size_t n = fread(buffer, 1, sizeof buffer - 1, f);
  buffer[n] = '\0';
  fclose(f);
  assert_string_equal(buffer, text);
}

static int files_here(void) {
  DIR *folder = opendir(".");
  int n = 0;
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
    n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
  closedir(folder);
  return n;
}

static unsigned mode_of(const char *path) {
  struct stat st;
  assert_int_equal(stat(path, &st), 0);
  return (unsigned)st.st_mode & 07777u;
}

static rst_status write_text(const char *path, const char *text, rst_error *err) {
  rst_output output;
  rst_status status = rst_output_open(path, &output, err);
  if (status != RST_OK) return status;
  rst_output_write(&output, text, strlen(text));
  return rst_output_commit(&output, err);
}

/* ---- Output -------------------------------------------------------------------------------- */

static void test_output_appears_at_commit_only(void **state) {
  (void)state;
  rst_output output;
  assert_int_equal(rst_output_open("f", &output, NULL), RST_OK);
  fputs("new", output.stream);
  assert_int_not_equal(access("f", F_OK), 0);
  assert_int_equal(rst_output_commit(&output, NULL), RST_OK);
  assert_content("f", "new");
  assert_int_equal(files_here(), 1);
  assert_null(output.stream);
  rst_output_discard(&output);
}

static void test_discarded_output_leaves_an_existing_file_alone(void **state) {
  (void)state;
  rst_output output;
  scratch_put_text("f", "old");
  assert_int_equal(rst_output_open("f", &output, NULL), RST_OK);
  fputs("new", output.stream);
  rst_output_discard(&output);
  assert_content("f", "old");
  assert_int_equal(files_here(), 1);
  rst_output_discard(&output);
}

static void test_permissions_follow_the_umask_or_the_existing_file(void **state) {
  (void)state;
  umask(027);
  assert_int_equal(write_text("fresh", "1", NULL), RST_OK);
  assert_int_equal(mode_of("fresh"), 0640);
  scratch_put_text("old", "0");
  chmod("old", 0604);
  assert_int_equal(write_text("old", "1", NULL), RST_OK);
  assert_int_equal(mode_of("old"), 0604);
  assert_content("old", "1");
}

static void test_symbolic_links_stay_links(void **state) {
  (void)state;
  char link[16] = "";
  mkdir("folder", 0777);
  scratch_put_text("folder/real", "old");
  assert_int_equal(symlink("folder/b", "a"), 0);
  assert_int_equal(symlink("real", "folder/b"), 0);
  assert_int_equal(write_text("a", "new", NULL), RST_OK);
  assert_content("folder/real", "new");
  assert_int_equal(readlink("a", link, sizeof link), 8);
  assert_int_equal(readlink("folder/b", link, sizeof link), 4);
}

static void test_dangling_link_creates_its_target(void **state) {
  (void)state;
  assert_int_equal(symlink("later", "a"), 0);
  assert_int_equal(write_text("a", "new", NULL), RST_OK);
  assert_content("later", "new");
  assert_int_equal(files_here(), 2);
}

static void test_special_files_are_written_directly(void **state) {
  (void)state;
  struct stat st;
  assert_int_equal(write_text("/dev/null", "new", NULL), RST_OK);
  assert_int_equal(stat("/dev/null", &st), 0);
  assert_true(S_ISCHR(st.st_mode));
}

static void assert_write_fails(const char *path, const char *message) {
  rst_error err;
  assert_int_equal(write_text(path, "new", &err), RST_ERROR_OUTPUT);
  assert_string_equal(err.message, message);
}

static void test_paths_that_cannot_be_written_say_why(void **state) {
  (void)state;
  mkdir("folder", 0777);
  assert_int_equal(symlink("loop", "loop"), 0);
  scratch_put_text("file", "old");
  assert_write_fails("none/f", "none/f: cannot be created: No such file or directory");
  assert_write_fails("folder", "folder: cannot be written: Is a directory");
  assert_write_fails("new/", "new/: cannot be created: Is a directory");
  assert_write_fails("", ": cannot be created: No such file or directory");
  assert_write_fails("loop", "loop: cannot be written: Too many levels of symbolic links");
  assert_write_fails("file/f", "file/f: cannot be created: Not a directory");
  assert_int_equal(files_here(), 3);
}

static void test_write_protected_file_is_refused(void **state) {
  (void)state;
  enum { NOBODY = 65534 };
  scratch_put_text("f", "old");
  chmod("f", 0444);
  chmod(".", 0777);
  pid_t child = fork(); /* root may write everything: become somebody else */
  assert_true(child >= 0);
  if (child == 0) {
    rst_error err = {.message = ""};
    if (geteuid() == 0 && setuid(NOBODY) != 0) _exit(1);
    rst_status status = write_text("f", "new", &err);
    _exit(status == RST_ERROR_OUTPUT && strcmp(err.message, "f: cannot be written: Permission denied") == 0
              ? 0
              : 2);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_content("f", "old");
}

static void test_full_device_is_reported(void **state) {
  (void)state;
  assert_write_fails("/dev/full", "/dev/full: cannot be written: No space left on device");
}

/* A limit on file sizes stands for a full disk. */
static void test_failed_write_leaves_no_file(void **state) {
  (void)state;
  static const char block[4096];
  struct rlimit old, small;
  rst_error err;
  rst_output output;
  scratch_put_text("f", "old");
  signal(SIGXFSZ, SIG_IGN);
  getrlimit(RLIMIT_FSIZE, &old);
  small = old;
  small.rlim_cur = 10000;
  setrlimit(RLIMIT_FSIZE, &small);
  assert_int_equal(rst_output_open("f", &output, &err), RST_OK);
  bool ok = true;
  for (int i = 0; i < 10; i++) ok = rst_output_write(&output, block, sizeof block);
  rst_status status = rst_output_commit(&output, &err);
  assert_int_equal(rst_output_open("g", &output, NULL), RST_OK);
  for (int i = 0; i < 10; i++) fwrite(block, 1, sizeof block, output.stream); /* past rst_output_write */
  rst_status direct = rst_output_commit(&output, NULL);
  setrlimit(RLIMIT_FSIZE, &old);
  assert_false(ok);
  assert_int_equal(status, RST_ERROR_OUTPUT);
  assert_string_equal(err.message, "f: cannot be written: File too large");
  assert_int_equal(direct, RST_ERROR_OUTPUT);
  assert_content("f", "old");
  assert_int_equal(files_here(), 1);
}

static void test_killed_writer_leaves_the_old_file_and_at_most_a_temporary(void **state) {
  (void)state;
  scratch_put_text("f", "old");
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    rst_output output;
    if (rst_output_open("f", &output, NULL) != RST_OK) _exit(1);
    fputs("new", output.stream);
    fflush(output.stream);
    raise(SIGKILL);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFSIGNALED(status));
  assert_content("f", "old");
  assert_true(files_here() <= 2);
}

static void test_open_check_leaves_nothing_and_says_what_open_says(void **state) {
  (void)state;
  rst_error err = {.message = "old"};
  assert_int_equal(rst_output_check("f", &err), RST_OK);
  assert_string_equal(err.message, "");
  assert_int_equal(rst_output_check("/dev/null", NULL), RST_OK);
  assert_int_equal(rst_output_check("-", NULL), RST_OK);
  assert_int_equal(mkfifo("pipe", 0666), 0);
  assert_int_equal(rst_output_check("pipe", NULL), RST_OK); /* without waiting for a reader */
  assert_int_equal(rst_output_check("none/f", &err), RST_ERROR_OUTPUT);
  assert_string_equal(err.message, "none/f: cannot be created: No such file or directory");
  assert_int_equal(files_here(), 1);
}

static void test_standard_output_is_written_directly(void **state) {
  (void)state;
  int old = dup(STDOUT_FILENO), f = open("f", O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  assert_true(old >= 0 && f >= 0);
  fflush(stdout);
  dup2(f, STDOUT_FILENO);
  close(f);
  rst_status first = write_text("-", "one ", NULL), second = write_text("-", "two", NULL);
  close(STDOUT_FILENO);
  rst_error err;
  rst_status third = write_text("-", "three", &err);
  dup2(old, STDOUT_FILENO);
  close(old);
  assert_int_equal(first, RST_OK);
  assert_int_equal(second, RST_OK);
  assert_content("f", "one two");
  assert_int_equal(third, RST_ERROR_OUTPUT);
  assert_string_equal(err.message, "standard output: cannot be written: Bad file descriptor");
}

/* ---- What killed runs have left ------------------------------------------------------------ */

static void leave_temporary(const char *name, bool old) {
  const struct timespec times[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
  scratch_put_text(name, "half");
  if (old) assert_int_equal(utimensat(AT_FDCWD, name, times, 0), 0);
}

static void test_stale_temporaries_are_removed_and_others_are_not(void **state) {
  (void)state;
  static const char *kept[] = {".restormer-0123456789abcde", ".restormer-0123456789abcdef0",
                               ".restormer-0123456789abcdeF", "restormer-0123456789abcdef"};
  scratch_put_text("f", "old");
  leave_temporary(".restormer-0123456789abcdef", true);
  leave_temporary(".restormer-00000000000000ff", false); /* somebody may be about to write it */
  leave_temporary(".restormer-ffffffffffffffff", true);  /* somebody writes it */
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) leave_temporary(kept[i], true);
  mkdir(".restormer-1111111111111111", 0777);
  assert_int_equal(symlink("f", ".restormer-2222222222222222"), 0);
  int fd = open(".restormer-ffffffffffffffff", O_RDONLY);
  assert_int_equal(flock(fd, LOCK_SH), 0);
  assert_int_equal(write_text("f", "new", NULL), RST_OK);
  assert_content("f", "new");
  assert_int_not_equal(access(".restormer-0123456789abcdef", F_OK), 0);
  assert_int_equal(files_here(), 9);
  close(fd);
  assert_int_equal(write_text("f", "newer", NULL), RST_OK);
  assert_int_equal(files_here(), 8);
}

/* ---- Replacing what cannot be replaced ----------------------------------------------------- */

static void test_sticky_folder_is_found_before_anything_is_written(void **state) {
  (void)state;
  enum { SOMEBODY = 65533, NOBODY = 65534 };
  if (geteuid() != 0) skip(); /* files of others */
  scratch_put_text("f", "old");
  assert_int_equal(chmod("f", 0666), 0);
  assert_int_equal(chown("f", SOMEBODY, SOMEBODY), 0);
  assert_int_equal(chmod(".", 01777), 0);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    rst_error err = {.message = ""};
    if (setuid(NOBODY) != 0) _exit(1);
    rst_status status = rst_output_check("f", &err);
    static const char message[] =
        "f: cannot be replaced: it belongs to somebody else, and its folder is sticky";
    _exit(status == RST_ERROR_OUTPUT && strcmp(err.message, message) == 0 ? 0 : 2);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_content("f", "old");
}

static void test_append_only_file_is_found_before_anything_is_written(void **state) {
  (void)state;
  rst_error err;
  scratch_put_text("f", "old");
  if (system("chattr +a f 2>/dev/null") != 0) skip(); /* no privilege, file system or program for it */
  rst_status status = rst_output_check("f", &err);
  assert_int_equal(system("chattr -a f"), 0);
  assert_int_equal(status, RST_ERROR_OUTPUT);
  assert_string_equal(err.message, "f: cannot be replaced: it is append-only or immutable");
}

/* ---- Two at once --------------------------------------------------------------------------- */

static void write_many(const char *path, char letter) {
  char text[40000];
  memset(text, letter, sizeof text - 1);
  text[sizeof text - 1] = '\0';
  for (int i = 0; i < 100; i++)
    if (write_text(path, text, NULL) != RST_OK) _exit(1);
  _exit(0);
}

static void test_two_writers_of_one_file_leave_one_whole_file(void **state) {
  (void)state;
  pid_t children[2];
  for (int i = 0; i < 2; i++) {
    children[i] = fork();
    assert_true(children[i] >= 0);
    if (children[i] == 0) write_many("f", (char)('a' + i));
  }
  for (int i = 0; i < 2; i++) {
    int status;
    assert_int_equal(waitpid(children[i], &status, 0), children[i]);
    assert_int_equal(status, 0);
  }
  char text[40000] = "";
  FILE *f = fopen("f", "rb");
  assert_non_null(f);
  assert_int_equal(fread(text, 1, sizeof text, f), sizeof text - 1);
  fclose(f);
  for (size_t i = 0; i < sizeof text - 1; i++) assert_int_equal(text[i], text[0]);
  assert_int_equal(files_here(), 1);
}

static rst_status write_through_link(void *user, rst_error *err) {
  (void)user;
  return write_text("a", "new", err);
}

static void test_every_failed_allocation_is_out_of_memory(void **state) {
  (void)state;
  assert_int_equal(symlink("b", "a"), 0);
  assert_true(fail_each_alloc(write_through_link, NULL) >= 4);
  assert_content("b", "new");
  assert_int_equal(files_here(), 2);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, enter_folder, scratch_leave)
  const struct CMUnitTest tests[] = {
      TEST(test_output_appears_at_commit_only),
      TEST(test_discarded_output_leaves_an_existing_file_alone),
      TEST(test_permissions_follow_the_umask_or_the_existing_file),
      TEST(test_symbolic_links_stay_links),
      TEST(test_dangling_link_creates_its_target),
      TEST(test_special_files_are_written_directly),
      TEST(test_paths_that_cannot_be_written_say_why),
      TEST(test_write_protected_file_is_refused),
      TEST(test_full_device_is_reported),
      TEST(test_failed_write_leaves_no_file),
      TEST(test_killed_writer_leaves_the_old_file_and_at_most_a_temporary),
      TEST(test_open_check_leaves_nothing_and_says_what_open_says),
      TEST(test_standard_output_is_written_directly),
      TEST(test_stale_temporaries_are_removed_and_others_are_not),
      TEST(test_sticky_folder_is_found_before_anything_is_written),
      TEST(test_append_only_file_is_found_before_anything_is_written),
      TEST(test_two_writers_of_one_file_leave_one_whole_file),
      TEST(test_every_failed_allocation_is_out_of_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
