#include "pictures.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "noise.h"

/* ---- Folders ------------------------------------------------------------------------------- */

static bool is_picture(const char *name) {
  const rst_image_format *format = rst_image_format_of(name);
  return name[0] != '.' && format != NULL && format->reads;
}

static int by_name(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool append(picture_list *list, const char *name) {
  char **names = realloc(list->names, (list->count + 1) * sizeof *names);
  if (names == NULL) return false;
  list->names = names;
  names[list->count] = strdup(name);
  return names[list->count] != NULL && ++list->count > 0;
}

rst_status pictures_list(const char *folder, picture_list *list, rst_error *err) {
  *list = (picture_list){0};
  DIR *directory = opendir(folder);
  if (directory == NULL)
    return rst_fail(err, RST_ERROR_INPUT, "%s: cannot be read: %s", folder, strerror(errno));
  bool complete = true;
  for (struct dirent *entry; complete && (entry = readdir(directory)) != NULL;)
    if (is_picture(entry->d_name)) complete = append(list, entry->d_name);
  closedir(directory);
  if (!complete || list->count == 0) {
    pictures_free(list);
    return complete ? rst_fail(err, RST_ERROR_INPUT, "%s: holds no pictures", folder)
                    : rst_fail_memory(err, "a list of files");
  }
  qsort(list->names, list->count, sizeof *list->names, by_name);
  return RST_OK;
}

void pictures_free(picture_list *list) {
  for (size_t i = 0; i < list->count; i++) free(list->names[i]);
  free(list->names);
  *list = (picture_list){0};
}

/* ---- Samples ------------------------------------------------------------------------------- */

rst_status pictures_to_bytes(const rst_image *picture, rst_image **bytes, rst_error *err) {
  const size_t width = rst_image_width(picture), height = rst_image_height(picture);
  const size_t from = (size_t)rst_image_channels(picture), to = from >= 3 ? 3 : 1;
  const rst_status status = rst_image_create(width, height, (int)to, RST_SAMPLE_U8, bytes, err);
  if (status != RST_OK) return status;
  uint8_t *samples = rst_image_samples(*bytes);
  for (size_t i = 0; i < width * height; i++)
    for (size_t c = 0; c < to; c++)
      samples[i * to + c] = (uint8_t)lrint(255 * fmin(fmax(rst_image_value(picture, i * from + c), 0), 1));
  return RST_OK;
}

rst_status pictures_add_noise(const rst_image *clean, const char *name, double sigma, rst_image **noisy,
                              rst_error *err) {
  const size_t width = rst_image_width(clean), height = rst_image_height(clean);
  const int channels = rst_image_channels(clean);
  const rst_status status = rst_image_create(width, height, channels, RST_SAMPLE_F32, noisy, err);
  if (status != RST_OK) return status;
  noise source;
  noise_start(&source, name);
  const uint8_t *from = rst_image_samples(clean);
  float *samples = rst_image_samples(*noisy);
  for (size_t i = 0; i < width * height * (size_t)channels; i++)
    samples[i] = (float)((from[i] + sigma * noise_next(&source)) / 255);
  return RST_OK;
}

rst_status pictures_through_jpeg(const rst_image *clean, int quality, rst_image **degraded, rst_error *err) {
  rst_image_write_options options;
  rst_image_write_options_init(&options);
  options.format = "jpeg", options.quality = quality;
  void *data = NULL;
  size_t size = 0;
  rst_status status = rst_image_encode(clean, &options, &data, &size, err);
  if (status == RST_OK) status = rst_image_decode("JPEG", data, size, NULL, degraded, err);
  rst_free(data);
  return status;
}

/* ---- The contact sheet --------------------------------------------------------------------- */

enum { CELL = 256, GAP = 4 };

rst_status contact_sheet_create(size_t rows, size_t columns, contact_sheet *sheet, rst_error *err) {
  const size_t width = columns * (CELL + GAP) + GAP, height = rows * (CELL + GAP) + GAP;
  *sheet = (contact_sheet){.rows = rows, .columns = columns};
  const rst_status status = rst_image_create(width, height, 3, RST_SAMPLE_U8, &sheet->picture, err);
  if (status == RST_OK) memset(rst_image_samples(sheet->picture), 255, width * height * 3);
  return status;
}

void contact_sheet_put(contact_sheet *sheet, size_t row, size_t column, const rst_image *bytes) {
  const size_t all_width = rst_image_width(bytes), all_height = rst_image_height(bytes);
  const size_t width = all_width < CELL ? all_width : CELL, height = all_height < CELL ? all_height : CELL;
  const size_t left = (all_width - width) / 2, top = (all_height - height) / 2;
  const size_t channels = (size_t)rst_image_channels(bytes), stride = rst_image_width(sheet->picture);
  for (size_t y = 0; y < height; y++) {
    const uint8_t *from = rst_image_samples(bytes);
    from += ((top + y) * all_width + left) * channels;
    uint8_t *to = rst_image_samples(sheet->picture);
    to += ((row * (CELL + GAP) + GAP + y) * stride + column * (CELL + GAP) + GAP) * 3;
    for (size_t x = 0; x < width; x++)
      for (size_t c = 0; c < 3; c++) to[3 * x + c] = from[x * channels + (channels == 1 ? 0 : c)];
  }
}
