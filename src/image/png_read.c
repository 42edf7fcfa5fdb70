/* Reading PNG: the chunks. What a decoder can do without is left out with a warning when it is damaged or out
 * of place; what the pixels depend on must be right. (Portable Network Graphics Specification, third
 * edition.) */
#include <string.h>

#include <zlib.h>

#include "base/error.h"
#include "image/png.h"

enum { IHDR_SIZE = 13 };

typedef struct chunk {
  const uint8_t *data;
  size_t size;
  char type[5];
  bool damaged; /* its CRC is wrong, and it is one that a reader can do without */
} chunk;

/* Where the reader is in the file. */
typedef struct reader {
  const rst_source *source;
  rst_image *image; /* gets metadata, and in the end pixels */
  rst_png png;
  size_t position;
  bool has_header, idat_over, ended;
} reader;

/* ---- Chunks -------------------------------------------------------------------------------- */

/* A capital first letter: a decoder must not go on without understanding the chunk. */
static bool is_critical(const chunk *c) {
  return c->type[0] >= 'A' && c->type[0] <= 'Z';
}

static rst_status leave_out(const reader *r, const chunk *c, const char *why) {
  rst_source_warn(r->source, "PNG: chunk %s is left out: %s", c->type, why);
  return RST_OK;
}

/* The chunk at r->position, its frame and CRC checked. */
static rst_status next_chunk(reader *r, chunk *c) {
  const rst_source *s = r->source;
  size_t left = s->size - r->position;
  const uint8_t *p = s->data + r->position;
  if (left < RST_PNG_CHUNK_FRAME)
    return rst_source_fail(s, "PNG: ends at byte %zu without an IEND chunk (cut off?)", s->size);
  for (int i = 0; i < 4; i++) {
    uint8_t letter = p[4 + i];
    if (!((letter >= 'A' && letter <= 'Z') || (letter >= 'a' && letter <= 'z')))
      return rst_source_fail(s, "PNG: byte %zu: expected the name of a chunk", r->position + 4);
  }
  memcpy(c->type, p + 4, 4);
  c->type[4] = '\0';
  c->size = rst_be32(p);
  c->data = p + RST_PNG_CHUNK_HEADER;
  if (c->size > left - RST_PNG_CHUNK_FRAME)
    return rst_source_fail(s, "PNG: chunk %s has %zu bytes, but the file ends after %zu (cut off?)", c->type,
                           c->size, left - RST_PNG_CHUNK_HEADER);
  c->damaged = (uint32_t)crc32_z(0, p + 4, c->size + 4) != rst_be32(c->data + c->size);
  if (c->damaged && is_critical(c))
    return rst_source_fail(s, "PNG: chunk %s is damaged (its CRC is wrong)", c->type);
  r->position += RST_PNG_CHUNK_FRAME + c->size;
  return RST_OK;
}

static bool depth_fits(int color_type, int depth) {
  switch (color_type) {
    case RST_PNG_GREY:
      return depth == 1 || depth == 2 || depth == 4 || depth == 8 || depth == 16;
    case RST_PNG_PALETTE:
      return depth == 1 || depth == 2 || depth == 4 || depth == 8;
    case RST_PNG_RGB:
    case RST_PNG_GREY_ALPHA:
    case RST_PNG_RGBA:
      return depth == 8 || depth == 16;
    default:
      return false;
  }
}

static rst_status read_ihdr(reader *r, const chunk *c) {
  static const int channels[] = {1, 0, 3, 1, 2, 0, 4};
  const rst_source *s = r->source;
  rst_png *png = &r->png;
  if (r->has_header) return rst_source_fail(s, "PNG: a second IHDR chunk");
  if (c->size != IHDR_SIZE) return rst_source_fail(s, "PNG: chunk IHDR has %zu bytes, expected 13", c->size);
  png->width = rst_be32(c->data);
  png->height = rst_be32(c->data + 4);
  png->depth = c->data[8];
  png->color_type = c->data[9];
  if (!depth_fits(png->color_type, png->depth))
    return rst_source_fail(s, "PNG: colour type %d with %d bits, which does not exist", png->color_type,
                           png->depth);
  if (c->data[10] != 0) return rst_source_fail(s, "PNG: compression method %d, expected 0", c->data[10]);
  if (c->data[11] != 0) return rst_source_fail(s, "PNG: filter method %d, expected 0", c->data[11]);
  if (c->data[12] > 1) return rst_source_fail(s, "PNG: interlace method %d, expected 0 or 1", c->data[12]);
  png->interlaced = c->data[12] == 1;
  png->channels = channels[png->color_type];
  r->has_header = true;
  return rst_source_check_size(s, "PNG", png->width, png->height);
}

static rst_status read_plte(reader *r, const chunk *c) {
  const rst_source *s = r->source;
  rst_png *png = &r->png;
  const bool needed = png->color_type == RST_PNG_PALETTE;
  size_t most = needed ? (size_t)1 << png->depth : 256;
  if (png->idat_count != 0) return leave_out(r, c, "it comes after the pixels");
  if (png->palette_size != 0) return rst_source_fail(s, "PNG: a second PLTE chunk");
  if (c->size == 0 || c->size % 3 != 0 || c->size / 3 > 256) {
    if (!needed) return leave_out(r, c, "its size is wrong");
    return rst_source_fail(s, "PNG: chunk PLTE has %zu bytes, expected 3 for each of 1 to 256 colours",
                           c->size);
  }
  if (c->size / 3 > most)
    rst_source_warn(s, "PNG: chunk PLTE has %zu colours, of which %d bits reach %zu", c->size / 3, png->depth,
                    most);
  png->palette_size = (int)(c->size / 3 < most ? c->size / 3 : most);
  for (int i = 0; i < png->palette_size; i++) {
    memcpy(png->palette[i], c->data + 3 * i, 3);
    png->palette[i][3] = 255;
  }
  return RST_OK;
}

static rst_status read_trns(reader *r, const chunk *c) {
  rst_png *png = &r->png;
  if (png->idat_count != 0) return leave_out(r, c, "it comes after the pixels");
  if (png->transparent) return leave_out(r, c, "it is the second one");
  if (png->color_type == RST_PNG_PALETTE) {
    if (png->palette_size == 0) return leave_out(r, c, "it comes before the palette");
    if (c->size == 0 || c->size > (size_t)png->palette_size) return leave_out(r, c, "its size is wrong");
    for (size_t i = 0; i < c->size; i++) png->palette[i][3] = c->data[i];
  } else {
    if (png->color_type != RST_PNG_GREY && png->color_type != RST_PNG_RGB)
      return leave_out(r, c, "the picture has alpha");
    if (c->size != 2 * (size_t)png->channels) return leave_out(r, c, "its size is wrong");
    for (int i = 0; i < png->channels; i++) png->transparent_color[i] = (uint16_t)rst_be16(c->data + 2 * i);
  }
  png->transparent = true;
  return RST_OK;
}

static rst_status read_idat(reader *r, const chunk *c) {
  rst_png *png = &r->png;
  if (png->color_type == RST_PNG_PALETTE && png->palette_size == 0)
    return rst_source_fail(r->source, "PNG: no PLTE chunk before the pixels");
  if (r->idat_over) return leave_out(r, c, "it is not together with the others");
  if (png->idat_count++ == 0) png->idat = c->data - RST_PNG_CHUNK_HEADER;
  png->idat_size += c->size;
  return RST_OK;
}

static bool is(const chunk *c, const char *type) {
  return strcmp(c->type, type) == 0;
}

static rst_status read_chunk(reader *r, const chunk *c) {
  const rst_source *s = r->source;
  if (!r->has_header && !is(c, "IHDR"))
    return rst_source_fail(s, "PNG: the first chunk is %s, expected IHDR", c->type);
  if (!is(c, "IDAT")) r->idat_over = r->png.idat_count != 0;
  if (is(c, "IHDR")) return read_ihdr(r, c);
  if (is(c, "PLTE")) return read_plte(r, c);
  if (is(c, "IDAT")) return read_idat(r, c);
  if (is(c, "IEND")) {
    r->ended = true;
    return r->png.idat_count != 0 ? RST_OK : rst_source_fail(s, "PNG: no IDAT chunk");
  }
  if (is_critical(c)) return rst_source_fail(s, "PNG: unknown critical chunk %s", c->type);
  if (c->damaged) return leave_out(r, c, "it is damaged (its CRC is wrong)");
  if (is(c, "tRNS")) return read_trns(r, c);
  if (is(c, "acTL")) rst_source_warn(s, "PNG: is animated; only its still picture is read");
  if (!rst_png_read_metadata(c->type, c->data, c->size, r->image))
    return leave_out(r, c, "it cannot be understood");
  return RST_OK;
}

rst_status rst_png_read(const rst_source *source, rst_image *image) {
  reader r = {.source = source, .image = image, .position = RST_PNG_SIGNATURE_SIZE};
  while (!r.ended) {
    chunk c;
    rst_status status = next_chunk(&r, &c);
    if (status == RST_OK) status = read_chunk(&r, &c);
    if (status != RST_OK) return status;
  }
  return rst_png_read_pixels(source, &r.png, image);
}
