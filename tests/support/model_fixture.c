/* model_fixture.c - see model_fixture.h. */
#include "support/model_fixture.h"

#include <stdio.h>
#include <string.h>

#include "support/cmocka_all.h"

random_model fixture_random(const rst_architecture *architecture, uint64_t seed) {
  random_model model;
  rst_error err;
  if (random_model_init(&model, architecture, seed, RST_DTYPE_F32, &err) != RST_OK)
    fail_msg("%s", err.message);
  return model;
}

rst_weights *fixture_weights(const random_model *model) {
  char *folder = fixture_folder();
  char path[1024];
  snprintf(path, sizeof path, "%s/w.json", folder);
  rst_error err;
  rst_weights *weights = NULL;
  rst_status status = random_model_write(model, path, &err);
  if (status == RST_OK) status = rst_weights_open(path, &weights, &err);
  fixture_remove_folder(folder); /* the mapped file lives on */
  if (status != RST_OK) fail_msg("%s", err.message);
  return weights;
}

rst_model *fixture_pack(const rst_weights *weights, rst_isa isa, rst_precision precision) {
  const rst_model_options options = {
      .struct_size = sizeof options, .isa = isa, .precision = precision, .threads = 1};
  rst_model *model;
  rst_error err;
  if (rst_model_create(weights, &options, &model, &err) != RST_OK) fail_msg("%s", err.message);
  assert_non_null(model);
  return model;
}

rst_model *fixture_model(const random_model *model, rst_isa isa, rst_precision precision) {
  rst_weights *weights = fixture_weights(model);
  rst_model *packed = fixture_pack(weights, isa, precision);
  rst_weights_close(weights);
  return packed;
}

rst_model *fixture_channels(int in, int out, bool dual_pixel, uint64_t seed) {
  rst_architecture a = architecture_small(8, 2);
  a.in_channels = in;
  a.out_channels = out;
  a.dual_pixel = dual_pixel;
  a.residual = in == out;
  random_model weights = fixture_random(&a, seed);
  rst_model *model = fixture_model(&weights, RST_ISA_AUTO, RST_PRECISION_F32);
  random_model_free(&weights);
  return model;
}

static rst_pixels view(const void *samples, rst_sample sample, int channels, size_t height, size_t width) {
  rst_pixels pixels = {.sample = sample, .width = width, .height = height, .channels = channels};
  memcpy(&pixels.samples, &samples, sizeof samples); /* an input's samples are not const in the interface */
  return pixels;
}

rst_pixels fixture_planar(const void *samples, rst_sample sample, int channels, size_t height, size_t width) {
  rst_pixels pixels = view(samples, sample, channels, height, width);
  pixels.row_stride = (ptrdiff_t)width;
  pixels.column_stride = 1;
  pixels.channel_stride = (ptrdiff_t)(height * width);
  return pixels;
}

rst_pixels fixture_interleaved(const void *samples, rst_sample sample, int channels, size_t height,
                               size_t width) {
  rst_pixels pixels = view(samples, sample, channels, height, width);
  pixels.row_stride = (ptrdiff_t)width * channels;
  pixels.column_stride = channels;
  pixels.channel_stride = 1;
  return pixels;
}

void fixture_restore(const rst_model *model, const float *input, size_t height, size_t width, int threads,
                     float *output) {
  const rst_architecture *a = rst_model_architecture(model);
  const rst_pixels from = fixture_planar(input, RST_SAMPLE_F32, a->in_channels, height, width);
  const rst_pixels to = fixture_planar(output, RST_SAMPLE_F32, a->out_channels, height, width);
  const rst_session_options options = {SESSION, .threads = threads};
  rst_error err;
  if (rst_restore(model, &from, &to, &options, &err) != RST_OK) fail_msg("%s", err.message);
}
