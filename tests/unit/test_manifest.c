/* Manifests: every message about the text, the model and the list of files. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/cmocka_all.h"
#include "support/scratch.h"
#include "weights/manifest.h"

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char sound[] =
    "{\"format\": \"restormer-weights\", \"version\": 1,\n"
    " \"name\": \"tiny\", \"task\": \"denoising\", \"license\": \"MIT\", \"source\": \"by hand \\u00e9\",\n"
    " \"model\": {\"in_channels\": 6, \"out_channels\": 3, \"dim\": 8, \"num_blocks\": [1, 2],\n"
    "  \"num_refinement_blocks\": 3, \"heads\": [1, 4], \"ffn_hidden\": [21, 42], \"bias\": false,\n"
    "  \"layer_norm\": \"WithBias\", \"attention\": \"mdta\", \"dual_pixel\": true, \"residual\": false},\n"
    " \"files\": [{\"path\": \"t.safetensors\", \"bytes\": 1234, \"sha256\": \"" HASH
    "\"}],\n"
    " \"tensors\": {}}\n";

static void read_sound(const char *from, const char *to, rst_manifest *manifest) {
  char *text = scratch_edit(sound, from, to);
  rst_error err = {.message = ""};
  scratch_put_text("x.json", text);
  free(text);
  if (rst_manifest_read("x.json", manifest, &err) != RST_OK) fail_msg("%s", err.message);
}

static void assert_file_refused(const char *message) {
  rst_manifest manifest;
  rst_error err;
  assert_int_equal(rst_manifest_read("x.json", &manifest, &err), RST_ERROR_WEIGHTS);
  assert_string_equal(err.message, message);
  assert_null(manifest.path);
  assert_null(manifest.root);
}

/* The sound manifest with `from` replaced by `to`. */
static void assert_refused(const char *from, const char *to, const char *message) {
  char *text = scratch_edit(sound, from, to);
  scratch_put_text("x.json", text);
  free(text);
  assert_file_refused(message);
}

typedef struct refused_case {
  const char *from, *to, *message;
} refused_case;

static void assert_all_refused(const refused_case *cases, size_t count) {
  for (size_t i = 0; i < count; i++) assert_refused(cases[i].from, cases[i].to, cases[i].message);
}

#define ALL_REFUSED(cases) assert_all_refused(cases, sizeof(cases) / sizeof(cases)[0])

/* ---- Sound ones ---------------------------------------------------------------------------- */

static void test_every_key_is_read(void **state) {
  (void)state;
  rst_manifest m;
  read_sound("\n", "\n", &m);
  assert_string_equal(m.path, "x.json");
  assert_string_equal(m.name, "tiny");
  assert_string_equal(m.task, "denoising");
  assert_string_equal(m.license, "MIT");
  assert_string_equal(m.source, "by hand \xc3\xa9");
  const rst_architecture *a = &m.architecture;
  assert_int_equal(a->in_channels, 6);
  assert_int_equal(a->out_channels, 3);
  assert_int_equal(a->dim, 8);
  assert_int_equal(a->levels, 2);
  assert_int_equal(a->num_blocks[0], 1);
  assert_int_equal(a->num_blocks[1], 2);
  assert_int_equal(a->num_refinement_blocks, 3);
  assert_int_equal(a->heads[0], 1);
  assert_int_equal(a->heads[1], 4);
  assert_int_equal(a->ffn_hidden[0], 21);
  assert_int_equal(a->ffn_hidden[1], 42);
  assert_true(a->attention[0] && a->attention[1] && a->norm_bias && a->dual_pixel);
  assert_false(a->bias || a->residual);
  assert_int_equal(m.file_count, 1);
  assert_string_equal(m.files[0].path, "t.safetensors");
  assert_int_equal(m.files[0].bytes, 1234);
  assert_string_equal(m.files[0].sha256, HASH);
  assert_non_null(m.tensors);
  rst_manifest_free(&m);
}

static void test_free_texts_may_be_left_out(void **state) {
  (void)state;
  rst_manifest m;
  read_sound(
      "\"name\": \"tiny\", \"task\": \"denoising\", \"license\": \"MIT\", \"source\": \"by hand \\u00e9\",",
      "", &m);
  assert_string_equal(m.name, "");
  assert_string_equal(m.task, "");
  assert_string_equal(m.license, "");
  assert_string_equal(m.source, "");
  rst_manifest_free(&m);
}

static void test_attention_may_be_given_per_level(void **state) {
  (void)state;
  rst_manifest m;
  read_sound("\"mdta\"", "[\"none\", \"mdta\"]", &m);
  assert_false(m.architecture.attention[0]);
  assert_true(m.architecture.attention[1]);
  rst_manifest_free(&m);
  read_sound("\"mdta\"", "\"none\"", &m);
  assert_false(m.architecture.attention[0] || m.architecture.attention[1]);
  rst_manifest_free(&m);
}

#define PROMPT \
  "{\"length\": 5, \"dim\": 4, \"size\": 3, \"heads\": 2, \"ffn_hidden\": 9, \"out_channels\": 16}"

static void test_levels_may_have_prompts(void **state) {
  (void)state;
  rst_manifest m;
  read_sound("\"residual\": false", "\"residual\": false, \"prompts\": [null, " PROMPT "]", &m);
  const rst_prompt *p = m.architecture.prompts;
  assert_int_equal(p[0].length, 0);
  assert_true(p[1].length == 5 && p[1].dim == 4 && p[1].size == 3);
  assert_true(p[1].heads == 2 && p[1].ffn_hidden == 9 && p[1].out_channels == 16);
  rst_manifest_free(&m);
}

static void test_prompts_that_are_wrong_are_refused(void **state) {
  (void)state;
  const struct {
    const char *prompts, *message;
  } cases[] = {
      {"null", "x.json: model: prompts is null, expected an array"},
      {"[null]", "x.json: model: prompts has 1 entries, expected 2"},
      {"[" PROMPT ", null]", "x.json: model: prompts[0]: level 0, which is not upsampled, has no prompt"},
      {"[null, 5]", "x.json: model: prompts[1]: a number, expected an object"},
      {"[null, {}]", "x.json: model: prompts[1]: key \"length\" is missing"},
      {"[null, {\"Dim\": 4}]", "x.json: model: prompts[1]: unknown key \"Dim\""},
      {"[null, {\"length\": 0, \"dim\": 0, \"size\": 0, \"heads\": 0, \"ffn_hidden\": 0, \"out_channels\": "
       "0}]",
       "x.json: model: prompts[1]: length 0, expected 1 to 64"},
      {"[null, {\"length\": 5, \"dim\": \"4\", \"size\": 3, \"heads\": 2, \"ffn_hidden\": 9, "
       "\"out_channels\": 16}]",
       "x.json: model: prompts[1]: dim is a string, expected a whole number"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char to[512];
    snprintf(to, sizeof to, "\"residual\": false, \"prompts\": %s", cases[i].prompts);
    assert_refused("\"residual\": false", to, cases[i].message);
  }
}

static void test_expansion_factor_is_rounded_down_per_level(void **state) {
  (void)state;
  rst_manifest m;
  read_sound("\"ffn_hidden\": [21, 42]", "\"ffn_expansion_factor\": 2.66", &m);
  assert_int_equal(m.architecture.ffn_hidden[0], 21); /* 21.28 */
  assert_int_equal(m.architecture.ffn_hidden[1], 42); /* 42.56 */
  rst_manifest_free(&m);
  read_sound(
      "\"dim\": 8, \"num_blocks\": [1, 2],\n  \"num_refinement_blocks\": 3, \"heads\": [1, 4], "
      "\"ffn_hidden\": "
      "[21, 42]",
      "\"dim\": 48, \"num_blocks\": [4, 6, 6, 8], \"num_refinement_blocks\": 4, \"heads\": [1, 2, 4, 8], "
      "\"ffn_expansion_factor\": 2.66",
      &m);
  static const int published[] = {127, 255, 510, 1021};
  for (int i = 0; i < 4; i++) assert_int_equal(m.architecture.ffn_hidden[i], published[i]);
  rst_manifest_free(&m);
}

static void test_files_are_relative_to_the_manifest(void **state) {
  (void)state;
  rst_manifest m;
  rst_error err;
  char *text = scratch_edit(sound, "t.safetensors", "sub folder/..t/...");
  char path[PATH_MAX];
  assert_true(snprintf(path, sizeof path, "%s/x.json", (const char *)*state) < PATH_MAX);
  scratch_put_text(path, text);
  free(text);
  assert_int_equal(rst_manifest_read(path, &m, &err), RST_OK);
  assert_true(snprintf(path, sizeof path, "%s/sub folder/..t/...", (const char *)*state) < PATH_MAX);
  assert_string_equal(m.files[0].path, path);
  rst_manifest_free(&m);
}

/* ---- The text ------------------------------------------------------------------------------ */

static void test_texts_that_are_no_manifest_are_refused(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"", "x.json: is empty, expected a manifest, which restormer-weights convert makes of a checkpoint"},
      {"{", "x.json: line 1, column 2: expected a key in double quotes"},
      {"[]", "x.json: not a weight manifest: expected an object with \"format\": \"restormer-weights\""},
      {"{}", "x.json: not a weight manifest: expected an object with \"format\": \"restormer-weights\""},
      {"{\"Format\": \"restormer-weights\"}",
       "x.json: not a weight manifest: expected an object with \"format\": \"restormer-weights\""},
      {"{\"format\": 1}",
       "x.json: not a weight manifest: expected an object with \"format\": \"restormer-weights\""},
      {"{\"format\": \"restormer-weights\"}", "x.json: key \"version\" is missing"},
      {"{\"format\": \"restormer-weights\", \"version\": 1}", "x.json: key \"model\" is missing"},
      {"PK\3\4rest",
       "x.json: is a zip file (a PyTorch checkpoint?), expected a manifest, which restormer-weights convert "
       "makes of a checkpoint"},
      {"\x80\2}q",
       "x.json: is a Python pickle (a PyTorch checkpoint?), expected a manifest, which restormer-weights "
       "convert makes of a checkpoint"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    scratch_put_text("x.json", cases[i][0]);
    assert_file_refused(cases[i][1]);
  }
  scratch_put("x.json", "\x80\0\0\0\0\0\0\0{}", 10);
  assert_file_refused(
      "x.json: is a safetensors file that is cut short, expected a manifest, which restormer-weights convert "
      "makes of a "
      "checkpoint");
  remove("x.json");
  assert_file_refused("x.json: cannot be opened: No such file or directory");
}

static void test_too_large_a_manifest_is_refused(void **state) {
  (void)state;
  FILE *f = fopen("x.json", "wb");
  assert_non_null(f);
  assert_int_equal(fputc('{', f), '{');
  assert_int_equal(fseek(f, 16777216, SEEK_SET), 0);
  assert_int_equal(fputc('}', f), '}');
  assert_int_equal(fclose(f), 0);
  assert_file_refused("x.json: has more than 16777216 bytes, which is the limit");
}

static void test_keys_that_are_wrong_are_refused(void **state) {
  (void)state;
  static const refused_case cases[] = {
      {"\"version\": 1", "\"version\": 2", "x.json: version 2, expected 1"},
      {"\"version\": 1", "\"version\": \"1\"", "x.json: version is a string, expected a whole number"},
      {"\"version\": 1", "\"version\": 1, \"version\": 1", "x.json: key \"version\" appears twice"},
      {"\"name\"", "\"Name\"", "x.json: unknown key \"Name\""},
      {"\"name\": \"tiny\"", "\"name\": null", "x.json: name is null, expected a string"},
      {"\"denoising\"", "[]", "x.json: task is an array, expected a string"},
      {"\"MIT\"", "false", "x.json: license is true or false, expected a string"},
      {"\"by hand \\u00e9\"", "{}", "x.json: source is an object, expected a string"},
      {"tiny", "ti\\u0000ny", "x.json: line 2, column 19: \\u0000 in a string"},
      {"tiny", "ti\xff", "x.json: line 2, column 13: invalid UTF-8"},
      {"\"tensors\": {}}", "\"tensors\": {}} {}",
       "x.json: line 7, column 17: more text after the end of the value"},
      {"\"files\": [{\"path\": \"t.safetensors\", \"bytes\": 1234, \"sha256\": \"" HASH
       "\"}],\n \"tensors\": {}}",
       "\"license\": \"\"}", "x.json: key \"license\" appears twice"},
      {",\n \"files\": [{\"path\": \"t.safetensors\", \"bytes\": 1234, \"sha256\": \"" HASH
       "\"}],\n \"tensors\": {}}",
       "}", "x.json: neither files nor tensors, expected at least one of them"},
  };
  ALL_REFUSED(cases);
}

/* ---- model --------------------------------------------------------------------------------- */

static void test_model_keys_that_are_wrong_are_refused(void **state) {
  (void)state;
  static const refused_case cases[] = {
      {"\"dim\"", "\"DIM\"", "x.json: model: unknown key \"DIM\""},
      {"\"dim\": 8", "\"dim\": 8, \"dim\": 8", "x.json: model: key \"dim\" appears twice"},
      {"\"dim\": 8, ", "", "x.json: model: key \"dim\" is missing"},
      {", \"dual_pixel\": true", "", "x.json: model: key \"dual_pixel\" is missing"},
      {", \"residual\": false", "", "x.json: model: key \"residual\" is missing"},
      {" \"attention\": \"mdta\",", "", "x.json: model: key \"attention\" is missing"},
      {", \"bias\": false", "", "x.json: model: key \"bias\" is missing"},
      {"\"dim\": 8", "\"dim\": \"8\"", "x.json: model: dim is a string, expected a whole number"},
      {"\"dim\": 8", "\"dim\": 8.5", "x.json: model: dim 8.5, expected a whole number"},
      {"\"dim\": 8", "\"dim\": -8", "x.json: model: dim -8, expected 0 to 2147483647"},
      {"\"dim\": 8", "\"dim\": 4294967304", "x.json: model: dim 4294967304, expected 0 to 2147483647"},
      {"\"dim\": 8", "\"dim\": 18014398509481984",
       "x.json: model: dim 18014398509481984, expected a number below 2^53"},
      {"\"dim\": 8", "\"dim\": 5000", "x.json: model: dim 5000, expected 1 to 4096"},
      {"\"in_channels\": 6", "\"in_channels\": 0", "x.json: model: in_channels 0, expected 1 to 64"},
      {"\"in_channels\": 6", "\"in_channels\": null",
       "x.json: model: in_channels is null, expected a whole number"},
      {"\"out_channels\": 3", "\"out_channels\": 65", "x.json: model: out_channels 65, expected 1 to 64"},
      {"[1, 2]", "[]", "x.json: model: num_blocks has 0 entries, expected 1 to 5"},
      {"[1, 2]", "[1, 1, 1, 1, 1, 1]", "x.json: model: num_blocks has 6 entries, expected 1 to 5"},
      {"[1, 2]", "2", "x.json: model: num_blocks is a number, expected an array"},
      {"[1, 2]", "[1, \"2\"]", "x.json: model: num_blocks[1] is a string, expected a whole number"},
      {"[1, 2]", "[1, 257]", "x.json: model: num_blocks[1] 257, expected 0 to 256"},
      {"[1, 4]", "[1]", "x.json: model: heads has 1 entries, expected 2"},
      {"[1, 4]", "[1, 3]", "x.json: model: heads[1] 3, expected a divisor of the level's width, 16"},
      {"[21, 42]", "[21, 42, 84]", "x.json: model: ffn_hidden has 3 entries, expected 2"},
      {"[21, 42]", "[0, 42]", "x.json: model: ffn_hidden[0] 0, expected 1 to 1048575"},
      {"\"ffn_hidden\": [21, 42], ", "",
       "x.json: model: neither ffn_expansion_factor nor ffn_hidden, expected one of the two"},
      {"\"ffn_hidden\": [21, 42]", "\"ffn_hidden\": [21, 42], \"ffn_expansion_factor\": 2.66",
       "x.json: model: both ffn_expansion_factor and ffn_hidden, expected one of the two"},
      {"\"bias\": false", "\"bias\": 0", "x.json: model: bias is a number, expected true or false"},
      {"\"dual_pixel\": true", "\"dual_pixel\": \"true\"",
       "x.json: model: dual_pixel is a string, expected true or false"},
      {"\"residual\": false", "\"residual\": null",
       "x.json: model: residual is null, expected true or false"},
      {"\"residual\": false", "\"residual\": true",
       "x.json: model: out_channels 3, expected 6, as many as in_channels, with residual"},
      {"\"in_channels\": 6", "\"in_channels\": 3",
       "x.json: model: in_channels 3, expected an even number with dual_pixel"},
      {"WithBias", "withbias",
       "x.json: model: layer_norm \"withbias\", expected \"WithBias\" or \"BiasFree\""},
      {"\"WithBias\"", "true", "x.json: model: layer_norm is true or false, expected a string"},
      {"\"mdta\"", "\"MDTA\"", "x.json: model: attention \"MDTA\", expected \"mdta\" or \"none\""},
      {"\"mdta\"", "true", "x.json: model: attention is neither a string nor an array of strings"},
      {"\"mdta\"", "[\"mdta\"]", "x.json: model: attention has 1 entries, expected 2"},
      {"\"mdta\"", "[\"mdta\", \"\"]", "x.json: model: attention[1] \"\", expected \"mdta\" or \"none\""},
      {"\"mdta\"", "[\"mdta\", 1]", "x.json: model: attention[1] is a number, expected a string"},
  };
  ALL_REFUSED(cases);
  assert_refused("\"model\": {", "\"model\": [], \"x\": {", "x.json: unknown key \"x\"");
}

static void test_a_model_that_is_no_object_is_refused(void **state) {
  (void)state;
  scratch_put_text("x.json",
                   "{\"format\": \"restormer-weights\", \"version\": 1, \"model\": [], \"tensors\": {}}");
  assert_file_refused("x.json: model: an array, expected an object");
}

static void test_expansion_factors_that_are_wrong_are_refused(void **state) {
  (void)state;
  static const refused_case cases[] = {
      {"\"ffn_hidden\": [21, 42]", "\"ffn_expansion_factor\": \"2.66\"",
       "x.json: model: ffn_expansion_factor is a string, expected a number"},
      {"\"ffn_hidden\": [21, 42]", "\"ffn_expansion_factor\": 1e999",
       "x.json: model: ffn_expansion_factor is a number too large for a double"},
      {"\"ffn_hidden\": [21, 42]", "\"ffn_expansion_factor\": 0.1",
       "x.json: model: ffn_expansion_factor 0.1, expected one that makes hidden widths of 1 to 1048575"},
      {"\"ffn_hidden\": [21, 42]", "\"ffn_expansion_factor\": -1",
       "x.json: model: ffn_expansion_factor -1, expected one that makes hidden widths of 1 to 1048575"},
      {"\"ffn_hidden\": [21, 42]", "\"ffn_expansion_factor\": 1e300",
       "x.json: model: ffn_expansion_factor 1e+300, expected one that makes hidden widths of 1 to 1048575"},
      {"\"ffn_hidden\": [21, 42]", "\"ffn_expansion_factor\": 70000",
       "x.json: model: ffn_expansion_factor 70000, expected one that makes hidden widths of 1 to 1048575"},
  };
  ALL_REFUSED(cases);
}

/* ---- files --------------------------------------------------------------------------------- */

static void test_paths_that_could_leave_the_folder_are_refused(void **state) {
  (void)state;
  static const char *const paths[] = {"",  "/etc/passwd", "../t", "a/../../t", "a/..", "..",
                                      ".", "./t",         "a//t", "a/",        "/",    "a/./t"};
  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
    char message[256];
    snprintf(
        message, sizeof message,
        "x.json: files[0]: path \"%s\", expected a relative one with '/' that stays in the manifest's folder",
        paths[i]);
    assert_refused("t.safetensors", paths[i], message);
  }
  assert_refused("t.safetensors", "..\\\\t",
                 "x.json: files[0]: path \"..\\t\", expected a relative one with '/' that stays in the "
                 "manifest's folder");
  assert_refused(
      "t.safetensors", "a\\nb",
      "x.json: files[0]: path \"a?b\", expected a relative one with '/' that stays in the manifest's folder");
}

static void test_file_entries_that_are_wrong_are_refused(void **state) {
  (void)state;
  static const refused_case cases[] = {
      {"\"files\": [{", "\"files\": [1, {", "x.json: files[0]: a number, expected an object"},
      {"\"bytes\": 1234, ", "", "x.json: files[0]: key \"bytes\" is missing"},
      {"\"bytes\": 1234", "\"bytes\": 1234, \"size\": 1", "x.json: files[0]: unknown key \"size\""},
      {"\"bytes\": 1234", "\"bytes\": 1234, \"bytes\": 1234",
       "x.json: files[0]: key \"bytes\" appears twice"},
      {"1234", "-1", "x.json: files[0]: bytes -1, expected 0 to 9007199254740991"},
      {"1234", "\"1234\"", "x.json: files[0]: bytes is a string, expected a whole number"},
      {"1234", "9007199254740992", "x.json: files[0]: bytes 9007199254740992, expected a number below 2^53"},
      {"\"t.safetensors\"", "7", "x.json: files[0]: path is a number, expected a string"},
      {"\"" HASH "\"", "7", "x.json: files[0]: sha256 is a number, expected a string"},
      {HASH, "abc", "x.json: files[0]: sha256 \"abc\", expected 64 digits 0-9 and a-f"},
      {HASH, "0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
       "x.json: files[0]: sha256 \"0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef\", "
       "expected 64 digits "
       "0-9 and a-f"},
      {HASH, HASH "0", "x.json: files[0]: sha256 \"" HASH "0\", expected 64 digits 0-9 and a-f"},
      {"\"files\": [", "\"files\": [{\"path\": \"t.safetensors\", \"bytes\": 1, \"sha256\": \"" HASH "\"}, ",
       "x.json: files[1]: path \"t.safetensors\" is listed twice"},
  };
  ALL_REFUSED(cases);
}

static void test_files_that_are_no_array_are_refused(void **state) {
  (void)state;
  assert_refused("[{\"path\": \"t.safetensors\", \"bytes\": 1234, \"sha256\": \"" HASH "\"}]", "{}",
                 "x.json: files is an object, expected an array");
}

int main(void) {
#define SCRATCH_TEST(f) cmocka_unit_test_setup_teardown(f, scratch_enter, scratch_leave)
  const struct CMUnitTest tests[] = {
      SCRATCH_TEST(test_every_key_is_read),
      SCRATCH_TEST(test_free_texts_may_be_left_out),
      SCRATCH_TEST(test_attention_may_be_given_per_level),
      SCRATCH_TEST(test_levels_may_have_prompts),
      SCRATCH_TEST(test_prompts_that_are_wrong_are_refused),
      SCRATCH_TEST(test_expansion_factor_is_rounded_down_per_level),
      SCRATCH_TEST(test_files_are_relative_to_the_manifest),
      SCRATCH_TEST(test_texts_that_are_no_manifest_are_refused),
      SCRATCH_TEST(test_too_large_a_manifest_is_refused),
      SCRATCH_TEST(test_keys_that_are_wrong_are_refused),
      SCRATCH_TEST(test_model_keys_that_are_wrong_are_refused),
      SCRATCH_TEST(test_a_model_that_is_no_object_is_refused),
      SCRATCH_TEST(test_expansion_factors_that_are_wrong_are_refused),
      SCRATCH_TEST(test_paths_that_could_leave_the_folder_are_refused),
      SCRATCH_TEST(test_file_entries_that_are_wrong_are_refused),
      SCRATCH_TEST(test_files_that_are_no_array_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
