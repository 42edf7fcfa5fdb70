/* png.h - between the parts of the PNG reader, and what the writer shares with them. */
#ifndef RST_IMAGE_PNG_H
#define RST_IMAGE_PNG_H

#include "base/memory.h"
#include "image/image.h"

enum { RST_PNG_GREY = 0, RST_PNG_RGB = 2, RST_PNG_PALETTE = 3, RST_PNG_GREY_ALPHA = 4, RST_PNG_RGBA = 6 };

#define RST_PNG_SIGNATURE "\x89PNG\r\n\x1a\n"
enum { RST_PNG_SIGNATURE_SIZE = 8, RST_PNG_CHUNK_HEADER = 8, RST_PNG_CHUNK_FRAME = 12 };

/* What the chunks say of the pixels. */
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
  const uint8_t *idat;           /* the first IDAT chunk, which others follow at once */
  size_t idat_count, idat_size;  /* chunks; bytes of data in all of them */
} rst_png;

/* Inflates the pixels row by row, undoes filters, interlacing and packing. */
rst_status rst_png_read_pixels(const rst_source *source, const rst_png *png, rst_image *image);

/* Keeps what a chunk says of the picture; true for one that says nothing. False: it is damaged, or no memory.
 */
bool rst_png_read_metadata(const char *type, const uint8_t *data, size_t size, rst_image *image);
/* The chunks of the metadata. False: no memory. */
bool rst_png_write_metadata(rst_sink *sink, const rst_image *image);
void rst_png_write_chunk(rst_sink *sink, const char *type, const uint8_t *data, size_t size);

/* zlib's memory, from the one place. */
static inline void *rst_png_zalloc(void *user, unsigned count, unsigned size) {
  (void)user;
  return rst_alloc(count, size);
}
static inline void rst_png_zfree(void *user, void *memory) {
  (void)user;
  rst_free(memory);
}

/* The Paeth predictor: of left, above and above left the one that is nearest to left + above - above left. */
static inline uint8_t rst_png_paeth(int a, int b, int c) {
  int pa = b - c, pb = a - c, pc = pa + pb;
  pa = pa < 0 ? -pa : pa, pb = pb < 0 ? -pb : pb, pc = pc < 0 ? -pc : pc;
  return (uint8_t)(pa <= pb && pa <= pc ? a : pb <= pc ? b : c);
}

#endif
