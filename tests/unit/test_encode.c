/* Rounding float32 to the types that weights are stored in. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "support/cmocka_all.h"
#include "support/random_model.h"
#include "weights/encode.h"

static float from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* The value of a float16 or bfloat16, by its definition. */
static double value_of(rst_dtype dtype, unsigned bits) {
  int fraction_bits = dtype == RST_DTYPE_F16 ? 10 : 7, bias = dtype == RST_DTYPE_F16 ? 15 : 127;
  int exponent = (int)(bits & 0x7fff) >> fraction_bits, fraction = (int)bits & ((1 << fraction_bits) - 1);
  double magnitude = exponent == 0 ? ldexp(fraction, 1 - bias - fraction_bits)
                                   : ldexp(fraction + (1 << fraction_bits), exponent - bias - fraction_bits);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

static unsigned infinity_of(rst_dtype dtype) {
  return dtype == RST_DTYPE_F16 ? 0x7c00 : 0x7f80;
}

static bool encode16(rst_dtype dtype, float value, unsigned *bits) {
  uint8_t out[2] = {0xaa, 0xaa};
  size_t n = rst_encode(dtype, &value, 1, out);
  *bits = (unsigned)out[0] | (unsigned)out[1] << 8;
  return n == 1;
}

static void every_16_bit_value_comes_back(void **state) {
  (void)state;
  const rst_dtype types[] = {RST_DTYPE_F16, RST_DTYPE_BF16};
  for (size_t t = 0; t < 2; t++)
    for (unsigned bits = 0; bits < 0x10000; bits++) {
      if ((bits & 0x7fff) >= infinity_of(types[t])) continue;
      unsigned back;
      assert_true(encode16(types[t], (float)value_of(types[t], bits), &back));
      assert_int_equal(back, bits);
    }
}

/* The nearest of the neighbours, the even one of two that are equally near. */
static void assert_nearest(rst_dtype dtype, float value) {
  unsigned bits;
  if (!encode16(dtype, value, &bits)) { /* then it is half a step or more beyond the largest value */
    double largest = value_of(dtype, infinity_of(dtype) - 1);
    double before = value_of(dtype, infinity_of(dtype) - 2);
    assert_true(fabs((double)value) >= largest + (largest - before) / 2);
    return;
  }
  assert_int_equal(bits >> 15, signbit(value) != 0);
  unsigned magnitude = bits & 0x7fff;
  assert_true(magnitude < infinity_of(dtype));
  double exact = fabs((double)value), error = fabs(value_of(dtype, magnitude) - exact);
  if (magnitude > 0) {
    double below = fabs(value_of(dtype, magnitude - 1) - exact);
    assert_true(error < below || (error == below && magnitude % 2 == 0));
  }
  if (magnitude + 1 < infinity_of(dtype)) {
    double above = fabs(value_of(dtype, magnitude + 1) - exact);
    assert_true(error < above || (error == above && magnitude % 2 == 0));
  }
}

static void rounding_is_to_the_nearest_and_ties_go_to_even(void **state) {
  (void)state;
  for (uint64_t i = 0; i < 300000; i++) {
    uint32_t bits = (uint32_t)random_bits(7, i);
    if (i % 4 == 1) bits &= 0xffffe000u;                                              /* float16 values */
    if (i % 4 == 2) bits = (bits & 0xffff8000u) | (i % 8 == 2 ? 0x1000u : 0u);        /* ties */
    if (i % 4 == 3) bits = (bits & 0x80ffffffu) | (uint32_t)(0x33 + bits % 20) << 24; /* float16's range */
    float value = from_bits(bits);
    if (!isfinite(value)) continue;
    assert_nearest(RST_DTYPE_F16, value);
    assert_nearest(RST_DTYPE_BF16, value);
  }
}

static void values_at_the_borders(void **state) {
  (void)state;
  const struct {
    rst_dtype dtype;
    float value;
    bool fits;
    unsigned bits;
  } cases[] = {{RST_DTYPE_F16, 65504.0f, true, 0x7bff},
               {RST_DTYPE_F16, 65519.0f, true, 0x7bff},
               {RST_DTYPE_F16, 65520.0f, false, 0},
               {RST_DTYPE_F16, -65520.0f, false, 0},
               {RST_DTYPE_F16, 0x1p-24f, true, 1},
               {RST_DTYPE_F16, 0x1p-25f, true, 0},
               {RST_DTYPE_F16, 0x1.000002p-25f, true, 1},
               {RST_DTYPE_F16, 0x1.8p-24f, true, 2},
               {RST_DTYPE_F16, -0.0f, true, 0x8000},
               {RST_DTYPE_F16, 0x1.ffdp-15f, true, 0x0400},
               {RST_DTYPE_F16, 1.0f + 0x1p-11f, true, 0x3c00},
               {RST_DTYPE_F16, 1.0f + 0x3p-11f, true, 0x3c02},
               {RST_DTYPE_BF16, 1.0f + 0x1p-8f, true, 0x3f80},
               {RST_DTYPE_BF16, 1.0f + 0x3p-8f, true, 0x3f82},
               {RST_DTYPE_BF16, FLT_MAX, false, 0},
               {RST_DTYPE_BF16, 0x1.fep127f, true, 0x7f7f}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    unsigned bits;
    assert_int_equal(encode16(cases[i].dtype, cases[i].value, &bits), cases[i].fits);
    if (cases[i].fits) assert_int_equal(bits, cases[i].bits);
  }
}

static void what_is_not_finite_is_refused_in_every_type(void **state) {
  (void)state;
  const rst_dtype types[] = {RST_DTYPE_F32, RST_DTYPE_F16, RST_DTYPE_BF16};
  const float bad[] = {NAN, -NAN, INFINITY, -INFINITY, from_bits(0x7f800001u)};
  for (size_t t = 0; t < 3; t++)
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
      const float values[] = {1, 2, bad[i], 4};
      uint8_t out[16];
      assert_int_equal(rst_encode(types[t], values, 4, out), 2);
    }
}

static void float32_is_stored_little_endian(void **state) {
  (void)state;
  const float values[] = {from_bits(0x01020304u), -FLT_MAX};
  const uint8_t expected[] = {4, 3, 2, 1, 0xff, 0xff, 0x7f, 0xff};
  uint8_t out[8];
  assert_int_equal(rst_encode(RST_DTYPE_F32, values, 2, out), 2);
  assert_memory_equal(out, expected, sizeof expected);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_16_bit_value_comes_back),
      cmocka_unit_test(rounding_is_to_the_nearest_and_ties_go_to_even),
      cmocka_unit_test(values_at_the_borders),
      cmocka_unit_test(what_is_not_finite_is_refused_in_every_type),
      cmocka_unit_test(float32_is_stored_little_endian),
  };
  return cmocka_run_group_tests_name("encode", tests, NULL, NULL);
}
