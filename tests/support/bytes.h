/* bytes.h - picture files built in memory, byte by byte, and read from there. */
#ifndef RST_TEST_BYTES_H
#define RST_TEST_BYTES_H

#include <stddef.h>
#include <stdint.h>

#include "image/image.h"

typedef struct bytes {
  uint8_t *data;
  size_t size, capacity;
} bytes;

void bytes_put(bytes *b, const void *data, size_t size);
void bytes_text(bytes *b, const char *text);
void bytes_u8(bytes *b, unsigned v);
void bytes_le16(bytes *b, unsigned v);
void bytes_le32(bytes *b, uint32_t v);
void bytes_be16(bytes *b, unsigned v);
void bytes_be32(bytes *b, uint32_t v);
void bytes_free(bytes *b);
/* The content of a file. */
bytes bytes_of_file(const char *path);

typedef rst_status (*bytes_reader)(const rst_source *source, rst_picture *picture);

/* Runs the reader on a copy that ends where the bytes end, so that AddressSanitizer sees a step beyond. */
rst_status bytes_read(const bytes *b, bytes_reader reader, rst_picture *picture, rst_error *err);
/* The reader must refuse the bytes with RST_ERROR_INPUT and the message `file: MESSAGE`. */
void bytes_assert_refused(const bytes *b, bytes_reader reader, const char *message);
/* Every proper beginning of the bytes that has `from` bytes or more must be refused. */
void bytes_assert_beginnings_refused(const bytes *b, bytes_reader reader, size_t from);
/* Reads the bytes with each one changed in several ways: whatever comes out, it is an error or a whole
 * picture. */
void bytes_damage(const bytes *b, bytes_reader reader);

/* ---- PNG ----------------------------------------------------------------------------------- */

/* Appends a chunk with its CRC, computed here. */
void bytes_png_chunk(bytes *b, const char *type, const void *data, size_t size);
void bytes_png_header(bytes *b, uint32_t width, uint32_t height, int depth, int color_type, int interlace);
/* A zlib stream of stored blocks. */
void bytes_zlib(bytes *b, const uint8_t *data, size_t size);

/* A whole file of the samples sample(x, y, c), packed, filtered (row i of a pass with filter i % 5) and
 * interlaced here; `before_pixels` (chunks, or NULL) goes between IHDR and IDAT. */
typedef unsigned (*bytes_sample)(unsigned x, unsigned y, unsigned c);
bytes bytes_png(uint32_t width, uint32_t height, int depth, int color_type, int interlace,
                bytes_sample sample, const bytes *before_pixels);

#endif
