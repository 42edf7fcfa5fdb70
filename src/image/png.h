/* png.h - between the two halves of the PNG reader, and what the writer shares with them. */
#ifndef RST_IMAGE_PNG_H
#define RST_IMAGE_PNG_H

#include "image/image.h"

enum { RST_PNG_GREY = 0, RST_PNG_RGB = 2, RST_PNG_PALETTE = 3, RST_PNG_GREY_ALPHA = 4, RST_PNG_RGBA = 6 };

#define RST_PNG_SIGNATURE "\x89PNG\r\n\x1a\n"
enum { RST_PNG_SIGNATURE_SIZE = 8 };

/* What the chunks before the pixels say. */
typedef struct rst_png {
  size_t width, height;
  int depth;      /* bits per sample (of the palette index): 1, 2, 4, 8, 16 */
  int color_type; /* one of the above */
  bool interlaced;
  int channels;                  /* of the stored samples; a palette index is one */
  uint8_t palette[256][4];       /* RGBA */
  int palette_size;              /* 0: no PLTE chunk yet */
  bool transparent;              /* there is a tRNS chunk */
  uint16_t transparent_color[3]; /* in stored samples, for RGB; [0] for grey */
} rst_png;

/* CRC-32 of PNG chunks: of `size` more bytes after `crc` (0 to begin with). */
uint32_t rst_png_crc(uint32_t crc, const uint8_t *data, size_t size);

/* Bytes of the filtered pixels, false when they are too many for the size of memory. */
bool rst_png_raw_size(const rst_png *png, size_t *size);

/* Undoes the filters of `raw` (in place), the interlacing and the packing. */
rst_status rst_png_unpack(const rst_source *source, const rst_png *png, uint8_t *raw, rst_image *image);

#endif
