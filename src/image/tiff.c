/* TIFF on libtiff: 8 and 16 bits and floats, grey and RGB, with or without alpha, both ways; what else
 * libtiff can show (palettes, bitmaps, CMYK, tiles) is read as 8-bit RGBA. (TIFF 6.0; Adobe's technical
 * notes.) */
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <tiffio.h>

#include "base/error.h"
#include "base/memory.h"
#include "image/image.h"

/* No method that is in use makes more of a byte: a short file asks for no memory. */
enum { MAX_RATIO = 4096, STRIP = 1 << 18, LEAST = 1 << 20 /* bytes that the library may take at once */ };
static const double INCH = 0.0254; /* metres */

/* A file in memory, as libtiff wants to see it, and the first complaint. */
typedef struct file {
  const rst_source *source; /* NULL: for writing */
  uint8_t *data;            /* written */
  uint64_t size, capacity, position;
  rst_error message;
  bool no_memory; /* here */
  bool absurd;    /* it asks for memory that no sound one does */
  bool broken;    /* the library had none: it frees through a null pointer then, and is better left alone */
} file;

/* Whether the text has one of the words. */
static bool has_word(const char *text, const char *const words[], size_t count) {
  for (size_t i = 0; i < count; i++)
    if (strstr(text, words[i]) != NULL) return true;
  return false;
}

/* The library has no code for that. What a damaged file asks for, more than it can need or nothing at all, is
 * told as if memory were missing, too. */
static void look_for_memory(file *f, const char *text) {
  static const char *const memory[] = {"memory", "No space", "allocate", "malloc", "Insertion in"};
  static const char *const damage[] = {"is beyond the", "(0 elements"};
  f->absurd = f->absurd || has_word(text, damage, sizeof damage / sizeof *damage);
  if (!f->absurd && has_word(text, memory, sizeof memory / sizeof *memory)) f->broken = true;
}

static int on_error(TIFF *tiff, void *user, const char *module, const char *format, va_list args) {
  file *f = user;
  rst_error now;
  (void)tiff;
  (void)module;
  vsnprintf(now.message, sizeof now.message, format, args);
  if (f->message.message[0] == '\0') f->message = now;
  look_for_memory(f, now.message);
  return 1;
}

/* Unknown tags and the like are not worth a word. */
static int on_warning(TIFF *tiff, void *user, const char *module, const char *format, va_list args) {
  (void)tiff, (void)module, (void)args;
  look_for_memory(user, format);
  return 1;
}

static uint64_t size_of(const file *f) {
  return f->source != NULL ? f->source->size : f->size;
}

static tmsize_t read_bytes(thandle_t handle, void *to, tmsize_t size) {
  file *f = handle;
  const uint64_t left = f->position < size_of(f) ? size_of(f) - f->position : 0;
  const size_t n = (uint64_t)size < left ? (size_t)size : (size_t)left;
  if (n > 0) memcpy(to, (f->source != NULL ? f->source->data : f->data) + f->position, n);
  f->position += n;
  return (tmsize_t)n;
}

static tmsize_t write_bytes(thandle_t handle, void *from, tmsize_t size) {
  file *f = handle;
  const uint64_t end = f->position + (uint64_t)size;
  if (end > f->capacity) {
    const uint64_t capacity = end + end / 2;
    uint8_t *data = capacity > SIZE_MAX ? NULL : rst_alloc((size_t)capacity, 1);
    if (data == NULL) {
      f->no_memory = true;
      return -1;
    }
    if (f->size > 0) memcpy(data, f->data, (size_t)f->size);
    rst_free(f->data);
    f->data = data;
    f->capacity = capacity;
  }
  if (f->position > f->size) memset(f->data + f->size, 0, (size_t)(f->position - f->size));
  memcpy(f->data + f->position, from, (size_t)size);
  f->position = end;
  if (end > f->size) f->size = end;
  return size;
}

static uint64_t seek(thandle_t handle, uint64_t offset, int whence) {
  file *f = handle;
  f->position = offset + (whence == SEEK_CUR ? f->position : whence == SEEK_END ? size_of(f) : 0);
  return f->position;
}

static uint64_t tell_size(thandle_t handle) {
  return size_of(handle);
}

static int close_nothing(thandle_t handle) {
  (void)handle;
  return 0;
}

/* 0: no limit. */
static tmsize_t most_at_once(size_t size) {
  return size < (PTRDIFF_MAX - LEAST) / MAX_RATIO ? (tmsize_t)(size * MAX_RATIO + LEAST) : 0;
}

static TIFF *open_tiff(file *f, const char *name, const char *mode) {
  TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
  f->no_memory = options == NULL;
  if (options == NULL) return NULL;
  if (f->source != NULL) TIFFOpenOptionsSetMaxSingleMemAlloc(options, most_at_once(f->source->size));
  TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, f);
  TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, f);
  TIFF *tiff = TIFFClientOpenExt(name, mode, f, read_bytes, write_bytes, seek, close_nothing, tell_size, NULL,
                                 NULL, options);
  TIFFOpenOptionsFree(options);
  return tiff;
}

/* ---- Reading ------------------------------------------------------------------------------- */

typedef struct header {
  uint32_t width, height;
  uint16_t bits, samples, form, photometric, planar, extras, compression;
  const uint16_t *extra_kinds;
  rst_sample sample;
  int colors;
  bool alpha, premultiplied, direct; /* direct: read as it is stored */
} header;

static header read_header(TIFF *tiff) {
  header h = {.photometric = PHOTOMETRIC_MINISBLACK};
  TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &h.width);
  TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &h.height);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &h.bits);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &h.samples);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &h.form);
  TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &h.photometric);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_PLANARCONFIG, &h.planar);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_COMPRESSION, &h.compression);
  if (!TIFFGetField(tiff, TIFFTAG_EXTRASAMPLES, &h.extras, &h.extra_kinds)) h.extras = 0;
  h.colors = h.photometric <= PHOTOMETRIC_MINISBLACK ? 1 : 3;
  h.alpha = h.extras > 0 && h.samples > h.colors && h.extra_kinds[0] != EXTRASAMPLE_UNSPECIFIED;
  h.premultiplied = h.alpha && h.extra_kinds[0] == EXTRASAMPLE_ASSOCALPHA;
  h.sample = h.bits == 8 ? RST_SAMPLE_U8 : h.bits == 16 ? RST_SAMPLE_U16 : RST_SAMPLE_F32;
  const bool integers = h.form == SAMPLEFORMAT_UINT && (h.bits == 8 || h.bits == 16);
  const bool floats = h.form == SAMPLEFORMAT_IEEEFP && h.bits == 32;
  h.direct =
      (integers || floats) && h.samples >= h.colors && !TIFFIsTiled(tiff) && h.photometric <= PHOTOMETRIC_RGB;
  return h;
}

static void invert(void *samples, rst_sample sample, size_t count) {
  uint8_t *u8 = samples;
  uint16_t *u16 = samples;
  float *f32 = samples;
  for (size_t i = 0; i < count; i++) {
    if (sample == RST_SAMPLE_U8) u8[i] = (uint8_t)(255 - u8[i]);
    if (sample == RST_SAMPLE_U16) u16[i] = (uint16_t)(65535 - u16[i]);
    if (sample == RST_SAMPLE_F32) f32[i] = 1 - f32[i];
  }
}

/* Colours that have been multiplied by alpha get their own values back. */
static void unmultiply(rst_image *image) {
  const size_t channels = (size_t)image->channels, size = rst_sample_size(image->sample);
  uint8_t *at = image->samples;
  for (size_t i = 0; i < image->width * image->height; i++, at += channels * size) {
    float pixel[4];
    rst_convert_samples(at, image->sample, 1, pixel, RST_SAMPLE_F32, 1, channels);
    if (!(pixel[channels - 1] > 0)) continue;
    for (size_t c = 0; c + 1 < channels; c++) pixel[c] /= pixel[channels - 1];
    rst_convert_samples(pixel, RST_SAMPLE_F32, 1, at, image->sample, 1, channels - 1);
  }
}

static rst_status damaged(const rst_source *source, const file *f) {
  return rst_source_fail(source, "TIFF: cannot be decoded (%s)",
                         f->message.message[0] == '\0' ? "for no given reason" : f->message.message);
}

/* Rows as they are stored, channels together or in planes of their own. */
static rst_status read_rows(TIFF *tiff, const header *h, const file *f, rst_image *image) {
  const rst_source *source = f->source;
  const size_t size = rst_sample_size(h->sample), channels = (size_t)image->channels;
  const bool planes = h->planar == PLANARCONFIG_SEPARATE;
  const size_t step = planes ? 1 : h->samples;
  const tmsize_t stride = TIFFScanlineSize(tiff);
  if (stride <= 0 || (size_t)stride < (size_t)h->width * step * size) return damaged(source, f);
  uint8_t *row = rst_alloc((size_t)stride, 1);
  if (row == NULL) return rst_fail_memory(source->err, source->path);
  rst_status status = RST_OK;
  for (size_t plane = 0; status == RST_OK && plane < (planes ? channels : 1); plane++)
    for (uint32_t y = 0; status == RST_OK && y < h->height; y++) {
      if (rst_source_cancelled(source)) status = rst_source_stopped(source);
      if (status == RST_OK && TIFFReadScanline(tiff, row, y, (uint16_t)plane) != 1)
        status = damaged(source, f);
      uint8_t *to = (uint8_t *)image->samples + (size_t)y * h->width * channels * size;
      for (size_t c = 0; status == RST_OK && c < (planes ? 1 : channels); c++)
        rst_convert_samples(row + c * size, h->sample, step, to + (plane + c) * size, h->sample, channels,
                            h->width);
    }
  rst_free(row);
  if (status == RST_OK && h->photometric == PHOTOMETRIC_MINISWHITE)
    invert(image->samples, h->sample, (size_t)h->width * h->height * channels);
  if (status == RST_OK && h->premultiplied) unmultiply(image);
  return status;
}

/* By libtiff's own conversion: 32 bits a pixel, alpha multiplied in, the first row on top; then only what
 * there is. */
static rst_status read_rgba(TIFF *tiff, const header *h, const file *f, rst_image *image) {
  if (h->bits > 8) rst_source_warn(f->source, "TIFF: of its kind, only 8 of %d bits are read", h->bits);
  if (!TIFFReadRGBAImageOriented(tiff, h->width, h->height, image->samples, ORIENTATION_TOPLEFT, 1))
    return damaged(f->source, f);
  uint8_t *to = image->samples;
  for (size_t i = 0; i < (size_t)h->width * h->height; i++, to += 4) {
    uint32_t pixel;
    memcpy(&pixel, to, sizeof pixel);
    to[0] = (uint8_t)TIFFGetR(pixel), to[1] = (uint8_t)TIFFGetG(pixel), to[2] = (uint8_t)TIFFGetB(pixel),
    to[3] = (uint8_t)TIFFGetA(pixel);
  }
  if (h->alpha) unmultiply(image);
  const uint8_t *from = image->samples;
  to = image->samples;
  for (size_t i = 0; i < (size_t)h->width * h->height; i++, from += 4) {
    for (int c = 0; c < h->colors; c++) *to++ = from[c];
    if (h->alpha) *to++ = from[3];
  }
  image->channels = h->colors + h->alpha;
  return RST_OK;
}

static void read_metadata(TIFF *tiff, rst_image *image) {
  uint32_t size;
  void *data;
  float x, y;
  uint16_t unit = RESUNIT_INCH;
  if (TIFFGetField(tiff, TIFFTAG_ICCPROFILE, &size, &data))
    rst_image_set_metadata(image, RST_METADATA_ICC, data, size, NULL);
  if (TIFFGetField(tiff, TIFFTAG_XMLPACKET, &size, &data))
    rst_image_set_metadata(image, RST_METADATA_XMP, data, size, NULL);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_RESOLUTIONUNIT, &unit);
  if (!TIFFGetField(tiff, TIFFTAG_XRESOLUTION, &x) || !TIFFGetField(tiff, TIFFTAG_YRESOLUTION, &y)) return;
  const double metre = unit == RESUNIT_INCH ? 1 / INCH : unit == RESUNIT_CENTIMETER ? 100 : 0;
  if (!(x * metre >= 1 && y * metre >= 1 && x * metre < INT32_MAX && y * metre < INT32_MAX)) return;
  uint8_t phys[9] = {[8] = 1};
  rst_put_be32(phys, (uint32_t)lrint(x * metre));
  rst_put_be32(phys + 4, (uint32_t)lrint(y * metre));
  rst_image_set_metadata(image, RST_METADATA_PHYS, phys, sizeof phys, NULL);
}

static rst_status read_tiff(TIFF *tiff, const file *f, rst_image *image) {
  const rst_source *source = f->source;
  const header h = read_header(tiff);
  const int channels = h.direct ? h.colors + h.alpha : 4;
  const rst_sample sample = h.direct ? h.sample : RST_SAMPLE_U8;
  uint32_t kind = 0;
  uint16_t version_size;
  const void *version;
  if ((TIFFGetField(tiff, TIFFTAG_SUBFILETYPE, &kind) && (kind & FILETYPE_REDUCEDIMAGE) != 0) ||
      TIFFGetField(tiff, TIFFTAG_DNGVERSION, &version) ||
      TIFFGetField(tiff, TIFFTAG_SUBIFD, &version_size, &version))
    return rst_source_fail(source, "TIFF: is a camera's raw file, or of several resolutions");
  rst_status status = rst_source_check_size(source, "TIFF", h.width, h.height);
  if (status != RST_OK) return status;
  const uint64_t raw = (uint64_t)h.width * h.height * h.samples * h.bits / 8;
  if (raw / (h.compression == COMPRESSION_NONE ? 1 : MAX_RATIO) > source->size)
    return rst_source_fail(source, "TIFF: %zu bytes are too few for %u x %u pixels", source->size, h.width,
                           h.height);
  status = rst_source_allocate(source, "TIFF", h.width, h.height, channels, sample, image);
  if (status == RST_OK) status = h.direct ? read_rows(tiff, &h, f, image) : read_rgba(tiff, &h, f, image);
  if (status != RST_OK) return status;
  if (h.direct && h.samples > h.colors + h.alpha)
    rst_source_warn(source, "TIFF: %d channels beside the colours are left out",
                    h.samples - h.colors - h.alpha);
  read_metadata(tiff, image);
  uint16_t orientation = 1;
  TIFFGetFieldDefaulted(tiff, TIFFTAG_ORIENTATION, &orientation);
  if (h.direct && orientation >= 2 && orientation <= 8 && !rst_image_orient(image, orientation))
    return rst_fail_memory(source->err, source->path);
  if (!TIFFLastDirectory(tiff)) rst_source_warn(source, "TIFF: has more than one picture; the first is read");
  return RST_OK;
}

rst_status rst_tiff_read(const rst_source *source, rst_image *image) {
  file f = {.source = source};
  TIFF *tiff = open_tiff(&f, source->path, "rm"); /* m: not mapped */
  rst_status status = tiff != NULL ? read_tiff(tiff, &f, image) : damaged(source, &f);
  if (tiff != NULL && !f.broken) TIFFClose(tiff);
  return f.no_memory || f.broken ? rst_fail_memory(source->err, source->path) : status;
}

/* ---- Writing ------------------------------------------------------------------------------- */

/* False: no memory. */
static bool put_metadata(TIFF *tiff, const rst_image *image) {
  const rst_bytes *icc = &image->metadata[RST_METADATA_ICC], *xmp = &image->metadata[RST_METADATA_XMP];
  const rst_bytes *phys = &image->metadata[RST_METADATA_PHYS];
  if (icc->size > 0 && !TIFFSetField(tiff, TIFFTAG_ICCPROFILE, (uint32_t)icc->size, icc->data)) return false;
  if (xmp->size > 0 && !TIFFSetField(tiff, TIFFTAG_XMLPACKET, (uint32_t)xmp->size, xmp->data)) return false;
  if (phys->size == 0 || phys->data[8] != 1) return true;
  TIFFSetField(tiff, TIFFTAG_RESOLUTIONUNIT, RESUNIT_INCH);
  TIFFSetField(tiff, TIFFTAG_XRESOLUTION, rst_be32(phys->data) * INCH);
  TIFFSetField(tiff, TIFFTAG_YRESOLUTION, rst_be32(phys->data + 4) * INCH);
  return true;
}

static bool write_tiff(TIFF *tiff, rst_sink *sink, const rst_image *image, void *row) {
  static const uint16_t alpha[] = {EXTRASAMPLE_UNASSALPHA};
  const bool floats = sink->sample == RST_SAMPLE_F32;
  const size_t size = rst_sample_size(sink->sample), stride = image->width * (size_t)image->channels * size;
  TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, (uint32_t)image->width);
  TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, (uint32_t)image->height);
  TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, (int)(8 * size));
  TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, image->channels);
  TIFFSetField(tiff, TIFFTAG_SAMPLEFORMAT, floats ? SAMPLEFORMAT_IEEEFP : SAMPLEFORMAT_UINT);
  TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, image->channels >= 3 ? PHOTOMETRIC_RGB : PHOTOMETRIC_MINISBLACK);
  TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
  TIFFSetField(tiff, TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT);
  TIFFSetField(tiff, TIFFTAG_COMPRESSION, COMPRESSION_ADOBE_DEFLATE);
  TIFFSetField(tiff, TIFFTAG_PREDICTOR, floats ? PREDICTOR_FLOATINGPOINT : PREDICTOR_HORIZONTAL);
  TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, (uint32_t)(stride >= STRIP ? 1 : STRIP / stride));
  if (rst_has_alpha(image->channels) && !TIFFSetField(tiff, TIFFTAG_EXTRASAMPLES, 1, alpha)) return false;
  if (!sink->options->strip && !put_metadata(tiff, image)) return false;
  for (size_t y = 0; y < image->height; y++) {
    rst_image_row(image, y, sink->sample, NULL, row);
    if (!rst_sink_write(sink, NULL, 0)) return true; /* cancelled */
    if (TIFFWriteScanline(tiff, row, (uint32_t)y, 0) != 1) return false;
  }
  return true;
}

rst_status rst_tiff_write(rst_sink *sink, const rst_image *image) {
  file f = {0};
  const size_t stride = image->width * (size_t)image->channels * rst_sample_size(sink->sample);
  const bool big = stride > (UINT32_MAX - (1u << 24)) / image->height; /* offsets of 64 bits */
  void *row = rst_alloc(stride, 1);
  TIFF *tiff = row == NULL ? NULL : open_tiff(&f, sink->path, big ? "w8" : "w");
  bool ok = tiff != NULL && write_tiff(tiff, sink, image, row);
  ok = ok && (sink->failed || TIFFFlush(tiff) == 1);
  if (!ok && f.message.message[0] == '\0') f.broken = true;
  if (tiff != NULL && !ok)
    TIFFSetMode(tiff, O_RDONLY); /* or closing would write what is not all there, and crash */
  if (tiff != NULL && !f.broken) TIFFClose(tiff);
  rst_status status = RST_OK;
  if (row == NULL || tiff == NULL || f.no_memory || f.broken)
    status = rst_fail_memory(sink->err, sink->path);
  else if (ok && !sink->failed)
    rst_sink_write(sink, f.data, (size_t)f.size);
  else if (!ok)
    status = rst_fail(sink->err, RST_ERROR_OUTPUT, "%s: TIFF: cannot be encoded (%s)", sink->path,
                      f.message.message);
  rst_free(f.data);
  rst_free(row);
  return status;
}
