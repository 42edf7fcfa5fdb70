/* TGA: palettes, RGB and grey, plain and run-length encoded. (Truevision TGA File Format Specification,
 * version 2.0.) */
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "image/image.h"

enum { HEADER = 18, FOOTER = 26 };
enum { PALETTE = 1, COLOR = 2, GREY = 3, RUN_LENGTH = 8 }; /* RUN_LENGTH is added to the others */
enum { ALPHA_BITS = 15, RIGHT_TO_LEFT = 16, TOP_DOWN = 32, INTERLEAVING = 192 }; /* of the descriptor */

typedef struct tga {
  const rst_source *source;
  size_t position;
  int type; /* without RUN_LENGTH */
  bool packed;
  int bits, palette_bits;                      /* of a stored pixel, of a palette's colour */
  size_t palette_first, palette_size, palette; /* entries; the palette's position in the file */
  size_t width, height;
  int descriptor;
  int channels;
} tga;

static bool is_color_depth(int bits) {
  return bits == 15 || bits == 16 || bits == 24 || bits == 32;
}

bool rst_tga_plausible(const uint8_t *data, size_t size) {
  if (size < HEADER || data[1] > 1 || (data[17] & INTERLEAVING) != 0) return false;
  if (rst_le16(data + 12) == 0 || rst_le16(data + 14) == 0) return false;
  int bits = data[16];
  switch (data[2] & ~RUN_LENGTH) {
    case PALETTE:
      return data[1] == 1 && (bits == 8 || bits == 16) && is_color_depth(data[7]) && rst_le16(data + 5) > 0;
    case COLOR:
      return data[1] == 0 && is_color_depth(bits);
    case GREY:
      return data[1] == 0 && (bits == 8 || bits == 16);
    default:
      return false;
  }
}

/* ---- Reading ------------------------------------------------------------------------------- */

static size_t bytes_of(int bits) {
  return ((size_t)bits + 7) / 8;
}

static void get_color(const uint8_t *p, int bits, int channels, uint8_t *out) {
  if (bits <= 16) { /* 5 bits each; the 16th is not relied on, as nobody does */
    uint32_t v = rst_le16(p);
    for (int c = 0; c < 3; c++) out[c] = (uint8_t)(((v >> (10 - 5 * c) & 31) * 255 + 15) / 31);
    return;
  }
  out[0] = p[2], out[1] = p[1], out[2] = p[0];
  if (channels == 4) out[3] = p[3];
}

/* The stored pixel at `p` as the picture has it. */
static rst_status get_pixel(const tga *t, const uint8_t *p, uint8_t *out) {
  if (t->type == GREY) memcpy(out, p, (size_t)t->channels);
  if (t->type == COLOR) get_color(p, t->bits, t->channels, out);
  if (t->type != PALETTE) return RST_OK;
  size_t index = t->bits == 8 ? p[0] : rst_le16(p);
  if (index < t->palette_first || index - t->palette_first >= t->palette_size)
    return rst_source_fail(t->source, "TGA: palette index %zu, expected %zu to %zu", index, t->palette_first,
                           t->palette_first + t->palette_size - 1);
  size_t entry = t->palette + (index - t->palette_first) * bytes_of(t->palette_bits);
  get_color(t->source->data + entry, t->palette_bits, t->channels, out);
  return RST_OK;
}

static rst_status cut_off(const tga *t) {
  return rst_source_fail(t->source, "TGA: ends at byte %zu before its last pixel (cut off?)",
                         t->source->size);
}

/* Where the i-th stored pixel belongs. */
static uint8_t *place(const tga *t, rst_image *image, size_t i) {
  size_t x = i % t->width, y = i / t->width;
  if ((t->descriptor & RIGHT_TO_LEFT) != 0) x = t->width - 1 - x;
  if ((t->descriptor & TOP_DOWN) == 0) y = t->height - 1 - y;
  return (uint8_t *)image->samples + (y * t->width + x) * (size_t)t->channels;
}

/* Packets: a byte of 0 to 127 and as many pixels plus one, or of 128 to 255 and one pixel for as many minus
 * 127. An unpacked file is read as packets, too, that have no first byte. */
static rst_status read_pixels(const tga *t, rst_image *image) {
  const rst_source *s = t->source;
  size_t position = t->position, step = bytes_of(t->bits), count = t->width * t->height;
  for (size_t i = 0; i < count;) {
    size_t run = count;
    bool repeated = false;
    if (t->packed) {
      if (position >= s->size) return cut_off(t);
      repeated = s->data[position] >= 128;
      run = (size_t)(s->data[position++] & 127) + 1;
    }
    for (size_t k = 0; k < run && i < count; k++, i++) {
      if (s->size - position < step) return cut_off(t);
      rst_status status = get_pixel(t, s->data + position, place(t, image, i));
      if (status != RST_OK) return status;
      if (!repeated) position += step;
    }
    if (repeated) position += step;
  }
  return RST_OK;
}

static rst_status read_header(tga *t) {
  const uint8_t *p = t->source->data;
  t->type = p[2] & ~RUN_LENGTH;
  t->packed = (p[2] & RUN_LENGTH) != 0;
  t->palette_first = rst_le16(p + 3);
  t->palette_size = p[1] == 1 ? rst_le16(p + 5) : 0;
  t->palette_bits = p[7];
  t->width = rst_le16(p + 12);
  t->height = rst_le16(p + 14);
  t->bits = p[16];
  t->descriptor = p[17];
  t->palette = HEADER + (size_t)p[0]; /* after the free text */
  t->position = t->palette + t->palette_size * bytes_of(t->palette_bits);
  int color_bits = t->type == PALETTE ? t->palette_bits : t->bits;
  t->channels = color_bits == 32 && (t->descriptor & ALPHA_BITS) != 0 ? 4 : 3;
  if (t->type == GREY) t->channels = t->bits / 8;
  /* A packet of two bytes or more makes 128 pixels at most; unpacked, all are there. */
  size_t count = t->width * t->height, left = t->source->size - t->position;
  size_t need = t->packed ? count / 128 * 2 : count * bytes_of(t->bits);
  return t->position > t->source->size || left < need ? cut_off(t) : RST_OK;
}

rst_status rst_tga_read(const rst_source *source, rst_image *image) {
  tga t = {.source = source};
  if (!rst_tga_plausible(source->data, source->size)) return rst_source_fail(source, "TGA: bad header");
  rst_status status = read_header(&t);
  if (status == RST_OK)
    status = rst_source_allocate(source, "TGA", t.width, t.height, t.channels, RST_SAMPLE_U8, image);
  return status == RST_OK ? read_pixels(&t, image) : status;
}

/* ---- Writing ------------------------------------------------------------------------------- */

rst_status rst_tga_write(rst_sink *sink, const rst_image *image) {
  size_t channels = (size_t)image->channels, width = image->width;
  uint8_t *row = rst_alloc(width, channels);
  if (row == NULL) return rst_fail_memory(sink->err, sink->path);
  uint8_t header[HEADER] = {0};
  header[2] = channels >= 3 ? COLOR : GREY;
  rst_put_le16(header + 12, (uint32_t)width);
  rst_put_le16(header + 14, (uint32_t)image->height);
  header[16] = (uint8_t)(8 * channels);
  header[17] = (uint8_t)(TOP_DOWN | (rst_has_alpha(image->channels) ? 8 : 0));
  rst_sink_write(sink, header, sizeof header);
  for (size_t y = 0; y < image->height; y++) {
    rst_image_row(image, y, RST_SAMPLE_U8, NULL, row);
    for (size_t x = 0; channels >= 3 && x < width; x++) { /* BGR */
      uint8_t red = row[x * channels];
      row[x * channels] = row[x * channels + 2];
      row[x * channels + 2] = red;
    }
    if (!rst_sink_write(sink, row, width * channels)) break;
  }
  static const uint8_t footer[FOOTER + 1] = "\0\0\0\0\0\0\0\0TRUEVISION-XFILE.";
  rst_sink_write(sink, footer, FOOTER);
  rst_free(row);
  return RST_OK;
}
