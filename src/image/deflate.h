/* deflate.h - a zlib stream of any length out of stb's compressor, which makes one of an int's length at a
 * time. */
#ifndef RST_IMAGE_DEFLATE_H
#define RST_IMAGE_DEFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most bytes of a piece, and what the stream's end needs. */
#define RST_DEFLATE_PIECE ((size_t)1 << 20)
enum { RST_DEFLATE_END = 9 };

typedef struct rst_deflate {
  uint32_t adler;
  bool begun;
  uint8_t *scratch;
  size_t scratch_size;
} rst_deflate;

/* False when there is no memory. */
bool rst_deflate_begin(rst_deflate *d);
/* Compresses the next `size` bytes (1 to RST_DEFLATE_PIECE); the stream's next part is valid until the next
 * call. */
const uint8_t *rst_deflate_piece(rst_deflate *d, const uint8_t *data, size_t size, size_t *out_size);
/* The last RST_DEFLATE_END bytes of the stream. */
void rst_deflate_end(const rst_deflate *d, uint8_t *out);
void rst_deflate_free(rst_deflate *d);

#endif
