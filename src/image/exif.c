/* The orientation in EXIF: cameras store pictures as the sensor lay and say how to turn them. (Exif 2.32,
 * TIFF 6.0: a header of byte order, 42 and the first directory's place; entries of 12 bytes: tag, type,
 * count, value.) */
#include <string.h>

#include "base/memory.h"
#include "image/image.h"

enum { HEADER = 8, ENTRY = 12, ORIENTATION = 0x0112, SHORT = 3 };

static uint32_t get(const uint8_t *p, bool big, int bytes) {
  if (bytes == 2) return big ? rst_be16(p) : rst_le16(p);
  return big ? rst_be32(p) : rst_le32(p);
}

/* Where the value of the orientation tag stands; 0: nowhere. */
static size_t find(const uint8_t *data, size_t size, bool *big) {
  if (size < HEADER || (memcmp(data, "II*\0", 4) != 0 && memcmp(data, "MM\0*", 4) != 0)) return 0;
  *big = data[0] == 'M';
  size_t at = get(data + 4, *big, 4);
  if (at > size - 2) return 0;
  size_t count = get(data + at, *big, 2);
  for (at += 2; count > 0 && at + ENTRY <= size; count--, at += ENTRY)
    if (get(data + at, *big, 2) == ORIENTATION && get(data + at + 2, *big, 2) == SHORT) return at + 8;
  return 0;
}

int rst_exif_orientation(const uint8_t *data, size_t size) {
  bool big = false;
  size_t at = find(data, size, &big);
  uint32_t value = at == 0 ? 1 : get(data + at, big, 2);
  return value >= 1 && value <= 8 ? (int)value : 1;
}

void rst_exif_reset_orientation(uint8_t *data, size_t size) {
  bool big = false;
  size_t at = find(data, size, &big);
  if (at == 0) return;
  data[at] = big ? 0 : 1;
  data[at + 1] = big ? 1 : 0;
}

/* Orientation o shows at (x, y) what is stored at: 2 mirrored, 3 turned by half, 4 upside down, and with the
 * axes swapped 5 plain, 6 a quarter clockwise, 7 both mirrored, 8 a quarter back. */
static const struct {
  bool swapped, from_right, from_bottom; /* of the stored picture */
} orientations[9] = {{0},
                     {false, false, false},
                     {false, true, false},
                     {false, true, true},
                     {false, false, true},
                     {true, false, false},
                     {true, false, true},
                     {true, true, true},
                     {true, true, false}};

bool rst_image_orient(rst_image *image, int orientation) {
  const bool swapped = orientations[orientation].swapped;
  const size_t width = image->width, height = image->height;
  const size_t pixel = (size_t)image->channels * rst_sample_size(image->sample);
  if (orientation <= 1) return true;
  uint8_t *turned = rst_alloc(width * height, pixel), *to = turned;
  if (turned == NULL) return false;
  const size_t out_width = swapped ? height : width, out_height = swapped ? width : height;
  for (size_t y = 0; y < out_height; y++)
    for (size_t x = 0; x < out_width; x++, to += pixel) {
      size_t from_x = swapped ? y : x, from_y = swapped ? x : y;
      if (orientations[orientation].from_right) from_x = width - 1 - from_x;
      if (orientations[orientation].from_bottom) from_y = height - 1 - from_y;
      memcpy(to, (const uint8_t *)image->samples + (from_y * width + from_x) * pixel, pixel);
    }
  rst_free(image->samples);
  image->samples = turned;
  image->width = out_width;
  image->height = out_height;
  rst_bytes *phys = &image->metadata[RST_METADATA_PHYS];
  if (swapped && phys->size > 0) {
    uint8_t x[4];
    memcpy(x, phys->data, 4);
    memcpy(phys->data, phys->data + 4, 4);
    memcpy(phys->data + 4, x, 4);
  }
  return true;
}
