/* The formats of picture files: what each can do, in one table. */
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/options.h"
#include "image/image.h"

#define U8 (1u << RST_SAMPLE_U8)
#define U16 (1u << RST_SAMPLE_U16)
#define F32 (1u << RST_SAMPLE_F32)

#define BIT(kind) (1u << RST_METADATA_##kind)
#define PNG_METADATA \
  (BIT(ICC) | BIT(EXIF) | BIT(XMP) | BIT(SRGB) | BIT(GAMA) | BIT(CHRM) | BIT(CICP) | BIT(PHYS) | BIT(TEXT))
#define JPEG_METADATA (BIT(ICC) | BIT(EXIF) | BIT(XMP) | BIT(PHYS) | BIT(TEXT))

/* Formats that a build can do without. */
#ifdef RST_HAVE_tiff
#define HAVE_TIFF true
#define TIFF_READ rst_tiff_read
#define TIFF_WRITE rst_tiff_write
#else
#define HAVE_TIFF false
#define TIFF_READ NULL
#define TIFF_WRITE NULL
#endif
#ifdef RST_HAVE_webp
#define HAVE_WEBP true
#define WEBP_READ rst_webp_read
#define WEBP_WRITE rst_webp_write
#else
#define HAVE_WEBP false
#define WEBP_READ NULL
#define WEBP_WRITE NULL
#endif
#ifdef RST_HAVE_heif
#define HAVE_HEIF true
#define HEIF_READ rst_heif_read
#define HEIF_PREPARE rst_heif_prepare
#else
#define HAVE_HEIF false
#define HEIF_READ NULL
#define HEIF_PREPARE NULL
#endif

const rst_codec rst_codecs[] = {
    {.format = {"png", "PNG", ".png", true, true, U8 | U16, 0x7fffffff, true, PNG_METADATA},
     .read = rst_png_read,
     .write = rst_png_write},
    {.format = {"jpeg", "JPEG", ".jpg .jpeg", true, true, U8, 65500, false, JPEG_METADATA},
     .read = rst_jpeg_read,
     .write = rst_jpeg_write},
    {.format = {"bmp", "BMP", ".bmp", true, true, U8, INT32_MAX, true, 0},
     .read = rst_bmp_read,
     .write = rst_bmp_write,
     .most_bytes = UINT32_MAX},
    {.format = {"tga", "TGA", ".tga", true, true, U8, 65535, true, 0},
     .read = rst_tga_read,
     .write = rst_tga_write},
    {.format = {"pnm", "PNM", ".pnm .ppm .pgm .pbm", true, false, U8 | U16, 0, false, 0},
     .read = rst_pnm_read},
    {.format = {"pfm", "PFM", ".pfm", true, true, F32, SIZE_MAX, false, 0},
     .read = rst_pfm_read,
     .write = rst_pfm_write},
    {.format = {"tiff", "TIFF", ".tif .tiff", HAVE_TIFF, HAVE_TIFF, U8 | U16 | F32, INT32_MAX, true,
                BIT(ICC) | BIT(XMP) | BIT(PHYS)},
     .read = TIFF_READ,
     .write = TIFF_WRITE},
    {.format = {"webp", "WebP", ".webp", HAVE_WEBP, HAVE_WEBP, U8, 16383, true,
                BIT(ICC) | BIT(EXIF) | BIT(XMP)},
     .read = WEBP_READ,
     .write = WEBP_WRITE},
    {.format = {"heif", "HEIF", ".heic .heif .avif", HAVE_HEIF, false, U8 | U16, 0, false, 0},
     .read = HEIF_READ,
     .prepare = HEIF_PREPARE},
};
const size_t rst_codec_count = sizeof rst_codecs / sizeof rst_codecs[0];

const rst_image_format *rst_image_format_at(size_t i) {
  return i < rst_codec_count ? &rst_codecs[i].format : NULL;
}

/* Whether `ending`, without its dot, is one of the format's. */
static bool has_ending(const rst_image_format *format, const char *ending) {
  size_t n = strlen(ending);
  for (const char *at = strchr(format->endings, '.'); at != NULL; at = strchr(at, '.')) {
    at++;
    if (n > 0 && strncasecmp(at, ending, n) == 0 && (at[n] == ' ' || at[n] == '\0')) return true;
  }
  return false;
}

const rst_image_format *rst_image_format_named(const char *name) {
  for (size_t i = 0; i < rst_codec_count; i++) {
    const rst_image_format *format = &rst_codecs[i].format;
    if (strcasecmp(name, format->name) == 0 || has_ending(format, name)) return format;
  }
  return NULL;
}

const rst_image_format *rst_image_format_of(const char *path) {
  const char *dot = strrchr(path, '.');
  for (size_t i = 0; dot != NULL && i < rst_codec_count; i++)
    if (has_ending(&rst_codecs[i].format, dot + 1)) return &rst_codecs[i].format;
  return NULL;
}

/* ---- Messages ------------------------------------------------------------------------------ */

/* Appends `length` letters of `word` and the comma or conjunction before it; the list must have room. */
static void append(char *list, const char *word, size_t length, bool first, bool last) {
  const char *between = first ? "" : last ? " or " : ", ";
  size_t at = strlen(list), n = strlen(between);
  if (at + n + length >= RST_FORMAT_LIST) return;
  memcpy(list + at, between, n);
  memcpy(list + at + n, word, length);
  list[at + n + length] = '\0';
}

const char *rst_format_list(char list[RST_FORMAT_LIST]) {
  size_t last = 0;
  list[0] = '\0';
  for (size_t i = 0; i < rst_codec_count; i++)
    if (rst_codecs[i].read != NULL) last = i;
  for (size_t i = 0; i <= last; i++) {
    const char *title = rst_codecs[i].format.title;
    if (rst_codecs[i].read != NULL) append(list, title, strlen(title), list[0] == '\0', i == last);
  }
  return list;
}

/* ".png, .jpg, .jpeg or .bmp": what can be written. */
static const char *ending_list(char list[RST_FORMAT_LIST]) {
  const char *last = NULL;
  list[0] = '\0';
  for (size_t i = 0; i < rst_codec_count; i++)
    if (rst_codecs[i].write != NULL) last = strrchr(rst_codecs[i].format.endings, '.');
  for (size_t i = 0; i < rst_codec_count; i++)
    for (const char *at = rst_codecs[i].format.endings; *at != '\0' && rst_codecs[i].write != NULL;) {
      size_t n = strcspn(at, " ");
      append(list, at, n, list[0] == '\0', at == last);
      at += n + (at[n] == ' ');
    }
  return list;
}

/* ---- What can be written ------------------------------------------------------------------- */

static unsigned samples_of_depth(int depth) {
  return depth == 8 ? U8 : depth == 16 ? U16 : depth == 32 ? F32 : 0;
}

rst_status rst_image_output_format(const char *path, const rst_image_write_options *options,
                                   const rst_image_format **format, rst_error *err) {
  char list[RST_FORMAT_LIST];
  rst_image_write_options o;
  *format = NULL;
  rst_image_write_options_init(&o);
  rst_status status = rst_options_read(&o, sizeof o, options, "rst_image_write_options", err);
  if (status != RST_OK) return status;
  const rst_image_format *found =
      o.format == NULL ? rst_image_format_of(path) : rst_image_format_named(o.format);
  if (found == NULL && o.format != NULL)
    return rst_fail(err, RST_ERROR_USAGE, "%s: unknown format %s, expected that of %s", path, o.format,
                    ending_list(list));
  if (found == NULL)
    return rst_fail(err, RST_ERROR_USAGE, "%s: the ending names no format to write, expected %s", path,
                    ending_list(list));
  if (!found->writes && !found->reads)
    return rst_fail(err, RST_ERROR_USAGE, "%s: this build has no %s, expected %s", path, found->title,
                    ending_list(list));
  if (!found->writes)
    return rst_fail(err, RST_ERROR_USAGE, "%s: %s is not written, expected %s", path, found->title,
                    ending_list(list));
  if (o.depth != 0 && (found->samples & samples_of_depth(o.depth)) == 0)
    return rst_fail(err, RST_ERROR_USAGE, "%s: %s has no samples of %d bits", path, found->title, o.depth);
  if (o.quality < 0 || o.quality > 100)
    return rst_fail(err, RST_ERROR_USAGE, "%s: quality %d, expected 1 to 100", path, o.quality);
  *format = found;
  return rst_end(err, RST_OK);
}

rst_sample rst_image_output_sample(const rst_image_format *format, const rst_image_write_options *options,
                                   rst_sample input) {
  int depth = options == NULL ? 0 : options->depth;
  if ((format->samples & (U8 | U16)) == 0 || (depth == 32 && (format->samples & F32) != 0))
    return RST_SAMPLE_F32;
  bool wide = depth == 0 ? input != RST_SAMPLE_U8 : depth > 8;
  return wide && (format->samples & U16) != 0 ? RST_SAMPLE_U16 : RST_SAMPLE_U8;
}

static rst_status check_size(const rst_codec *codec, const char *path, size_t width, size_t height,
                             int channels, rst_error *err) {
  const rst_image_format *f = &codec->format;
  if (width > f->largest_side || height > f->largest_side)
    return rst_fail(err, RST_ERROR_OUTPUT, "%s: %s: size %zu x %zu, expected sides of at most %zu", path,
                    f->title, width, height, f->largest_side);
  size_t stride = 0, bytes = 0; /* as BMP has it, which has no grey with alpha and pads rows */
  size_t pixel = channels == 2 ? 4 : (size_t)channels;
  if (codec->most_bytes != 0 &&
      !(rst_mul(width, pixel, &stride) && stride <= SIZE_MAX - 3 &&
        rst_mul((stride + 3) / 4 * 4, height, &bytes) && bytes <= codec->most_bytes - 4096))
    return rst_fail(err, RST_ERROR_OUTPUT, "%s: %s: size %zu x %zu, which makes more than %llu GiB", path,
                    f->title, width, height, (unsigned long long)(codec->most_bytes >> 30) + 1);
  return RST_OK;
}

rst_status rst_image_check_output(const char *path, const rst_image_write_options *options, size_t width,
                                  size_t height, int channels, rst_error *err) {
  const rst_image_format *format;
  rst_status status = rst_image_output_format(path, options, &format, err);
  if (status != RST_OK) return status;
  return check_size((const rst_codec *)format, path, width, height, channels, err);
}
