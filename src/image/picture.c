/* Pictures in memory: sizes, samples, conversions between sample types. */
#include <stdarg.h>
#include <stdio.h>

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

double rst_picture_value(const rst_picture *picture, size_t i) {
  switch (picture->sample) {
    case RST_SAMPLE_U8:
      return ((const uint8_t *)picture->samples)[i] / 255.0;
    case RST_SAMPLE_U16:
      return ((const uint16_t *)picture->samples)[i] / 65535.0;
    case RST_SAMPLE_F32:
      break;
  }
  return (double)((const float *)picture->samples)[i];
}

void rst_picture_free(rst_picture *picture) {
  rst_free(picture->samples);
  *picture = (rst_picture){0};
}

void rst_source_complain(const rst_source *source, const char *format, ...) {
  rst_error reason;
  va_list args;
  va_start(args, format);
  int n = vsnprintf(reason.message, sizeof reason.message, format, args);
  va_end(args);
  rst_error_format(source->err, "%s: %s", source->path, n < 0 ? "cannot be read" : reason.message);
}

rst_status rst_source_check_size(const rst_source *source, const char *format, size_t width, size_t height) {
  if (width == 0 || height == 0)
    return rst_source_fail(source, "%s: size %zu x %zu, expected 1 x 1 or more", format, width, height);
  if (width > RST_MAX_SIDE || height > RST_MAX_SIDE || width > RST_MAX_PIXELS / height)
    return rst_source_fail(source, "%s: size %zu x %zu, expected at most %zu pixels and sides of at most %zu",
                           format, width, height, RST_MAX_PIXELS, RST_MAX_SIDE);
  return RST_OK;
}

rst_status rst_source_allocate(const rst_source *source, const char *format, size_t width, size_t height,
                               int channels, rst_sample sample, rst_picture *picture) {
  *picture = (rst_picture){0};
  rst_status status = rst_source_check_size(source, format, width, height);
  if (status != RST_OK) return status;
  void *samples = rst_alloc(width * height, (size_t)channels * rst_sample_size(sample));
  if (samples == NULL) return rst_fail_memory(source->err, source->path);
  *picture = (rst_picture){width, height, channels, sample, samples};
  return RST_OK;
}

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

void rst_picture_row(const rst_picture *picture, size_t y, rst_sample type, bool keep_alpha, void *row) {
  size_t size = rst_sample_size(picture->sample), channels = (size_t)picture->channels;
  const uint8_t *from = (const uint8_t *)picture->samples + y * picture->width * channels * size;
  if (keep_alpha || !rst_has_alpha(picture->channels)) {
    rst_convert_samples(from, picture->sample, 1, row, type, 1, picture->width * channels);
    return;
  }
  for (size_t c = 0; c + 1 < channels; c++)
    rst_convert_samples(from + c * size, picture->sample, channels,
                        (uint8_t *)row + c * rst_sample_size(type), type, channels - 1, picture->width);
}
