#include "support/pictures.h"

#include <math.h>

#include "base/memory.h"
#include "support/cmocka_all.h"

static rst_picture picture_new(size_t width, size_t height, int channels, rst_sample sample) {
  rst_picture p = {width, height, channels, sample, NULL};
  p.samples = rst_alloc(width * height, (size_t)channels * rst_sample_size(sample));
  assert_non_null(p.samples);
  return p;
}

static void put(rst_picture *p, size_t i, double value) {
  if (p->sample == RST_SAMPLE_U8) ((uint8_t *)p->samples)[i] = (uint8_t)(value * 255 + 0.5);
  if (p->sample == RST_SAMPLE_U16) ((uint16_t *)p->samples)[i] = (uint16_t)(value * 65535 + 0.5);
  if (p->sample == RST_SAMPLE_F32) ((float *)p->samples)[i] = (float)value;
}

rst_picture picture_random(size_t width, size_t height, int channels, rst_sample sample, unsigned seed) {
  rst_picture p = picture_new(width, height, channels, sample);
  uint32_t x = seed * 2654435761u + 1;
  for (size_t i = 0; i < width * height * (size_t)channels; i++) {
    x ^= x << 13, x ^= x >> 17, x ^= x << 5;
    put(&p, i, (double)x / 4294967295.0);
  }
  return p;
}

rst_picture picture_smooth(size_t width, size_t height, int channels, rst_sample sample) {
  rst_picture p = picture_new(width, height, channels, sample);
  size_t i = 0;
  for (size_t y = 0; y < height; y++)
    for (size_t x = 0; x < width; x++)
      for (int c = 0; c < channels; c++)
        put(&p, i++, 0.5 + 0.3 * sin(0.05 * (double)x + c) + 0.2 * cos(0.07 * (double)y - 2 * c));
  return p;
}

void picture_assert_equal(const rst_picture *a, const rst_picture *b) {
  assert_int_equal(a->width, b->width);
  assert_int_equal(a->height, b->height);
  assert_int_equal(a->channels, b->channels);
  assert_int_equal(a->sample, b->sample);
  assert_memory_equal(a->samples, b->samples,
                      a->width * a->height * (size_t)a->channels * rst_sample_size(a->sample));
}
