/* test_misuse.c - what the public interface answers to arguments that do not fit: the status and the exact
 * message. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/cmocka_all.h"
#include "support/model_fixture.h"
#include "support/pictures.h"

enum { HEIGHT = 9, WIDTH = 14 };

/* Models of two levels: sides are multiples of 2. */
static rst_model *rgb, *dual, *odd;

static int make_models(void **state) {
  (void)state;
  rgb = fixture_channels(3, 3, false, 2);
  dual = fixture_channels(6, 3, true, 2);
  odd = fixture_channels(2, 5, false, 2);
  return 0;
}

static int free_models(void **state) {
  (void)state;
  rst_model_free(rgb);
  rst_model_free(dual);
  rst_model_free(odd);
  return 0;
}

static void expect_error(rst_status status, const rst_error *err, rst_status expected, const char *message) {
  if (status != expected)
    fail_msg("status %d (%s), expected %d: %s", status, err->message, expected, message);
  assert_string_equal(err->message, message);
}

/* ---- rst_restore -----------------------------------------------------------------------------------------
 */

typedef struct shapes {
  int in_channels, out_channels;
  size_t in_width, in_height, out_width, out_height;
} shapes;

static rst_status restore_shapes(const shapes *s, const rst_session_options *options, rst_error *err) {
  float in[6 * HEIGHT * WIDTH] = {0}, out[6 * HEIGHT * WIDTH] = {0};
  const rst_pixels from = fixture_planar(in, RST_SAMPLE_F32, s->in_channels, s->in_height, s->in_width);
  const rst_pixels to = fixture_planar(out, RST_SAMPLE_F32, s->out_channels, s->out_height, s->out_width);
  return rst_restore(rgb, &from, &to, options, err);
}

static void shapes_that_do_not_fit(void **state) {
  (void)state;
  static const struct {
    shapes s;
    const char *message;
  } cases[] = {
      {{1, 3, WIDTH, HEIGHT, WIDTH, HEIGHT}, "input has 1 channels, the model takes 3"},
      {{6, 3, WIDTH, HEIGHT, WIDTH, HEIGHT}, "input has 6 channels, the model takes 3"},
      {{3, 4, WIDTH, HEIGHT, WIDTH, HEIGHT}, "output has 4 channels, the model gives 3"},
      {{3, 0, WIDTH, HEIGHT, WIDTH, HEIGHT}, "output has 0 channels, the model gives 3"},
      {{3, 3, 0, HEIGHT, 0, HEIGHT}, "input is 0 x 9, expected 1 x 1 or more"},
      {{3, 3, WIDTH, 0, WIDTH, 0}, "input is 14 x 0, expected 1 x 1 or more"},
      {{3, 3, WIDTH, HEIGHT, HEIGHT, WIDTH}, "output is 9 x 14, the input 14 x 9"},
      {{3, 3, WIDTH, HEIGHT, WIDTH, HEIGHT - 1}, "output is 14 x 8, the input 14 x 9"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    rst_error err;
    expect_error(restore_shapes(&cases[i].s, NULL, &err), &err, RST_ERROR_USAGE, cases[i].message);
    assert_int_equal(restore_shapes(&cases[i].s, NULL, NULL), RST_ERROR_USAGE);
  }
}

static void samples_that_are_none(void **state) {
  (void)state;
  float samples[3 * HEIGHT * WIDTH] = {0}, other[3 * HEIGHT * WIDTH] = {0};
  const rst_pixels good = fixture_planar(samples, RST_SAMPLE_F32, 3, HEIGHT, WIDTH);
  rst_pixels bad = fixture_planar(other, RST_SAMPLE_F32, 3, HEIGHT, WIDTH);
  rst_error err;
  bad.sample = (rst_sample)3;
  expect_error(rst_restore(rgb, &bad, &good, NULL, &err), &err, RST_ERROR_USAGE,
               "input has samples of type 3, expected U8, U16 or F32");
  expect_error(rst_restore(rgb, &good, &bad, NULL, &err), &err, RST_ERROR_USAGE,
               "output has samples of type 3, expected U8, U16 or F32");
  bad.sample = RST_SAMPLE_F32;
  bad.samples = NULL;
  expect_error(rst_restore(rgb, &bad, &good, NULL, &err), &err, RST_ERROR_USAGE, "input has no samples");
  expect_error(rst_restore(rgb, &good, &bad, NULL, &err), &err, RST_ERROR_USAGE, "output has no samples");
}

static const shapes FITTING = {3, 3, WIDTH, HEIGHT, WIDTH, HEIGHT};

static void options_that_do_not_fit(void **state) {
  (void)state;
  static const struct {
    rst_session_options options;
    const char *message;
  } cases[] = {
      {{SESSION, .window = 1}, "window 1: expected 2 or more with 2 levels"},
      {{SESSION, .tile = 7}, "tile 7: expected a multiple of 2 with 2 levels"},
      {{SESSION, .tile = 8, .overlap = 8}, "overlap 8: expected 6 or less with tiles of 8 and 2 levels"},
      {{SESSION, .tile = 8, .overlap = SIZE_MAX},
       "overlap 18446744073709551615: expected 6 or less with tiles of 8 and 2 levels"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    rst_error err;
    rst_plan plan = {.struct_size = sizeof plan};
    expect_error(restore_shapes(&FITTING, &cases[i].options, &err), &err, RST_ERROR_USAGE, cases[i].message);
    expect_error(
        rst_plan_restore(rst_model_architecture(rgb), NULL, WIDTH, HEIGHT, &cases[i].options, &plan, &err),
        &err, RST_ERROR_USAGE, cases[i].message);
  }
  assert_int_equal(restore_shapes(&FITTING, NULL, NULL), RST_OK);
}

static void plans_of_nothing(void **state) {
  (void)state;
  rst_error err;
  rst_plan plan = {.struct_size = sizeof plan};
  const rst_architecture *a = rst_model_architecture(rgb);
  assert_int_equal(rst_plan_restore(a, NULL, 0, HEIGHT, NULL, &plan, &err), RST_ERROR_USAGE);
  assert_int_equal(rst_plan_restore(a, NULL, WIDTH, 0, NULL, &plan, &err), RST_ERROR_USAGE);
}

/* Sizes that no memory holds are refused before anything is touched; every sample is the same float. */
static void pictures_beyond_memory(void **state) {
  (void)state;
  static const size_t sizes[][2] = {{SIZE_MAX, 1},
                                    {1, SIZE_MAX},
                                    {SIZE_MAX / 2, SIZE_MAX / 2},
                                    {(size_t)1 << 32, (size_t)1 << 32},
                                    {(size_t)1 << 24, (size_t)1 << 24},
                                    {SIZE_MAX / 64, 1}};
  float sample = 0.5F;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    const rst_pixels pixels = {.samples = &sample,
                               .sample = RST_SAMPLE_F32,
                               .width = sizes[i][0],
                               .height = sizes[i][1],
                               .channels = 3};
    rst_error err;
    if (rst_restore(rgb, &pixels, &pixels, NULL, &err) != RST_ERROR_MEMORY)
      fail_msg("%zu x %zu: %s", sizes[i][0], sizes[i][1], err.message);
    assert_true(strlen(err.message) > 0);
  }
}

/* ---- rst_model_create ------------------------------------------------------------------------------------
 */

static void instruction_sets_that_are_not_there(void **state) {
  (void)state;
  char *folder = fixture_folder(), path[1024];
  snprintf(path, sizeof path, "%s/w.json", folder);
  const rst_architecture a = architecture_small(4, 1);
  random_model weights = fixture_random(&a, 2);
  rst_weights *opened;
  rst_error err;
  if (random_model_write(&weights, path, &err) != RST_OK || rst_weights_open(path, &opened, &err) != RST_OK)
    fail_msg("%s", err.message);
  size_t refused = 0;
  for (int isa = 0; isa <= RST_ISA_COUNT; isa++) {
    if (rst_isa_available((rst_isa)isa)) continue;
    const rst_model_options options = {.struct_size = sizeof options, .isa = (rst_isa)isa};
    rst_model *model = rgb;
    char message[128];
    snprintf(message, sizeof message, "instruction set %s: not available on this processor or in this build",
             rst_isa_name((rst_isa)isa));
    expect_error(rst_model_create(opened, &options, &model, &err), &err, RST_ERROR_USAGE, message);
    assert_null(model);
    refused++;
  }
  assert_true(refused >= 2); /* RST_ISA_COUNT, and those of another processor */
  const rst_model_options options = {.struct_size = sizeof options, .precision = RST_PRECISION_COUNT};
  rst_model *none = rgb;
  expect_error(rst_model_create(opened, &options, &none, &err), &err, RST_ERROR_USAGE,
               "precision 3: there is none of that number");
  assert_null(none);
  rst_weights_close(opened);
  random_model_free(&weights);
  fixture_remove_folder(folder);
}

/* Puts bytes at the first element of a tensor in the safetensors file beside the manifest, and packs the
 * model. */
static void put_first(const char *manifest, const char *tensor, const void *value) {
  rst_weights *weights;
  rst_error err;
  if (rst_weights_open(manifest, &weights, &err) != RST_OK) fail_msg("%s", err.message);
  const rst_tensor *t = rst_weights_tensor(weights, tensor);
  assert_non_null(t);
  FILE *f = fopen(t->file->path, "r+b");
  assert_non_null(f);
  assert_int_equal(fseek(f, (long)t->offset, SEEK_SET), 0);
  assert_int_equal(fwrite(value, sizeof(float), 1, f), 1);
  assert_int_equal(fclose(f), 0);
  rst_weights_close(weights);
}

static rst_status create_damaged(const char *manifest, const char *tensor, const void *value,
                                 rst_error *err) {
  rst_weights *weights;
  put_first(manifest, tensor, value);
  rst_model *model = rgb;
  if (rst_weights_open(manifest, &weights, err) != RST_OK) fail_msg("%s", err->message);
  const rst_status status = rst_model_create(weights, NULL, &model, err);
  if (status != RST_OK) assert_null(model);
  rst_weights_close(weights);
  return status;
}

static void weights_that_are_not_finite(void **state) {
  (void)state;
  static const char *const tensors[] = {"patch_embed.proj.weight",
                                        "encoder_level1.0.norm1.body.weight",
                                        "encoder_level1.0.norm1.body.bias",
                                        "latent.0.attn.temperature",
                                        "latent.0.attn.qkv.weight",
                                        "latent.0.attn.qkv.bias",
                                        "latent.0.attn.qkv_dwconv.bias",
                                        "latent.0.attn.qkv_dwconv.weight",
                                        "latent.0.attn.project_out.weight",
                                        "decoder_level1.0.ffn.project_in.weight",
                                        "decoder_level1.0.ffn.dwconv.weight",
                                        "refinement.0.ffn.project_out.weight",
                                        "refinement.0.ffn.project_out.bias",
                                        "down1_2.body.0.weight",
                                        "up2_1.body.0.weight",
                                        "skip_conv.weight",
                                        "output.weight",
                                        "output.bias"};
  rst_architecture a = architecture_small(4, 2);
  a.bias = true;
  a.dual_pixel = true;
  a.in_channels = 6;
  a.residual = false;
  random_model weights = fixture_random(&a, 2);
  for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
    char *folder = fixture_folder(), path[512], message[1024];
    snprintf(path, sizeof path, "%s/w.json", folder);
    rst_error err;
    if (random_model_write(&weights, path, &err) != RST_OK) fail_msg("%s", err.message);
    const float values[] = {NAN, INFINITY, -INFINITY};
    const char *const names[] = {"NaN", "Inf", "-Inf"};
    snprintf(message, sizeof message, "%s: tensor %s: element 0 is %s, expected a finite number", path,
             tensors[i], names[i % 3]);
    expect_error(create_damaged(path, tensors[i], &values[i % 3], &err), &err, RST_ERROR_WEIGHTS, message);
    fixture_remove_folder(folder);
  }
  random_model_free(&weights);
}

/* Between opening and packing, by another process. */
static void weights_that_are_cut_short(void **state) {
  (void)state;
  const rst_architecture a = architecture_small(4, 2);
  random_model model = fixture_random(&a, 2);
  char *folder = fixture_folder(), path[512];
  rst_error err;
  rst_weights *weights;
  rst_model *packed = rgb;
  snprintf(path, sizeof path, "%s/w.json", folder);
  if (random_model_write(&model, path, &err) != RST_OK) fail_msg("%s", err.message);
  assert_int_equal(rst_weights_open(path, &weights, &err), RST_OK);
  const rst_tensor *t = rst_weights_tensor(weights, "refinement.0.ffn.project_in.weight");
  assert_int_equal(truncate(t->file->path, (off_t)t->offset), 0);
  assert_int_equal(rst_model_create(weights, NULL, &packed, &err), RST_ERROR_WEIGHTS);
  assert_null(packed);
  assert_non_null(strstr(err.message, "w.safetensors: was cut short while it was read: it ends at byte "));
  assert_int_equal(rst_weights_verify(weights, &err), RST_ERROR_WEIGHTS);
  assert_non_null(strstr(err.message, "w.safetensors: was cut short while it was read: it ends at byte "));
  rst_weights_close(weights);
  random_model_free(&model);
  fixture_remove_folder(folder);
}

/* A product of the layer norm's weight and the matrix ahead that float32 cannot hold, and weights that bf16,
 * which has as large an exponent, rounds to infinity. */
static void weights_that_are_too_large(void **state) {
  (void)state;
  const struct {
    const char *tensor;
    float value;
    rst_precision precision;
    const char *message;
  } cases[] = {{"output.weight", 3.396e38f, RST_PRECISION_F32, ""},
               {"output.weight", 0x1.fefffep127f, RST_PRECISION_BF16, ""}, /* the last that is rounded down */
               {"output.weight", 0x1.ffp127f, RST_PRECISION_BF16,
                "tensor output.weight: output 0 has a weight that is too large for bf16"},
               {"output.weight", -3.397e38f, RST_PRECISION_BF16,
                "tensor output.weight: output 0 has a weight that is too large for bf16"},
               {"encoder_level1.0.ffn.project_in.weight", 3.4e38f, RST_PRECISION_F32,
                "tensor encoder_level1.0.ffn.project_in.weight: output 0 has a weight that is too large for "
                "float32, times that "
                "of the layer norm ahead"}};
  const rst_architecture a = architecture_small(4, 2);
  random_model weights = fixture_random(&a, 2);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char *folder = fixture_folder(), path[512], message[1024];
    const float two = 2;
    rst_error err = {.message = ""};
    snprintf(path, sizeof path, "%s/w.json", folder);
    if (random_model_write(&weights, path, &err) != RST_OK) fail_msg("%s", err.message);
    /* In norm2, too, where that is ahead: 2 times 3.4e38 is no float32. */
    if (strstr(cases[i].tensor, "project_in") != NULL)
      put_first(path, "encoder_level1.0.norm2.body.weight", &two);
    put_first(path, cases[i].tensor, &cases[i].value);
    rst_weights *open;
    assert_int_equal(rst_weights_open(path, &open, &err), RST_OK);
    rst_model_options options;
    rst_model_options_init(&options);
    options.precision = cases[i].precision;
    rst_model *model;
    const rst_status status = rst_model_create(open, &options, &model, &err);
    snprintf(message, sizeof message, "%s: %s", path, cases[i].message);
    assert_int_equal(status, cases[i].message[0] == '\0' ? RST_OK : RST_ERROR_WEIGHTS);
    assert_string_equal(err.message, cases[i].message[0] == '\0' ? "" : message);
    rst_model_free(model);
    rst_weights_close(open);
    fixture_remove_folder(folder);
  }
  random_model_free(&weights);
}

/* ---- rst_restore_image ---------------------------------------------------------------------------------
 */

static rst_image new_picture(size_t width, size_t height, int channels) {
  rst_image p = {.width = width, .height = height, .channels = channels, .sample = RST_SAMPLE_F32};
  p.samples = fixture_alloc(width * height * (size_t)channels, sizeof(float));
  return p;
}

static void expect_picture_error(const rst_model *model, const rst_image *input, const rst_image *right,
                                 rst_status expected, const char *message) {
  rst_image output;
  rst_error err;
  memset(&output, 0x55, sizeof output);
  expect_error(picture_restore(model, input, right, RST_SAMPLE_U8, &output, NULL, &err), &err, expected,
               message);
  const rst_image empty = {0};
  assert_memory_equal(&output, &empty, sizeof empty);
}

static void pictures_that_do_not_fit(void **state) {
  (void)state;
  rst_image picture = new_picture(WIDTH, HEIGHT, 3), small = new_picture(WIDTH, HEIGHT - 1, 3), empty = {0};
  expect_picture_error(rgb, &empty, NULL, RST_ERROR_USAGE, "the input picture is empty");
  expect_picture_error(dual, &picture, &empty, RST_ERROR_USAGE, "the right picture is empty");
  expect_picture_error(dual, &empty, &picture, RST_ERROR_USAGE, "the left picture is empty");
  expect_picture_error(odd, &picture, NULL, RST_ERROR_USAGE,
                       "the model makes 5 channels of 2, but a picture is grey or RGB, beside its alpha: "
                       "only a program that fills the channels itself, with rst_restore, can run this model");
  expect_picture_error(dual, &picture, NULL, RST_ERROR_USAGE,
                       "the model needs the right view of a dual-pixel picture");
  expect_picture_error(rgb, &picture, &picture, RST_ERROR_USAGE,
                       "the model takes no right view, it is not a dual-pixel model");
  expect_picture_error(dual, &picture, &small, RST_ERROR_USAGE,
                       "the right view has size 14 x 8, expected that of the left, 14 x 9");
  ((float *)picture.samples)[3 * (2 * WIDTH + 5) + 1] = NAN;
  expect_picture_error(rgb, &picture, NULL, RST_ERROR_INPUT,
                       "the input picture has a sample that is not finite at (5, 2)");
  ((float *)picture.samples)[3 * (2 * WIDTH + 5) + 1] = -INFINITY;
  expect_picture_error(dual, &small, &picture, RST_ERROR_INPUT,
                       "the right picture has a sample that is not finite at (5, 2)");
  rst_image_clear(&picture);
  rst_image_clear(&small);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(shapes_that_do_not_fit),      cmocka_unit_test(samples_that_are_none),
      cmocka_unit_test(options_that_do_not_fit),     cmocka_unit_test(plans_of_nothing),
      cmocka_unit_test(pictures_beyond_memory),      cmocka_unit_test(instruction_sets_that_are_not_there),
      cmocka_unit_test(weights_that_are_not_finite), cmocka_unit_test(weights_that_are_cut_short),
      cmocka_unit_test(weights_that_are_too_large),  cmocka_unit_test(pictures_that_do_not_fit),
  };
  return cmocka_run_group_tests(tests, make_models, free_models);
}
