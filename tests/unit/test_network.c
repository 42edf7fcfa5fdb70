/* test_network.c - whole networks against the float64 oracle: every kind of architecture, every kind of size,
 * on every instruction set that this processor has. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/cmocka_all.h"
#include "support/model_fixture.h"
#include "support/oracle.h"

/* Outputs are around 1. Rounding to float32 gives errors below 1e-6; any mistake gives far more. */
static const double TOLERANCE[RST_PRECISION_COUNT] = {
    4e-6, 0.06, /* operands of 8 bits: errors are 0.006 in the middle of these tests, and 0.05 in the worst */
    0.06};

typedef struct size {
  size_t height, width;
} size;

/* The largest |restored - expected|, or NaN where there is one. */
static double largest_error(const float *restored, const double *expected, size_t count) {
  double largest = 0;
  for (size_t i = 0; i < count; i++) {
    const double error = fabs((double)restored[i] - expected[i]);
    if (isnan(error)) return error;
    largest = fmax(largest, error);
  }
  return largest;
}

static void describe(const rst_architecture *a, char *out, size_t n) {
  snprintf(out, n, "dim %d, levels %d, blocks[0] %d, refinement %d, heads[0] %d, in %d, out %d,%s%s%s%s",
           a->dim, a->levels, a->num_blocks[0], a->num_refinement_blocks, a->heads[0], a->in_channels,
           a->out_channels, a->bias ? " bias" : "", a->norm_bias ? " WithBias" : " BiasFree",
           a->dual_pixel ? " dual_pixel" : "", a->residual ? " residual" : "");
}

/* Every instruction set in every precision. */
enum { VARIANTS = RST_PRECISION_COUNT * RST_ISA_COUNT };

static rst_isa isa_of(size_t variant) {
  return (rst_isa)(variant / RST_PRECISION_COUNT);
}

static rst_precision precision_of(size_t variant) {
  return (rst_precision)(variant % RST_PRECISION_COUNT);
}

/* Restores a random picture of each size and compares with the oracle, on every instruction set. */
static void check(const rst_architecture *a, const size *sizes, size_t count) {
  random_model weights = fixture_random(a, 7);
  const oracle_model oracle = {.architecture = *a, .fetch = random_model_fetch, .user = &weights};
  rst_weights *opened = fixture_weights(&weights);
  rst_model *models[VARIANTS] = {NULL};
  for (size_t m = RST_PRECISION_COUNT * (size_t)RST_ISA_BASELINE; m < VARIANTS; m++)
    if (rst_isa_available(isa_of(m))) models[m] = fixture_pack(opened, isa_of(m), precision_of(m));
  rst_weights_close(opened);
  for (size_t i = 0; i < count; i++) {
    const size_t pixels = sizes[i].height * sizes[i].width, outputs = (size_t)a->out_channels * pixels;
    float *input = fixture_samples(i, (size_t)a->in_channels * pixels);
    double *expected = fixture_alloc(outputs, sizeof *expected);
    oracle_network(&oracle, input, sizes[i].height, sizes[i].width, expected);
    for (size_t m = 0; m < VARIANTS; m++) {
      if (models[m] == NULL) continue;
      float *output = fixture_alloc(outputs, sizeof *output);
      fixture_restore(models[m], input, sizes[i].height, sizes[i].width, 1 + (int)(i % 2), output);
      const double error = largest_error(output, expected, outputs);
      free(output);
      if (error <= TOLERANCE[precision_of(m)]) continue;
      char what[256];
      describe(a, what, sizeof what);
      fail_msg("%s: %zu x %zu on %s in %s: off by %g", what, sizes[i].width, sizes[i].height,
               rst_isa_name(isa_of(m)), rst_precision_name(precision_of(m)), error);
    }
    free(input);
    free(expected);
  }
  for (size_t m = 0; m < VARIANTS; m++) rst_model_free(models[m]);
  random_model_free(&weights);
}

static void check_one(const rst_architecture *a, size_t height, size_t width) {
  check(a, &(size){height, width}, 1);
}

static void every_number_of_levels(void **state) {
  (void)state;
  for (int levels = 1; levels <= RST_MAX_LEVELS; levels++) {
    const rst_architecture a = architecture_small(8, levels);
    check_one(&a, 33, 21);
  }
}

static void layer_norms_and_biases(void **state) {
  (void)state;
  for (int i = 0; i < 4; i++)
    for (int levels = 1; levels <= 3; levels++) {
      rst_architecture a = architecture_small(6, levels);
      a.norm_bias = i % 2 == 0;
      a.bias = i / 2 == 0;
      check_one(&a, 18, 23);
    }
}

/* Padding by reflection, more than once where a side is shorter than the pad; edges of strips and tiles. */
static void sizes_of_four_levels(void **state) {
  (void)state;
  static const size sizes[] = {{1, 1},   {1, 2},   {2, 1},   {1, 7},   {5, 1},   {1, 9},   {1, 130},
                               {131, 1}, {2, 2},   {2, 3},   {3, 2},   {3, 3},   {4, 5},   {5, 4},
                               {6, 7},   {7, 8},   {8, 8},   {9, 8},   {8, 9},   {15, 16}, {17, 16},
                               {23, 24}, {25, 31}, {31, 32}, {32, 33}, {33, 31}, {40, 63}, {63, 40},
                               {64, 64}, {65, 66}, {2, 129}, {128, 3}, {96, 97}, {127, 9}, {10, 257}};
  rst_architecture a = architecture_small(8, 4);
  a.heads[1] = 2;
  a.heads[2] = 4;
  a.heads[3] = 8;
  check(&a, sizes, sizeof sizes / sizeof *sizes);
}

static void sizes_of_a_flat_stack(void **state) {
  (void)state;
  static const size sizes[] = {{1, 1},   {1, 2},   {2, 1},   {1, 31},  {1, 33},  {33, 1},  {2, 64},
                               {64, 2},  {3, 3},   {7, 5},   {15, 17}, {16, 16}, {31, 33}, {32, 32},
                               {63, 65}, {64, 64}, {65, 63}, {1, 130}, {130, 1}, {3, 257}, {130, 130}};
  rst_architecture a = architecture_small(8, 1);
  a.bias = true;
  check(&a, sizes, sizeof sizes / sizeof *sizes);
}

static void sizes_with_biases(void **state) {
  (void)state;
  static const size sizes[] = {{1, 1}, {1, 6}, {9, 1}, {7, 9}, {32, 32}, {33, 65}, {66, 31}, {130, 34}};
  rst_architecture a = architecture_small(12, 2);
  a.bias = true;
  a.norm_bias = false;
  check(&a, sizes, sizeof sizes / sizeof *sizes);
}

static void sizes_of_five_levels(void **state) {
  (void)state;
  static const size sizes[] = {{1, 1}, {1, 17}, {5, 3}, {15, 16}, {16, 17}, {47, 33}};
  const rst_architecture a = architecture_small(4, 5);
  check(&a, sizes, sizeof sizes / sizeof *sizes);
}

/* Channel counts that are no multiple of any vector length. */
static void widths_of_a_flat_stack(void **state) {
  (void)state;
  static const int dims[] = {1, 2, 3, 5, 7, 9, 12, 15, 16, 17, 20, 31, 33, 48, 63, 65};
  for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
    const rst_architecture a = architecture_small(dims[i], 1);
    check_one(&a, 13, 19);
  }
}

static void widths_of_three_levels(void **state) {
  (void)state;
  static const int dims[] = {2, 6, 10, 12, 14, 20, 22, 34};
  for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
    rst_architecture a = architecture_small(dims[i], 3);
    a.bias = i % 2 == 0;
    check_one(&a, 22, 11);
  }
}

/* From one channel of hidden width to more than a strip's worth, different on each level. */
static void hidden_widths(void **state) {
  (void)state;
  static const int hidden[] = {1, 2, 3, 7, 8, 13, 16, 17, 33, 64, 127, 130};
  for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++) {
    rst_architecture a = architecture_small(6, 2);
    a.ffn_hidden[0] = hidden[i];
    a.ffn_hidden[1] = hidden[(i + 5) % (sizeof hidden / sizeof *hidden)];
    a.bias = i % 2 == 0;
    check_one(&a, 17, 20);
  }
}

static void numbers_of_heads(void **state) {
  (void)state;
  static const int heads[] = {1, 2, 3, 4, 6, 8, 12, 24};
  for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
    rst_architecture a = architecture_small(24, 2);
    a.heads[0] = heads[i];
    a.heads[1] = heads[sizeof heads / sizeof *heads - 1 - i];
    check_one(&a, 20, 15);
  }
}

static void numbers_of_blocks(void **state) {
  (void)state;
  static const int blocks[][4] = {{0, 0, 0, 0}, {0, 1, 0, 0}, {1, 0, 0, 2}, {3, 2, 1, 0}, {0, 0, 3, 5}};
  for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
    rst_architecture a = architecture_small(8, 3);
    for (int l = 0; l < 3; l++) a.num_blocks[l] = blocks[i][l];
    a.num_refinement_blocks = blocks[i][3];
    check_one(&a, 19, 26);
  }
}

/* attention: none on every level, and on every choice of levels. */
static void attention_on_some_levels(void **state) {
  (void)state;
  for (int mask = 0; mask < 8; mask++) {
    rst_architecture a = architecture_small(8, 3);
    for (int l = 0; l < 3; l++) a.attention[l] = (mask >> l & 1) != 0;
    a.bias = mask % 3 == 0;
    check_one(&a, 17, 29);
  }
  rst_architecture flat = architecture_small(10, 1);
  flat.attention[0] = false;
  check_one(&flat, 34, 9);
}

static void grey(void **state) {
  (void)state;
  rst_architecture a = architecture_small(8, 4);
  a.in_channels = a.out_channels = 1;
  a.norm_bias = false;
  check_one(&a, 37, 30);
}

static void dual_pixel(void **state) {
  (void)state;
  for (int levels = 1; levels <= 4; levels++) {
    rst_architecture a = architecture_small(8, levels);
    a.in_channels = 6;
    a.dual_pixel = true;
    a.residual = false;
    a.bias = levels % 2 == 0;
    check_one(&a, 21, 34);
  }
}

/* skip_conv and residual do not depend on each other. */
static void dual_pixel_with_residual(void **state) {
  (void)state;
  rst_architecture a = architecture_small(8, 2);
  a.in_channels = a.out_channels = 4;
  a.dual_pixel = true;
  check_one(&a, 14, 13);
}

static void channels_in_and_out(void **state) {
  (void)state;
  static const int channels[][2] = {{1, 3}, {3, 1}, {2, 5}, {7, 4}, {17, 1}, {1, 33}, {64, 64}};
  for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
    rst_architecture a = architecture_small(8, 2);
    a.in_channels = channels[i][0];
    a.out_channels = channels[i][1];
    a.residual = false;
    check_one(&a, 11, 18);
  }
}

static void no_residual(void **state) {
  (void)state;
  rst_architecture a = architecture_small(8, 4);
  a.residual = false;
  check_one(&a, 27, 16);
}

/* Constant pictures: layer norm meets hardly any variance, and multiplies rounding errors by up to 1 /
 * sqrt(1e-5). */
static void flat_pictures(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++) {
    rst_architecture a = architecture_small(8, 2);
    a.norm_bias = i == 0;
    random_model weights = fixture_random(&a, 3);
    const oracle_model oracle = {.architecture = a, .fetch = random_model_fetch, .user = &weights};
    rst_model *model = fixture_model(&weights, RST_ISA_AUTO, RST_PRECISION_F32);
    enum { SIDE = 20, SAMPLES = 3 * SIDE * SIDE };
    static const float levels[] = {0, 1, 0.25F, 1e-3F, -3, 100};
    for (size_t l = 0; l < sizeof levels / sizeof *levels; l++) {
      float input[SAMPLES], output[SAMPLES];
      double expected[SAMPLES];
      for (size_t s = 0; s < SAMPLES; s++) input[s] = levels[l];
      oracle_network(&oracle, input, SIDE, SIDE, expected);
      fixture_restore(model, input, SIDE, SIDE, 1, output);
      const double error = largest_error(output, expected, SAMPLES);
      if (!(error <= 4 * TOLERANCE[RST_PRECISION_F32] * fmax(1, fabs((double)levels[l]))))
        fail_msg("a picture of %g, %s: off by %g", (double)levels[l], i == 0 ? "WithBias" : "BiasFree",
                 error);
    }
    rst_model_free(model);
    random_model_free(&weights);
  }
}

/* A prompt on every level, smaller and larger than the map, up to a map of one pixel. */
static void prompts(void **state) {
  (void)state;
  static const size sizes[] = {{1, 1}, {1, 9}, {7, 2}, {33, 21}, {64, 48}};
  for (int levels = 2; levels <= RST_MAX_LEVELS; levels++) {
    rst_architecture a = architecture_prompted(8, levels);
    a.bias = levels % 2 == 0;
    a.norm_bias = levels != 3;
    check(&a, sizes, sizeof sizes / sizeof *sizes);
  }
}

static void prompts_on_some_levels(void **state) {
  (void)state;
  for (int mask = 0; mask < 4; mask++) {
    rst_architecture a = architecture_prompted(6, 3);
    for (int l = 1; l < 3; l++)
      if ((mask >> (l - 1) & 1) == 0) a.prompts[l] = (rst_prompt){0};
    a.attention[1] = mask != 3; /* the block behind a prompt has it all the same */
    check_one(&a, 22, 35);
  }
}

/* The published widths and numbers of heads, one block of each kind. */
static void published_widths(void **state) {
  (void)state;
  rst_architecture a = architecture_published();
  for (int l = 0; l < 4; l++) a.num_blocks[l] = 1;
  a.num_refinement_blocks = 1;
  check_one(&a, 16, 24);
  a = architecture_promptir();
  for (int l = 0; l < 4; l++) a.num_blocks[l] = 1;
  a.num_refinement_blocks = 1;
  check_one(&a, 16, 24);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_number_of_levels),
      cmocka_unit_test(layer_norms_and_biases),
      cmocka_unit_test(sizes_of_four_levels),
      cmocka_unit_test(sizes_of_a_flat_stack),
      cmocka_unit_test(sizes_with_biases),
      cmocka_unit_test(sizes_of_five_levels),
      cmocka_unit_test(widths_of_a_flat_stack),
      cmocka_unit_test(widths_of_three_levels),
      cmocka_unit_test(hidden_widths),
      cmocka_unit_test(numbers_of_heads),
      cmocka_unit_test(numbers_of_blocks),
      cmocka_unit_test(attention_on_some_levels),
      cmocka_unit_test(grey),
      cmocka_unit_test(dual_pixel),
      cmocka_unit_test(dual_pixel_with_residual),
      cmocka_unit_test(channels_in_and_out),
      cmocka_unit_test(no_residual),
      cmocka_unit_test(flat_pictures),
      cmocka_unit_test(prompts),
      cmocka_unit_test(prompts_on_some_levels),
      cmocka_unit_test(published_widths),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
