/* test_isas.c - every instruction set and precision that this processor can run, on three small networks that
 * between them hold every kind of layer: quick enough for an emulated processor and for ThreadSanitizer. The
 * full range of architectures and sizes is in test_network.c. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/cmocka_all.h"
#include "support/model_fixture.h"
#include "support/oracle.h"

/* Root mean squares of errors; outputs are around 1. In bf16 0.001 to 0.0023 was found. Instruction sets
 * round the same operands to bf16, but after sums that differ in their last bits, so that some roundings fall
 * on the other side: up to 0.0013 was found between them, and in int8, where only some have the 3x3
 * convolutions in bf16, 0.005. */
static const double TOLERANCE[RST_PRECISION_COUNT] = {4e-7, 4e-3, 8e-3},
                    TOLERANCE_ISAS[RST_PRECISION_COUNT] = {0, 2e-3, 7e-3};

enum { HEIGHT = 37, WIDTH = 44 };

static double rms_error(const float *restored, const double *expected, size_t count) {
  double sum = 0;
  for (size_t i = 0; i < count; i++)
    sum += ((double)restored[i] - expected[i]) * ((double)restored[i] - expected[i]);
  return sqrt(sum / (double)count);
}

static void check_rms(double error, double tolerance, const char *than, rst_isa isa,
                      rst_precision precision) {
  if (!(error <= tolerance))
    fail_msg("%s in %s: off by %g from %s, expected %g or less", rst_isa_name(isa),
             rst_precision_name(precision), error, than, tolerance);
}

static void check(const rst_architecture *a) {
  random_model weights = fixture_random(a, 9);
  const oracle_model oracle = {.architecture = *a, .fetch = random_model_fetch, .user = &weights};
  const size_t outputs = (size_t)a->out_channels * HEIGHT * WIDTH;
  float *input = fixture_samples(1, (size_t)a->in_channels * HEIGHT * WIDTH);
  double *expected = fixture_alloc(outputs, sizeof *expected),
         *baseline = fixture_alloc(outputs, sizeof *baseline);
  float *output = fixture_alloc(outputs, sizeof *output);
  oracle_network(&oracle, input, HEIGHT, WIDTH, expected);
  for (int precision = RST_PRECISION_F32; precision < RST_PRECISION_COUNT; precision++)
    for (int isa = RST_ISA_BASELINE; isa < RST_ISA_COUNT; isa++) {
      if (!rst_isa_available((rst_isa)isa)) continue;
      rst_model *model = fixture_model(&weights, (rst_isa)isa, (rst_precision)precision);
      fixture_restore(model, input, HEIGHT, WIDTH, 2, output);
      rst_model_free(model);
      const double error = rms_error(output, expected, outputs);
      check_rms(error, TOLERANCE[precision], "the oracle", (rst_isa)isa, (rst_precision)precision);
      if (precision == RST_PRECISION_F32) continue;
      assert_true(error > 10 * TOLERANCE[RST_PRECISION_F32]); /* it is another computation */
      if (isa == RST_ISA_BASELINE)
        for (size_t i = 0; i < outputs; i++) baseline[i] = (double)output[i];
      check_rms(rms_error(output, baseline, outputs), TOLERANCE_ISAS[precision], "the baseline", (rst_isa)isa,
                (rst_precision)precision);
    }
  free(input);
  free(expected);
  free(baseline);
  free(output);
  random_model_free(&weights);
}

/* Odd channel counts, several heads, biases, all ways between levels. */
static void levels_with_biases(void **state) {
  (void)state;
  rst_architecture a = architecture_small(12, 3);
  a.heads[0] = 2, a.heads[1] = 3, a.heads[2] = 4;
  a.bias = true;
  check(&a);
}

static void flat_stack_of_two_views(void **state) {
  (void)state;
  rst_architecture a = architecture_small(19, 1);
  a.in_channels = 6;
  a.dual_pixel = true;
  a.residual = false;
  a.norm_bias = false;
  check(&a);
}

static void grey_with_attention_below(void **state) {
  (void)state;
  rst_architecture a = architecture_small(16, 2);
  a.in_channels = a.out_channels = 1;
  a.attention[0] = false;
  check(&a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(levels_with_biases),
      cmocka_unit_test(flat_stack_of_two_views),
      cmocka_unit_test(grey_with_attention_below),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
