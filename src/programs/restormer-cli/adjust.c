#include "adjust.h"

#include <math.h>
#include <string.h>

static size_t row_samples(const rst_image *image) {
  return rst_image_width(image) * (size_t)rst_image_channels(image);
}

/* samples[i] = value, clamped and rounded to what integers hold; 1 is white. */
static void set_value(rst_image *image, size_t i, double value) {
  void *samples = rst_image_samples(image);
  if (rst_image_sample(image) == RST_SAMPLE_F32) {
    ((float *)samples)[i] = (float)value;
    return;
  }
  const double white = rst_image_sample(image) == RST_SAMPLE_U16 ? 65535 : 255;
  const long rounded = lrint(white * fmin(fmax(value, 0), 1));
  if (rst_image_sample(image) == RST_SAMPLE_U16)
    ((uint16_t *)samples)[i] = (uint16_t)rounded;
  else
    ((uint8_t *)samples)[i] = (uint8_t)rounded;
}

/* An empty image with samples and metadata as another has them. */
static rst_status create_like(const rst_image *like, size_t width, size_t height, rst_image **image,
                              rst_error *err) {
  rst_status status =
      rst_image_create(width, height, rst_image_channels(like), rst_image_sample(like), image, err);
  if (status != RST_OK) return status;
  status = rst_image_copy_metadata(like, *image, err);
  if (status != RST_OK) rst_image_free(*image);
  return status;
}

rst_status adjust_crop(rst_image **image, const rectangle *part, rst_error *err) {
  rst_image *from = *image, *to;
  rst_status status = create_like(from, part->width, part->height, &to, err);
  if (status != RST_OK) return status;
  const size_t pixel = (size_t)rst_image_channels(from) * rst_sample_size(rst_image_sample(from));
  const uint8_t *source = rst_image_samples(from);
  uint8_t *target = rst_image_samples(to);
  for (size_t y = 0; y < part->height; y++)
    memcpy(target + y * part->width * pixel,
           source + ((part->y + y) * rst_image_width(from) + part->x) * pixel, part->width * pixel);
  rst_image_free(from);
  *image = to;
  return RST_OK;
}

void adjust_blend(const rst_image *input, double strength, rst_image *result) {
  const size_t count = row_samples(input) * rst_image_height(input);
  for (size_t i = 0; i < count; i++) {
    const double before = rst_image_value(input, i);
    set_value(result, i, before + strength * (rst_image_value(result, i) - before));
  }
}

rst_status adjust_beside(const rst_image *input, rst_image **result, rst_error *err) {
  rst_image *after = *result, *both;
  rst_status status = create_like(after, 2 * rst_image_width(after), rst_image_height(after), &both, err);
  if (status != RST_OK) return status;
  const size_t row = row_samples(after), bytes = row * rst_sample_size(rst_image_sample(after));
  for (size_t y = 0; y < rst_image_height(after); y++) {
    for (size_t i = 0; i < row; i++) set_value(both, 2 * y * row + i, rst_image_value(input, y * row + i));
    memcpy((uint8_t *)rst_image_samples(both) + (2 * y + 1) * bytes,
           (const uint8_t *)rst_image_samples(after) + y * bytes, bytes);
  }
  rst_image_free(after);
  *result = both;
  return RST_OK;
}
