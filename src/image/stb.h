/* stb.h - the parts of stb_image and stb_image_write that are used: zlib and JPEG. */
#ifndef RST_IMAGE_STB_H
#define RST_IMAGE_STB_H

#include "image/image.h"

/* Inflates a zlib stream into `out`, whose `out_size` bytes it must fill exactly. False, with a reason, when
 * it is damaged or has fewer or more. Sizes up to INT_MAX. */
bool rst_stb_inflate(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size, const char **reason);

/* Bytes of scratch memory that rst_stb_deflate needs for `size` bytes. */
size_t rst_stb_deflate_scratch(size_t size);

/* Deflates: a complete zlib stream within `scratch`, or NULL (*out_size is 0 then) when the scratch memory
 * was not enough. `size` is RST_STB_DEFLATE_MAX at most. */
#define RST_STB_DEFLATE_MAX ((size_t)1 << 24)
uint8_t *rst_stb_deflate(const uint8_t *in, size_t size, void *scratch, size_t scratch_size,
                         size_t *out_size);

/* Decodes a JPEG file whose structure rst_jpeg_read has checked. */
rst_status rst_stb_read_jpeg(const rst_source *source, rst_image *image);

/* Encodes interleaved 8-bit samples (1 to 4 channels, alpha is ignored) and writes them. False when stb
 * refuses. */
bool rst_stb_write_jpeg(rst_sink *sink, const uint8_t *samples, int width, int height, int channels,
                        int quality);

#endif
