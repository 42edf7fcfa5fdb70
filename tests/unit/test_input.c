/* Files that are read a piece at a time. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/input.h"
#include "support/cmocka_all.h"
#include "support/fail_alloc.h"
#include "support/scratch.h"

static void test_pieces_are_those_of_the_file(void **state) {
  (void)state;
  rst_input input;
  char piece[8] = "";
  scratch_put_text("f", "0123456789");
  assert_int_equal(rst_input_open("f", &input, NULL), RST_OK);
  assert_int_equal(input.size, 10);
  assert_int_equal(rst_input_read(&input, 3, piece, 4, NULL), RST_OK);
  assert_string_equal(piece, "3456");
  assert_int_equal(rst_input_read(&input, 10, piece, 0, NULL), RST_OK);
  rst_input_close(&input);
  rst_input_close(&input);
}

static void test_what_is_not_there_any_more_is_an_error(void **state) {
  (void)state;
  rst_input input;
  rst_error err;
  char piece[8];
  scratch_put_text("f", "0123456789");
  assert_int_equal(rst_input_open("f", &input, NULL), RST_OK);
  assert_int_equal(truncate("f", 5), 0);
  assert_int_equal(rst_input_read(&input, 3, piece, 4, &err), RST_ERROR_WEIGHTS);
  assert_string_equal(err.message, "f: was cut short while it was read: it ends at byte 5 of 10");
  assert_int_equal(unlink("f"), 0); /* the open file is still there */
  assert_int_equal(rst_input_read(&input, 3, piece, 2, &err), RST_OK);
  rst_input_close(&input);
}

static void test_what_is_no_file_is_refused(void **state) {
  (void)state;
  assert_int_equal(mkfifo("pipe", 0600), 0);
  static const char *const cases[][2] = {{"none", "none: cannot be opened: No such file or directory"},
                                         {".", ".: is a directory, expected a file"},
                                         {"pipe", "pipe: is not a regular file"},
                                         {"/dev/null", "/dev/null: is not a regular file"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    rst_input input;
    rst_error err;
    assert_int_equal(rst_input_open(cases[i][0], &input, &err), RST_ERROR_WEIGHTS);
    assert_string_equal(err.message, cases[i][1]);
    assert_null(input.path);
  }
}

static rst_status open_once(void *user, rst_error *err) {
  (void)user;
  rst_input input;
  rst_status status = rst_input_open("f", &input, err);
  rst_input_close(&input);
  return status;
}

static void test_missing_memory_is_reported(void **state) {
  (void)state;
  scratch_put_text("f", "x");
  assert_int_equal(fail_each_alloc(open_once, NULL), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_enter, scratch_leave)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_pieces_are_those_of_the_file),
      TEST(test_what_is_not_there_any_more_is_an_error),
      TEST(test_what_is_no_file_is_refused),
      TEST(test_missing_memory_is_reported),
  };
  return cmocka_run_group_tests_name("input", tests, NULL, NULL);
}
