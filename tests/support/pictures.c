#include "support/pictures.h"

#include <math.h>

#include "base/memory.h"
#include "support/cmocka_all.h"

static rst_image picture_new(size_t width, size_t height, int channels, rst_sample sample) {
  rst_image p = {.width = width, .height = height, .channels = channels, .sample = sample};
  p.samples = rst_alloc(width * height, (size_t)channels * rst_sample_size(sample));
  assert_non_null(p.samples);
  return p;
}

static void put(rst_image *p, size_t i, double value) {
  if (p->sample == RST_SAMPLE_U8) ((uint8_t *)p->samples)[i] = (uint8_t)(value * 255 + 0.5);
  if (p->sample == RST_SAMPLE_U16) ((uint16_t *)p->samples)[i] = (uint16_t)(value * 65535 + 0.5);
  if (p->sample == RST_SAMPLE_F32) ((float *)p->samples)[i] = (float)value;
}

rst_image picture_random(size_t width, size_t height, int channels, rst_sample sample, unsigned seed) {
  rst_image p = picture_new(width, height, channels, sample);
  uint32_t x = seed * 2654435761u + 1;
  for (size_t i = 0; i < width * height * (size_t)channels; i++) {
    x ^= x << 13, x ^= x >> 17, x ^= x << 5;
    put(&p, i, (double)x / 4294967295.0);
  }
  return p;
}

rst_image picture_smooth(size_t width, size_t height, int channels, rst_sample sample) {
  rst_image p = picture_new(width, height, channels, sample);
  size_t i = 0;
  for (size_t y = 0; y < height; y++)
    for (size_t x = 0; x < width; x++)
      for (int c = 0; c < channels; c++)
        put(&p, i++, 0.5 + 0.3 * sin(0.05 * (double)x + c) + 0.2 * cos(0.07 * (double)y - 2 * c));
  return p;
}

void picture_assert_equal(const rst_image *a, const rst_image *b) {
  assert_int_equal(a->width, b->width);
  assert_int_equal(a->height, b->height);
  assert_int_equal(a->channels, b->channels);
  assert_int_equal(a->sample, b->sample);
  assert_memory_equal(a->samples, b->samples,
                      a->width * a->height * (size_t)a->channels * rst_sample_size(a->sample));
}

rst_status picture_read(const char *path, rst_image *picture, rst_error *err) {
  rst_image *image;
  rst_status status = rst_image_read(path, NULL, &image, err);
  assert_int_equal(image == NULL, status != RST_OK);
  *picture = picture_take(image);
  return status;
}

rst_image picture_take(rst_image *image) {
  if (image == NULL) return (rst_image){0};
  rst_image value = *image;
  *image = (rst_image){0};
  rst_image_free(image);
  return value;
}

rst_status picture_restore(const rst_model *model, const rst_image *input, const rst_image *right,
                           rst_sample sample, rst_image *output, const rst_session_options *options,
                           rst_error *err) {
  rst_image *image;
  rst_status status = rst_restore_image(model, input, right, sample, &image, options, err);
  *output = picture_take(image);
  return status;
}
