/* Finding out what a picture file is, by its content. */
#include <string.h>

#include "base/error.h"
#include "image/image.h"

/* A magic number at the beginning or at `offset`. A dot in `magic` stands for any byte. */
typedef struct signature {
  const char *magic;
  size_t length, offset;
  const char *format; /* with its article, where there is no reader */
  rst_status (*read)(const rst_source *source, rst_picture *picture);
} signature;

#define MAGIC(text) text, sizeof(text) - 1

static const signature signatures[] = {
    {MAGIC("\x89PNG\r\n\x1a\n"), 0, "PNG", rst_png_read},
    {MAGIC("\xff\xd8\xff"), 0, "JPEG", rst_jpeg_read},
    {MAGIC("BM"), 0, "BMP", rst_bmp_read},
    {MAGIC("P1"), 0, "PNM", rst_pnm_read},
    {MAGIC("P2"), 0, "PNM", rst_pnm_read},
    {MAGIC("P3"), 0, "PNM", rst_pnm_read},
    {MAGIC("P4"), 0, "PNM", rst_pnm_read},
    {MAGIC("P5"), 0, "PNM", rst_pnm_read},
    {MAGIC("P6"), 0, "PNM", rst_pnm_read},
    {MAGIC("PF"), 0, "PFM", rst_pfm_read},
    {MAGIC("Pf"), 0, "PFM", rst_pfm_read},
    /* Recognised to be refused by name. */
    {MAGIC("GIF87a"), 0, "a GIF", NULL},
    {MAGIC("GIF89a"), 0, "a GIF", NULL},
    {MAGIC("RIFF....WEBP"), 0, "a WebP", NULL},
    {MAGIC("ftypavif"), 4, "an AVIF", NULL},
    {MAGIC("ftypavis"), 4, "an AVIF", NULL},
    {MAGIC("ftyphe"), 4, "a HEIC", NULL},
    {MAGIC("ftypmif1"), 4, "a HEIF", NULL},
    {MAGIC("ftypmsf1"), 4, "a HEIF", NULL},
    {MAGIC("II*\0"), 0, "a TIFF (or a camera's raw)", NULL},
    {MAGIC("MM\0*"), 0, "a TIFF (or a camera's raw)", NULL},
    {MAGIC("II+\0"), 0, "a TIFF", NULL},
    {MAGIC("MM\0+"), 0, "a TIFF", NULL},
    {MAGIC("P7"), 0, "a PAM", NULL},
    {MAGIC("8BPS"), 0, "a Photoshop", NULL},
    {MAGIC("#?R"), 0, "a Radiance HDR", NULL},
    {MAGIC("v/1\x01"), 0, "an OpenEXR", NULL},
    {MAGIC("\xff\x0a"), 0, "a JPEG XL", NULL},
    {MAGIC("\0\0\0\x0cJXL "), 0, "a JPEG XL", NULL},
    {MAGIC("\0\0\0\x0cjP  "), 0, "a JPEG 2000", NULL},
    {MAGIC("\xff\x4f\xff\x51"), 0, "a JPEG 2000", NULL},
    {MAGIC("qoif"), 0, "a QOI", NULL},
    {MAGIC("farbfeld"), 0, "a farbfeld", NULL},
    {MAGIC("DDS "), 0, "a DDS", NULL},
    {MAGIC("\x8aMNG"), 0, "an MNG", NULL},
    {MAGIC("\0\0\1\0"), 0, "an icon (ICO)", NULL},
    {MAGIC("%PDF"), 0, "a PDF", NULL},
    {MAGIC("<?xml"), 0, "an XML or SVG", NULL},
    {MAGIC("<svg"), 0, "an SVG", NULL},
};

static bool matches(const signature *s, const rst_source *source) {
  if (source->size < s->offset + s->length) return false;
  for (size_t i = 0; i < s->length; i++)
    if (s->magic[i] != '.' && (uint8_t)s->magic[i] != source->data[s->offset + i]) return false;
  return true;
}

static rst_status read_source(const rst_source *source, rst_picture *picture) {
  if (source->size == 0) return rst_source_fail(source, "is empty");
  for (size_t i = 0; i < sizeof signatures / sizeof signatures[0]; i++) {
    const signature *s = &signatures[i];
    if (!matches(s, source)) continue;
    if (s->read != NULL) return s->read(source, picture);
    return rst_source_fail(source, "is %s file, expected PNG, JPEG, BMP, TGA, PNM or PFM", s->format);
  }
  if (rst_tga_plausible(source->data, source->size)) return rst_tga_read(source, picture);
  return rst_source_fail(source, "unknown content, expected PNG, JPEG, BMP, TGA, PNM or PFM");
}

rst_status rst_picture_read(const char *path, rst_picture *picture, rst_error *err) {
  rst_mapping mapping;
  *picture = (rst_picture){0};
  rst_status status = rst_map_file(path, RST_ERROR_INPUT, &mapping, err);
  if (status != RST_OK) return status;
  rst_source source = {path, mapping.data, mapping.size, err};
  status = read_source(&source, picture);
  rst_unmap_file(&mapping);
  return rst_end(err, status);
}
