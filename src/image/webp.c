/* WebP on libwebp: 8-bit RGB with or without alpha, still pictures; ICC, EXIF and XMP by libwebpmux. (WebP
 * Container Specification.) */
#include <string.h>

#include <webp/decode.h>
#include <webp/encode.h>
#include <webp/mux.h>

#include "base/error.h"
#include "base/memory.h"
#include "image/image.h"

enum { LOSSLESS_FROM = 100 };

static const struct {
  const char *chunk;
  rst_metadata kind;
} chunks[] = {{"ICCP", RST_METADATA_ICC}, {"EXIF", RST_METADATA_EXIF}, {"XMP ", RST_METADATA_XMP}};
enum { CHUNKS = sizeof chunks / sizeof chunks[0] };

/* EXIF as it stands in a JPEG's segment is found in some files, too. */
static const char exif_head[] = "Exif\0";

/* ---- Reading ------------------------------------------------------------------------------- */

static void read_metadata(const rst_source *source, rst_image *image) {
  const WebPData file = {source->data, source->size};
  WebPMux *mux = WebPMuxCreate(&file, 0);
  if (mux == NULL)
    rst_source_warn(source, "WebP: its metadata cannot be read: left out"); /* damaged, or no memory */
  for (size_t i = 0; mux != NULL && i < CHUNKS; i++) {
    WebPData data;
    if (WebPMuxGetChunk(mux, chunks[i].chunk, &data) != WEBP_MUX_OK) continue;
    if (chunks[i].kind == RST_METADATA_EXIF && data.size > sizeof exif_head &&
        memcmp(data.bytes, exif_head, sizeof exif_head) == 0)
      data.bytes += sizeof exif_head, data.size -= sizeof exif_head;
    rst_image_set_metadata(image, chunks[i].kind, data.bytes, data.size, NULL);
  }
  WebPMuxDelete(mux);
}

static rst_status fail_decoding(const rst_source *source, VP8StatusCode code) {
  if (code == VP8_STATUS_OUT_OF_MEMORY) return rst_fail_memory(source->err, source->path);
  if (code == VP8_STATUS_NOT_ENOUGH_DATA || code == VP8_STATUS_SUSPENDED)
    return rst_source_fail(source, "WebP: ends before its last pixel (cut off?)");
  return rst_source_fail(source, "WebP: is damaged or of an unknown kind (libwebp's status %d)", (int)code);
}

rst_status rst_webp_read(const rst_source *source, rst_image *image) {
  WebPDecoderConfig config;
  if (!WebPInitDecoderConfig(&config))
    return rst_source_fail(source, "WebP: another libwebp than it was built with");
  VP8StatusCode code = WebPGetFeatures(source->data, source->size, &config.input);
  if (code != VP8_STATUS_OK) return fail_decoding(source, code);
  if (config.input.has_animation)
    return rst_source_fail(source, "WebP: is animated, expected a still picture");
  const size_t width = (size_t)config.input.width, height = (size_t)config.input.height;
  const int channels = config.input.has_alpha ? 4 : 3;
  /* The decoder of the lossless kind holds the picture once more, as 32 bits a pixel. */
  rst_status status = rst_source_check_size(source, "WebP", width, height);
  if (status == RST_OK)
    status = rst_source_check_memory(source, (uint64_t)width * height * (4u + (unsigned)channels));
  if (status == RST_OK)
    status = rst_source_allocate(source, "WebP", width, height, channels, RST_SAMPLE_U8, image);
  if (status != RST_OK) return status;
  config.output.colorspace = channels == 4 ? MODE_RGBA : MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = image->samples;
  config.output.u.RGBA.stride = (int)(width * (size_t)channels);
  config.output.u.RGBA.size = width * height * (size_t)channels;
  code = WebPDecode(source->data, source->size, &config);
  WebPFreeDecBuffer(&config.output);
  if (code != VP8_STATUS_OK) return fail_decoding(source, code);
  read_metadata(source, image);
  return RST_OK;
}

/* ---- Writing ------------------------------------------------------------------------------- */

static int on_progress(int percent, const WebPPicture *picture) {
  const rst_sink *sink = picture->user_data;
  (void)percent;
  return !rst_sink_write(picture->user_data, NULL, 0) ? 0 : !sink->failed;
}

/* The rows as libwebp takes them, RGB or RGBA. */
static bool import(WebPPicture *picture, rst_sink *sink, const rst_image *image) {
  const size_t channels = (size_t)image->channels, out = rst_has_alpha(image->channels) ? 4 : 3;
  uint8_t *samples = rst_alloc(image->width * image->height, out), *row = rst_alloc(image->width, channels);
  bool ok = samples != NULL && row != NULL;
  uint8_t *to = samples;
  for (size_t y = 0; ok && y < image->height; y++) {
    rst_image_row(image, y, sink->sample, NULL, row);
    for (size_t x = 0; x < image->width; x++, to += out) {
      const uint8_t *from = row + x * channels;
      const bool color = channels >= 3;
      to[0] = from[0], to[1] = from[color ? 1 : 0], to[2] = from[color ? 2 : 0];
      if (out == 4) to[3] = from[channels - 1];
    }
  }
  const int stride = (int)(image->width * out);
  ok = ok && (out == 4 ? WebPPictureImportRGBA(picture, samples, stride)
                       : WebPPictureImportRGB(picture, samples, stride));
  rst_free(row);
  rst_free(samples);
  return ok;
}

/* Wraps the picture with its metadata. */
static bool add_metadata(const WebPData *picture, const rst_image *image, WebPData *file) {
  WebPMux *mux = WebPMuxCreate(picture, 0);
  bool ok = mux != NULL;
  for (size_t i = 0; ok && i < CHUNKS; i++) {
    const rst_bytes *m = &image->metadata[chunks[i].kind];
    const WebPData data = {m->data, m->size};
    if (m->size > 0) ok = WebPMuxSetChunk(mux, chunks[i].chunk, &data, 0) == WEBP_MUX_OK;
  }
  ok = ok && WebPMuxAssemble(mux, file) == WEBP_MUX_OK;
  WebPMuxDelete(mux);
  return ok;
}

static rst_status finish(rst_sink *sink, const rst_image *image, const WebPMemoryWriter *writer) {
  const unsigned held = rst_image_metadata_kinds(image) &
                        (1u << RST_METADATA_ICC | 1u << RST_METADATA_EXIF | 1u << RST_METADATA_XMP);
  const WebPData picture = {writer->mem, writer->size};
  WebPData file = {0};
  if (held == 0 || sink->options->strip) {
    rst_sink_write(sink, picture.bytes, picture.size);
    return RST_OK;
  }
  const bool ok = add_metadata(&picture, image, &file);
  if (ok) rst_sink_write(sink, file.bytes, file.size);
  WebPDataClear(&file);
  return ok ? RST_OK : rst_fail_memory(sink->err, sink->path);
}

rst_status rst_webp_write(rst_sink *sink, const rst_image *image) {
  WebPConfig config;
  WebPPicture picture;
  WebPMemoryWriter writer;
  const int quality = sink->options->quality;
  if (!WebPConfigInit(&config) || !WebPPictureInit(&picture))
    return rst_fail(sink->err, RST_ERROR_OUTPUT, "%s: WebP: another libwebp than it was built with",
                    sink->path);
  config.quality = (float)quality;
  config.lossless = quality >= LOSSLESS_FROM;
  config.exact = 1; /* colours under transparency, too */
  picture.use_argb = config.lossless;
  picture.width = (int)image->width;
  picture.height = (int)image->height;
  WebPMemoryWriterInit(&writer);
  picture.writer = WebPMemoryWrite;
  picture.custom_ptr = &writer;
  picture.progress_hook = on_progress;
  picture.user_data = sink;
  rst_status status = RST_OK;
  if (!import(&picture, sink, image))
    status = rst_fail_memory(sink->err, sink->path);
  else if (WebPEncode(&config, &picture))
    status = finish(sink, image, &writer);
  else if (picture.error_code == VP8_ENC_ERROR_OUT_OF_MEMORY ||
           picture.error_code == VP8_ENC_ERROR_BITSTREAM_OUT_OF_MEMORY ||
           picture.error_code == VP8_ENC_ERROR_BAD_WRITE) /* into memory */
    status = rst_fail_memory(sink->err, sink->path);
  else if (picture.error_code != VP8_ENC_ERROR_USER_ABORT)
    status = rst_fail(sink->err, RST_ERROR_OUTPUT, "%s: WebP: cannot be encoded (libwebp's error %d)",
                      sink->path, (int)picture.error_code);
  WebPPictureFree(&picture);
  WebPMemoryWriterClear(&writer);
  return status;
}
