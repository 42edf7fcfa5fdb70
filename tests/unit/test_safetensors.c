/* Safetensors files: sound ones, and every way to be unsound. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "support/cmocka_all.h"
#include "support/fail_alloc.h"
#include "support/scratch.h"
#include "weights/json.h"
#include "weights/safetensors.h"

/* Writes t.safetensors: `length` as the header's length, the header, and `size` data bytes 0, 1, 2, ... */
static void put_file(uint64_t length, const char *header, size_t size) {
  uint8_t file[4096];
  size_t n = strlen(header);
  assert_true(8 + n + size <= sizeof file);
  for (int i = 0; i < 8; i++) file[i] = (uint8_t)(length >> (8 * i));
  for (size_t i = 0; i < n; i++) file[8 + i] = (uint8_t)header[i];
  for (size_t i = 0; i < size; i++) file[8 + n + i] = (uint8_t)i;
  scratch_put("t.safetensors", file, 8 + n + size);
}

static void put_sound(const char *header, size_t size) {
  put_file(strlen(header), header, size);
}

static void assert_refused(const char *message) {
  rst_safetensors file;
  rst_error err;
  assert_int_equal(rst_safetensors_open("t.safetensors", RST_ANY_BYTES, RST_SAFETENSORS_WEIGHTS, &file, &err),
                   RST_ERROR_WEIGHTS);
  assert_string_equal(err.message, message);
  assert_null(file.tensors);
  assert_null(file.path);
}

/* ---- Sound files --------------------------------------------------------------------------- */

static const char sound[] =
    "{\"__metadata__\":{\"format\":\"pt\"},"
    "\"half\":{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[24,30]},"
    "\"empty\":{\"dtype\":\"F32\",\"shape\":[4,0],\"data_offsets\":[24,24]},"
    "\"full\":{\"dtype\":\"F32\",\"shape\":[2,3,1,1],\"data_offsets\":[0,24]},"
    "\"scalar\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[30,32]}}  ";

static int byte_of(const rst_tensor *tensor, size_t index) {
  uint8_t byte;
  assert_int_equal(rst_input_read(tensor->file, tensor->offset + index, &byte, 1, NULL), RST_OK);
  return byte;
}

static void test_tensors_are_found_in_place(void **state) {
  (void)state;
  rst_safetensors file;
  rst_error err;
  put_sound(sound, 32);
  assert_int_equal(
      rst_safetensors_open("t.safetensors", 8 + strlen(sound) + 32, RST_SAFETENSORS_WEIGHTS, &file, &err),
      RST_OK);
  assert_int_equal(file.count, 4);
  const rst_tensor *t = file.tensors;
  assert_string_equal(t[0].name, "full");
  assert_int_equal(t[0].dtype, RST_DTYPE_F32);
  assert_int_equal(t[0].ndim, 4);
  assert_int_equal(t[0].shape[0], 2);
  assert_int_equal(t[0].shape[1], 3);
  assert_int_equal(t[0].elements, 6);
  assert_int_equal(t[0].offset, 8 + strlen(sound));
  assert_ptr_equal(t[0].file, &file.input);
  assert_int_equal(byte_of(&t[0], 5), 5);
  assert_string_equal(t[1].name, "empty");
  assert_int_equal(t[1].elements, 0);
  assert_string_equal(t[2].name, "half");
  assert_int_equal(t[2].dtype, RST_DTYPE_F16);
  assert_int_equal(t[2].shape[1], 1);
  assert_int_equal(byte_of(&t[2], 0), 24);
  assert_string_equal(t[3].name, "scalar");
  assert_int_equal(t[3].dtype, RST_DTYPE_BF16);
  assert_int_equal(t[3].ndim, 0);
  assert_int_equal(t[3].elements, 1);
  rst_safetensors_close(&file);
}

static void test_unaligned_data_and_no_tensors_are_allowed(void **state) {
  (void)state;
  rst_safetensors file;
  rst_error err;
  /* A header of 57 bytes: no value is aligned. */
  put_sound("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}  ", 4);
  assert_int_equal(rst_safetensors_open("t.safetensors", RST_ANY_BYTES, RST_SAFETENSORS_WEIGHTS, &file, &err),
                   RST_OK);
  float value;
  rst_tensor_read(&file.tensors[0], NULL, 0, 1, &value, NULL);
  assert_true(value == 0x1.04020p-121f);
  rst_safetensors_close(&file);
  put_sound("{}", 0);
  assert_int_equal(rst_safetensors_open("t.safetensors", 10, RST_SAFETENSORS_WEIGHTS, &file, &err), RST_OK);
  assert_int_equal(file.count, 0);
  rst_safetensors_close(&file);
}

/* The same file in memory, at the end of its allocation: AddressSanitizer sees reads beyond it. */
static void test_a_file_in_memory(void **state) {
  (void)state;
  rst_safetensors file;
  rst_error err;
  const size_t size = 8 + strlen(sound) + 32;
  uint8_t *data = malloc(size);
  assert_non_null(data);
  put_sound(sound, 32);
  FILE *f = fopen("t.safetensors", "rb");
  assert_non_null(f);
  assert_int_equal(fread(data, 1, size, f), size);
  assert_int_equal(fclose(f), 0);
  assert_int_equal(rst_safetensors_scan("x", data, size, RST_SAFETENSORS_WEIGHTS, &file, &err), RST_OK);
  assert_int_equal(file.count, 4);
  assert_ptr_equal(file.tensors[0].data, data + 8 + strlen(sound));
  assert_null(file.tensors[0].file);
  rst_safetensors_close(&file);
  assert_int_equal(rst_safetensors_scan("x", data, size - 1, RST_SAFETENSORS_WEIGHTS, &file, &err),
                   RST_ERROR_WEIGHTS);
  assert_string_equal(err.message,
                      "x: tensor scalar: data_offsets [30, 32], expected a range inside the file's 31 data "
                      "bytes (is it cut short?)");
  free(data);
}

/* Another process cuts the file: what is missing is an error, what is there can still be read. */
static void test_a_file_that_is_cut_short_while_it_is_open(void **state) {
  (void)state;
  rst_safetensors file;
  rst_error err;
  float values[6];
  put_sound(sound, 32);
  assert_int_equal(rst_safetensors_open("t.safetensors", RST_ANY_BYTES, RST_SAFETENSORS_WEIGHTS, &file, &err),
                   RST_OK);
  assert_int_equal(truncate("t.safetensors", (off_t)(8 + strlen(sound) + 22)), 0);
  assert_int_equal(rst_tensor_read(&file.tensors[0], NULL, 0, 6, values, &err), RST_ERROR_WEIGHTS);
  char message[128];
  snprintf(message, sizeof message,
           "t.safetensors: was cut short while it was read: it ends at byte %zu of %zu",
           8 + strlen(sound) + 22, 8 + strlen(sound) + 32);
  assert_string_equal(err.message, message);
  rst_safetensors_close(&file);
}

/* ---- The file around the header ------------------------------------------------------------ */

static void test_files_that_are_none_are_refused(void **state) {
  (void)state;
  rst_safetensors file;
  rst_error err;
  assert_refused("t.safetensors: cannot be opened: No such file or directory");
  scratch_put("t.safetensors", "", 0);
  assert_refused("t.safetensors: is empty, expected a safetensors file");
  scratch_put("t.safetensors", "\2\0\0\0\0\0\0", 7);
  assert_refused("t.safetensors: 7 bytes, expected a safetensors file of at least 8");
  scratch_put("t.safetensors", "\0\0\0\0\0\0\0\0", 8);
  assert_refused("t.safetensors: the safetensors header does not begin with '{'");
  put_sound("{}", 0);
  assert_int_equal(rst_safetensors_open("t.safetensors", 11, RST_SAFETENSORS_WEIGHTS, &file, &err),
                   RST_ERROR_WEIGHTS);
  assert_string_equal(err.message, "t.safetensors: 10 bytes, expected 11");
}

static void test_header_lengths_beyond_the_file_are_refused(void **state) {
  (void)state;
  put_file(3, "{}", 0);
  assert_refused("t.safetensors: safetensors header of 3 bytes, expected at most 2");
  put_file(UINT64_MAX, "{}", 0);
  assert_refused("t.safetensors: safetensors header of 18446744073709551615 bytes, expected at most 2");
  put_file(UINT64_MAX - 7, "{}", 0); /* 8 + length wraps to 0 */
  assert_refused("t.safetensors: safetensors header of 18446744073709551608 bytes, expected at most 2");
  put_file(0, "{}", 0);
  assert_refused("t.safetensors: the safetensors header does not begin with '{'");
  size_t size = 8 + RST_JSON_MAX_BYTES + 1;
  uint8_t *big = malloc(size);
  assert_non_null(big);
  memset(big, ' ', size);
  static const uint8_t length[8] = {1, 0, 0, 1}; /* 2^24 + 1 */
  memcpy(big, length, sizeof length);
  scratch_put("t.safetensors", big, size);
  free(big);
  assert_refused("t.safetensors: safetensors header of 16777217 bytes, expected at most 16777216");
}

static void test_headers_that_are_not_json_are_refused(void **state) {
  (void)state;
  put_sound("{\"a\":}", 0);
  assert_refused("t.safetensors: header: line 1, column 6: expected a value");
  put_sound(" {}", 0);
  assert_refused("t.safetensors: the safetensors header does not begin with '{'");
  put_file(2, "{}{}", 0);
  assert_refused("t.safetensors: 2 data bytes, expected 0: the last ones belong to no tensor");
}

/* ---- Entries ------------------------------------------------------------------------------- */

#define ENTRY(dtype, shape, offsets) "{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}"

typedef struct refused_case {
  const char *header;
  size_t size;
  const char *message;
} refused_case;

static void assert_all_refused(const refused_case *cases, size_t count) {
  for (size_t i = 0; i < count; i++) {
    put_sound(cases[i].header, cases[i].size);
    assert_refused(cases[i].message);
  }
}

static void test_entries_that_are_wrong_are_refused(void **state) {
  (void)state;
  static const refused_case cases[] = {
      {"{\"a\":1}", 0, "t.safetensors: tensor a: a number, expected an object"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4,
       "t.safetensors: tensor a: key \"data_offsets\" is missing"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":1}}", 4,
       "t.safetensors: tensor a: unknown key \"x\""},
      {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
       "t.safetensors: tensor a: key \"dtype\" appears twice"},
      {"{\"a\":" ENTRY("\"I64\"", "[1]", "[0,8]") "}", 8,
       "t.safetensors: tensor a: dtype \"I64\", expected F32, F16 or BF16"},
      {"{\"a\":" ENTRY("\"f32\"", "[1]", "[0,4]") "}", 4,
       "t.safetensors: tensor a: dtype \"f32\", expected F32, F16 or BF16"},
      {"{\"a\":" ENTRY("32", "[1]", "[0,4]") "}", 4,
       "t.safetensors: tensor a: dtype is a number, expected a string"},
      {"{\"a\":" ENTRY("\"F32\"", "[1,1,1,1,1,1]", "[0,4]") "}", 4,
       "t.safetensors: tensor a: shape has 6 entries, expected 0 to 5"},
      {"{\"a\":" ENTRY("\"F32\"", "[-1]", "[0,4]") "}", 4,
       "t.safetensors: tensor a: shape entry -1, expected 0 to 9007199254740991"},
      {"{\"a\":" ENTRY("\"F32\"", "[4294967296,4294967296]", "[0,0]") "}", 0,
       "t.safetensors: tensor a: shape has more elements than memory can hold"},
      {"{\"a\":" ENTRY("\"F32\"", "[4611686018427387]", "[0,4]") "}", 4,
       "t.safetensors: tensor a: data_offsets [0, 4] hold 4 bytes, which is not what shape "
       "[4611686018427387] of F32 "
       "takes"},
      /* 4 * 2^62 bytes are 0 when they wrap. */
      {"{\"a\":" ENTRY("\"F32\"", "[2147483648,2147483648]", "[0,0]") "}", 0,
       "t.safetensors: tensor a: data_offsets [0, 0] hold 0 bytes, which is not what shape [2147483648, "
       "2147483648] "
       "of F32 takes"},
      {"{\"a\":" ENTRY("\"F16\"", "[3]", "[0,4]") "}", 4,
       "t.safetensors: tensor a: data_offsets [0, 4] hold 4 bytes, which is not what shape [3] of F16 takes"},
      {"{\"__metadata__\":[]}", 0, "t.safetensors: __metadata__ is not an object of strings"},
      {"{\"__metadata__\":{\"n\":1}}", 0, "t.safetensors: __metadata__: \"n\" is not a string"},
      {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "t.safetensors: key \"__metadata__\" appears twice"},
  };
  assert_all_refused(cases, sizeof cases / sizeof cases[0]);
}

static void test_offsets_that_are_wrong_are_refused(void **state) {
  (void)state;
  static const refused_case cases[] = {
      {"{\"a\":" ENTRY("\"F32\"", "[1]", "[0]") "}", 4,
       "t.safetensors: tensor a: data_offsets has 1 entries, expected 2"},
      {"{\"a\":" ENTRY("\"F32\"", "[1]", "4") "}", 4,
       "t.safetensors: tensor a: data_offsets is a number, expected an array"},
      {"{\"a\":" ENTRY("\"F32\"", "[1]", "[-4,0]") "}", 4,
       "t.safetensors: tensor a: data_offsets[0] -4, expected 0 to 9007199254740991"},
      {"{\"a\":" ENTRY("\"F32\"", "[1]", "[0,4.5]") "}", 4,
       "t.safetensors: tensor a: data_offsets[1] 4.5, expected a whole number"},
      {"{\"a\":" ENTRY("\"F32\"", "[1]", "[0,18446744073709551616]") "}", 4,
       "t.safetensors: tensor a: data_offsets[1] 1.8446744073709552e+19, expected a number below 2^53"},
      {"{\"a\":" ENTRY("\"F32\"", "[1]", "[0,4]") "}", 3,
       "t.safetensors: tensor a: data_offsets [0, 4], expected a range inside the file's 3 data bytes "
       "(is it cut short?)"},
      {"{\"a\":" ENTRY("\"F32\"", "[1]", "[9007199254740987,9007199254740991]") "}", 4,
       "t.safetensors: tensor a: data_offsets [9007199254740987, 9007199254740991], expected a range inside "
       "the "
       "file's 4 data bytes (is it cut short?)"},
      {"{\"a\":" ENTRY("\"F32\"", "[1]", "[4,0]") "}", 4,
       "t.safetensors: tensor a: data_offsets [4, 0], expected a range inside the file's 4 data bytes"},
  };
  assert_all_refused(cases, sizeof cases / sizeof cases[0]);
}

static void test_ranges_that_do_not_cover_the_data_once_are_refused(void **state) {
  (void)state;
  static const refused_case cases[] = {
      {"{\"a\":" ENTRY("\"F32\"", "[2]", "[0,8]") ",\"b\":" ENTRY("\"F32\"", "[1]", "[4,8]") "}", 8,
       "t.safetensors: tensor b: data begin at 4, expected 8: they overlap with another tensor's"},
      {"{\"a\":" ENTRY("\"F32\"", "[1]", "[0,4]") ",\"b\":" ENTRY("\"F32\"", "[1]", "[0,4]") "}", 4,
       "t.safetensors: tensor b: data begin at 0, expected 4: they overlap with another tensor's"},
      {"{\"a\":" ENTRY("\"F32\"", "[1]", "[0,4]") ",\"b\":" ENTRY("\"F32\"", "[1]", "[8,12]") "}", 12,
       "t.safetensors: tensor b: data begin at 8, expected 4: they leave a gap"},
      {"{\"a\":" ENTRY("\"F32\"", "[1]", "[4,8]") "}", 8,
       "t.safetensors: tensor a: data begin at 4, expected 0: they leave a gap"},
      {"{\"a\":" ENTRY("\"F32\"", "[1]", "[0,4]") "}", 5,
       "t.safetensors: 5 data bytes, expected 4: the last ones belong to no tensor"},
      {"{\"a\":" ENTRY("\"F32\"", "[1]", "[0,4]") ",\"a\":" ENTRY("\"F32\"", "[1]", "[4,8]") "}", 8,
       "t.safetensors: tensor a appears twice"},
  };
  assert_all_refused(cases, sizeof cases / sizeof cases[0]);
}

static void test_names_cannot_break_the_message(void **state) {
  (void)state;
  put_sound("{\"\\u001b[31m\\n\":1}", 0);
  assert_refused("t.safetensors: tensor ?[31m?: a number, expected an object");
}

static rst_status open_and_close(void *user, rst_error *err) {
  (void)user;
  rst_safetensors file;
  rst_status status =
      rst_safetensors_open("t.safetensors", RST_ANY_BYTES, RST_SAFETENSORS_WEIGHTS, &file, err);
  rst_safetensors_close(&file);
  return status;
}

static void test_missing_memory_is_reported(void **state) {
  (void)state;
  put_sound(sound, 32);
  assert_int_equal(fail_each_alloc(open_and_close, NULL), 5);
}

int main(void) {
#define SCRATCH_TEST(f) cmocka_unit_test_setup_teardown(f, scratch_enter, scratch_leave)
  const struct CMUnitTest tests[] = {
      SCRATCH_TEST(test_tensors_are_found_in_place),
      SCRATCH_TEST(test_unaligned_data_and_no_tensors_are_allowed),
      SCRATCH_TEST(test_a_file_in_memory),
      SCRATCH_TEST(test_a_file_that_is_cut_short_while_it_is_open),
      SCRATCH_TEST(test_files_that_are_none_are_refused),
      SCRATCH_TEST(test_header_lengths_beyond_the_file_are_refused),
      SCRATCH_TEST(test_headers_that_are_not_json_are_refused),
      SCRATCH_TEST(test_entries_that_are_wrong_are_refused),
      SCRATCH_TEST(test_offsets_that_are_wrong_are_refused),
      SCRATCH_TEST(test_ranges_that_do_not_cover_the_data_once_are_refused),
      SCRATCH_TEST(test_names_cannot_break_the_message),
      SCRATCH_TEST(test_missing_memory_is_reported),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
