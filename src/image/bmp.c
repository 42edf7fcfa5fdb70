/* BMP, uncompressed: 1, 4 and 8 bits with a palette, 16, 24 and 32 bits with or without masks, from the core
 * header of OS/2 to BITMAPV5HEADER. */
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "image/image.h"

enum { FILE_HEADER = 14, CORE_HEADER = 12, INFO_HEADER = 40, V4_HEADER = 108, V5_HEADER = 124 };
enum { RGB = 0, RLE8 = 1, RLE4 = 2, BITFIELDS = 3, ALPHABITFIELDS = 6 };

/* The bits of a channel within a pixel; shift and max are those of the mask. */
typedef struct field {
  uint32_t mask, max;
  int shift;
} field;

typedef struct bmp {
  const rst_source *source;
  size_t header; /* bytes, without the file header's */
  size_t width, height;
  bool top_down;
  int bits, compression;
  size_t offset, stride; /* bytes */
  uint8_t palette[256][3];
  size_t palette_size;
  bool grey_palette;
  field fields[4]; /* R, G, B, A; A has no mask where there is no alpha */
} bmp;

/* ---- Reading ------------------------------------------------------------------------------- */

static rst_status read_header(bmp *b) {
  const rst_source *s = b->source;
  const uint8_t *p = s->data;
  if (s->size < FILE_HEADER + CORE_HEADER) return rst_source_fail(s, "BMP: the header is cut off");
  b->offset = rst_le32(p + 10);
  b->header = rst_le32(p + 14);
  if (b->header != CORE_HEADER && (b->header < INFO_HEADER || b->header > V5_HEADER))
    return rst_source_fail(s, "BMP: header of %zu bytes, expected 12 or 40 to 124", b->header);
  if (s->size < FILE_HEADER + b->header) return rst_source_fail(s, "BMP: the header is cut off");
  if (b->header == CORE_HEADER) {
    b->width = rst_le16(p + 18);
    b->height = rst_le16(p + 20);
    b->bits = (int)rst_le16(p + 24);
  } else {
    int32_t width = (int32_t)rst_le32(p + 18), height = (int32_t)rst_le32(p + 22);
    if (width < 0) return rst_source_fail(s, "BMP: negative width");
    b->width = (size_t)width;
    b->top_down = height < 0;
    b->height = (size_t)(height < 0 ? -(int64_t)height : height);
    b->bits = (int)rst_le16(p + 28);
    uint32_t compression = rst_le32(p + 30);
    if (compression == RLE8 || compression == RLE4)
      return rst_source_fail(s, "BMP: is run-length encoded, expected an uncompressed file");
    bool masks =
        (compression == BITFIELDS || compression == ALPHABITFIELDS) && (b->bits == 16 || b->bits == 32);
    if (compression != RGB && !masks)
      return rst_source_fail(s, "BMP: compression method %u with %d bits, expected none", compression,
                             b->bits);
    b->compression = (int)compression;
  }
  if (b->bits != 1 && b->bits != 4 && b->bits != 8 && b->bits != 16 && b->bits != 24 && b->bits != 32)
    return rst_source_fail(s, "BMP: %d bits per pixel, expected 1, 4, 8, 16, 24 or 32", b->bits);
  return rst_source_check_size(s, "BMP", b->width, b->height);
}

static rst_status read_palette(bmp *b) {
  const rst_source *s = b->source;
  size_t entry = b->header == CORE_HEADER ? 3 : 4, most = (size_t)1 << b->bits;
  size_t used = b->header == CORE_HEADER ? 0 : rst_le32(s->data + 46);
  b->palette_size = used == 0 || used > most ? most : used;
  size_t begin = FILE_HEADER + b->header;
  if (begin + b->palette_size * entry > s->size) return rst_source_fail(s, "BMP: the palette is cut off");
  b->grey_palette = true;
  for (size_t i = 0; i < b->palette_size; i++) {
    const uint8_t *p = s->data + begin + i * entry;
    uint8_t *rgb = b->palette[i];
    rgb[0] = p[2], rgb[1] = p[1], rgb[2] = p[0];
    b->grey_palette = b->grey_palette && rgb[0] == rgb[1] && rgb[1] == rgb[2];
  }
  return RST_OK;
}

static bool set_field(field *f, uint32_t mask) {
  *f = (field){.mask = mask, .max = mask};
  if (mask == 0) return false;
  for (; (f->max & 1) == 0; f->max >>= 1) f->shift++;
  return (f->max & (f->max + 1)) == 0; /* ones without a gap */
}

static rst_status read_masks(bmp *b) {
  const rst_source *s = b->source;
  static const uint32_t masks16[] = {0x7c00, 0x03e0, 0x001f, 0},
                        masks32[] = {0xff0000, 0xff00, 0xff, 0xff000000};
  uint32_t masks[4] = {0};
  if (b->compression == RGB) {
    memcpy(masks, b->bits == 16 ? masks16 : masks32, sizeof masks);
    if (b->bits == 24) masks[3] = 0;
  } else {
    /* Within the longer headers, behind the plain one. */
    size_t count = b->compression == ALPHABITFIELDS || b->header >= INFO_HEADER + 16 ? 4 : 3;
    size_t begin = FILE_HEADER + INFO_HEADER;
    if (begin + 4 * count > s->size) return rst_source_fail(s, "BMP: the masks are cut off");
    for (size_t i = 0; i < count; i++) masks[i] = rst_le32(s->data + begin + 4 * i);
  }
  for (int i = 0; i < 4; i++) {
    bool optional = i == 3 && masks[i] == 0;
    if (!set_field(&b->fields[i], masks[i]) && !optional)
      return rst_source_fail(s, "BMP: mask %08x of channel %d, expected ones in a row", masks[i], i);
  }
  return RST_OK;
}

static uint8_t get_field(const field *f, uint32_t pixel) {
  uint64_t value = (pixel & f->mask) >> f->shift;
  return (uint8_t)((value * 255 + f->max / 2) / f->max);
}

static uint32_t get_pixel(const bmp *b, const uint8_t *row, size_t x) {
  switch (b->bits) {
    case 16:
      return rst_le16(row + 2 * x);
    case 24:
      return rst_le16(row + 3 * x) | (uint32_t)row[3 * x + 2] << 16;
    case 32:
      return rst_le32(row + 4 * x);
    default: { /* packed palette indices, the leftmost in the highest bits */
      size_t per_byte = 8 / (size_t)b->bits;
      size_t shift = 8 - (size_t)b->bits * (x % per_byte + 1);
      return (uint32_t)row[x / per_byte] >> shift & ((1u << b->bits) - 1);
    }
  }
}

static const uint8_t *get_row(const bmp *b, size_t y) {
  return b->source->data + b->offset + (b->top_down ? y : b->height - 1 - y) * b->stride;
}

/* A plain 32-bit file has alpha or four wasted bytes: it is taken for alpha where it is not 0 everywhere. */
static bool alpha_is_used(const bmp *b) {
  for (size_t y = 0; y < b->height; y++)
    for (size_t x = 0; x < b->width; x++)
      if ((get_pixel(b, get_row(b, y), x) & b->fields[3].mask) != 0) return true;
  return false;
}

static rst_status put_pixels(const bmp *b, rst_image *image) {
  size_t channels = (size_t)image->channels;
  uint8_t *out = image->samples;
  for (size_t y = 0; y < b->height; y++) {
    const uint8_t *row = get_row(b, y);
    for (size_t x = 0; x < b->width; x++, out += channels) {
      uint32_t pixel = get_pixel(b, row, x);
      if (b->bits > 8) {
        for (size_t c = 0; c < channels; c++) out[c] = get_field(&b->fields[c], pixel);
        continue;
      }
      if (pixel >= b->palette_size)
        return rst_source_fail(b->source, "BMP: row %zu: palette index %u, expected less than %zu", y, pixel,
                               b->palette_size);
      memcpy(out, b->palette[pixel], channels);
    }
  }
  return RST_OK;
}

rst_status rst_bmp_read(const rst_source *source, rst_image *image) {
  bmp b = {.source = source};
  rst_status status = read_header(&b);
  if (status == RST_OK) status = b.bits <= 8 ? read_palette(&b) : read_masks(&b);
  if (status != RST_OK) return status;
  size_t row_bits = b.width * (size_t)b.bits;
  b.stride = (row_bits + 31) / 32 * 4;
  size_t need = b.stride * (b.height - 1) + (row_bits + 7) / 8; /* the last row may lack its padding */
  if (b.offset < FILE_HEADER + b.header)
    return rst_source_fail(source, "BMP: the pixels begin within the header");
  if (b.offset > source->size || need > source->size - b.offset)
    return rst_source_fail(source, "BMP: %zu bytes, expected %zu (cut off?)", source->size, b.offset + need);
  int channels = b.bits <= 8 && b.grey_palette ? 1 : 3;
  if (b.fields[3].mask != 0 && (b.compression != RGB || alpha_is_used(&b))) channels = 4;
  status = rst_source_allocate(source, "BMP", b.width, b.height, channels, RST_SAMPLE_U8, image);
  return status == RST_OK ? put_pixels(&b, image) : status;
}

/* ---- Writing ------------------------------------------------------------------------------- */

/* 8 bits with a palette of greys, 24 bits, or 32 bits with alpha. */
static int bits_for(int channels) {
  return channels == 1 ? 8 : channels == 3 ? 24 : 32;
}

static void write_headers(rst_sink *sink, const rst_image *image, size_t offset, size_t bytes) {
  uint8_t h[FILE_HEADER + V4_HEADER] = {'B', 'M'};
  int bits = bits_for(image->channels);
  size_t header = bits == 32 ? V4_HEADER : INFO_HEADER;
  rst_put_le32(h + 2, (uint32_t)(offset + bytes));
  rst_put_le32(h + 10, (uint32_t)offset);
  rst_put_le32(h + 14, (uint32_t)header);
  rst_put_le32(h + 18, (uint32_t)image->width);
  rst_put_le32(h + 22, (uint32_t)image->height);
  rst_put_le16(h + 26, 1); /* planes */
  rst_put_le16(h + 28, (uint32_t)bits);
  rst_put_le32(h + 30, bits == 32 ? BITFIELDS : RGB);
  rst_put_le32(h + 34, (uint32_t)bytes);
  rst_put_le32(h + 46, bits == 8 ? 256 : 0); /* palette entries */
  if (bits == 32) {
    static const uint32_t masks[] = {0xff0000, 0xff00, 0xff, 0xff000000};
    for (size_t i = 0; i < 4; i++) rst_put_le32(h + 54 + 4 * i, masks[i]);
    memcpy(h + 70, "BGRs", 4); /* the sRGB colour space */
  }
  rst_sink_write(sink, h, FILE_HEADER + header);
  for (unsigned i = 0; bits == 8 && i < 256; i++) {
    uint8_t entry[4] = {(uint8_t)i, (uint8_t)i, (uint8_t)i, 0};
    rst_sink_write(sink, entry, sizeof entry);
  }
}

/* `from` in the picture's channels to BGR or BGRA; grey stays. */
static void swap_row(const uint8_t *from, int channels, size_t width, uint8_t *to) {
  if (channels == 1) memcpy(to, from, width);
  for (size_t x = 0; channels > 1 && x < width; x++, from += channels) {
    bool color = channels >= 3;
    *to++ = from[color ? 2 : 0];
    *to++ = from[color ? 1 : 0];
    *to++ = from[0];
    if (rst_has_alpha(channels)) *to++ = from[channels - 1];
  }
}

rst_status rst_bmp_write(rst_sink *sink, const rst_image *image) {
  int bits = bits_for(image->channels);
  size_t offset = (size_t)FILE_HEADER + (bits == 32 ? V4_HEADER : INFO_HEADER) + (bits == 8 ? 1024 : 0);
  size_t stride = (image->width * (size_t)bits + 31) / 32 * 4; /* the table's limits keep it from wrapping */
  uint8_t *row = rst_alloc(image->width, (size_t)image->channels), *swapped = rst_alloc_zeroed(stride, 1);
  rst_status status = row == NULL || swapped == NULL ? rst_fail_memory(sink->err, sink->path) : RST_OK;
  if (status == RST_OK) write_headers(sink, image, offset, stride * image->height);
  for (size_t y = image->height; status == RST_OK && y-- > 0;) {
    rst_image_row(image, y, RST_SAMPLE_U8, NULL, row);
    swap_row(row, image->channels, image->width, swapped);
    if (!rst_sink_write(sink, swapped, stride)) break;
  }
  rst_free(swapped);
  rst_free(row);
  return status;
}
