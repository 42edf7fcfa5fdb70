/* Writing a picture into a file or memory: what is common to all formats. */
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

/* ---- Writing ------------------------------------------------------------------------------- */

static rst_status encode(rst_sink *sink, const rst_codec *codec, const rst_image *image) {
  sink->sample = rst_image_output_sample(&codec->format, sink->options, image->sample);
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
