/* Reading values: float16 and bfloat16 become float32 exactly. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/cmocka_all.h"
#include "support/scratch.h"
#include "weights/weights.h"

static uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

/* Reads one value from an odd address. */
static float read_one(rst_dtype dtype, uint32_t bits) {
  uint8_t bytes[5] = {0, (uint8_t)bits, (uint8_t)(bits >> 8), (uint8_t)(bits >> 16), (uint8_t)(bits >> 24)};
  rst_tensor tensor = {.dtype = dtype, .elements = 1, .data = bytes + 1};
  float value;
  rst_tensor_read(&tensor, NULL, 0, 1, &value, NULL);
  return value;
}

/* IEEE 754: (-1)^s 2^(e - 15) (1 + m / 1024), or 2^-14 m / 1024 where e is 0. */
static void test_every_half_is_exact(void **state) {
  (void)state;
  for (uint32_t bits = 0; bits < 0x10000; bits++) {
    float value = read_one(RST_DTYPE_F16, bits);
    int exponent = (int)(bits >> 10 & 31), mantissa = (int)(bits & 1023);
    assert_int_equal(signbit(value) != 0, bits >> 15);
    if (exponent == 31 && mantissa != 0) {
      assert_true(isnan(value));
    } else if (exponent == 31) {
      assert_true(isinf(value));
    } else {
      double magnitude = exponent == 0 ? ldexp(mantissa, -24) : ldexp(1024 + mantissa, exponent - 25);
      assert_true((double)fabsf(value) == magnitude);
    }
  }
}

static void test_every_bfloat_is_the_upper_half_of_a_float(void **state) {
  (void)state;
  for (uint32_t bits = 0; bits < 0x10000; bits++)
    assert_int_equal(bits_of(read_one(RST_DTYPE_BF16, bits)), bits << 16);
}

static void test_floats_keep_their_bits(void **state) {
  (void)state;
  static const uint32_t patterns[] = {0,          0x80000000, 1,          0x807fffff, 0x3f800000,
                                      0x7f7fffff, 0x7f800000, 0xff800000, 0x7fc12345};
  for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++)
    assert_int_equal(bits_of(read_one(RST_DTYPE_F32, patterns[i])), patterns[i]);
}

static void test_doubles_are_rounded_to_the_nearest_float(void **state) {
  (void)state;
  const struct {
    double value;
    float rounded;
  } cases[] = {{0x1.000001p0, 1.0f},
               {0x1.0000011p0, 0x1.000002p0f},
               {-0x1.fffffep127, -0x1.fffffep127f},
               {0x1p128, INFINITY},
               {-1e300, -INFINITY},
               {0x1p-149, 0x1p-149f},
               {-(double)INFINITY, -INFINITY}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    uint8_t bytes[9];
    memcpy(bytes + 1, &cases[i].value, 8);
    const rst_tensor tensor = {.dtype = RST_DTYPE_F64, .elements = 1, .data = bytes + 1};
    float value;
    rst_tensor_read(&tensor, NULL, 0, 1, &value, NULL);
    assert_true(value == cases[i].rounded);
  }
}

static void test_a_part_of_a_tensor_is_read(void **state) {
  (void)state;
  static const uint8_t halves[] = {0x00, 0x3c, 0x00, 0x40, 0x00, 0x42, 0x00, 0x44}; /* 1, 2, 3, 4 */
  rst_tensor tensor = {.dtype = RST_DTYPE_F16, .elements = 4, .data = halves};
  float values[3] = {0, 0, 9};
  rst_tensor_read(&tensor, NULL, 1, 2, values, NULL);
  assert_true(values[0] == 2 && values[1] == 3 && values[2] == 9);
}

/* A tensor in a file, 6 bytes from its beginning: element i is i. */
static rst_tensor file_tensor(rst_input *input, size_t elements) {
  uint8_t *bytes = malloc(6 + 4 * elements);
  assert_non_null(bytes);
  for (size_t i = 0; i < elements; i++) {
    const float value = (float)i;
    memcpy(bytes + 6 + 4 * i, &value, 4);
  }
  scratch_put("t", bytes, 6 + 4 * elements);
  free(bytes);
  assert_int_equal(rst_input_open("t", input, NULL), RST_OK);
  return (rst_tensor){.name = "x", .dtype = RST_DTYPE_F32, .elements = elements, .file = input, .offset = 6};
}

static void test_pieces_of_a_file_in_any_order(void **state) {
  (void)state;
  enum { ELEMENTS = 20000 };
  static float values[ELEMENTS];
  static rst_read_ahead ahead;
  rst_input input;
  const rst_tensor tensor = file_tensor(&input, ELEMENTS);
  static const size_t places[][2] = {{0, 1},     {1, 9},        {10, 4096}, {19999, 1},    {0, ELEMENTS},
                                     {5000, 10}, {4999, 10000}, {3, 3},     {ELEMENTS, 0}, {4095, 2}};
  for (int with = 0; with < 2; with++)
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
      memset(values, 0, sizeof values);
      assert_int_equal(
          rst_tensor_read(&tensor, with ? &ahead : NULL, places[i][0], places[i][1], values, NULL), RST_OK);
      for (size_t k = 0; k < places[i][1]; k++) assert_true(values[k] == (float)(places[i][0] + k));
    }
  rst_input_close(&input);
}

static void test_a_value_that_is_not_finite_is_named(void **state) {
  (void)state;
  float values[40] = {0}, out[40];
  const rst_tensor tensor = {.name = "x", .dtype = RST_DTYPE_F32, .elements = 40, .data = values};
  const struct {
    float value;
    const char *name;
  } cases[] = {{NAN, "NaN"}, {INFINITY, "Inf"}, {-INFINITY, "-Inf"}};
  assert_int_equal(rst_tensor_read_finite(&tensor, NULL, "w.json", 0, 40, out, NULL), RST_OK);
  for (size_t i = 0; i < 3; i++) {
    rst_error err;
    char message[128];
    values[37] = cases[i].value;
    values[38] = NAN;
    assert_int_equal(rst_tensor_read_finite(&tensor, NULL, "w.json", 0, 37, out, NULL), RST_OK);
    assert_int_equal(rst_tensor_read_finite(&tensor, NULL, "w.json", 30, 10, out, &err), RST_ERROR_WEIGHTS);
    snprintf(message, sizeof message, "w.json: tensor x: element 37 is %s, expected a finite number",
             cases[i].name);
    assert_string_equal(err.message, message);
  }
}

static void test_types_have_the_names_of_safetensors(void **state) {
  (void)state;
  assert_string_equal(rst_dtype_name(RST_DTYPE_F32), "F32");
  assert_string_equal(rst_dtype_name(RST_DTYPE_F16), "F16");
  assert_string_equal(rst_dtype_name(RST_DTYPE_BF16), "BF16");
  assert_int_equal(rst_dtype_size(RST_DTYPE_F32), 4);
  assert_int_equal(rst_dtype_size(RST_DTYPE_F16), 2);
  assert_int_equal(rst_dtype_size(RST_DTYPE_BF16), 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_half_is_exact),
      cmocka_unit_test(test_every_bfloat_is_the_upper_half_of_a_float),
      cmocka_unit_test(test_floats_keep_their_bits),
      cmocka_unit_test(test_doubles_are_rounded_to_the_nearest_float),
      cmocka_unit_test(test_a_part_of_a_tensor_is_read),
      cmocka_unit_test_setup_teardown(test_pieces_of_a_file_in_any_order, scratch_enter, scratch_leave),
      cmocka_unit_test(test_a_value_that_is_not_finite_is_named),
      cmocka_unit_test(test_types_have_the_names_of_safetensors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
