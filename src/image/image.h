/* image.h - inside the image room: what the readers and writers of the formats share. */
#ifndef RST_IMAGE_IMAGE_H
#define RST_IMAGE_IMAGE_H

#include <math.h>
#include <stdint.h>

#include "base/error.h"
#include "base/file.h"
#include "base/output.h"
#include "restormer.h"
#include "sandbox/sandbox.h"

typedef struct rst_bytes {
  uint8_t *data; /* rst_free */
  size_t size;
} rst_bytes;

struct rst_image {
  size_t width, height;
  int channels;
  rst_sample sample;
  void *samples;
  rst_shared shared; /* where the samples are when a helper process has decoded them; else zero */
  rst_bytes metadata[RST_METADATA_TEXT];
  rst_bytes *texts; /* "keyword\0text\0" each */
  size_t text_count;
  size_t metadata_bytes; /* of all of them */
  bool metadata_lost;    /* there was no memory for some */
  rst_budget *budget;    /* that the samples count in, or NULL */
};

/* An image whose samples are not initialised; NULL: no memory. The arguments are in order. */
rst_image *rst_image_make(size_t width, size_t height, int channels, rst_sample sample);
/* Frees what the image holds and makes it empty. */
void rst_image_clear(rst_image *image);

/* The keyword of a comment that has no other, and the most bytes of a keyword with its 0. */
#define RST_COMMENT "Comment"
enum { RST_KEYWORD_SIZE = 80 };

unsigned rst_image_metadata_kinds(const rst_image *image); /* a bit for each kind that is there */
/* Memory for what becomes metadata of the image. NULL: there is none, which is an error of whoever reads the
 * image, once for all of it (rst_source_read). */
void *rst_image_metadata_alloc(rst_image *image, size_t size);
/* In such memory, for rst_free: a text in Latin-1 as UTF-8, and without the 0 bytes that do not belong there.
 */
char *rst_image_utf8_of_latin1(rst_image *image, const uint8_t *text, size_t size);
void rst_image_clear_metadata(rst_image *image);

/* The orientation that EXIF data tell, 1 to 8, and making it 1. */
int rst_exif_orientation(const uint8_t *data, size_t size);
void rst_exif_reset_orientation(uint8_t *data, size_t size);
/* Turns the pixels to show as orientation 1 what they have shown in that one. False: no memory. */
bool rst_image_orient(rst_image *image, int orientation);

/* Whether there are pixels of alpha 0; and a copy, without metadata, in which these have the colours of the
 * nearest others (NULL: no memory). */
bool rst_image_has_hidden(const rst_image *image);
rst_image *rst_image_fill_hidden(const rst_image *image);

/* The largest picture that is read, in pixels (by default) and per side: a few bytes of a hostile file can
 * ask for any amount of memory. */
#define RST_MAX_PIXELS ((size_t)1 << 30)
#define RST_MAX_SIDE ((size_t)1 << 24)

/* ---- Reading ------------------------------------------------------------------------------- */

/* The bytes of a picture file, and where complaints about them go. */
typedef struct rst_source {
  const char *path;
  const uint8_t *data;
  size_t size;
  rst_error *err;
  const rst_image_read_options *options; /* NULL: defaults */
} rst_source;

/* RST_ERROR_INPUT with `PATH: message`. A macro for the reason that rst_fail is one. */
#define rst_source_fail(source, ...) \
  (rst_source_complain(source, __VA_ARGS__), rst_error_status(RST_ERROR_INPUT))
void rst_source_complain(const rst_source *source, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same line for the caller's warning callback. */
void rst_source_warn(const rst_source *source, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* True when the caller wants to stop; then a reader returns rst_source_stopped. */
bool rst_source_cancelled(const rst_source *source);
rst_status rst_source_stopped(const rst_source *source);

/* Fails when the file's picture has no pixels or more than the limits allow; `format` is "PNG" and the like.
 */
rst_status rst_source_check_size(const rst_source *source, const char *format, size_t width, size_t height);

/* Fails when the caller's limit does not allow so many bytes, of the image and its decoder together. */
rst_status rst_source_check_memory(const rst_source *source, uint64_t bytes);

/* Checks the size and allocates the samples (uninitialised). */
rst_status rst_source_allocate(const rst_source *source, const char *format, size_t width, size_t height,
                               int channels, rst_sample sample, rst_image *image);

/* Pixels that the picture may have. */
size_t rst_source_most_pixels(const rst_source *source);

/* Reads whatever it is: here, or in a helper process without rights (where rst_sandbox_available). *image is
 * empty before, and is cleared by the caller when they fail. */
rst_status rst_source_read(const rst_source *source, rst_image *image);
rst_status rst_source_read_isolated(const rst_source *source, rst_image *image);

/* The readers. *image is empty before, and is cleared by the caller when they fail. */
typedef rst_status (*rst_reader)(const rst_source *source, rst_image *image);
rst_status rst_png_read(const rst_source *source, rst_image *image);
rst_status rst_jpeg_read(const rst_source *source, rst_image *image);
rst_status rst_bmp_read(const rst_source *source, rst_image *image);
rst_status rst_tga_read(const rst_source *source, rst_image *image);
rst_status rst_pnm_read(const rst_source *source, rst_image *image);
rst_status rst_pfm_read(const rst_source *source, rst_image *image);
rst_status rst_tiff_read(const rst_source *source, rst_image *image);
rst_status rst_webp_read(const rst_source *source, rst_image *image);
rst_status rst_heif_read(const rst_source *source, rst_image *image);
void rst_heif_prepare(void);

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

/* Where an encoded picture goes: a file, or memory that grows. */
typedef struct rst_sink {
  const char *path; /* for messages */
  rst_output *file; /* NULL: into memory */
  uint8_t *data;    /* rst_free */
  size_t size, capacity;
  const rst_image_write_options *options; /* with every default filled in */
  rst_sample sample;                      /* what the file is to hold, of those that its format can */
  rst_error *err;
  bool failed; /* writes do nothing any more, and rst_sink_end will say why: no need to check each one */
  bool no_memory, cancelled;
} rst_sink;

/* False once a write has failed or the caller has cancelled, so that a long-winded writer may stop early. */
bool rst_sink_write(rst_sink *sink, const void *data, size_t size);

/* One line for the caller's warning callback: `PATH: message`. */
void rst_sink_warn(const rst_sink *sink, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The writers. What they return is about the format or memory; failed writes are the sink's. */
typedef rst_status (*rst_writer)(rst_sink *sink, const rst_image *image);
rst_status rst_png_write(rst_sink *sink, const rst_image *image);
rst_status rst_jpeg_write(rst_sink *sink, const rst_image *image);
rst_status rst_bmp_write(rst_sink *sink, const rst_image *image);
rst_status rst_tga_write(rst_sink *sink, const rst_image *image);
rst_status rst_pfm_write(rst_sink *sink, const rst_image *image);
rst_status rst_tiff_write(rst_sink *sink, const rst_image *image);
rst_status rst_webp_write(rst_sink *sink, const rst_image *image);

/* ---- The table of formats ------------------------------------------------------------------ */

typedef struct rst_codec {
  rst_image_format format;
  rst_reader read; /* NULL: not read (by this build) */
  rst_writer write;
  uint64_t most_bytes; /* of the pixels of a written file; 0: no limit */
  void (*prepare)(
      void); /* opens what reading needs beside the file, before the process gives up its rights; or NULL */
} rst_codec;

extern const rst_codec rst_codecs[];
extern const size_t rst_codec_count;

/* What a message says is expected, from the table: "PNG, JPEG or TGA". */
enum { RST_FORMAT_LIST = 256 };
const char *rst_format_list(char list[RST_FORMAT_LIST]);

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

/* Row y of the image in another sample type. Where `background` is not NULL, alpha goes: the colours are put
 * on that RGB (on its luma when they are grey). */
void rst_image_row(const rst_image *image, size_t y, rst_sample type, const uint8_t *background, void *row);

#endif
