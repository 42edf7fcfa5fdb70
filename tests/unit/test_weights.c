/* Opening weights: tensors from files and from the manifest itself, and what is wrong between the two. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sha256.h"
#include "support/cmocka_all.h"
#include "support/fail_alloc.h"
#include "support/scratch.h"
#include "weights/weights.h"

/* The smallest model: two convolutions of nine weights each. FILES and TENSORS are replaced. */
static const char sound[] =
    "{\"format\": \"restormer-weights\", \"version\": 1, \"name\": \"smallest\",\n"
    " \"model\": {\"in_channels\": 1, \"out_channels\": 1, \"dim\": 1, \"num_blocks\": [0], "
    "\"num_refinement_blocks\": 0,\n"
    "  \"heads\": [1], \"ffn_hidden\": [1], \"bias\": false, \"layer_norm\": \"BiasFree\", \"attention\": "
    "\"none\",\n"
    "  \"dual_pixel\": false, \"residual\": true},\n"
    " \"files\": [FILES], \"tensors\": {TENSORS}}\n";

#define PATCH_EMBED \
  "\"patch_embed.proj.weight\": {\"shape\": [1, 1, 3, 3], \"data\": [1, 2, 3, 4, 5, 6, 7, 8, 9]}"
#define OUTPUT \
  "\"output.weight\": {\"shape\": [1, 1, 3, 3], \"data\": [0, 0.5, -1.5e-3, 1e-45, 0, 0, 0, 0, 3e38]}"

static void put_manifest(const char *files, const char *tensors) {
  char *half = scratch_edit(sound, "FILES", files), *text = scratch_edit(half, "TENSORS", tensors);
  scratch_put_text("x.json", text);
  free(half);
  free(text);
}

/* Writes `path` with one tensor of nine values, all the given four bytes (or their first two), and its entry
 * for the manifest into `entry`. */
static void put_tensor_file(const char *path, const char *tensor, const char *dtype, const char *shape,
                            uint32_t bits, char entry[256]) {
  size_t size = strcmp(dtype, "F32") == 0 ? 4 : 2;
  uint8_t file[512] = {0}, digest[RST_SHA256_BYTES];
  int n = snprintf((char *)file + 8, sizeof file - 8,
                   "{\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[0,%zu]}}", tensor, dtype, shape,
                   9 * size);
  file[0] = (uint8_t)n;
  size_t bytes = 8 + (size_t)n;
  for (size_t i = 0; i < 9 * size; i++) file[bytes++] = (uint8_t)(bits >> (8 * (i % size)));
  scratch_put(path, file, bytes);
  rst_sha256 sha;
  char hex[RST_SHA256_HEX];
  rst_sha256_init(&sha);
  rst_sha256_update(&sha, file, bytes);
  rst_sha256_final(&sha, digest);
  rst_sha256_hex(digest, hex);
  snprintf(entry, 256, "{\"path\": \"%s\", \"bytes\": %zu, \"sha256\": \"%s\"}", path, bytes, hex);
}

static rst_weights *open_sound(void) {
  rst_weights *weights;
  rst_error err = {.message = ""};
  if (rst_weights_open("x.json", &weights, &err) != RST_OK) fail_msg("%s", err.message);
  return weights;
}

static void assert_refused(const char *message) {
  rst_weights *weights;
  rst_error err;
  assert_int_equal(rst_weights_open("x.json", &weights, &err), RST_ERROR_WEIGHTS);
  assert_string_equal(err.message, message);
  assert_null(weights);
}

static float value_of(const rst_weights *weights, const char *name, size_t index) {
  const rst_tensor *tensor = rst_weights_tensor(weights, name);
  float value;
  assert_non_null(tensor);
  rst_tensor_read(tensor, NULL, index, 1, &value, NULL);
  return value;
}

/* ---- Sound ones ---------------------------------------------------------------------------- */

static void test_a_model_can_live_in_the_manifest_alone(void **state) {
  (void)state;
  put_manifest("", PATCH_EMBED ", " OUTPUT);
  rst_weights *w = open_sound();
  assert_string_equal(rst_weights_path(w), "x.json");
  assert_int_equal(rst_weights_architecture(w)->dim, 1);
  assert_true(value_of(w, "patch_embed.proj.weight", 8) == 9);
  assert_true(value_of(w, "output.weight", 1) == 0.5f);
  assert_true(value_of(w, "output.weight", 2) == -1.5e-3f);
  assert_true(value_of(w, "output.weight", 3) == 0x1p-149f); /* the smallest subnormal */
  assert_null(rst_weights_tensor(w, "output.weigh"));
  assert_null(rst_weights_tensor(w, "output.weight "));
  rst_weights_info info;
  rst_weights_info_init(&info);
  rst_weights_get_info(w, &info);
  assert_string_equal(info.name, "smallest");
  assert_string_equal(info.task, "");
  assert_string_equal(info.dtype, "F32");
  assert_int_equal(info.parameters, 18);
  assert_int_equal(info.bytes, 72);
  assert_true(info.architecture->residual);
  rst_error err;
  assert_int_equal(rst_weights_verify(w, &err), RST_OK);
  rst_weights_close(w);
}

static void test_tensors_come_from_files_and_manifest_together(void **state) {
  (void)state;
  char entry[256];
  put_tensor_file("t.safetensors", "patch_embed.proj.weight", "BF16", "[1, 1, 3, 3]", 0x4049, entry);
  put_manifest(entry, OUTPUT);
  rst_weights *w = open_sound();
  assert_true(value_of(w, "patch_embed.proj.weight", 4) == 3.140625f);
  rst_weights_info info;
  rst_weights_info_init(&info);
  rst_weights_get_info(w, &info);
  assert_string_equal(info.dtype, "mixed");
  assert_int_equal(info.bytes, 9 * 2 + 9 * 4);
  rst_error err;
  assert_int_equal(rst_weights_verify(w, &err), RST_OK);
  rst_weights_close(w);
}

static void test_tensors_come_from_several_files(void **state) {
  (void)state;
  char a[256], b[256], both[520];
  assert_int_equal(mkdir("sub", 0777), 0);
  put_tensor_file("sub/a", "patch_embed.proj.weight", "F16", "[1, 1, 3, 3]", 0x3c00, a);
  put_tensor_file("b", "output.weight", "F16", "[1, 1, 3, 3]", 0xc000, b);
  snprintf(both, sizeof both, "%s, %s", a, b);
  put_manifest(both, "");
  rst_weights *w = open_sound();
  assert_true(value_of(w, "patch_embed.proj.weight", 0) == 1);
  assert_true(value_of(w, "output.weight", 8) == -2);
  rst_weights_info info;
  rst_weights_info_init(&info);
  rst_weights_get_info(w, &info);
  assert_string_equal(info.dtype, "F16");
  rst_weights_close(w);
}

static void test_a_file_may_be_a_symbolic_link(void **state) {
  (void)state;
  char entry[256];
  put_tensor_file("t.safetensors", "patch_embed.proj.weight", "F32", "[1, 1, 3, 3]", 0x3f800000, entry);
  assert_int_equal(mkdir("elsewhere", 0777), 0);
  assert_int_equal(rename("t.safetensors", "elsewhere/blob"), 0);
  assert_int_equal(symlink("elsewhere/blob", "t.safetensors"), 0);
  put_manifest(entry, OUTPUT);
  rst_weights_close(open_sound());
}

static void test_closing_nothing_is_allowed(void **state) {
  (void)state;
  rst_weights_close(NULL);
}

/* ---- Wrong tensors ------------------------------------------------------------------------- */

static void test_inline_tensors_that_are_wrong_are_refused(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {PATCH_EMBED, "x.json: tensor output.weight: missing"},
      {"", "x.json: tensor patch_embed.proj.weight: missing, and 1 more"},
      {PATCH_EMBED ", " OUTPUT ", \"output.bias\": {\"shape\": [1], \"data\": [1]}",
       "x.json: tensor output.bias: the model has no tensor of that name"},
      {PATCH_EMBED ", " OUTPUT ", " OUTPUT, "x.json: tensor output.weight: given twice"},
      {"\"output.weight\": {\"shape\": [1, 1, 9], \"data\": [1, 2, 3, 4, 5, 6, 7, 8, 9]}",
       "x.json: tensor output.weight: shape [1, 1, 9], expected [1, 1, 3, 3]"},
      {"\"output.weight\": {\"shape\": [1, 2, 3, 3], \"data\": [1]}",
       "x.json: tensor output.weight: data has 1 entries, expected 18"},
      {"\"output.weight\": {\"shape\": [1, 1, 3, 3], \"data\": [1, 2, 3, 4, 5, 6, 7, 8]}",
       "x.json: tensor output.weight: data has 8 entries, expected 9"},
      {"\"output.weight\": {\"shape\": [0], \"data\": []}",
       "x.json: tensor output.weight: shape [0], expected [1, 1, 3, 3]"},
      {"\"output.weight\": {\"shape\": [4294967296, 4294967296], \"data\": []}",
       "x.json: tensor output.weight: shape has more elements than memory can hold"},
      {"\"output.weight\": {\"shape\": [1, 1, 3, 3], \"data\": [1, 2, 3, 4, 5, 6, 7, 8, \"9\"]}",
       "x.json: tensor output.weight: data[8] is a string, expected a number"},
      {"\"output.weight\": {\"shape\": [1, 1, 3, 3], \"data\": [1, 2, 3, 4, 5, 6, 7, null, 9]}",
       "x.json: tensor output.weight: data[7] is null, expected a number"},
      {"\"output.weight\": {\"shape\": [1, 1, 3, 3], \"data\": [1, 2, 3, 4, 5, 6, 7, 8, 3.5e38]}",
       "x.json: tensor output.weight: data[8] 3.5e+38, expected a number that float32 can hold"},
      {"\"output.weight\": {\"shape\": [1, 1, 3, 3], \"data\": [1, 2, 3, 4, 5, 6, 7, 8, 1e999]}",
       "x.json: tensor output.weight: data[8] is a number too large for a double"},
      {"\"output.weight\": {\"shape\": [1, 1, 3, 3]}",
       "x.json: tensor output.weight: key \"data\" is missing"},
      {"\"output.weight\": {\"shape\": [1, 1, 3, 3], \"data\": [], \"data\": []}",
       "x.json: tensor output.weight: key \"data\" appears twice"},
      {"\"output.weight\": {\"shape\": [1, 1, 3, 3], \"data\": [], \"dtype\": \"F32\"}",
       "x.json: tensor output.weight: unknown key \"dtype\""},
      {"\"output.weight\": [1]", "x.json: tensor output.weight: an array, expected an object"},
      {"\"output.weight\": null", "x.json: tensor output.weight: null, expected an object"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    put_manifest("", cases[i][0]);
    assert_refused(cases[i][1]);
  }
  char *text = scratch_edit(sound, "[FILES], \"tensors\": {TENSORS}", "[], \"tensors\": [1]");
  scratch_put_text("x.json", text);
  free(text);
  assert_refused("x.json: tensors is not an object");
}

static void test_files_with_wrong_tensors_are_refused(void **state) {
  (void)state;
  char entry[256], second[256], both[520];
  put_tensor_file("t", "output.weight", "F32", "[1, 9, 1, 1]", 0, entry);
  put_manifest(entry, PATCH_EMBED);
  assert_refused("t: tensor output.weight: shape [1, 9, 1, 1], expected [1, 1, 3, 3]");
  put_tensor_file("t", "output.bias", "F32", "[9]", 0, entry);
  put_manifest(entry, PATCH_EMBED);
  assert_refused("t: tensor output.bias: the model has no tensor of that name");
  put_tensor_file("t", "output.weight", "F32", "[1, 1, 3, 3]", 0, entry);
  put_manifest(entry, PATCH_EMBED ", " OUTPUT);
  assert_refused("x.json: tensor output.weight: given twice");
  put_tensor_file("u", "output.weight", "F32", "[1, 1, 3, 3]", 0, second);
  snprintf(both, sizeof both, "%s, %s", entry, second);
  put_manifest(both, PATCH_EMBED);
  assert_refused("u: tensor output.weight: given twice");
  put_manifest(entry, "");
  assert_refused("x.json: tensor patch_embed.proj.weight: missing");
}

static void test_files_that_are_not_as_listed_are_refused(void **state) {
  (void)state;
  char entry[256];
  put_tensor_file("t", "output.weight", "F32", "[1, 1, 3, 3]", 0, entry);
  put_manifest(entry, PATCH_EMBED);
  struct stat st;
  assert_int_equal(stat("t", &st), 0);
  assert_int_equal(truncate("t", st.st_size - 1), 0);
  char message[64];
  snprintf(message, sizeof message, "t: %ld bytes, expected %ld", (long)st.st_size - 1, (long)st.st_size);
  assert_refused(message);
  assert_int_equal(remove("t"), 0);
  assert_refused("t: cannot be opened: No such file or directory");
  assert_int_equal(mkdir("t", 0777), 0);
  assert_refused("t: is a directory, expected a file");
}

/* ---- Verification -------------------------------------------------------------------------- */

static void assert_verify_refuses(const char *message) {
  rst_weights *w = open_sound();
  rst_error err;
  assert_int_equal(rst_weights_verify(w, &err), RST_ERROR_WEIGHTS);
  assert_string_equal(err.message, message);
  rst_weights_close(w);
}

static void test_a_changed_byte_is_found_by_the_hash(void **state) {
  (void)state;
  char entry[256];
  put_tensor_file("t", "output.weight", "F32", "[1, 1, 3, 3]", 0x3f800000, entry);
  put_manifest(entry, PATCH_EMBED);
  put_tensor_file("t", "output.weight", "F32", "[1, 1, 3, 3]", 0x3f800001, entry);
  rst_weights *w = open_sound();
  rst_error err;
  assert_int_equal(rst_weights_verify(w, &err), RST_ERROR_WEIGHTS);
  assert_memory_equal(err.message, "t: SHA-256 ", 11);
  assert_string_equal(err.message + 11 + 64 + 11 + 64, "");
  assert_memory_equal(err.message + 11 + 64, ", expected ", 11);
  rst_weights_close(w);
}

static void test_values_that_are_not_finite_are_found(void **state) {
  (void)state;
  static const struct {
    const char *dtype;
    uint32_t bits;
    const char *word;
  } cases[] = {{"F32", 0x7fc00000, "NaN"}, {"F32", 0xffc00000, "NaN"}, {"F32", 0x7f800000, "Inf"},
               {"F16", 0xfc00, "-Inf"},    {"F16", 0x7c01, "NaN"},     {"BF16", 0x7f80, "Inf"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char entry[256], message[128];
    put_tensor_file("t", "output.weight", cases[i].dtype, "[1, 1, 3, 3]", cases[i].bits, entry);
    put_manifest(entry, PATCH_EMBED);
    snprintf(message, sizeof message, "t: tensor output.weight: element 0 is %s, expected a finite number",
             cases[i].word);
    assert_verify_refuses(message);
  }
}

/* ---- Memory -------------------------------------------------------------------------------- */

static rst_status open_verify_close(void *user, rst_error *err) {
  (void)user;
  rst_weights *weights;
  rst_status status = rst_weights_open("x.json", &weights, err);
  if (status == RST_OK) status = rst_weights_verify(weights, err);
  rst_weights_close(weights);
  return status;
}

static void test_missing_memory_is_reported(void **state) {
  (void)state;
  char entry[256];
  put_tensor_file("t", "patch_embed.proj.weight", "F32", "[1, 1, 3, 3]", 0, entry);
  put_manifest(entry, OUTPUT);
  assert_true(fail_each_alloc(open_verify_close, NULL) > 10);
}

int main(void) {
#define SCRATCH_TEST(f) cmocka_unit_test_setup_teardown(f, scratch_enter, scratch_leave)
  const struct CMUnitTest tests[] = {
      SCRATCH_TEST(test_a_model_can_live_in_the_manifest_alone),
      SCRATCH_TEST(test_tensors_come_from_files_and_manifest_together),
      SCRATCH_TEST(test_tensors_come_from_several_files),
      SCRATCH_TEST(test_a_file_may_be_a_symbolic_link),
      SCRATCH_TEST(test_closing_nothing_is_allowed),
      SCRATCH_TEST(test_inline_tensors_that_are_wrong_are_refused),
      SCRATCH_TEST(test_files_with_wrong_tensors_are_refused),
      SCRATCH_TEST(test_files_that_are_not_as_listed_are_refused),
      SCRATCH_TEST(test_a_changed_byte_is_found_by_the_hash),
      SCRATCH_TEST(test_values_that_are_not_finite_are_found),
      SCRATCH_TEST(test_missing_memory_is_reported),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
