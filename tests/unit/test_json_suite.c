/* What RFC 8259 allows (y_), forbids (n_) and leaves to the reader (i_), case by case: the reader of
 * manifests and safetensors headers takes the first, refuses the second, and of the third takes only what it
 * can keep as it is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/cmocka_all.h"
#include "weights/json.h"

typedef struct suite_case {
  const char *name, *text;
  size_t size;
} suite_case;
#define CASE(name, text) \
  { name, text, sizeof(text) - 1 }

static const suite_case accepted[] = {
    CASE("y_array_empty", "[]"),
    CASE("y_array_of_spaces", "[ \t\r\n]"),
    CASE("y_array_of_an_empty_string", "[\"\"]"),
    CASE("y_array_of_all_kinds", "[null,1,\"1\",{},[],true,false]"),
    CASE("y_array_one_number_and_a_newline", "[1\n]"),
    CASE("y_array_of_several_nulls", "[1,null,null,null,2]"),
    CASE("y_array_in_array", "[[],[[]]]"),
    CASE("y_number_zero", "[0]"),
    CASE("y_number_minus_zero", "[-0]"),
    CASE("y_number_minus_one", "[-1]"),
    CASE("y_number_real", "[123.456789]"),
    CASE("y_number_0e1", "[0e1]"),
    CASE("y_number_0e_plus_1", "[0e+1]"),
    CASE("y_number_exponent_upper", "[1E22]"),
    CASE("y_number_exponent_minus", "[1E-2]"),
    CASE("y_number_exponent_plus", "[1E+2]"),
    CASE("y_number_fraction_and_exponent", "[123.456e78]"),
    CASE("y_number_exponent_with_zeros", "[1e0005]"),
    CASE("y_number_close_to_zero", "[-0.000000000000000000000000000000000000000000000000000001]"),
    CASE("y_number_after_space", "[ 4]"),
    CASE("y_object_empty", "{}"),
    CASE("y_object_empty_key", "{\"\":0}"),
    CASE("y_object_nested", "{\"a\":{\"b\":{\"c\":[]}}}"),
    CASE("y_object_two_keys", "{\"asd\":\"sdf\", \"dfg\":\"fgh\"}"),
    CASE("y_object_with_newlines", "{\n\"a\" :\n\"b\"\n}"),
    CASE("y_object_escaped_key", "{\"a\\u0062\\n\":42}"),
    CASE("y_object_key_that_is_a_word", "{\"true\":null}"),
    CASE("y_string_all_escapes", "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]"),
    CASE("y_string_escape_in_both_cases", "[\"\\u00fF\\u012a\"]"),
    CASE("y_string_surrogate_pair", "[\"\\uD801\\udc37\"]"),
    CASE("y_string_two_surrogate_pairs", "[\"\\ud83d\\ude39\\ud83d\\udc8d\"]"),
    CASE("y_string_last_surrogates", "[\"\\uDBFF\\uDFFE\"]"),
    CASE("y_string_escaped_noncharacters", "[\"\\uFFFF\\uFDD0\"]"),
    CASE("y_string_escaped_control", "[\"\\u0012\"]"),
    CASE("y_string_backslash_and_u", "[\"\\\\u0000\"]"),
    CASE("y_string_two_bytes", "[\"\xc3\xa9\"]"),
    CASE("y_string_three_bytes", "[\"\xe2\x82\xac\"]"),
    CASE("y_string_four_bytes", "[\"\xf0\x9f\x98\xb9\"]"),
    CASE("y_string_last_character", "[\"\xf4\x8f\xbf\xbf\"]"),
    CASE("y_string_noncharacter", "[\"\xef\xbf\xbf\"]"),
    CASE("y_string_line_separators", "[\"\xe2\x80\xa8\xe2\x80\xa9\"]"),
    CASE("y_string_delete", "[\"a\x7f\"]"),
    CASE("y_string_comments", "[\"a/*b*/c//d\"]"),
    CASE("y_value_alone_string", "\"x\""),
    CASE("y_value_alone_number", "42"),
    CASE("y_value_alone_negative", "-0.1"),
    CASE("y_value_alone_word", "null"),
    CASE("y_space_around", " \r\n\t[] \r\n\t"),
    /* left to the reader, and taken: nothing of them is lost or changed unseen */
    CASE("i_number_huge_exponent", "[1e309]"), /* whoever asks for the number refuses it: test_json */
    CASE("i_number_underflow", "[123e-400]"),
    CASE("i_number_integer_beyond_2_53", "[100000000000000000000]"), /* likewise */
    CASE("i_structure_16_levels", "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]"),
};

static const suite_case refused[] = {
    CASE("n_nothing", ""),
    CASE("n_space_alone", " "),
    CASE("n_array_unclosed", "["),
    CASE("n_array_unclosed_after_a_value", "[1"),
    CASE("n_array_unclosed_after_a_comma", "[1,"),
    CASE("n_array_closed_twice", "[1]]"),
    CASE("n_array_closed_as_an_object", "[1}"),
    CASE("n_array_comma_alone", "[,]"),
    CASE("n_array_comma_first", "[,1]"),
    CASE("n_array_comma_last", "[1,]"),
    CASE("n_array_comma_twice", "[1,,2]"),
    CASE("n_array_colon", "[\"a\":1]"),
    CASE("n_array_without_comma", "[1 2]"),
    CASE("n_array_of_strings_without_comma", "[\"a\" \"b\"]"),
    CASE("n_array_of_arrays_without_comma", "[[] []]"),
    CASE("n_array_star", "[*]"),
    CASE("n_array_minus", "[-]"),
    CASE("n_array_form_feed", "[\f]"),
    CASE("n_array_vertical_tab", "[\v]"),
    CASE("n_array_no_break_space", "[\xc2\xa0]"),
    CASE("n_array_zero_byte", "[\0]"),
    CASE("n_array_invalid_utf8", "[\xff]"),
    CASE("n_word_cut_short", "[tru]"),
    CASE("n_word_in_capitals", "[TRUE]"),
    CASE("n_word_capitalised", "[Null]"),
    CASE("n_word_with_more", "[nullx]"),
    CASE("n_word_undefined", "[undefined]"),
    CASE("n_number_plus", "[+1]"),
    CASE("n_number_leading_zero", "[01]"),
    CASE("n_number_two_zeros", "[00]"),
    CASE("n_number_minus_and_leading_zero", "[-01]"),
    CASE("n_number_minus_minus", "[--1]"),
    CASE("n_number_minus_space", "[- 1]"),
    CASE("n_number_point_first", "[.5]"),
    CASE("n_number_minus_point", "[-.5]"),
    CASE("n_number_point_last", "[1.]"),
    CASE("n_number_point_before_exponent", "[1.e3]"),
    CASE("n_number_two_points", "[1.2.3]"),
    CASE("n_number_exponent_empty", "[1e]"),
    CASE("n_number_exponent_sign_alone", "[1e+]"),
    CASE("n_number_exponent_two_signs", "[1e+-2]"),
    CASE("n_number_exponent_twice", "[1ee2]"),
    CASE("n_number_exponent_of_a_fraction", "[1e2.5]"),
    CASE("n_number_hexadecimal", "[0x1F]"),
    CASE("n_number_with_a_space", "[1 000]"),
    CASE("n_number_with_letters", "[12abc]"),
    CASE("n_number_with_underscore", "[1_000]"),
    CASE("n_number_nan", "[NaN]"),
    CASE("n_number_minus_nan", "[-NaN]"),
    CASE("n_number_infinity", "[Infinity]"),
    CASE("n_number_inf", "[Inf]"),
    CASE("n_number_full_width_digit", "[\xef\xbc\x91]"),
    CASE("n_number_invalid_utf8_after", "[1\xe5]"),
    CASE("n_object_unclosed", "{"),
    CASE("n_object_unclosed_after_key", "{\"a\""),
    CASE("n_object_unclosed_after_colon", "{\"a\":"),
    CASE("n_object_unclosed_after_value", "{\"a\":1"),
    CASE("n_object_closed_as_an_array", "{\"a\":1]"),
    CASE("n_object_comma_alone", "{,}"),
    CASE("n_object_comma_last", "{\"a\":1,}"),
    CASE("n_object_comma_twice", "{\"a\":1,,\"b\":2}"),
    CASE("n_object_without_comma", "{\"a\":1 \"b\":2}"),
    CASE("n_object_comma_for_colon", "{\"a\",1}"),
    CASE("n_object_colon_twice", "{\"a\"::1}"),
    CASE("n_object_equals_sign", "{\"a\"=1}"),
    CASE("n_object_key_without_quotes", "{a:1}"),
    CASE("n_object_key_in_single_quotes", "{'a':1}"),
    CASE("n_object_key_is_a_number", "{1:1}"),
    CASE("n_object_key_is_null", "{null:1}"),
    CASE("n_object_key_alone", "{\"a\"}"),
    CASE("n_object_two_values", "{\"a\":1 2}"),
    CASE("n_object_comment", "{\"a\":/*c*/1}"),
    CASE("n_object_comment_after", "{}//"),
    CASE("n_object_hash_comment", "{}#"),
    CASE("n_object_invalid_utf8_in_key", "{\"\xb9\":0}"),
    CASE("n_string_unclosed", "[\"a]"),
    CASE("n_string_quote_alone", "\""),
    CASE("n_string_in_single_quotes", "['a']"),
    CASE("n_string_without_quotes", "[a]"),
    CASE("n_string_escaped_quote_last", "[\"\\\"]"),
    CASE("n_string_backslash_last", "[\"\\"),
    CASE("n_string_escape_x", "[\"\\x00\"]"),
    CASE("n_string_escape_a", "[\"\\a\"]"),
    CASE("n_string_escape_of_a_control", "[\"\\\t\"]"),
    CASE("n_string_escape_of_a_zero_byte", "[\"\\\0\"]"),
    CASE("n_string_escape_of_utf8", "[\"\\\xf0\x9f\x8c\x80\"]"),
    CASE("n_string_escape_in_capitals", "[\"\\U0041\"]"),
    CASE("n_string_short_escape", "[\"\\u004\"]"),
    CASE("n_string_no_hexadecimal_escape", "[\"\\u00G1\"]"),
    CASE("n_string_zero_byte", "[\"a\0b\"]"),
    CASE("n_string_newline", "[\"a\nb\"]"),
    CASE("n_string_tab", "[\"\t\"]"),
    CASE("n_string_unit_separator", "[\"\x1f\"]"),
    CASE("n_string_before_more", "\"\"x"),
    CASE("n_utf8_stray_continuation", "[\"\x80\"]"),
    CASE("n_utf8_two_bytes_cut", "[\"\xc3\"]"),
    CASE("n_utf8_three_bytes_cut", "[\"\xe2\x82\"]"),
    CASE("n_utf8_overlong_slash", "[\"\xc0\xaf\"]"),
    CASE("n_utf8_overlong_zero", "[\"\xe0\x80\x80\"]"),
    CASE("n_utf8_overlong_four_bytes", "[\"\xf0\x82\x82\xac\"]"),
    CASE("n_utf8_surrogate", "[\"\xed\xa0\x80\"]"),
    CASE("n_utf8_beyond_unicode", "[\"\xf4\xbf\xbf\xbf\"]"),
    CASE("n_utf8_five_bytes", "[\"\xf8\x88\x80\x80\x80\"]"),
    CASE("n_utf8_byte_ff", "[\"\xff\"]"),
    CASE("n_latin1", "[\"\xe9\"]"),
    CASE("n_utf16", "\xff\xfe[\0]\0"),
    CASE("n_utf16_without_mark", "[\0]\0"),
    CASE("n_byte_order_mark", "\xef\xbb\xbf{}"),
    CASE("n_byte_order_mark_alone", "\xef\xbb\xbf"),
    CASE("n_byte_order_mark_cut", "\xef\xbb{}"),
    CASE("n_two_values", "1 2"),
    CASE("n_two_objects", "{}{}"),
    CASE("n_text_after", "[]x"),
    CASE("n_zero_byte_after", "[]\0"),
    CASE("n_closing_alone", "]"),
    CASE("n_angle_brackets", "<.>"),
    CASE("n_words_beside_each_other", "nulltrue"),
    /* left to the reader, and refused: they could not be kept as they are */
    CASE("i_string_escaped_zero", "[\"\\u0000\"]"),
    CASE("i_string_high_surrogate_alone", "[\"\\uD800\"]"),
    CASE("i_string_low_surrogate_alone", "[\"\\uDC00\"]"),
    CASE("i_string_surrogates_in_wrong_order", "[\"\\uDd1e\\uD834\"]"),
    CASE("i_string_two_high_surrogates", "[\"\\uD800\\uD800\\n\"]"),
    CASE("i_number_of_64_characters", "[1234567890123456789012345678901234567890123456789012345678901234]"),
    CASE("i_structure_17_levels", "[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]"),
};

/* With nothing behind its end, for AddressSanitizer to guard. */
static rst_status parse(const suite_case *c, rst_error *err) {
  cJSON *root;
  char *copy = malloc(c->size > 0 ? c->size : 1);
  assert_non_null(copy);
  memcpy(copy, c->text, c->size);
  const rst_status status = rst_json_parse(copy, c->size, "f", &root, err);
  assert_true((status == RST_OK) == (root != NULL));
  cJSON_Delete(root);
  free(copy);
  return status;
}

static void test_what_the_standard_allows_is_taken(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
    rst_error err = {.message = ""};
    if (parse(&accepted[i], &err) != RST_OK) fail_msg("%s: %s", accepted[i].name, err.message);
  }
}

static void test_what_the_standard_forbids_is_refused(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    rst_error err = {.message = ""};
    if (parse(&refused[i], &err) != RST_ERROR_WEIGHTS) fail_msg("%s is accepted", refused[i].name);
    if (strncmp(err.message, "f: line 1, column ", 18) != 0) fail_msg("%s: %s", refused[i].name, err.message);
  }
}

/* Whatever is sound is so to its last byte: no beginning of an array or object is. */
static void test_every_beginning_is_refused(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
    if (accepted[i].text[0] != '[' && accepted[i].text[0] != '{') continue;
    for (size_t size = 0; size < accepted[i].size; size++) {
      const suite_case part = {accepted[i].name, accepted[i].text, size};
      if (parse(&part, NULL) == RST_OK) fail_msg("%s: the first %zu bytes are accepted", part.name, size);
    }
  }
}

/* In a string, in a number's place and between values: every byte there is. */
static void test_every_byte_in_every_place(void **state) {
  (void)state;
  for (int byte = 0; byte < 256; byte++) {
    const char text[] = {'[', '"', (char)byte, '"', ']'}, value[] = {'[', (char)byte, ']'},
               between[] = {'[', '1', (char)byte, '2', ']'};
    const suite_case cases[] = {{"", text, 5}, {"", value, 3}, {"", between, 5}};
    const bool in_text = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
    const bool digit = byte >= '0' && byte <= '9', space = byte != 0 && strchr(" \t\r\n", byte) != NULL;
    const bool expected[] = {in_text, digit || space, digit || (byte != 0 && strchr(",.eE", byte) != NULL)};
    for (size_t i = 0; i < 3; i++)
      if ((parse(&cases[i], NULL) == RST_OK) != expected[i]) fail_msg("byte 0x%02x in place %zu", byte, i);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_what_the_standard_allows_is_taken),
      cmocka_unit_test(test_what_the_standard_forbids_is_refused),
      cmocka_unit_test(test_every_beginning_is_refused),
      cmocka_unit_test(test_every_byte_in_every_place),
  };
  return cmocka_run_group_tests_name("json suite", tests, NULL, NULL);
}
