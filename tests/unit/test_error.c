/* Messages: what is cut, what is not shown. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "support/cmocka_all.h"
#include "support/fail_alloc.h"

static char *letters(size_t n, char letter) {
  char *text = malloc(n + 1);
  assert_non_null(text);
  memset(text, letter, n);
  text[n] = '\0';
  return text;
}

static void test_reason_stays_behind_a_path_of_any_length(void **state) {
  (void)state;
  static const size_t lengths[] = {1000, 1010, 1023, 1024, 4096, 1 << 20};
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
    static const char reason[] = "/end.png: cannot be opened: No such file or directory";
    rst_error err;
    char *path = letters(lengths[i], 'p');
    assert_int_equal(rst_fail(&err, RST_ERROR_INPUT, "%s%s", path, reason), RST_ERROR_INPUT);
    size_t n = strlen(err.message);
    assert_true(n < sizeof err.message);
    assert_string_equal(err.message + n - strlen(reason), reason);
    assert_memory_equal(err.message, "pppp", 4);
    assert_int_equal(strstr(err.message, "...") != NULL, lengths[i] + strlen(reason) >= sizeof err.message);
    free(path);
  }
}

static void test_characters_are_not_cut_in_two(void **state) {
  (void)state;
  for (size_t lead = 0; lead < 4; lead++) {
    char text[4096] = "";
    rst_error err;
    memset(text, 'x', lead);
    for (size_t i = 0; i < 600; i++) strcat(text, "\xf0\x9f\x90\xb1"); /* a cat */
    rst_fail(&err, RST_ERROR_INPUT, "%s", text);
    size_t cats = 0;
    for (const char *c = err.message + lead; *c != '\0';) {
      if (strncmp(c, "...", 3) == 0) {
        c += 3;
        continue;
      }
      assert_memory_equal(c, "\xf0\x9f\x90\xb1", 4);
      cats++;
      c += 4;
    }
    assert_true(cats > 240);
  }
}

static void test_without_memory_a_long_message_loses_its_end(void **state) {
  (void)state;
  char *path = letters(3000, 'p');
  rst_error err;
  fail_alloc_after(0);
  rst_fail(&err, RST_ERROR_INPUT, "%s: reason", path);
  assert_true(fail_alloc_stop());
  assert_int_equal(strlen(err.message), sizeof err.message - 1);
  free(path);
}

static void test_control_characters_are_not_shown(void **state) {
  (void)state;
  rst_error err;
  rst_fail(&err, RST_ERROR_INPUT, "%s", "a\033[2J\nb\302\233\177\303\244");
  assert_string_equal(err.message, "a?[2J?b???\303\244");
  rst_fail(NULL, RST_ERROR_INPUT, "nobody asks");
}

static void test_system_errors_have_their_words(void **state) {
  (void)state;
  rst_error err;
  assert_int_equal(rst_fail_errno(&err, RST_ERROR_OUTPUT, "f", "cannot be written", ENOSPC),
                   RST_ERROR_OUTPUT);
  assert_string_equal(err.message, "f: cannot be written: No space left on device");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_reason_stays_behind_a_path_of_any_length),
      cmocka_unit_test(test_characters_are_not_cut_in_two),
      cmocka_unit_test(test_without_memory_a_long_message_loses_its_end),
      cmocka_unit_test(test_control_characters_are_not_shown),
      cmocka_unit_test(test_system_errors_have_their_words),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
