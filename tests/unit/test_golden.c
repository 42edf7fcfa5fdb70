/* test_golden.c - whole networks against the output of the authors' program (tests/data/README.md): the
 * engine on every instruction set, and the oracle that other tests rely on. Runs in the top folder. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/cmocka_all.h"
#include "support/model_fixture.h"
#include "support/oracle.h"
#include "support/pictures.h"

/* Both programs round to float32; outputs reach 3. */
static const double ENGINE_TOLERANCE[RST_PRECISION_COUNT] = {1e-5, 0.1, 0.2}, ORACLE_TOLERANCE = 2e-6;

enum { PATH = 256 };

typedef struct golden {
  const char *name;
  rst_weights *weights;
  rst_architecture architecture;
  size_t height, width;
  float *input;    /* planar */
  float *expected; /* planar */
} golden;

/* Adds the planes of an 8-bit picture of the case, scaled to 0..1, behind the `planes` that are there. */
static int add_planes(golden *g, const char *file, int planes) {
  char path[PATH];
  snprintf(path, sizeof path, "tests/data/golden/%s/%s", g->name, file);
  rst_image picture;
  rst_error err;
  if (picture_read(path, &picture, &err) != RST_OK) fail_msg("%s", err.message);
  assert_int_equal(picture.sample, RST_SAMPLE_U8);
  const size_t channels = (size_t)picture.channels, pixels = picture.width * picture.height;
  if (planes == 0) {
    g->height = picture.height;
    g->width = picture.width;
    g->input = fixture_alloc((size_t)g->architecture.in_channels * pixels, sizeof *g->input);
  }
  assert_int_equal(picture.height, g->height);
  assert_int_equal(picture.width, g->width);
  assert_true(planes + picture.channels <= g->architecture.in_channels);
  for (size_t c = 0; c < channels; c++)
    for (size_t p = 0; p < pixels; p++)
      g->input[((size_t)planes + c) * pixels + p] =
          (float)((const uint8_t *)picture.samples)[p * channels + c] / 255.0F;
  rst_image_clear(&picture);
  return planes + (int)channels;
}

static golden open_golden(const char *name) {
  golden g = {.name = name};
  char path[PATH];
  rst_error err;
  snprintf(path, sizeof path, "tests/data/golden/%s/weights.json", name);
  if (rst_weights_open(path, &g.weights, &err) != RST_OK) fail_msg("%s", err.message);
  if (rst_weights_verify(g.weights, &err) != RST_OK) fail_msg("%s", err.message);
  g.architecture = *rst_weights_architecture(g.weights);
  int planes = add_planes(&g, g.architecture.dual_pixel ? "left.png" : "input.png", 0);
  if (g.architecture.dual_pixel) planes = add_planes(&g, "right.png", planes);
  assert_int_equal(planes, g.architecture.in_channels);

  const size_t count = (size_t)g.architecture.out_channels * g.height * g.width;
  g.expected = fixture_alloc(count, sizeof *g.expected);
  snprintf(path, sizeof path, "tests/data/golden/%s/expected.f32", name);
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  assert_int_equal(fread(g.expected, sizeof *g.expected, count, f), count);
  assert_int_equal(fgetc(f), EOF);
  fclose(f);
  return g;
}

static void close_golden(golden *g) {
  rst_weights_close(g->weights);
  free(g->input);
  free(g->expected);
}

static void check_output(const golden *g, const double *output, double tolerance, const char *by) {
  for (size_t i = 0; i < (size_t)g->architecture.out_channels * g->height * g->width; i++)
    if (!(fabs(output[i] - (double)g->expected[i]) <= tolerance))
      fail_msg("%s by %s: sample %zu is %.9g, expected %.9g", g->name, by, i, output[i],
               (double)g->expected[i]);
}

/* An oracle_fetch from the open manifest. */
static void fetch(void *user, const char *name, size_t elements, double *out) {
  const rst_tensor *tensor = rst_weights_tensor(user, name);
  assert_non_null(tensor);
  assert_int_equal(tensor->elements, elements);
  float *values = fixture_alloc(elements, sizeof *values);
  rst_tensor_read(tensor, NULL, 0, elements, values, NULL);
  for (size_t i = 0; i < elements; i++) out[i] = (double)values[i];
  free(values);
}

static void check_oracle(const golden *g) {
  const oracle_model oracle = {.architecture = g->architecture, .fetch = fetch, .user = g->weights};
  double *output = oracle_alloc((size_t)g->architecture.out_channels * g->height * g->width);
  oracle_network(&oracle, g->input, g->height, g->width, output);
  check_output(g, output, ORACLE_TOLERANCE, "the oracle");
  free(output);
}

static void check_engine(const golden *g) {
  const size_t count = (size_t)g->architecture.out_channels * g->height * g->width;
  float *output = fixture_alloc(count, sizeof *output);
  double *doubles = oracle_alloc(count);
  for (int variant = RST_ISA_BASELINE * RST_PRECISION_COUNT; variant < RST_ISA_COUNT * RST_PRECISION_COUNT;
       variant++) {
    const rst_isa isa = (rst_isa)(variant / RST_PRECISION_COUNT);
    const rst_precision precision = (rst_precision)(variant % RST_PRECISION_COUNT);
    if (!rst_isa_available(isa)) continue;
    const rst_model_options options = {.struct_size = sizeof options, .isa = isa, .precision = precision};
    rst_model *model;
    rst_error err;
    if (rst_model_create(g->weights, &options, &model, &err) != RST_OK) fail_msg("%s", err.message);
    fixture_restore(model, g->input, g->height, g->width, 2, output);
    for (size_t i = 0; i < count; i++) doubles[i] = (double)output[i];
    char by[64];
    snprintf(by, sizeof by, "%s in %s", rst_isa_name(isa), rst_precision_name(precision));
    check_output(g, doubles, ENGINE_TOLERANCE[precision], by);
    rst_model_free(model);
  }
  free(output);
  free(doubles);
}

static void check(const char *name, void (*part)(const golden *)) {
  golden g = open_golden(name);
  part(&g);
  close_golden(&g);
}

#define CASE(name)                                 \
  static void name##_by_the_oracle(void **state) { \
    (void)state;                                   \
    check(#name, check_oracle);                    \
  }                                                \
  static void name##_by_the_engine(void **state) { \
    (void)state;                                   \
    check(#name, check_engine);                    \
  }
CASE(rgb_convbias)
CASE(gray_biasfree)
CASE(dual_pixel)
CASE(prompts)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rgb_convbias_by_the_oracle),  cmocka_unit_test(rgb_convbias_by_the_engine),
      cmocka_unit_test(gray_biasfree_by_the_oracle), cmocka_unit_test(gray_biasfree_by_the_engine),
      cmocka_unit_test(dual_pixel_by_the_oracle),    cmocka_unit_test(dual_pixel_by_the_engine),
      cmocka_unit_test(prompts_by_the_oracle),       cmocka_unit_test(prompts_by_the_engine),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
