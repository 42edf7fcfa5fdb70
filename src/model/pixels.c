/* pixels.c - the caller's samples: whether they fit, as floats and back. */
#include <math.h>

#include "base/error.h"
#include "model/run.h"

/* ---- Whether they fit ------------------------------------------------------------------------------ */

static rst_status check_one(const rst_pixels *p, const char *which, rst_error *err) {
  if (p->width == 0 || p->height == 0)
    return rst_fail(err, RST_ERROR_USAGE, "%s is %zu x %zu, expected 1 x 1 or more", which, p->width,
                    p->height);
  if (p->samples == NULL) return rst_fail(err, RST_ERROR_USAGE, "%s has no samples", which);
  if (p->sample != RST_SAMPLE_U8 && p->sample != RST_SAMPLE_U16 && p->sample != RST_SAMPLE_F32)
    return rst_fail(err, RST_ERROR_USAGE, "%s has samples of type %d, expected U8, U16 or F32", which,
                    (int)p->sample);
  return RST_OK;
}

rst_status rst_pixels_check(const rst_architecture *a, const rst_pixels *in, const rst_pixels *out,
                            rst_error *err) {
  if (in->channels != a->in_channels)
    return rst_fail(err, RST_ERROR_USAGE, "input has %d channels, the model takes %d", in->channels,
                    a->in_channels);
  if (out->channels != a->out_channels)
    return rst_fail(err, RST_ERROR_USAGE, "output has %d channels, the model gives %d", out->channels,
                    a->out_channels);
  rst_status status = check_one(in, "input", err);
  if (status == RST_OK) status = check_one(out, "output", err);
  if (status == RST_OK && (in->width != out->width || in->height != out->height))
    return rst_fail(err, RST_ERROR_USAGE, "output is %zu x %zu, the input %zu x %zu", out->width, out->height,
                    in->width, in->height);
  return status;
}

/* Addresses of the first byte of a picture and behind the last one. */
typedef struct range {
  intptr_t first, end;
} range;

static range range_of(const rst_pixels *p) {
  const ptrdiff_t size = (ptrdiff_t)rst_sample_size(p->sample);
  const ptrdiff_t far[] = {((ptrdiff_t)p->height - 1) * p->row_stride * size,
                           ((ptrdiff_t)p->width - 1) * p->column_stride * size,
                           ((ptrdiff_t)p->channels - 1) * p->channel_stride * size};
  range r = {(intptr_t)p->samples, (intptr_t)p->samples + size};
  for (int i = 0; i < 3; i++) *(far[i] < 0 ? &r.first : &r.end) += far[i];
  return r;
}

/* Whether some sample of one is a sample of the other; both have the same strides, of which `distance`
 * (samples) is between them. */
static bool share_samples(const rst_pixels *in, const rst_pixels *out, ptrdiff_t distance) {
  const ptrdiff_t channels = in->channels > out->channels ? in->channels : out->channels;
  const ptrdiff_t height = (ptrdiff_t)in->height, width = (ptrdiff_t)in->width;
  for (ptrdiff_t c = 1 - channels; c < channels; c++)
    for (ptrdiff_t y = 1 - height; y < height; y++) {
      const ptrdiff_t left = distance - c * in->channel_stride - y * in->row_stride, step = in->column_stride;
      if (left == 0 || (step != 0 && left % step == 0 && left / step > -width && left / step < width))
        return true;
    }
  return false;
}

rst_status rst_pixels_check_overlap(const rst_pixels *in, const rst_pixels *out, rst_error *err) {
  const range a = range_of(in), b = range_of(out);
  if (a.end <= b.first || b.end <= a.first) return RST_OK;
  const ptrdiff_t size = (ptrdiff_t)rst_sample_size(in->sample);
  const intptr_t distance = (intptr_t)out->samples - (intptr_t)in->samples;
  const bool alike = in->sample == out->sample && in->row_stride == out->row_stride &&
                     in->column_stride == out->column_stride && in->channel_stride == out->channel_stride;
  if (alike && (distance == 0 || (distance % size == 0 && !share_samples(in, out, distance / size))))
    return RST_OK;
  return rst_fail(err, RST_ERROR_USAGE,
                  "the output overlaps the input; expected the very same samples, or others");
}

/* ---- As floats and back ---------------------------------------------------------------------------- */

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
