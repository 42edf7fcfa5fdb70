/* Colours under full transparency: nobody has seen them, and they may be anything (often black), but a
 * network would let them bleed into what is seen. */
#include <string.h>

#include "base/memory.h"
#include "image/image.h"

bool rst_image_has_hidden(const rst_image *image) {
  const size_t channels = (size_t)image->channels;
  if (!rst_has_alpha(image->channels)) return false;
  for (size_t i = channels - 1; i < image->width * image->height * channels; i += channels)
    if (!(rst_image_value(image, i) > 0)) return true;
  return false;
}

/* A picture on its way: of each pixel the steps, along rows and columns, to the pixel whose colour it has. */
typedef struct fill {
  uint8_t *samples;
  size_t pixel, color; /* bytes of a pixel, and of its colours */
  uint32_t *steps;
} fill;

/* Takes the colour of pixel `from` for pixel `to` when that is nearer than what it has. */
static void take(const fill *f, size_t to, size_t from) {
  if (f->steps[from] >= f->steps[to] - 1 || f->steps[to] == 0) return;
  f->steps[to] = f->steps[from] + 1;
  memcpy(f->samples + to * f->pixel, f->samples + from * f->pixel, f->color);
}

rst_image *rst_image_fill_hidden(const rst_image *image) {
  const size_t width = image->width, height = image->height, count = width * height;
  const size_t channels = (size_t)image->channels, sample = rst_sample_size(image->sample);
  rst_image *filled = rst_image_make(width, height, image->channels, image->sample);
  uint32_t *steps = rst_alloc(count, sizeof *steps);
  if (filled == NULL || steps == NULL) {
    rst_image_free(filled);
    rst_free(steps);
    return NULL;
  }
  const fill f = {filled->samples, channels * sample, (channels - 1) * sample, steps};
  memcpy(filled->samples, image->samples, count * f.pixel);
  for (size_t i = 0; i < count; i++)
    steps[i] = rst_image_value(image, i * channels + channels - 1) > 0 ? 0 : UINT32_MAX;
  /* From above and the left, then from below and the right: two sweeps find all shortest ways. */
  for (size_t i = 0; width > 0 && i < count; i++) {
    if (i >= width) take(&f, i, i - width);
    if (i % width > 0) take(&f, i, i - 1);
  }
  for (size_t i = count; width > 0 && i-- > 0;) {
    if (i + width < count) take(&f, i, i + width);
    if (i % width + 1 < width) take(&f, i, i + 1);
  }
  rst_free(steps);
  return filled;
}
