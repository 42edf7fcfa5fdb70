/* map.h - feature maps: [height][width][pitch] elements, see kernels.h. */
#ifndef RST_MODEL_MAP_H
#define RST_MODEL_MAP_H

#include "kernels/kernels.h"

typedef struct rst_map {
  uint8_t *data;
  size_t width, height;
  size_t pixel; /* bytes from one pixel to the next */
  size_t bytes;
  struct rst_span *span; /* of the run's memory that it lies in */
} rst_map;

/* Bytes of such a map; SIZE_MAX when that does not fit. */
size_t rst_map_bytes(size_t width, size_t height, size_t channels, size_t element);

static inline uint8_t *rst_map_at(const rst_map *map, size_t x, size_t y) {
  return map->data + (y * map->width + x) * map->pixel;
}

/* Gives the memory of the rows before `y` back; they must not be read again. */
void rst_map_release_rows(rst_map *map, size_t y);

#endif
