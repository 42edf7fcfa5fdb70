/* Images in memory: creating, reading their samples, conversions between sample types. */
#include <string.h>

#include "base/budget.h"
#include "base/error.h"
#include "base/memory.h"
#include "image/image.h"

size_t rst_sample_size(rst_sample sample) {
  switch (sample) {
    case RST_SAMPLE_U8:
      return 1;
    case RST_SAMPLE_U16:
      return 2;
    case RST_SAMPLE_F32:
      break;
  }
  return 4;
}

rst_image *rst_image_make(size_t width, size_t height, int channels, rst_sample sample) {
  size_t pixels;
  rst_image *image = rst_alloc_zeroed(1, sizeof *image);
  if (image == NULL) return NULL;
  if (rst_mul(width, height, &pixels))
    image->samples = rst_alloc(pixels, (size_t)channels * rst_sample_size(sample));
  if (image->samples == NULL) {
    rst_image_free(image);
    return NULL;
  }
  image->width = width, image->height = height, image->channels = channels, image->sample = sample;
  return image;
}

rst_status rst_image_create(size_t width, size_t height, int channels, rst_sample sample, rst_image **image,
                            rst_error *err) {
  *image = NULL;
  bool known = sample == RST_SAMPLE_U8 || sample == RST_SAMPLE_U16 || sample == RST_SAMPLE_F32;
  if (width == 0 || height == 0 || channels < 1 || channels > 4 || !known)
    return rst_fail(err, RST_ERROR_USAGE, "an image of %zu x %zu pixels, %d channels and sample type %d",
                    width, height, channels, (int)sample);
  *image = rst_image_make(width, height, channels, sample);
  if (*image == NULL) return rst_fail_memory(err, "an image");
  memset((*image)->samples, 0, width * height * (size_t)channels * rst_sample_size(sample));
  return RST_OK;
}

static uint64_t image_bytes(const rst_image *image) {
  return (uint64_t)image->width * image->height * (size_t)image->channels * rst_sample_size(image->sample);
}

rst_status rst_image_count(rst_image *image, rst_budget *budget, rst_error *err) {
  if (budget == NULL) {
    rst_budget_give(image->budget, image_bytes(image));
    image->budget = NULL;
  }
  if (image->budget != NULL || budget == NULL) return rst_end(err, RST_OK);
  rst_status status = rst_budget_claim(budget, image_bytes(image), "a picture", err);
  if (status == RST_OK) image->budget = budget;
  return rst_end(err, status);
}

void rst_image_clear(rst_image *image) {
  rst_image_clear_metadata(image);
  rst_budget_give(image->budget, image_bytes(image));
  if (image->shared.data == NULL) rst_free(image->samples);
  rst_shared_free(&image->shared);
  *image = (rst_image){0};
}

void rst_image_free(rst_image *image) {
  if (image != NULL) rst_image_clear(image);
  rst_free(image);
}

size_t rst_image_width(const rst_image *image) {
  return image->width;
}
size_t rst_image_height(const rst_image *image) {
  return image->height;
}
int rst_image_channels(const rst_image *image) {
  return image->channels;
}
rst_sample rst_image_sample(const rst_image *image) {
  return image->sample;
}
void *rst_image_samples(const rst_image *image) {
  return image->samples;
}

double rst_image_value(const rst_image *image, size_t i) {
  switch (image->sample) {
    case RST_SAMPLE_U8:
      return ((const uint8_t *)image->samples)[i] / 255.0;
    case RST_SAMPLE_U16:
      return ((const uint16_t *)image->samples)[i] / 65535.0;
    case RST_SAMPLE_F32:
      break;
  }
  return (double)((const float *)image->samples)[i];
}

/* ---- Sample types -------------------------------------------------------------------------- */

static void from_u8(const uint8_t *from, size_t from_step, void *to, rst_sample type, size_t step,
                    size_t count) {
  uint8_t *u8 = to;
  uint16_t *u16 = to;
  float *f32 = to;
  for (size_t i = 0; i < count; i++, from += from_step) {
    if (type == RST_SAMPLE_U8) u8[i * step] = *from;
    if (type == RST_SAMPLE_U16) u16[i * step] = rst_u16_of_u8(*from);
    if (type == RST_SAMPLE_F32) f32[i * step] = rst_f32_of_u8(*from);
  }
}

static void from_u16(const uint16_t *from, size_t from_step, void *to, rst_sample type, size_t step,
                     size_t count) {
  uint8_t *u8 = to;
  uint16_t *u16 = to;
  float *f32 = to;
  for (size_t i = 0; i < count; i++, from += from_step) {
    if (type == RST_SAMPLE_U8) u8[i * step] = rst_u8_of_u16(*from);
    if (type == RST_SAMPLE_U16) u16[i * step] = *from;
    if (type == RST_SAMPLE_F32) f32[i * step] = rst_f32_of_u16(*from);
  }
}

static void from_f32(const float *from, size_t from_step, void *to, rst_sample type, size_t step,
                     size_t count) {
  uint8_t *u8 = to;
  uint16_t *u16 = to;
  float *f32 = to;
  for (size_t i = 0; i < count; i++, from += from_step) {
    if (type == RST_SAMPLE_U8) u8[i * step] = rst_u8_of_f32(*from);
    if (type == RST_SAMPLE_U16) u16[i * step] = rst_u16_of_f32(*from);
    if (type == RST_SAMPLE_F32) f32[i * step] = *from;
  }
}

void rst_convert_samples(const void *from, rst_sample from_type, size_t from_step, void *to,
                         rst_sample to_type, size_t to_step, size_t count) {
  if (from_type == RST_SAMPLE_U8) from_u8(from, from_step, to, to_type, to_step, count);
  if (from_type == RST_SAMPLE_U16) from_u16(from, from_step, to, to_type, to_step, count);
  if (from_type == RST_SAMPLE_F32) from_f32(from, from_step, to, to_type, to_step, count);
}

/* One pixel of a picture with alpha (its last channel) on a background. */
static void compose(const float *pixel, int colors, const uint8_t *background, float *out) {
  const float grey[] = {(0.299f * background[0] + 0.587f * background[1] + 0.114f * background[2]) / 255};
  const float alpha = rst_clamp01(pixel[colors]);
  for (int c = 0; c < colors; c++) {
    float behind = colors == 1 ? grey[0] : rst_f32_of_u8(background[c]);
    out[c] = alpha * pixel[c] + (1 - alpha) * behind;
  }
}

void rst_image_row(const rst_image *image, size_t y, rst_sample type, const uint8_t *background, void *row) {
  size_t size = rst_sample_size(image->sample), channels = (size_t)image->channels;
  const uint8_t *from = (const uint8_t *)image->samples + y * image->width * channels * size;
  if (background == NULL || !rst_has_alpha(image->channels)) {
    rst_convert_samples(from, image->sample, 1, row, type, 1, image->width * channels);
    return;
  }
  const size_t colors = channels - 1;
  uint8_t *to = row;
  for (size_t x = 0; x < image->width; x++, from += channels * size, to += colors * rst_sample_size(type)) {
    float pixel[4] = {0}, out[3];
    rst_convert_samples(from, image->sample, 1, pixel, RST_SAMPLE_F32, 1, channels);
    compose(pixel, (int)colors, background, out);
    rst_convert_samples(out, RST_SAMPLE_F32, 1, to, type, 1, colors);
  }
}
