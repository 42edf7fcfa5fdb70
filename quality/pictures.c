#include "pictures.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "noise.h"

/* ---- Folders ------------------------------------------------------------------------------- */

static bool is_picture(const char *name) {
  static const char *const endings[] = {".png", ".jpg", ".jpeg", ".bmp", ".tga",
                                        ".pgm", ".ppm", ".pnm",  ".pfm"};
  const char *dot = strrchr(name, '.');
  if (dot == NULL || dot == name || name[0] == '.') return false;
  for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
    if (strcasecmp(dot, endings[i]) == 0) return true;
  return false;
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

static rst_status create(const rst_picture *like, int channels, rst_sample sample, rst_picture *picture,
                         rst_error *err) {
  *picture =
      (rst_picture){.width = like->width, .height = like->height, .channels = channels, .sample = sample};
  picture->samples = calloc(like->width * like->height, (size_t)channels * rst_sample_size(sample));
  return picture->samples == NULL ? rst_fail_memory(err, "a picture") : RST_OK;
}

rst_status pictures_to_bytes(const rst_picture *picture, rst_picture *bytes, rst_error *err) {
  const size_t from = (size_t)picture->channels, to = from >= 3 ? 3 : 1;
  const rst_status status = create(picture, (int)to, RST_SAMPLE_U8, bytes, err);
  if (status != RST_OK) return status;
  uint8_t *samples = bytes->samples;
  for (size_t i = 0; i < picture->width * picture->height; i++)
    for (size_t c = 0; c < to; c++)
      samples[i * to + c] = (uint8_t)lrint(255 * fmin(fmax(rst_picture_value(picture, i * from + c), 0), 1));
  return RST_OK;
}

rst_status pictures_add_noise(const rst_picture *clean, const char *name, double sigma, rst_picture *noisy,
                              rst_error *err) {
  const rst_status status = create(clean, clean->channels, RST_SAMPLE_F32, noisy, err);
  if (status != RST_OK) return status;
  noise source;
  noise_start(&source, name);
  float *samples = noisy->samples;
  for (size_t i = 0; i < clean->width * clean->height * (size_t)clean->channels; i++)
    samples[i] = (float)((((const uint8_t *)clean->samples)[i] + sigma * noise_next(&source)) / 255);
  return RST_OK;
}

/* ---- The contact sheet --------------------------------------------------------------------- */

enum { CELL = 256, GAP = 4 };

rst_status contact_sheet_create(size_t rows, size_t columns, contact_sheet *sheet, rst_error *err) {
  const rst_picture size = {.width = columns * (CELL + GAP) + GAP, .height = rows * (CELL + GAP) + GAP};
  *sheet = (contact_sheet){.rows = rows, .columns = columns};
  const rst_status status = create(&size, 3, RST_SAMPLE_U8, &sheet->picture, err);
  if (status == RST_OK) memset(sheet->picture.samples, 255, size.width * size.height * 3);
  return status;
}

void contact_sheet_put(contact_sheet *sheet, size_t row, size_t column, const rst_picture *bytes) {
  const size_t width = bytes->width < CELL ? bytes->width : CELL,
               height = bytes->height < CELL ? bytes->height : CELL;
  const size_t left = (bytes->width - width) / 2, top = (bytes->height - height) / 2;
  const size_t channels = (size_t)bytes->channels;
  for (size_t y = 0; y < height; y++) {
    const uint8_t *from = (const uint8_t *)bytes->samples + ((top + y) * bytes->width + left) * channels;
    uint8_t *to = sheet->picture.samples;
    to += ((row * (CELL + GAP) + GAP + y) * sheet->picture.width + column * (CELL + GAP) + GAP) * 3;
    for (size_t x = 0; x < width; x++)
      for (size_t c = 0; c < 3; c++) to[3 * x + c] = from[x * channels + (channels == 1 ? 0 : c)];
  }
}
