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

bool rst_map_alloc(rst_map *map, size_t width, size_t height, size_t channels, size_t element) {
  *map = (rst_map){.width = width, .height = height};
  map->bytes = rst_map_bytes(width, height, channels, element);
  if (map->bytes == SIZE_MAX) return false;
  map->pixel = rst_round_up(channels, RST_GROUP) * element;
  map->data = rst_pages_alloc(map->bytes);
  return map->data != NULL;
}

void rst_map_free(rst_map *map) {
  rst_pages_free(map->data, map->bytes);
  *map = (rst_map){0};
}

void rst_map_release_rows(rst_map *map, size_t y) {
  rst_pages_release(map->data, y * map->width * map->pixel);
}
