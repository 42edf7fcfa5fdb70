/* blob.h - picture files built in memory, byte by byte, and read from there. */
#ifndef RST_TEST_BLOB_H
#define RST_TEST_BLOB_H

#include <stddef.h>
#include <stdint.h>

#include "image/image.h"

typedef struct blob {
  uint8_t *data;
  size_t size, capacity;
} blob;

void blob_put(blob *b, const void *data, size_t size);
void blob_text(blob *b, const char *text);
void blob_u8(blob *b, unsigned v);
void blob_le16(blob *b, unsigned v);
void blob_le32(blob *b, uint32_t v);
void blob_be16(blob *b, unsigned v);
void blob_be32(blob *b, uint32_t v);
void blob_free(blob *b);
/* The content of a file. */
blob blob_of_file(const char *path);

typedef rst_status (*blob_reader)(const rst_source *source, rst_image *picture);

/* Runs the reader on a copy that ends where the blob end, so that AddressSanitizer sees a step beyond. */
rst_status blob_read(const blob *b, blob_reader reader, rst_image *picture, rst_error *err);
/* The reader must refuse the bytes with RST_ERROR_INPUT and the message `file: MESSAGE`. */
void blob_assert_refused(const blob *b, blob_reader reader, const char *message);
/* Every proper beginning of the bytes that has `from` bytes or more must be refused. */
void blob_assert_beginnings_refused(const blob *b, blob_reader reader, size_t from);
/* Reads the bytes with each one changed in several ways: whatever comes out, it is an error or a whole
 * picture. */
void blob_damage(const blob *b, blob_reader reader);

/* ---- PNG ----------------------------------------------------------------------------------- */

/* Appends a chunk with its CRC, computed here. */
void blob_png_chunk(blob *b, const char *type, const void *data, size_t size);
void blob_png_header(blob *b, uint32_t width, uint32_t height, int depth, int color_type, int interlace);
/* A zlib stream of stored blocks. */
void blob_zlib(blob *b, const uint8_t *data, size_t size);

/* A whole file of the samples sample(x, y, c), packed, filtered (row i of a pass with filter i % 5) and
 * interlaced here; `before_pixels` (chunks, or NULL) goes between IHDR and IDAT. */
typedef unsigned (*blob_sample)(unsigned x, unsigned y, unsigned c);
blob blob_png(uint32_t width, uint32_t height, int depth, int color_type, int interlace, blob_sample sample,
              const blob *before_pixels);

#endif
