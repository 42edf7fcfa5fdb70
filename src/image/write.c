/* Writing a picture in the format that its file name asks for. */
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "image/image.h"

typedef rst_status (*writer)(rst_output *output, const rst_picture *picture, rst_error *err);

static writer find_writer(const char *path) {
  static const struct {
    const char *ending;
    writer write;
  } writers[] = {{".png", rst_png_write}, {".jpg", rst_jpeg_write}, {".jpeg", rst_jpeg_write},
                 {".bmp", rst_bmp_write}, {".tga", rst_tga_write},  {".pfm", rst_pfm_write}};
  const char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;
  size_t n = strlen(name);
  for (size_t i = 0; i < sizeof writers / sizeof writers[0]; i++) {
    size_t m = strlen(writers[i].ending);
    if (n >= m && strcasecmp(name + n - m, writers[i].ending) == 0) return writers[i].write;
  }
  return NULL;
}

bool rst_picture_can_write(const char *path) {
  return find_writer(path) != NULL;
}

rst_status rst_picture_write(const char *path, const rst_picture *picture, rst_error *err) {
  writer write = find_writer(path);
  if (write == NULL)
    return rst_fail(err, RST_ERROR_OUTPUT,
                    "%s: unknown ending, expected .png, .jpg, .jpeg, .bmp, .tga or .pfm", path);
  if (picture->samples == NULL || picture->width == 0 || picture->height == 0 || picture->channels < 1 ||
      picture->channels > 4)
    return rst_fail(err, RST_ERROR_OUTPUT, "%s: there is no picture to write", path);
  rst_output output;
  rst_status status = rst_output_open(path, &output, err);
  if (status != RST_OK) return status;
  status = write(&output, picture, err);
  if (status == RST_OK) return rst_end(err, rst_output_commit(&output, err));
  rst_output_discard(&output);
  return status;
}
