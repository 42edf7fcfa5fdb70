/* What the programs share: numbers, JSON, messages, interruption. */
#include <float.h>
#include <unistd.h>

#include "programs/common/cli.c"
#include "support/cmocka_all.h"

static void test_whole_numbers_are_parsed_in_full_or_not_at_all(void **state) {
  (void)state;
  static const char *const bad[] = {
      "", " 1", "1 ", "1x", "x", "1.5", "0x10", "101", "-1", "99999999999999999999", "+-1"};
  long v = 7;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    assert_false(cli_parse_long(bad[i], 0, 100, &v));
    assert_int_equal(v, 7);
  }
  assert_true(cli_parse_long("0", 0, 100, &v) && v == 0);
  assert_true(cli_parse_long("100", 0, 100, &v) && v == 100);
  assert_true(cli_parse_long("+5", 0, 100, &v) && v == 5);
  assert_true(cli_parse_long("-5", -5, 100, &v) && v == -5);
}

static void test_numbers_are_parsed_in_full_or_not_at_all(void **state) {
  (void)state;
  static const char *const bad[] = {"",     " 1",    "1 ",     "1,5",    "nan", "inf",
                                    "-inf", "1e999", "10.001", "-0.001", ".",   "1e"};
  double v = 7;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    assert_false(cli_parse_double(bad[i], 0, 10, &v));
    assert_true(v == 7);
  }
  assert_true(cli_parse_double("10", 0, 10, &v) && v == 10);
  assert_true(cli_parse_double(".5", 0, 10, &v) && v == 0.5);
  assert_true(cli_parse_double("1e-3", 0, 10, &v) && v == 1e-3);
}

static void test_amounts_have_a_unit_at_the_most(void **state) {
  (void)state;
  static const char *const bad[] = {
      "", "0", "-1", "1 K", "1KB", "K", "1.5M", "18446744073709551616", "18014398509481984K"};
  uint64_t v = 7;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    assert_false(cli_parse_amount(bad[i], 1024, &v));
    assert_true(v == 7);
  }
  assert_true(cli_parse_amount("12", 1024, &v) && v == 12);
  assert_true(cli_parse_amount("3k", 1024, &v) && v == 3072);
  assert_true(cli_parse_amount("2M", 1000, &v) && v == 2000000);
  assert_true(cli_parse_amount("1T", 1024, &v) && v == (uint64_t)1 << 40);
}

static void test_sizes_are_two_numbers_with_an_x(void **state) {
  (void)state;
  static const char *const bad[] = {
      "",    "1",    "1x",   "x1",    "1x1 ",  "1 x1",  "0x5",
      "5x0", "-1x1", "1x-1", "1x1x1", "101x1", "1x101", "99999999999999999999x1"};
  size_t w = 7, h = 8;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    assert_false(cli_parse_size(bad[i], 100, &w, &h));
    assert_true(w == 7 && h == 8);
  }
  assert_true(cli_parse_size("12x100", 100, &w, &h) && w == 12 && h == 100);
}

/* What `stream` has got. */
static void assert_written(FILE *stream, const char *expected) {
  char text[512];
  rewind(stream);
  size_t n = fread(text, 1, sizeof text - 1, stream);
  text[n] = '\0';
  assert_string_equal(text, expected);
  fclose(stream);
}

static void test_json_strings_are_escaped(void **state) {
  (void)state;
  FILE *f = tmpfile();
  assert_non_null(f);
  rst_print_json_string(f, "a\"\\b\n\x7f\xc3\xa4");
  rst_print_json_string(f, "\xff|\xc3|\xc0\xaf|\xed\xa0\x80|\xf4\x90\x80\x80|\xe0\x9f\xbf");
  rst_print_json_string(f, "\xf0\x9f\x96\xbc\xe2\x82\xac");
  assert_written(f,
                 "\"a\\\"\\\\b\\u000a\\u007f\xc3\xa4\""
                 "\"\\ufffd|\\ufffd|\\ufffd\\ufffd|\\ufffd\\ufffd\\ufffd|\\ufffd\\ufffd\\ufffd\\ufffd|"
                 "\\ufffd\\ufffd\\ufffd\""
                 "\"\xf0\x9f\x96\xbc\xe2\x82\xac\"");
}

static void test_json_numbers_bring_the_same_value_back(void **state) {
  (void)state;
  FILE *f = tmpfile();
  assert_non_null(f);
  static const double numbers[] = {0, 1, 0.1, -2.5, 1e300, 1.0 / 3, DBL_MAX, (double)INFINITY, (double)NAN};
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    cli_print_json_number(f, numbers[i]);
    putc(' ', f);
  }
  assert_written(f, "0 1 0.1 -2.5 1e+300 0.3333333333333333 1.7976931348623157e+308 null null ");
}

/* Runs `body` with stderr going to a file of its own. */
static void assert_message(void (*body)(void), const char *expected) {
  FILE *f = tmpfile();
  int kept = dup(STDERR_FILENO);
  assert_true(f != NULL && kept >= 0);
  fflush(stderr);
  assert_true(dup2(fileno(f), STDERR_FILENO) >= 0);
  body();
  fflush(stderr);
  dup2(kept, STDERR_FILENO);
  close(kept);
  assert_written(f, expected);
}

static void fail_plainly(void) {
  assert_int_equal(cli_fail("prog", RST_ERROR_INPUT, "%s: line\n\x1b[0m", "f"), 4);
}

static void fail_with_a_library_error(void) {
  rst_error err = {.message = "f: wrong"};
  assert_int_equal(cli_fail_error("prog", RST_ERROR_WEIGHTS, &err), 3);
}

static void fail_options(void) {
  static const struct option options[] = {
      {"value", required_argument, NULL, 'v'}, {"flag", no_argument, NULL, 'f'}, {0}};
  static char *const lines[][4] = {{"p", "--value", NULL},  {"p", "-v", NULL},      {"p", "-fv", NULL},
                                   {"p", "--flag=3", NULL}, {"p", "--other", NULL}, {"p", "-x", NULL},
                                   {"p", "-xf", NULL}};
  opterr = 0;
  for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
    int argc = 0, code;
    while (lines[i][argc] != NULL) argc++;
    optind = 0;
    while ((code = getopt_long(argc, (char **)(uintptr_t)lines[i], ":v:f", options, NULL)) == 'f') continue;
    assert_int_equal(cli_fail_option("prog", code, options, lines[i]), 2);
  }
}

static void test_messages_are_one_line_with_the_program(void **state) {
  (void)state;
  assert_message(fail_plainly, "prog: f: line??[0m\n");
  assert_message(fail_with_a_library_error, "prog: f: wrong\n");
}

static void test_wrong_options_are_named(void **state) {
  (void)state;
  assert_message(fail_options,
                 "prog: option '--value' needs a value (see --help)\n"
                 "prog: option '-v' needs a value (see --help)\n"
                 "prog: option '-v' needs a value (see --help)\n"
                 "prog: option '--flag' takes no value (see --help)\n"
                 "prog: unknown option '--other' (see --help)\n"
                 "prog: unknown option '-x' (see --help)\n"
                 "prog: unknown option '-x' (see --help)\n");
}

static void test_statuses_have_exit_statuses(void **state) {
  (void)state;
  static const int expected[] = {0, 2, 3, 4, 5, 6, 7, 130};
  for (int status = RST_OK; status <= RST_CANCELLED; status++)
    assert_int_equal(cli_exit_status((rst_status)status), expected[status]);
  assert_int_equal(cli_exit_status((rst_status)(RST_CANCELLED + 1)), 1);
}

static void test_first_signal_sets_the_flag(void **state) {
  (void)state;
  assert_false(cli_interrupted());
  signal(SIGHUP, SIG_IGN);
  cli_catch_signals();
  raise(SIGHUP); /* stays ignored */
  raise(SIGPIPE);
  raise(SIGXFSZ);
  assert_false(cli_interrupted());
  raise(SIGINT);
  assert_true(cli_interrupted());
  struct sigaction now;
  assert_int_equal(sigaction(SIGINT, NULL, &now), 0);
  assert_true(now.sa_handler == SIG_DFL); /* a second one ends the process */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_whole_numbers_are_parsed_in_full_or_not_at_all),
      cmocka_unit_test(test_numbers_are_parsed_in_full_or_not_at_all),
      cmocka_unit_test(test_amounts_have_a_unit_at_the_most),
      cmocka_unit_test(test_sizes_are_two_numbers_with_an_x),
      cmocka_unit_test(test_json_strings_are_escaped),
      cmocka_unit_test(test_json_numbers_bring_the_same_value_back),
      cmocka_unit_test(test_messages_are_one_line_with_the_program),
      cmocka_unit_test(test_wrong_options_are_named),
      cmocka_unit_test(test_statuses_have_exit_statuses),
      cmocka_unit_test(test_first_signal_sets_the_flag),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
