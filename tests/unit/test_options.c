/* test_options.c - structs of other versions than the library's, and what public functions leave in
 * rst_error. */
#include "base/options.h"
#include "support/cmocka_all.h"

/* A type of options in three versions; `b`'s default is 7. */
typedef struct version1 {
  size_t struct_size;
  long a;
} version1;

typedef struct version2 {
  size_t struct_size;
  long a, b;
} version2;

typedef struct version3 {
  size_t struct_size;
  long a, b, c;
} version3;

static version2 defaults(void) {
  return (version2){sizeof(version2), 0, 7};
}

static rst_status take(version2 *known, const void *given, rst_error *err) {
  *known = defaults();
  return rst_options_read(known, sizeof *known, given, "rst_some_options", err);
}

static void options_of_every_version_are_taken(void **state) {
  (void)state;
  version2 known;
  assert_int_equal(take(&known, NULL, NULL), RST_OK);
  assert_true(known.struct_size == sizeof known && known.a == 0 && known.b == 7);
  assert_int_equal(take(&known, &(version1){sizeof(version1), 1}, NULL), RST_OK);
  assert_true(known.struct_size == sizeof known && known.a == 1 && known.b == 7);
  assert_int_equal(take(&known, &(version2){sizeof(version2), 1, 2}, NULL), RST_OK);
  assert_true(known.struct_size == sizeof known && known.a == 1 && known.b == 2);
  assert_int_equal(take(&known, &(version3){sizeof(version3), 1, 2, 0}, NULL), RST_OK);
  assert_true(known.struct_size == sizeof known && known.a == 1 && known.b == 2);
}

static void unknown_options_are_refused(void **state) {
  (void)state;
  version2 known;
  rst_error err;
  assert_int_equal(take(&known, &(version3){sizeof(version3), 1, 2, 3}, &err), RST_ERROR_USAGE);
  assert_string_equal(err.message, "rst_some_options: has a member set that version " RST_VERSION
                                   " of the library does not know");
  assert_int_equal(take(&known, &(version2){0}, &err), RST_ERROR_USAGE);
  assert_string_equal(err.message,
                      "rst_some_options: struct_size is 0, expected what rst_some_options_init sets");
}

static void information_of_every_version_is_filled(void **state) {
  (void)state;
  const version2 known = {0, 1, 2};
  version1 old = {sizeof old, 9};
  version2 same = {sizeof same, 9, 9};
  version3 new = {sizeof new, 9, 9, 9};
  version2 forgotten = {0, 9, 9};
  struct {
    version1 given;
    long behind;
  } guarded = {{sizeof(version1), 9}, 9};
  rst_info_write(&old, &known, sizeof known);
  rst_info_write(&same, &known, sizeof known);
  rst_info_write(&new, &known, sizeof known);
  rst_info_write(&forgotten, &known, sizeof known);
  rst_info_write(&guarded.given, &known, sizeof known);
  assert_true(old.struct_size == sizeof old && old.a == 1);
  assert_true(same.struct_size == sizeof same && same.a == 1 && same.b == 2);
  assert_true(new.struct_size == sizeof new &&new.a == 1 && new.b == 2 && new.c == 0);
  assert_true(forgotten.struct_size == 0 && forgotten.a == 9 && forgotten.b == 9);
  assert_true(guarded.given.a == 1 && guarded.behind == 9);
}

static void public_functions_look_at_struct_size(void **state) {
  (void)state;
  rst_error err;
  rst_model_options model_options = {0};
  rst_convert_options convert_options = {0};
  rst_model *model;
  rst_weights *weights;
  assert_int_equal(rst_weights_open("tests/data/golden/gray_biasfree/weights.json", &weights, NULL), RST_OK);
  assert_int_equal(rst_model_create(weights, &model_options, &model, &err), RST_ERROR_USAGE);
  assert_null(model);
  assert_string_equal(err.message,
                      "rst_model_options: struct_size is 0, expected what rst_model_options_init sets");
  rst_weights_close(weights);
  assert_int_equal(rst_weights_convert("x.pth", "x.json", &convert_options, &err), RST_ERROR_USAGE);
  assert_string_equal(err.message,
                      "rst_convert_options: struct_size is 0, expected what rst_convert_options_init sets");
}

static void success_leaves_no_message(void **state) {
  (void)state;
  rst_error err = {"of before"};
  rst_weights *weights;
  rst_model *model;
  assert_int_equal(rst_weights_open("tests/data/golden/gray_biasfree/weights.json", &weights, &err), RST_OK);
  assert_string_equal(err.message, "");
  err = (rst_error){"of before"};
  assert_int_equal(rst_weights_verify(weights, &err), RST_OK);
  assert_string_equal(err.message, "");
  err = (rst_error){"of before"};
  assert_int_equal(rst_model_create(weights, NULL, &model, &err), RST_OK);
  assert_string_equal(err.message, "");
  rst_model_free(model);
  rst_weights_close(weights);
}

static void version_is_that_of_the_header(void **state) {
  (void)state;
  assert_string_equal(rst_version(), RST_VERSION);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(options_of_every_version_are_taken),
      cmocka_unit_test(unknown_options_are_refused),
      cmocka_unit_test(information_of_every_version_is_filled),
      cmocka_unit_test(public_functions_look_at_struct_size),
      cmocka_unit_test(success_leaves_no_message),
      cmocka_unit_test(version_is_that_of_the_header),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
