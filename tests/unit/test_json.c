/* JSON from strangers: what is refused, and with which words. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/cmocka_all.h"
#include "weights/json.h"

/* ---- Text ---------------------------------------------------------------------------------- */

static void assert_accepted(const char *text) {
  rst_error err = {.message = ""};
  cJSON *root;
  if (rst_json_parse(text, strlen(text), "f", &root, &err) != RST_OK) fail_msg("%s: %s", text, err.message);
  assert_non_null(root);
  cJSON_Delete(root);
}

static void assert_refused_bytes(const char *text, size_t size, const char *message) {
  rst_error err;
  cJSON *root;
  /* A copy without a byte after it, for AddressSanitizer to guard. */
  char *copy = malloc(size > 0 ? size : 1);
  assert_non_null(copy);
  memcpy(copy, text, size);
  assert_int_equal(rst_json_parse(copy, size, "f", &root, &err), RST_ERROR_WEIGHTS);
  assert_string_equal(err.message, message);
  assert_null(root);
  free(copy);
}

static void assert_refused(const char *text, const char *message) {
  assert_refused_bytes(text, strlen(text), message);
}

static void test_sound_texts_are_accepted(void **state) {
  (void)state;
  static const char *const texts[] = {
      "{}",
      "[]",
      " \t\r\n[ 1 , 2 ] \n",
      "0",
      "-0",
      "-12.5e+3",
      "1E-7",
      "true",
      "false",
      "null",
      "\"\"",
      "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\ude00\"",
      "\"\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xf0\x90\x80\x80 \xf4\x8f\xbf\xbf\x7f\"",
      "{\"a\":{\"b\":[{}]},\"c\":[]}",
      "123456789012345678901234567890123456789012345678901234567890123",
      "[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]", /* RST_JSON_MAX_DEPTH */
  };
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) assert_accepted(texts[i]);
}

static void test_syntax_errors_are_refused_with_their_place(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"", "f: line 1, column 1: the text ends where a value is expected"},
      {"{\n \"a\": ,", "f: line 2, column 7: expected a value"},
      {"{\"a\":", "f: line 1, column 6: the text ends where a value is expected"},
      {"{a: 1}", "f: line 1, column 2: expected a key in double quotes"},
      {"{\"a\" 1}", "f: line 1, column 6: expected ':' after a key"},
      {"{\"a\": 1", "f: line 1, column 8: expected ',' or '}'"},
      {"{\"a\": 1 \"b\": 2}", "f: line 1, column 9: expected ',' or '}'"},
      {"{\"a\": 1,}", "f: line 1, column 9: expected a key in double quotes"},
      {"[1 2]", "f: line 1, column 4: expected ',' or ']'"},
      {"[1,]", "f: line 1, column 4: expected a value"},
      {"[1", "f: line 1, column 3: expected ',' or ']'"},
      {"{} x", "f: line 1, column 4: more text after the end of the value"},
      {"1 2", "f: line 1, column 3: more text after the end of the value"},
      {"tru", "f: line 1, column 1: expected a value"},
      {"True", "f: line 1, column 1: expected a value"},
      {"NaN", "f: line 1, column 1: expected a value"},
      {"[Infinity]", "f: line 1, column 2: expected a value"},
      {"'a'", "f: line 1, column 1: expected a value"},
      {"// c\n1", "f: line 1, column 1: expected a value"},
      {"\xef\xbb\xbf{}", "f: line 1, column 1: a byte order mark, expected UTF-8 without one"},
      {"\xff\xfe{", "f: line 1, column 1: expected a value"},
      {"[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", "f: line 1, column 17: nested too deeply"},
      {"\x0b{}", "f: line 1, column 1: expected a value"}, /* a space for cJSON */
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) assert_refused(cases[i][0], cases[i][1]);
}

static void test_numbers_that_are_none_are_refused(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"01", "f: line 1, column 2: a number does not begin with 0"},
      {"-", "f: line 1, column 2: expected a digit"},
      {"+1", "f: line 1, column 1: expected a value"},
      {".5", "f: line 1, column 1: expected a value"},
      {"1.", "f: line 1, column 3: expected a digit"},
      {"1.e5", "f: line 1, column 3: expected a digit"},
      {"1e", "f: line 1, column 3: expected a digit"},
      {"1e+", "f: line 1, column 4: expected a digit"},
      {"0x10", "f: line 1, column 2: more text after the end of the value"},
      {"-Infinity", "f: line 1, column 2: expected a digit"},
      {"1234567890123456789012345678901234567890123456789012345678901234",
       "f: line 1, column 65: a number of more than 63 characters"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) assert_refused(cases[i][0], cases[i][1]);
}

static void test_strings_that_are_none_are_refused(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"\"abc", "f: line 1, column 5: the text ends inside a string"},
      {"\"a\nb\"", "f: line 1, column 3: control character in a string"},
      {"\"\\x41\"", "f: line 1, column 3: unknown escape in a string"},
      {"\"\\", "f: line 1, column 3: unknown escape in a string"},
      {"\"\\u12G4\"", "f: line 1, column 6: expected four hexadecimal digits after \\u"},
      {"\"\\u12", "f: line 1, column 6: expected four hexadecimal digits after \\u"},
      {"\"a\\u0000b\"", "f: line 1, column 9: \\u0000 in a string"},
      {"\"\\ud800\"", "f: line 1, column 8: half a surrogate pair in a string"},
      {"\"\\ud800\\n\"", "f: line 1, column 8: half a surrogate pair in a string"},
      {"\"\\ud800\\u0041\"", "f: line 1, column 14: half a surrogate pair in a string"},
      {"\"\\udc00\\ud800\"", "f: line 1, column 8: half a surrogate pair in a string"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) assert_refused(cases[i][0], cases[i][1]);
}

static void test_invalid_utf8_is_refused(void **state) {
  (void)state;
  static const char *const bodies[] = {
      "\x80",             /* a continuation alone */
      "\xc0\xaf",         /* overlong '/' */
      "\xc1\xbf",         /* overlong */
      "\xe0\x9f\xbf",     /* overlong */
      "\xf0\x8f\xbf\xbf", /* overlong */
      "\xed\xa0\x80",     /* a surrogate */
      "\xf4\x90\x80\x80", /* beyond U+10FFFF */
      "\xf5\x80\x80\x80",
      "\xff",
      "\xc3",
      "\xe2\x82",
      "\xe2\x28\xa1",
      "\xe2\x82\x28",
      "\xf0\x9f\x98",
      "\xf0\x9f\x98\x28",
      "\xc3(",
  };
  for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
    char text[16];
    snprintf(text, sizeof text, "\"%s\"", bodies[i]);
    assert_refused(text, "f: line 1, column 2: invalid UTF-8");
    assert_refused_bytes(text, strlen(text) - 1, "f: line 1, column 2: invalid UTF-8"); /* cut short */
  }
}

static void test_nul_bytes_are_refused(void **state) {
  (void)state;
  assert_refused_bytes("{}\0", 3, "f: line 1, column 3: more text after the end of the value");
  assert_refused_bytes("\0{}", 3, "f: line 1, column 1: expected a value");
  assert_refused_bytes("\"a\0b\"", 5, "f: line 1, column 3: control character in a string");
  assert_refused_bytes("\"\\\0\"", 4, "f: line 1, column 3: unknown escape in a string");
}

static void test_too_long_a_text_is_refused(void **state) {
  (void)state;
  size_t size = RST_JSON_MAX_BYTES + 1;
  char *text = malloc(size);
  assert_non_null(text);
  memset(text, ' ', size);
  assert_refused_bytes(text, size, "f: 16777217 bytes of JSON, expected at most 16777216");
  text[0] = '1';
  rst_error err;
  assert_int_equal(rst_json_check(text, size - 1, "f", &err), RST_OK);
  free(text);
}

/* ---- Values -------------------------------------------------------------------------------- */

static cJSON *parse(const char *text) {
  cJSON *root;
  rst_error err;
  assert_int_equal(rst_json_parse(text, strlen(text), "f", &root, &err), RST_OK);
  return root;
}

static void test_objects_have_the_keys_they_should(void **state) {
  (void)state;
  static const struct {
    const char *text, *message; /* NULL: accepted */
  } cases[] = {
      {"{\"a\": 1}", NULL},
      {"{\"b\": 1, \"a\": 2}", NULL},
      {"[]", "f: an array, expected an object"},
      {"{}", "f: key \"a\" is missing"},
      {"{\"b\": 1}", "f: key \"a\" is missing"},
      {"{\"a\": 1, \"c\": 1}", "f: unknown key \"c\""},
      {"{\"A\": 1}", "f: unknown key \"A\""},
      {"{\"a\": 1, \"\": 1}", "f: unknown key \"\""},
      {"{\"a\": 1, \"b\": 2, \"a\": 1}", "f: key \"a\" appears twice"},
      {"{\"a\": 1, \"\\u0061\": 1}", "f: key \"a\" appears twice"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    cJSON *root = parse(cases[i].text);
    const cJSON *a, *b;
    const rst_json_field fields[] = {{"a", true, &a}, {"b", false, &b}};
    rst_error err;
    rst_status status = rst_json_object(root, "f", fields, 2, &err);
    assert_int_equal(status, cases[i].message == NULL ? RST_OK : RST_ERROR_WEIGHTS);
    if (status != RST_OK) assert_string_equal(err.message, cases[i].message);
    cJSON_Delete(root);
  }
}

static void assert_integer(const char *text, const char *message) {
  cJSON *root = parse(text);
  int64_t value = 7;
  rst_error err = {.message = ""};
  rst_status status = rst_json_integer(root, "f", "n", -10, RST_JSON_MAX_INTEGER, &value, &err);
  assert_string_equal(err.message, message);
  assert_int_equal(status, message[0] == '\0' ? RST_OK : RST_ERROR_WEIGHTS);
  assert_int_equal(value, status == RST_OK ? (int64_t)strtod(text, NULL) : 0);
  cJSON_Delete(root);
}

static void test_integers_are_whole_and_exact(void **state) {
  (void)state;
  assert_integer("0", "");
  assert_integer("-10", "");
  assert_integer("48.0", "");
  assert_integer("4e2", "");
  assert_integer("9007199254740991", "");
  assert_integer("-11", "f: n -11, expected -10 to 9007199254740991");
  assert_integer("3.5", "f: n 3.5, expected a whole number");
  assert_integer("9007199254740992", "f: n 9007199254740992, expected a number below 2^53");
  assert_integer("18446744073709551616", "f: n 1.8446744073709552e+19, expected a number below 2^53");
  assert_integer("1e400", "f: n inf, expected a number below 2^53");
  assert_integer("-1e300", "f: n -1.0000000000000001e+300, expected a number below 2^53");
  assert_integer("\"3\"", "f: n is a string, expected a whole number");
  assert_integer("null", "f: n is null, expected a whole number");
  assert_integer("[1]", "f: n is an array, expected a whole number");
  assert_integer("true", "f: n is true or false, expected a whole number");
}

static void test_values_of_another_type_are_refused(void **state) {
  (void)state;
  cJSON *root = parse("1e400");
  rst_error err;
  const char *text;
  bool truth;
  double number;
  size_t count;
  assert_int_equal(rst_json_string(root, "f", "k", &text, &err), RST_ERROR_WEIGHTS);
  assert_string_equal(err.message, "f: k is a number, expected a string");
  assert_int_equal(rst_json_bool(root, "f", "k", &truth, &err), RST_ERROR_WEIGHTS);
  assert_string_equal(err.message, "f: k is a number, expected true or false");
  assert_int_equal(rst_json_array(root, "f", "k", 0, 1, &count, &err), RST_ERROR_WEIGHTS);
  assert_string_equal(err.message, "f: k is a number, expected an array");
  assert_int_equal(rst_json_number(root, "f", "k", &number, &err), RST_ERROR_WEIGHTS);
  assert_string_equal(err.message, "f: k is a number too large for a double");
  cJSON_Delete(root);
  root = parse("{}");
  assert_int_equal(rst_json_number(root, "f", "k", &number, &err), RST_ERROR_WEIGHTS);
  assert_string_equal(err.message, "f: k is an object, expected a number");
  cJSON_Delete(root);
}

static void test_arrays_have_the_length_they_should(void **state) {
  (void)state;
  cJSON *root = parse("[1, 2, 3]");
  size_t count;
  rst_error err;
  assert_int_equal(rst_json_array(root, "f", "k", 1, 3, &count, &err), RST_OK);
  assert_int_equal(count, 3);
  assert_int_equal(rst_json_array(root, "f", "k", 1, 2, &count, &err), RST_ERROR_WEIGHTS);
  assert_string_equal(err.message, "f: k has 3 entries, expected 1 to 2");
  assert_int_equal(rst_json_array(root, "f", "k", 4, 4, &count, &err), RST_ERROR_WEIGHTS);
  assert_string_equal(err.message, "f: k has 3 entries, expected 4");
  cJSON_Delete(root);
}

static void test_shapes(void **state) {
  (void)state;
  static const struct {
    const char *text, *message;
    size_t elements;
  } cases[] = {
      {"[2, 3, 4, 5]", "", 120},
      {"[1, 2, 3, 4, 5]", "", 120},
      {"[7]", "", 7},
      {"[]", "", 1},
      {"[3, 0]", "", 0},
      {"[1, 1, 1, 1, 1, 1]", "f: shape has 6 entries, expected 0 to 5", 0},
      {"[1, -2]", "f: shape entry -2, expected 0 to 9007199254740991", 0},
      {"[1.5]", "f: shape entry 1.5, expected a whole number", 0},
      {"[4294967296, 4294967296]", "f: shape has more elements than memory can hold", 0},
      {"\"2\"", "f: shape is a string, expected an array", 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    cJSON *root = parse(cases[i].text);
    int ndim;
    size_t shape[RST_TENSOR_DIMS], elements;
    rst_error err = {.message = ""};
    rst_status status = rst_json_shape(root, "f", RST_TENSOR_DIMS, &ndim, shape, &elements, &err);
    assert_string_equal(err.message, cases[i].message);
    if (status == RST_OK) assert_int_equal(elements, cases[i].elements);
    cJSON_Delete(root);
  }
  char text[RST_SHAPE_TEXT];
  rst_shape_text(4, (const size_t[]){2042, 384, 1, 1}, text);
  assert_string_equal(text, "[2042, 384, 1, 1]");
  rst_shape_text(0, NULL, text);
  assert_string_equal(text, "[]");
  rst_shape_text(4, (const size_t[]){SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX}, text);
  assert_string_equal(text + strlen(text) - 1, "]");
}

/* ---- Memory -------------------------------------------------------------------------------- */

static size_t mallocs_left;

static void *failing_malloc(size_t size) {
  return mallocs_left-- == 0 ? NULL : malloc(size);
}

static void test_missing_memory_is_no_syntax_error(void **state) {
  (void)state;
  static const char text[] = "{\"a\": [1, 2, {\"b\": \"c\"}]}";
  cJSON_Hooks hooks = {failing_malloc, free};
  cJSON_InitHooks(&hooks);
  size_t failures = 0;
  for (bool failed = true; failed; failures += failed) {
    cJSON *root;
    rst_error err;
    mallocs_left = failures;
    rst_status status = rst_json_parse(text, strlen(text), "f", &root, &err);
    failed = status != RST_OK;
    if (failed) {
      assert_int_equal(status, RST_ERROR_MEMORY);
      assert_string_equal(err.message, "out of memory for f");
    }
    cJSON_Delete(root);
  }
  cJSON_InitHooks(NULL);
  assert_true(failures > 8);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sound_texts_are_accepted),
      cmocka_unit_test(test_syntax_errors_are_refused_with_their_place),
      cmocka_unit_test(test_numbers_that_are_none_are_refused),
      cmocka_unit_test(test_strings_that_are_none_are_refused),
      cmocka_unit_test(test_invalid_utf8_is_refused),
      cmocka_unit_test(test_nul_bytes_are_refused),
      cmocka_unit_test(test_too_long_a_text_is_refused),
      cmocka_unit_test(test_objects_have_the_keys_they_should),
      cmocka_unit_test(test_integers_are_whole_and_exact),
      cmocka_unit_test(test_values_of_another_type_are_refused),
      cmocka_unit_test(test_arrays_have_the_length_they_should),
      cmocka_unit_test(test_shapes),
      cmocka_unit_test(test_missing_memory_is_no_syntax_error),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
