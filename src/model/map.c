#include "model/map.h"

#include "base/memory.h"
#include "base/pages.h"

size_t rst_map_bytes(size_t width, size_t height, size_t channels, size_t element) {
  size_t bytes;
  if (channels > SIZE_MAX / 2 || !rst_mul(rst_round_up(channels, RST_GROUP), element, &bytes) ||
      !rst_mul(bytes, width, &bytes) || !rst_mul(bytes, height, &bytes))
    return SIZE_MAX;
  return bytes;
}

void rst_map_release_rows(rst_map *map, size_t y) {
  rst_pages_release(map->data, y * map->width * map->pixel);
}
