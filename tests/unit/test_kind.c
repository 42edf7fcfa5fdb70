/* What people give in place of weights is called what it is, by convert and by everything that opens a model.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/cmocka_all.h"
#include "support/scratch.h"
#include "weights/kind.h"

typedef struct kind_case {
  const char *data;
  size_t size;
  const char *kind;
} kind_case;
#define CASE(data, kind) \
  { data, sizeof(data) - 1, kind }
#define FORTY_ZEROS "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"

static const kind_case known[] = {
    CASE("", "empty"),
    CASE("<!DOCTYPE html>\n<html lang=\"en\">", "a web page (HTML) that came in place of the file"),
    CASE("\xef\xbb\xbf \r\n<HTML><head>", "a web page (HTML) that came in place of the file"),
    CASE("<?xml version=\"1.0\"?><Error>", "an XML document (a server's error message?)"),
    CASE("version https://git-lfs.github.com/spec/v1\noid sha256:",
         "a Git LFS pointer, which only stands for the file (git lfs pull brings it)"),
    CASE("{\"message\": \"Not Found\"}", "JSON"),
    CASE("Too Many Requests\n", "a text, \"Too Many Requests\"..."),
    CASE("0123456789012345678901234567890123456789012",
         "a text, \"0123456789012345678901234567890123456789\"..."),
    CASE("\x89HDF\r\n\x1a\n\0", "an HDF5 file (Keras?)"),
    CASE("\x1c\0\0\0TFL3\x14\0", "a TensorFlow Lite model"),
    CASE("\x08\x07\x12\x07pytorch\x1a\x05"
         "1.13.1:" FORTY_ZEROS FORTY_ZEROS,
         "an ONNX model"),
    CASE("\x08\x01\x12\x9b\x8e\x03\x0a\xa1" FORTY_ZEROS FORTY_ZEROS, "a TensorFlow model"),
    CASE("\x0a\x2f\x0a\x05input\x12\x0bPlaceholder*" FORTY_ZEROS FORTY_ZEROS, "a TensorFlow graph"),
    CASE("model_checkpoint_path: \"model.ckpt-3\"\n", "the list of a TensorFlow checkpoint"),
    CASE("\1" FORTY_ZEROS "\x57\xfb\x80\x8b\x24\x75\x47\xdb", "the index of a TensorFlow checkpoint"),
    CASE("\x93NUMPY\1\0", "a NumPy array"),
    CASE("\x1f\x8b\x08\0", "a gzip archive (unpacking it may help)"),
    CASE("PK\3\4\x14\0", "a zip file (a PyTorch checkpoint?)"),
    CASE("\x80\2}q\0.", "a Python pickle (a PyTorch checkpoint?)"),
    CASE("\x10\0\0\0\0\0\0\0{\"a\"", "a safetensors file that is cut short"),
    CASE("\2\0\0\0\0\0\0\0{}", "a safetensors file"),
    CASE(FORTY_ZEROS FORTY_ZEROS, "nothing but zeros at its beginning (an incomplete download?)"),
};

static void kinds_that_are_known(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
    char kind[RST_KIND_TEXT] = "";
    uint8_t *copy =
        malloc(known[i].size > 0 ? known[i].size : 1); /* AddressSanitizer sees reads beyond the end */
    assert_non_null(copy);
    memcpy(copy, known[i].data, known[i].size);
    assert_true(rst_file_kind(copy, known[i].size, kind));
    assert_string_equal(kind, known[i].kind);
    /* Every beginning of it is something or nothing, and read no further than it goes. */
    for (size_t size = known[i].size; size > 0; size--) {
      uint8_t *part = malloc(size);
      assert_non_null(part);
      memcpy(part, copy, size);
      if (!rst_file_kind(part, size, kind)) kind[0] = '\0';
      assert_true(strlen(kind) < RST_KIND_TEXT);
      free(part);
    }
    free(copy);
  }
}

static void bytes_of_no_kind(void **state) {
  (void)state;
  char kind[RST_KIND_TEXT];
  assert_false(rst_file_kind((const uint8_t *)"\x01\x02\x03", 3, kind));
  assert_false(rst_file_kind((const uint8_t *)"na\xefve", 5, kind));
}

static void everyone_who_reads_weights_says_it(void **state) {
  (void)state;
  static const char pointer[] = "version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 3\n";
  static const char advice[] = "a Git LFS pointer, which only stands for the file (git lfs pull brings it)";
  char expected[400];
  rst_error err;
  rst_weights *weights;
  scratch_put_text("x.pth", pointer);
  assert_int_equal(rst_weights_convert("x.pth", "y.json", NULL, &err), RST_ERROR_WEIGHTS);
  snprintf(expected, sizeof expected, "x.pth: is %s, expected a PyTorch checkpoint or a safetensors file",
           advice);
  assert_string_equal(err.message, expected);
  assert_int_equal(rst_weights_open("x.pth", &weights, &err), RST_ERROR_WEIGHTS);
  snprintf(expected, sizeof expected,
           "x.pth: is %s, expected a manifest, which restormer-weights convert makes of a checkpoint",
           advice);
  assert_string_equal(err.message, expected);
  scratch_put_text("w.safetensors", pointer);
  scratch_put_text(
      "w.json",
      "{\"format\":\"restormer-weights\",\"version\":1,\"model\":{\"in_channels\":1,\"out_channels\":1,"
      "\"dim\":1,"
      "\"num_blocks\":[0],\"num_refinement_blocks\":0,\"heads\":[1],\"ffn_hidden\":[1],\"bias\":false,"
      "\"layer_norm\":\"BiasFree\",\"attention\":\"none\",\"dual_pixel\":false,\"residual\":true},\"files\":["
      "{"
      "\"path\":\"w.safetensors\",\"bytes\":1000,\"sha256\":"
      "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}]}");
  assert_int_equal(rst_weights_open("w.json", &weights, &err), RST_ERROR_WEIGHTS);
  snprintf(expected, sizeof expected, "w.safetensors: is %s, expected a safetensors file", advice);
  assert_string_equal(err.message, expected);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(kinds_that_are_known),
      cmocka_unit_test(bytes_of_no_kind),
      cmocka_unit_test_setup_teardown(everyone_who_reads_weights_says_it, scratch_enter, scratch_leave),
  };
  return cmocka_run_group_tests_name("kind", tests, NULL, NULL);
}
