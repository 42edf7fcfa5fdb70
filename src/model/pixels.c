/* pixels.c - the caller's samples as floats and back. */
#include <math.h>

#include "model/run.h"

static ptrdiff_t offset(const rst_pixels *p, size_t x, size_t y) {
  return (ptrdiff_t)y * p->row_stride + (ptrdiff_t)x * p->column_stride;
}

void rst_pixels_load(const rst_pixels *p, size_t x, size_t y, float *channels) {
  const ptrdiff_t at = offset(p, x, y);
  switch (p->sample) {
    case RST_SAMPLE_U8:
      for (int c = 0; c < p->channels; c++)
        channels[c] = (float)((const uint8_t *)p->samples)[at + c * p->channel_stride] / 255.0f;
      break;
    case RST_SAMPLE_U16:
      for (int c = 0; c < p->channels; c++)
        channels[c] = (float)((const uint16_t *)p->samples)[at + c * p->channel_stride] / 65535.0f;
      break;
    default:
      for (int c = 0; c < p->channels; c++)
        channels[c] = ((const float *)p->samples)[at + c * p->channel_stride];
  }
}

/* Clamped to [0, 1] and rounded to a whole number of steps; NaN becomes 0. */
static float steps(float value, float most) {
  return rintf(fminf(fmaxf(value, 0.0f), 1.0f) * most);
}

void rst_pixels_store(const rst_pixels *p, size_t x, size_t y, const float *channels) {
  const ptrdiff_t at = offset(p, x, y);
  switch (p->sample) {
    case RST_SAMPLE_U8:
      for (int c = 0; c < p->channels; c++)
        ((uint8_t *)p->samples)[at + c * p->channel_stride] = (uint8_t)steps(channels[c], 255.0f);
      break;
    case RST_SAMPLE_U16:
      for (int c = 0; c < p->channels; c++)
        ((uint16_t *)p->samples)[at + c * p->channel_stride] = (uint16_t)steps(channels[c], 65535.0f);
      break;
    default:
      for (int c = 0; c < p->channels; c++) ((float *)p->samples)[at + c * p->channel_stride] = channels[c];
  }
}
