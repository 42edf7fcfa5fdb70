/* Texts from strangers: UTF-8, control characters, JSON strings. */
#include <string.h>

#include "base/text.h"
#include "support/cmocka_all.h"

/* Every sequence of up to three bytes, and those of four around what is allowed, against the table of RFC
 * 3629. */
static size_t expected_length(const unsigned char *s, size_t size) {
  static const struct {
    size_t n;
    unsigned char low[4], high[4];
  } table[] = {{1, {0x00}, {0x7f}},
               {2, {0xc2, 0x80}, {0xdf, 0xbf}},
               {3, {0xe0, 0xa0, 0x80}, {0xe0, 0xbf, 0xbf}},
               {3, {0xe1, 0x80, 0x80}, {0xec, 0xbf, 0xbf}},
               {3, {0xed, 0x80, 0x80}, {0xed, 0x9f, 0xbf}},
               {3, {0xee, 0x80, 0x80}, {0xef, 0xbf, 0xbf}},
               {4, {0xf0, 0x90, 0x80, 0x80}, {0xf0, 0xbf, 0xbf, 0xbf}},
               {4, {0xf1, 0x80, 0x80, 0x80}, {0xf3, 0xbf, 0xbf, 0xbf}},
               {4, {0xf4, 0x80, 0x80, 0x80}, {0xf4, 0x8f, 0xbf, 0xbf}}};
  for (size_t t = 0; t < sizeof table / sizeof table[0]; t++) {
    size_t i = 0;
    while (i < table[t].n && i < size && s[i] >= table[t].low[i] && s[i] <= table[t].high[i]) i++;
    if (i == table[t].n) return i;
  }
  return 0;
}

static void test_utf8_is_that_of_the_standard(void **state) {
  (void)state;
  static const unsigned char tails[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};
  enum { TAILS = sizeof tails };
  for (unsigned first = 0; first < 256; first++)
    for (unsigned i = 0; i < TAILS * TAILS * TAILS; i++) {
      const unsigned char s[4] = {(unsigned char)first, tails[i % TAILS], tails[i / TAILS % TAILS],
                                  tails[i / TAILS / TAILS]};
      for (size_t size = 1; size <= 4; size++)
        assert_int_equal(rst_utf8_length((const char *)s, size), expected_length(s, size));
    }
  assert_true(rst_is_utf8(""));
  assert_true(rst_is_utf8("a\xc2\x80\xe0\xa0\x80\xed\x9f\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"));
  assert_false(rst_is_utf8("a\xc2"));
}

static void test_control_characters_become_question_marks(void **state) {
  (void)state;
  char text[] = "a\x1b[31m\n\x7f \xc2\x80\xc2\x9f\xc2\xa0 \xc3\xa9";
  rst_make_printable(text);
  assert_string_equal(text, "a?[31m?? ????\xc2\xa0 \xc3\xa9");
  char cut[] = "\xc2";
  rst_make_printable(cut);
  assert_string_equal(cut, "\xc2");
}

static void test_strings_of_json(void **state) {
  (void)state;
  char buffer[128] = "";
  FILE *f = fmemopen(buffer, sizeof buffer, "w");
  assert_non_null(f);
  rst_print_json_string(f, "\"a\\\n\x7f\xc2\x85\xc3\xa9\xff\xe2\x82");
  assert_int_equal(fclose(f), 0);
  assert_string_equal(buffer, "\"\\\"a\\\\\\u000a\\u007f\\u0085\xc3\xa9\\ufffd\\ufffd\\ufffd\"");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_utf8_is_that_of_the_standard),
      cmocka_unit_test(test_control_characters_become_question_marks),
      cmocka_unit_test(test_strings_of_json),
  };
  return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
