/* Mapping files, and output files that appear whole or not at all. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "support/cmocka_all.h"
#include "support/fail_alloc.h"

/* Every test starts in an empty folder of its own. */
static int enter_folder(void **state) {
  char name[] = "/tmp/restormer-test-XXXXXX";
  if (mkdtemp(name) == NULL || chdir(name) != 0) return -1;
  *state = strdup(name);
  umask(022);
  return *state == NULL;
}

static int leave_folder(void **state) {
  char command[64];
  snprintf(command, sizeof command, "rm -rf '%s'", (char *)*state);
  free(*state);
  return chdir("/") != 0 || system(command) != 0;
}

static void put(const char *path, const char *text) {
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  fputs(text, f);
  assert_int_equal(fclose(f), 0);
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

/* ---- Mapping ------------------------------------------------------------------------------- */

static void test_mapping_has_the_bytes_of_the_file(void **state) {
  (void)state;
  rst_mapping m;
  rst_error err;
  put("f", "hello");
  assert_int_equal(rst_map_file("f", RST_ERROR_INPUT, &m, &err), RST_OK);
  assert_int_equal(m.size, 5);
  assert_memory_equal(m.data, "hello", 5);
  rst_unmap_file(&m);
  assert_null(m.data);
  rst_unmap_file(&m);
}

static void test_mapping_of_an_empty_file_is_empty(void **state) {
  (void)state;
  rst_mapping m;
  put("f", "");
  assert_int_equal(rst_map_file("f", RST_ERROR_INPUT, &m, NULL), RST_OK);
  assert_null(m.data);
  assert_int_equal(m.size, 0);
  rst_unmap_file(&m);
}

static void assert_map_fails(const char *path, const char *message) {
  rst_mapping m;
  rst_error err;
  assert_int_equal(rst_map_file(path, RST_ERROR_WEIGHTS, &m, &err), RST_ERROR_WEIGHTS);
  assert_string_equal(err.message, message);
  assert_null(m.data);
}

static void test_mapping_refuses_what_is_not_a_regular_file(void **state) {
  (void)state;
  assert_map_fails("none", "none: cannot be opened: No such file or directory");
  mkdir("folder", 0777);
  assert_map_fails("folder", "folder: is a directory, expected a file");
  assert_map_fails("/dev/null", "/dev/null: is not a regular file");
  mkfifo("pipe", 0666);
  assert_map_fails("pipe", "pipe: is not a regular file");
}

static void test_released_pages_come_back(void **state) {
  (void)state;
  enum { SIZE = 1 << 20 };
  char *text = malloc(SIZE + 1);
  assert_non_null(text);
  memset(text, 'x', SIZE);
  text[SIZE] = '\0';
  put("f", text);
  rst_mapping m;
  assert_int_equal(rst_map_file("f", RST_ERROR_INPUT, &m, NULL), RST_OK);
  rst_mapping_release(m.data + 1, m.size - 2);
  assert_memory_equal(m.data, text, SIZE);
  rst_mapping_release(m.data + 5, 7);
  rst_mapping_release(NULL, 0);
  rst_unmap_file(&m);
  free(text);
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
  put("f", "old");
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
  put("old", "0");
  chmod("old", 0604);
  assert_int_equal(write_text("old", "1", NULL), RST_OK);
  assert_int_equal(mode_of("old"), 0604);
  assert_content("old", "1");
}

static void test_symbolic_links_stay_links(void **state) {
  (void)state;
  char link[16] = "";
  mkdir("folder", 0777);
  put("folder/real", "old");
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
  put("file", "old");
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
  put("f", "old");
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
  put("f", "old");
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
  put("f", "old");
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
#define TEST(name) cmocka_unit_test_setup_teardown(name, enter_folder, leave_folder)
  const struct CMUnitTest tests[] = {
      TEST(test_mapping_has_the_bytes_of_the_file),
      TEST(test_mapping_of_an_empty_file_is_empty),
      TEST(test_mapping_refuses_what_is_not_a_regular_file),
      TEST(test_released_pages_come_back),
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
      TEST(test_every_failed_allocation_is_out_of_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
