/* image.h - inside the image room: what the readers and writers of the formats share. */
#ifndef RST_IMAGE_IMAGE_H
#define RST_IMAGE_IMAGE_H

#include <math.h>
#include <stdint.h>

#include "base/error.h"
#include "base/file.h"
#include "restormer.h"

/* The largest picture that is read, in pixels and per side: a few bytes of a hostile file can ask for any
 * amount of memory. 2^28 pixels are 16384 x 16384, or 3.2 GB of float RGB. */
#ifndef RST_MAX_PIXELS
#define RST_MAX_PIXELS ((size_t)1 << 28)
#endif
#define RST_MAX_SIDE ((size_t)1 << 24)

/* ---- Reading ------------------------------------------------------------------------------- */

/* The bytes of a picture file, and where complaints about them go. */
typedef struct rst_source {
  const char *path;
  const uint8_t *data;
  size_t size;
  rst_error *err;
} rst_source;

/* RST_ERROR_INPUT with `PATH: message`. A macro for the reason that rst_fail is one. */
#define rst_source_fail(source, ...) (rst_source_complain(source, __VA_ARGS__), rst_error_status(RST_ERROR_INPUT))
void rst_source_complain(const rst_source *source, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Fails when the file's picture has no pixels or more than the limits allow; `format` is "PNG" and the like.
 */
rst_status rst_source_check_size(const rst_source *source, const char *format, size_t width, size_t height);

/* Checks the size and allocates the samples (uninitialised). */
rst_status rst_source_allocate(const rst_source *source, const char *format, size_t width, size_t height,
                               int channels, rst_sample sample, rst_picture *picture);

/* The readers. On failure *picture is empty. */
rst_status rst_png_read(const rst_source *source, rst_picture *picture);
rst_status rst_jpeg_read(const rst_source *source, rst_picture *picture);
rst_status rst_bmp_read(const rst_source *source, rst_picture *picture);
rst_status rst_tga_read(const rst_source *source, rst_picture *picture);
rst_status rst_pnm_read(const rst_source *source, rst_picture *picture);
rst_status rst_pfm_read(const rst_source *source, rst_picture *picture);

/* TGA files have no magic number: whether this may be the header of one. */
bool rst_tga_plausible(const uint8_t *data, size_t size);

static inline uint32_t rst_be16(const uint8_t *p) {
  return (uint32_t)p[0] << 8 | p[1];
}
static inline uint32_t rst_be32(const uint8_t *p) {
  return rst_be16(p) << 16 | rst_be16(p + 2);
}
static inline uint32_t rst_le16(const uint8_t *p) {
  return (uint32_t)p[1] << 8 | p[0];
}
static inline uint32_t rst_le32(const uint8_t *p) {
  return rst_le16(p + 2) << 16 | rst_le16(p);
}

/* ---- Writing ------------------------------------------------------------------------------- */

/* The writers. A failed write is left to rst_output_commit; what they return is about the format or memory.
 */
rst_status rst_png_write(rst_output *output, const rst_picture *picture, rst_error *err);
rst_status rst_jpeg_write(rst_output *output, const rst_picture *picture, rst_error *err);
rst_status rst_bmp_write(rst_output *output, const rst_picture *picture, rst_error *err);
rst_status rst_tga_write(rst_output *output, const rst_picture *picture, rst_error *err);
rst_status rst_pfm_write(rst_output *output, const rst_picture *picture, rst_error *err);

static inline void rst_put_be32(uint8_t *p, uint32_t v) {
  p[0] = (uint8_t)(v >> 24), p[1] = (uint8_t)(v >> 16), p[2] = (uint8_t)(v >> 8), p[3] = (uint8_t)v;
}
static inline void rst_put_le16(uint8_t *p, uint32_t v) {
  p[0] = (uint8_t)v, p[1] = (uint8_t)(v >> 8);
}
static inline void rst_put_le32(uint8_t *p, uint32_t v) {
  rst_put_le16(p, v), rst_put_le16(p + 2, v >> 16);
}

/* ---- Samples ------------------------------------------------------------------------------- */

/* 1 or 3: the channels without alpha. */
static inline int rst_color_channels(int channels) {
  return channels >= 3 ? 3 : 1;
}
static inline bool rst_has_alpha(int channels) {
  return channels % 2 == 0;
}

/* One sample in another type: floats are clamped (NaN becomes 0), scaled and rounded to the nearest integer,
 * and so are integers that lose bits; 8 bits become 16 exactly (times 257); floats of integers are v / 255
 * and v / 65535. */
static inline float rst_clamp01(float v) {
  return v > 0 ? v < 1 ? v : 1 : 0;
}
static inline uint8_t rst_u8_of_f32(float v) {
  return (uint8_t)rintf(rst_clamp01(v) * 255);
}
static inline uint16_t rst_u16_of_f32(float v) {
  return (uint16_t)rintf(rst_clamp01(v) * 65535);
}
static inline uint8_t rst_u8_of_u16(uint16_t v) {
  return (uint8_t)((v * 255u + 32767) / 65535);
}
static inline uint16_t rst_u16_of_u8(uint8_t v) {
  return (uint16_t)(v * 257);
}
static inline float rst_f32_of_u8(uint8_t v) {
  return (float)v / 255;
}
static inline float rst_f32_of_u16(uint16_t v) {
  return (float)v / 65535;
}

/* Converts `count` samples, `from_step` (`to_step`) samples apart. */
void rst_convert_samples(const void *from, rst_sample from_type, size_t from_step, void *to,
                         rst_sample to_type, size_t to_step, size_t count);

/* Row y of the picture in another sample type, without its alpha where `keep_alpha` is false. */
void rst_picture_row(const rst_picture *picture, size_t y, rst_sample type, bool keep_alpha, void *row);

#endif
