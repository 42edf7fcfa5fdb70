/* What a conversion can be asked for, and what it is called. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/checkpoint_builder.h"
#include "support/cmocka_all.h"

static void options_of_a_conversion(void **state) {
  workshop *w = *state;
  recipe r = {.model = &w->model};
  assert_recipe_converts(w, &r);
  const struct { const char *option, *dtype; } cases[] = {{"f32", "F32"}, {"f16", "F16"}, {"bf16", "BF16"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const rst_convert_options options = {.struct_size = sizeof options,
                                         .dtype = cases[i].option,
                                         .name = "n",
                                         .task = "t",
                                         .license = "l",
                                         .source = "s"};
    rst_error err = {.message = ""};
    rst_weights *weights;
    rst_weights_info info;
    rst_weights_info_init(&info);
    assert_int_equal(rst_weights_convert(w->input, w->manifest, &options, &err), RST_OK);
    assert_int_equal(rst_weights_open(w->manifest, &weights, NULL), RST_OK);
    rst_weights_get_info(weights, &info);
    assert_string_equal(info.dtype, cases[i].dtype);
    assert_string_equal(info.name, "n");
    assert_string_equal(info.task, "t");
    assert_string_equal(info.license, "l");
    assert_string_equal(info.source, "s");
    rst_weights_close(weights);
  }
}

static void assert_usage(workshop *w, const char *manifest, const char *dtype, const char *message) {
  rst_error err = {.message = ""};
  const rst_convert_options options = {.struct_size = sizeof options, .dtype = dtype};
  assert_int_equal(rst_weights_convert(w->input, manifest, &options, &err), RST_ERROR_USAGE);
  assert_string_equal(err.message, message);
}

static void options_that_cannot_be(void **state) {
  workshop *w = *state;
  assert_usage(w, w->manifest, "f64", "dtype f64, expected f32, f16 or bf16");
  assert_usage(w, "w.yaml", NULL, "w.yaml: the name of a manifest has to end in .json");
}

static void a_checkpoint_is_not_overwritten(void **state) {
  workshop *w = *state;
  char message[600], link_path[256];
  assert_int_equal(random_model_write(&w->model, w->manifest, NULL), RST_OK);
  snprintf(w->input, sizeof w->input, "%s", w->tensors);
  assert_converts(w); /* into files of other names, or the same with the same contents */
  assert_converts(w);
  snprintf(link_path, sizeof link_path, "%s/v.json", w->folder);
  assert_int_equal(symlink(w->tensors, link_path), 0);
  snprintf(message, sizeof message, "%s: is the checkpoint itself, which would be overwritten", link_path);
  assert_usage(w, link_path, NULL, message);
}

static void the_name_is_the_checkpoints_unless_given(void **state) {
  workshop *w = *state;
  recipe r = {.model = &w->model};
  built b = build(&r);
  const struct {
    const char *file, *name;
  } cases[] = {{"motion_deblurring.pth", "motion_deblurring"},
               {"a.b.pth", "a.b"},
               {".pth", ".pth"},
               {"x", "x"},
               {"\xff.pth", ""}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    snprintf(w->input, sizeof w->input, "%s/%s", w->folder, cases[i].file);
    write_zip(&b, w->input, NULL);
    assert_converts(w);
    rst_weights *weights;
    rst_weights_info info;
    rst_weights_info_init(&info);
    assert_int_equal(rst_weights_open(w->manifest, &weights, NULL), RST_OK);
    rst_weights_get_info(weights, &info);
    assert_string_equal(info.name, cases[i].name);
    rst_weights_close(weights);
  }
  built_free(&b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, workshop_open, workshop_close)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(options_of_a_conversion),
      TEST(options_that_cannot_be),
      TEST(a_checkpoint_is_not_overwritten),
      TEST(the_name_is_the_checkpoints_unless_given),
  };
  return cmocka_run_group_tests_name("convert options", tests, NULL, NULL);
}
