/* Reading a picture: finding out what the file is, by its content, and what the readers share. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/options.h"
#include "image/image.h"

/* A magic number at the beginning or at `offset`. A dot in `magic` stands for any byte. */
typedef struct signature {
  const char *magic;
  size_t length, offset;
  const char *codec;  /* its name in the table of formats; NULL: there is none */
  const char *format; /* with its article, where it is not read */
} signature;

#define MAGIC(text) text, sizeof(text) - 1

static const signature signatures[] = {
    {MAGIC("\x89PNG\r\n\x1a\n"), 0, "png", NULL},
    {MAGIC("\xff\xd8\xff"), 0, "jpeg", NULL},
    {MAGIC("BM"), 0, "bmp", NULL},
    {MAGIC("P1"), 0, "pnm", NULL},
    {MAGIC("P2"), 0, "pnm", NULL},
    {MAGIC("P3"), 0, "pnm", NULL},
    {MAGIC("P4"), 0, "pnm", NULL},
    {MAGIC("P5"), 0, "pnm", NULL},
    {MAGIC("P6"), 0, "pnm", NULL},
    {MAGIC("PF"), 0, "pfm", NULL},
    {MAGIC("Pf"), 0, "pfm", NULL},
    {MAGIC("GIF87a"), 0, NULL, "a GIF"},
    {MAGIC("GIF89a"), 0, NULL, "a GIF"},
    {MAGIC("RIFF....WEBP"), 0, "webp", "a WebP"},
    {MAGIC("ftypavif"), 4, "heif", "an AVIF"},
    {MAGIC("ftypavis"), 4, "heif", "an AVIF"},
    {MAGIC("ftyphe"), 4, "heif", "a HEIC"},
    {MAGIC("ftypmif1"), 4, "heif", "a HEIF"},
    {MAGIC("ftypmsf1"), 4, "heif", "a HEIF"},
    {MAGIC("II*\0"), 0, "tiff", "a TIFF (or a camera's raw)"},
    {MAGIC("MM\0*"), 0, "tiff", "a TIFF (or a camera's raw)"},
    {MAGIC("II+\0"), 0, "tiff", "a TIFF"},
    {MAGIC("MM\0+"), 0, "tiff", "a TIFF"},
    {MAGIC("P7"), 0, NULL, "a PAM"},
    {MAGIC("8BPS"), 0, NULL, "a Photoshop"},
    {MAGIC("#?R"), 0, NULL, "a Radiance HDR"},
    {MAGIC("v/1\x01"), 0, NULL, "an OpenEXR"},
    {MAGIC("\xff\x0a"), 0, NULL, "a JPEG XL"},
    {MAGIC("\0\0\0\x0cJXL "), 0, NULL, "a JPEG XL"},
    {MAGIC("\0\0\0\x0cjP  "), 0, NULL, "a JPEG 2000"},
    {MAGIC("\xff\x4f\xff\x51"), 0, NULL, "a JPEG 2000"},
    {MAGIC("qoif"), 0, NULL, "a QOI"},
    {MAGIC("farbfeld"), 0, NULL, "a farbfeld"},
    {MAGIC("DDS "), 0, NULL, "a DDS"},
    {MAGIC("\x8aMNG"), 0, NULL, "an MNG"},
    {MAGIC("\0\0\1\0"), 0, NULL, "an icon (ICO)"},
    {MAGIC("%PDF"), 0, NULL, "a PDF"},
    {MAGIC("<?xml"), 0, NULL, "an XML or SVG"},
    {MAGIC("<svg"), 0, NULL, "an SVG"},
};

static bool matches(const signature *s, const rst_source *source) {
  if (source->size < s->offset + s->length) return false;
  for (size_t i = 0; i < s->length; i++)
    if (s->magic[i] != '.' && (uint8_t)s->magic[i] != source->data[s->offset + i]) return false;
  return true;
}

/* A PNG's first chunk behind a signature that is none any more. */
static bool is_damaged_png(const rst_source *source) {
  static const char first[] = "IHDR";
  enum { SIGNATURE = 8, MOVED = 12 };
  for (size_t at = SIGNATURE; at <= SIGNATURE + MOVED && source->size >= at + strlen(first); at++)
    if (memcmp(source->data + at, first, strlen(first)) == 0) return true;
  return false;
}

/* NULL: the file begins as none of them. */
static const signature *signature_of(const rst_source *source) {
  for (size_t i = 0; i < sizeof signatures / sizeof signatures[0]; i++)
    if (matches(&signatures[i], source)) return &signatures[i];
  return NULL;
}

static const rst_codec *codec_of(const signature *s) {
  return s == NULL || s->codec == NULL ? NULL : (const rst_codec *)rst_image_format_named(s->codec);
}

static rst_status read_pixels(const rst_source *source, rst_image *image) {
  char list[RST_FORMAT_LIST];
  if (source->size == 0) return rst_source_fail(source, "is empty");
  const signature *s = signature_of(source);
  if (s != NULL) {
    const rst_codec *codec = codec_of(s);
    if (codec != NULL && codec->read != NULL) return codec->read(source, image);
    return rst_source_fail(source, "is %s file, %sexpected %s", s->format,
                           codec == NULL ? "" : "which this build does not read, ", rst_format_list(list));
  }
  if (is_damaged_png(source))
    return rst_source_fail(source, "is a PNG with a damaged signature (a transfer as text does that)");
  if (rst_tga_plausible(source->data, source->size)) return rst_tga_read(source, image);
  return rst_source_fail(source, "unknown content, expected %s", rst_format_list(list));
}

/* What EXIF says of how the pixels lie. */
static rst_status orient(const rst_source *source, rst_image *image) {
  rst_bytes *exif = &image->metadata[RST_METADATA_EXIF];
  const int orientation = rst_exif_orientation(exif->data, exif->size);
  if (orientation == 1) return RST_OK;
  const uint64_t pixel = (uint64_t)image->channels * rst_sample_size(image->sample);
  rst_status status = rst_source_check_memory(source, 2 * pixel * image->width * image->height);
  if (status != RST_OK) return status;
  if (!rst_image_orient(image, orientation)) return rst_fail_memory(source->err, source->path);
  rst_exif_reset_orientation(exif->data, exif->size);
  return RST_OK;
}

rst_status rst_source_read(const rst_source *source, rst_image *image) {
  rst_status status = read_pixels(source, image);
  if (status == RST_OK && image->metadata_lost) return rst_fail_memory(source->err, source->path);
  return status == RST_OK ? orient(source, image) : status;
}

static rst_status read_options(rst_image_read_options *known, const rst_image_read_options *options,
                               rst_error *err) {
  rst_image_read_options_init(known);
  return rst_options_read(known, sizeof *known, options, "rst_image_read_options", err);
}

static rst_status decode(const char *name, const void *data, size_t size,
                         const rst_image_read_options *options, rst_image **image, rst_error *err) {
  rst_source source = {name, data, size, err, options};
  rst_image *made = rst_alloc_zeroed(1, sizeof *made);
  if (made == NULL) return rst_fail_memory(err, name);
  const bool isolated = options->sandbox && rst_sandbox_available();
  const rst_codec *codec = codec_of(signature_of(&source));
  if (isolated && codec != NULL && codec->prepare != NULL) codec->prepare();
  rst_status status = isolated ? rst_source_read_isolated(&source, made) : rst_source_read(&source, made);
  if (status == RST_OK)
    *image = made;
  else
    rst_image_free(made);
  return status;
}

rst_status rst_image_decode(const char *name, const void *data, size_t size,
                            const rst_image_read_options *options, rst_image **image, rst_error *err) {
  rst_image_read_options known;
  *image = NULL;
  rst_status status = read_options(&known, options, err);
  if (status == RST_OK) status = decode(name, data, size, &known, image, err);
  return rst_end(err, status);
}

rst_status rst_image_read(const char *path, const rst_image_read_options *options, rst_image **image,
                          rst_error *err) {
  rst_image_read_options known;
  rst_contents contents;
  *image = NULL;
  rst_status status = read_options(&known, options, err);
  if (status != RST_OK) return status;
  /* The longest form, numbers as text, takes 18 bytes a pixel; the rest is for what may stand around it. */
  const uint64_t pixels = rst_source_most_pixels(&(rst_source){.options = &known});
  const rst_reading reading = {.status = RST_ERROR_INPUT,
                               .limit = pixels > UINT64_MAX / 64 ? UINT64_MAX : pixels * 32 + (64 << 20),
                               .cancelled = known.cancelled,
                               .user = known.user};
  status = rst_file_read(path, &reading, &contents, err);
  if (status != RST_OK) return status;
  status = decode(path, contents.data, contents.size, &known, image, err);
  rst_contents_free(&contents);
  return rst_end(err, status);
}

/* ---- What the readers share ---------------------------------------------------------------- */

#define FORMAT_MESSAGE(message, format)                              \
  va_list args;                                                      \
  va_start(args, format);                                            \
  int written = vsnprintf((message), sizeof(message), format, args); \
  va_end(args);                                                      \
  if (written < 0) (message)[0] = '\0'

void rst_source_complain(const rst_source *source, const char *format, ...) {
  char message[sizeof source->err->message];
  FORMAT_MESSAGE(message, format);
  rst_error_format(source->err, "%s: %s", source->path, message);
}

void rst_source_warn(const rst_source *source, const char *format, ...) {
  rst_error line;
  char message[sizeof line.message];
  if (source->options == NULL || source->options->warning == NULL) return;
  FORMAT_MESSAGE(message, format);
  rst_error_format(&line, "%s: %s", source->path, message);
  source->options->warning(source->options->user, line.message);
}

bool rst_source_cancelled(const rst_source *source) {
  const rst_image_read_options *o = source->options;
  return o != NULL && o->cancelled != NULL && o->cancelled(o->user);
}

rst_status rst_source_stopped(const rst_source *source) {
  return rst_fail(source->err, RST_CANCELLED, "%s: cancelled", source->path);
}

size_t rst_source_most_pixels(const rst_source *source) {
  const rst_image_read_options *o = source->options;
  return o == NULL || o->max_pixels == 0 ? RST_MAX_PIXELS : o->max_pixels;
}

rst_status rst_source_check_size(const rst_source *source, const char *format, size_t width, size_t height) {
  size_t most = rst_source_most_pixels(source);
  if (width == 0 || height == 0)
    return rst_source_fail(source, "%s: size %zu x %zu, expected 1 x 1 or more", format, width, height);
  if (width > RST_MAX_SIDE || height > RST_MAX_SIDE || width > most / height)
    return rst_source_fail(source, "%s: size %zu x %zu, expected at most %zu pixels and sides of at most %zu",
                           format, width, height, most, RST_MAX_SIDE);
  return RST_OK;
}

rst_status rst_source_check_memory(const rst_source *source, uint64_t bytes) {
  const rst_image_read_options *o = source->options;
  if (o == NULL || o->max_memory == 0 || bytes <= o->max_memory) return RST_OK;
  return rst_fail(source->err, RST_ERROR_MEMORY, "%s: takes %.1f MB to read, more than the limit of %.1f MB",
                  source->path, (double)bytes / 1e6, (double)o->max_memory / 1e6);
}

rst_status rst_source_allocate(const rst_source *source, const char *format, size_t width, size_t height,
                               int channels, rst_sample sample, rst_image *image) {
  rst_status status = rst_source_check_size(source, format, width, height);
  size_t pixel = (size_t)channels * rst_sample_size(sample);
  if (status == RST_OK) status = rst_source_check_memory(source, (uint64_t)width * height * pixel);
  if (status != RST_OK) return status;
  image->samples = rst_alloc(width * height, pixel);
  if (image->samples == NULL) return rst_fail_memory(source->err, source->path);
  image->width = width, image->height = height, image->channels = channels, image->sample = sample;
  return RST_OK;
}
