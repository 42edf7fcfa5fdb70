/* Writing a picture into a file or memory: what is common to all formats. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/options.h"
#include "image/image.h"

enum { DEFAULT_QUALITY = 95, FIRST_CAPACITY = 4096 };

/* ---- Sinks --------------------------------------------------------------------------------- */

static bool grow(rst_sink *sink, size_t size) {
  size_t need, capacity = sink->capacity == 0 ? FIRST_CAPACITY : sink->capacity;
  if (!rst_add(sink->size, size, &need) || need > SIZE_MAX / 2) return false;
  while (capacity < need) capacity *= 2;
  if (capacity == sink->capacity) return true;
  uint8_t *data = rst_alloc(capacity, 1);
  if (data == NULL) return false;
  if (sink->size > 0) memcpy(data, sink->data, sink->size);
  rst_free(sink->data);
  sink->data = data;
  sink->capacity = capacity;
  return true;
}

bool rst_sink_write(rst_sink *sink, const void *data, size_t size) {
  const rst_image_write_options *o = sink->options;
  if (sink->failed) return false;
  if (o->cancelled != NULL && o->cancelled(o->user)) {
    sink->cancelled = sink->failed = true;
  } else if (sink->file != NULL) {
    sink->failed = !rst_output_write(sink->file, data, size);
  } else if (!grow(sink, size)) {
    sink->no_memory = sink->failed = true;
  } else if (size > 0) {
    memcpy(sink->data + sink->size, data, size);
    sink->size += size;
  }
  return !sink->failed;
}

void rst_sink_warn(const rst_sink *sink, const char *format, ...) {
  rst_error message, line;
  if (sink->options->warning == NULL) return;
  va_list args;
  va_start(args, format);
  int n = vsnprintf(message.message, sizeof message.message, format, args);
  va_end(args);
  if (n < 0) return;
  rst_error_format(&line, "%s: %s", sink->path, message.message);
  sink->options->warning(sink->options->user, line.message);
}

/* ---- What a format cannot hold ------------------------------------------------------------- */

static bool is_opaque(const rst_image *image) {
  const size_t channels = (size_t)image->channels;
  if (!rst_has_alpha(image->channels)) return true;
  for (size_t i = channels - 1; i < image->width * image->height * channels; i += channels)
    if (rst_image_value(image, i) < 1) return false;
  return true;
}

/* Whether gamma and primaries, where they are there, are those of sRGB. */
static bool is_srgb(const rst_image *image) {
  static const uint32_t gamma = 45455, primaries[] = {31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000};
  const rst_bytes *gama = &image->metadata[RST_METADATA_GAMA], *chrm = &image->metadata[RST_METADATA_CHRM];
  if (gama->size > 0 && rst_be32(gama->data) != gamma) return false;
  for (size_t i = 0; chrm->size > 0 && i < 8; i++)
    if (rst_be32(chrm->data + 4 * i) != primaries[i]) return false;
  return true;
}

/* A line for alpha and one for what colours or a camera say; resolution and free texts go without a word. */
static void tell_losses(const rst_sink *sink, const rst_image_format *format, const rst_image *image) {
  static const char *const names[] = {
      [RST_METADATA_ICC] = "colour profile", [RST_METADATA_EXIF] = "EXIF",      [RST_METADATA_XMP] = "XMP",
      [RST_METADATA_GAMA] = "gamma",         [RST_METADATA_CHRM] = "primaries", [RST_METADATA_CICP] = "cICP"};
  const uint8_t *b = sink->options->background;
  if (sink->options->warning == NULL) return;
  if (!format->alpha && !is_opaque(image))
    rst_sink_warn(sink, "%s has no alpha: put on the background #%02x%02x%02x", format->title, b[0], b[1],
                  b[2]);
  if (sink->options->strip) return;
  unsigned lost = rst_image_metadata_kinds(image);
  /* A profile overrides these, and sRGB is what is taken for granted. */
  if ((lost & (1u << RST_METADATA_ICC | 1u << RST_METADATA_SRGB)) != 0 || is_srgb(image))
    lost &= ~(1u << RST_METADATA_GAMA | 1u << RST_METADATA_CHRM);
  lost &= ~(1u << RST_METADATA_SRGB | 1u << RST_METADATA_PHYS | 1u << RST_METADATA_TEXT | format->metadata);
  char list[128] = "";
  size_t used = 0;
  for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
    if ((lost >> k & 1) != 0 && names[k] != NULL && used < sizeof list)
      used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", used > 0 ? ", " : "", names[k]);
  if (lost != 0) rst_sink_warn(sink, "%s holds no %s: left out", format->title, list);
}

/* ---- Writing ------------------------------------------------------------------------------- */

static rst_status encode(rst_sink *sink, const rst_codec *codec, const rst_image *image) {
  sink->sample = rst_image_output_sample(&codec->format, sink->options, image->sample);
  tell_losses(sink, &codec->format, image);
  rst_status status = codec->write(sink, image);
  if (status != RST_OK) return status;
  if (sink->cancelled) return rst_fail(sink->err, RST_CANCELLED, "%s: cancelled", sink->path);
  if (sink->no_memory) return rst_fail_memory(sink->err, sink->path);
  return RST_OK;
}

/* The codec for `path`, with the options completed, where the image can be written with it. */
static rst_status prepare(const char *path, const rst_image *image, const rst_image_write_options *given,
                          rst_image_write_options *options, const rst_codec **codec, rst_error *err) {
  const rst_image_format *format;
  if (image->samples == NULL || image->width == 0 || image->height == 0 || image->channels < 1 ||
      image->channels > 4)
    return rst_fail(err, RST_ERROR_USAGE, "%s: there is no picture to write", path);
  rst_status status = rst_image_output_format(path, given, &format, err);
  if (status == RST_OK)
    status = rst_image_check_output(path, given, image->width, image->height, image->channels, err);
  if (status != RST_OK) return status;
  rst_image_write_options_init(options);
  status = rst_options_read(options, sizeof *options, given, "rst_image_write_options", err);
  if (options->quality == 0) options->quality = DEFAULT_QUALITY;
  *codec = (const rst_codec *)format; /* its first member */
  return status;
}

rst_status rst_image_write(const char *path, const rst_image *image, const rst_image_write_options *given,
                           rst_error *err) {
  rst_output output;
  rst_image_write_options options;
  const rst_codec *codec;
  rst_status status = prepare(path, image, given, &options, &codec, err);
  if (status == RST_OK) status = rst_output_open(path, &output, err);
  if (status != RST_OK) return status;
  rst_sink sink = {.path = path, .file = &output, .options = &options, .err = err};
  status = encode(&sink, codec, image);
  if (status == RST_OK) return rst_end(err, rst_output_commit(&output, err));
  rst_output_discard(&output);
  return status;
}

rst_status rst_image_encode(const rst_image *image, const rst_image_write_options *given, void **data,
                            size_t *size, rst_error *err) {
  static const char name[] = "the encoded picture";
  rst_image_write_options options;
  const rst_codec *codec;
  *data = NULL;
  *size = 0;
  rst_status status = prepare(name, image, given, &options, &codec, err);
  if (status != RST_OK) return status;
  rst_sink sink = {.path = name, .options = &options, .err = err};
  status = encode(&sink, codec, image);
  if (status == RST_OK)
    *data = sink.data, *size = sink.size;
  else
    rst_free(sink.data);
  return rst_end(err, status);
}
