/* Reading PNG: the chunks. stb_image inflates; its own PNG reader checks no CRC, takes cut files, and lets a
 * few bytes of a hostile file grow without limit. (Portable Network Graphics Specification, third edition.)
 */
#include <limits.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "image/png.h"
#include "image/stb.h"

enum { CHUNK_HEADER = 8, CHUNK_FRAME = 12, IHDR_SIZE = 13 };
/* Deflate makes at most 258 bytes of 2 bits: a file that is too short for its size is found out before memory
 * is asked for. */
enum { MAX_DEFLATE_RATIO = 1032 };

typedef struct chunk {
  const uint8_t *data;
  size_t size;
  char type[5];
} chunk;

/* Where the reader is in the file, and the pixels' chunks that it has met. */
typedef struct reader {
  const rst_source *source;
  rst_png png;
  size_t position;
  size_t first_idat;            /* position of the first IDAT chunk */
  size_t idat_count, idat_size; /* bytes of all of them */
  bool has_header, idat_over, ended;
} reader;

uint32_t rst_png_crc(uint32_t crc, const uint8_t *data, size_t size) {
  /* Four bits at a time, with the polynomial 0xedb88320. */
  static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
                                     0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                     0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
  crc = ~crc;
  for (size_t i = 0; i < size; i++) {
    crc = table[(crc ^ data[i]) & 15] ^ (crc >> 4);
    crc = table[(crc ^ (uint32_t)(data[i] >> 4)) & 15] ^ (crc >> 4);
  }
  return ~crc;
}

/* ---- Chunks -------------------------------------------------------------------------------- */

/* The chunk at r->position, its frame and CRC checked. */
static rst_status next_chunk(reader *r, chunk *c) {
  const rst_source *s = r->source;
  size_t left = s->size - r->position;
  const uint8_t *p = s->data + r->position;
  if (left < CHUNK_FRAME)
    return rst_source_fail(s, "PNG: ends at byte %zu without an IEND chunk (cut off?)", s->size);
  for (int i = 0; i < 4; i++) {
    uint8_t letter = p[4 + i];
    if (!((letter >= 'A' && letter <= 'Z') || (letter >= 'a' && letter <= 'z')))
      return rst_source_fail(s, "PNG: byte %zu: expected the name of a chunk", r->position + 4);
  }
  memcpy(c->type, p + 4, 4);
  c->type[4] = '\0';
  c->size = rst_be32(p);
  c->data = p + CHUNK_HEADER;
  if (c->size > left - CHUNK_FRAME)
    return rst_source_fail(s, "PNG: chunk %s has %zu bytes, but the file ends after %zu (cut off?)", c->type,
                           c->size, left - CHUNK_HEADER);
  if (rst_png_crc(0, p + 4, c->size + 4) != rst_be32(c->data + c->size))
    return rst_source_fail(s, "PNG: chunk %s is damaged (its CRC is wrong)", c->type);
  r->position += CHUNK_FRAME + c->size;
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
  size_t most = png->color_type == RST_PNG_PALETTE ? (size_t)1 << png->depth : 256;
  if (r->idat_count != 0) return rst_source_fail(s, "PNG: chunk PLTE after the pixels");
  if (png->palette_size != 0) return rst_source_fail(s, "PNG: a second PLTE chunk");
  if (c->size == 0 || c->size % 3 != 0 || c->size / 3 > most)
    return rst_source_fail(s, "PNG: chunk PLTE has %zu bytes, expected 3 for each of 1 to %zu colours",
                           c->size, most);
  png->palette_size = (int)(c->size / 3);
  for (int i = 0; i < png->palette_size; i++) {
    memcpy(png->palette[i], c->data + 3 * i, 3);
    png->palette[i][3] = 255;
  }
  return RST_OK;
}

static rst_status read_trns(reader *r, const chunk *c) {
  const rst_source *s = r->source;
  rst_png *png = &r->png;
  if (r->idat_count != 0) return rst_source_fail(s, "PNG: chunk tRNS after the pixels");
  if (png->transparent) return rst_source_fail(s, "PNG: a second tRNS chunk");
  png->transparent = true;
  if (png->color_type == RST_PNG_PALETTE) {
    if (png->palette_size == 0) return rst_source_fail(s, "PNG: chunk tRNS before the palette");
    if (c->size > (size_t)png->palette_size)
      return rst_source_fail(s, "PNG: chunk tRNS has %zu bytes, expected at most %d", c->size,
                             png->palette_size);
    for (size_t i = 0; i < c->size; i++) png->palette[i][3] = c->data[i];
    return RST_OK;
  }
  if (png->color_type != RST_PNG_GREY && png->color_type != RST_PNG_RGB)
    return rst_source_fail(s, "PNG: chunk tRNS in a picture with alpha");
  if (c->size != 2 * (size_t)png->channels)
    return rst_source_fail(s, "PNG: chunk tRNS has %zu bytes, expected %d", c->size, 2 * png->channels);
  for (int i = 0; i < png->channels; i++) png->transparent_color[i] = (uint16_t)rst_be16(c->data + 2 * i);
  return RST_OK;
}

static rst_status read_idat(reader *r, const chunk *c) {
  const rst_source *s = r->source;
  if (r->png.color_type == RST_PNG_PALETTE && r->png.palette_size == 0)
    return rst_source_fail(s, "PNG: no PLTE chunk before the pixels");
  if (r->idat_over) return rst_source_fail(s, "PNG: the IDAT chunks are not together");
  if (r->idat_count == 0) r->first_idat = r->position - CHUNK_FRAME - c->size;
  r->idat_count++;
  r->idat_size += c->size; /* no more than the file has */
  return RST_OK;
}

static rst_status read_chunk(reader *r, const chunk *c) {
  const rst_source *s = r->source;
  if (!r->has_header && strcmp(c->type, "IHDR") != 0)
    return rst_source_fail(s, "PNG: the first chunk is %s, expected IHDR", c->type);
  if (strcmp(c->type, "IDAT") == 0) return read_idat(r, c);
  if (r->idat_count != 0) r->idat_over = true;
  if (strcmp(c->type, "IHDR") == 0) return read_ihdr(r, c);
  if (strcmp(c->type, "PLTE") == 0) return read_plte(r, c);
  if (strcmp(c->type, "tRNS") == 0) return read_trns(r, c);
  if (strcmp(c->type, "acTL") == 0)
    return rst_source_fail(s, "is an animated PNG (APNG), expected a still picture");
  if (strcmp(c->type, "IEND") == 0) {
    r->ended = true;
    return r->idat_count != 0 ? RST_OK : rst_source_fail(s, "PNG: no IDAT chunk");
  }
  /* A capital first letter: a decoder must not go on without understanding the chunk. */
  if (c->type[0] >= 'A' && c->type[0] <= 'Z')
    return rst_source_fail(s, "PNG: unknown critical chunk %s", c->type);
  return RST_OK;
}

/* ---- Pixels -------------------------------------------------------------------------------- */

/* The data of all IDAT chunks, which next_chunk has checked, in one piece. */
static void gather_idat(const reader *r, uint8_t *out) {
  const uint8_t *p = r->source->data + r->first_idat;
  for (size_t i = 0; i < r->idat_count; i++) {
    size_t size = rst_be32(p);
    memcpy(out, p + CHUNK_HEADER, size);
    out += size;
    p += CHUNK_FRAME + size;
  }
}

static rst_status inflate_and_unpack(const reader *r, const uint8_t *zlib, uint8_t *raw, size_t raw_size,
                                     rst_image *image) {
  const char *reason;
  if (!rst_stb_inflate(zlib, r->idat_size, raw, raw_size, &reason))
    return rst_source_fail(r->source, "PNG: the compressed pixels are damaged (%s)", reason);
  return rst_png_unpack(r->source, &r->png, raw, image);
}

static rst_status read_pixels(const reader *r, rst_image *image) {
  const rst_source *s = r->source;
  size_t raw_size;
  if (!rst_png_raw_size(&r->png, &raw_size) || raw_size > INT_MAX || r->idat_size > INT_MAX)
    return rst_source_fail(s, "PNG: has more than 2 GiB of pixels");
  if (raw_size / MAX_DEFLATE_RATIO > r->idat_size)
    return rst_source_fail(s, "PNG: %zu bytes of compressed pixels are too few for %zu x %zu", r->idat_size,
                           r->png.width, r->png.height);
  uint8_t *gathered = NULL;
  const uint8_t *zlib = s->data + r->first_idat + CHUNK_HEADER;
  if (r->idat_count > 1) {
    zlib = gathered = rst_alloc(r->idat_size, 1);
    if (gathered == NULL) return rst_fail_memory(s->err, s->path);
    gather_idat(r, gathered);
  }
  uint8_t *raw = rst_alloc(raw_size, 1);
  rst_status status =
      raw == NULL ? rst_fail_memory(s->err, s->path) : inflate_and_unpack(r, zlib, raw, raw_size, image);
  rst_free(raw);
  rst_free(gathered);
  return status;
}

rst_status rst_png_read(const rst_source *source, rst_image *image) {
  reader r = {.source = source, .position = RST_PNG_SIGNATURE_SIZE};
  while (!r.ended) {
    chunk c;
    rst_status status = next_chunk(&r, &c);
    if (status == RST_OK) status = read_chunk(&r, &c);
    if (status != RST_OK) return status;
  }
  return read_pixels(&r, image);
}
