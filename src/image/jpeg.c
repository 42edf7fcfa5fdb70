/* JPEG on libjpeg-turbo. Its errors leave by longjmp, within this file only: reading and writing each have
 * one place that setjmp comes back to, and what must survive lives in a struct outside of it. */
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "image/image.h"

/* A progressive file may go over all of its coefficients again and again: real ones have some ten scans. */
enum { MAX_SCANS = 100, BUFFER = 1 << 16, CHROMA_AS_FINE_FROM = 91 };

typedef struct jump {
  jmp_buf back;
  int code; /* JERR_... or JWRN_... that ended it */
  char message[JMSG_LENGTH_MAX];
} jump;

/* ---- Reading ------------------------------------------------------------------------------- */

typedef struct reader {
  struct jpeg_decompress_struct codec;
  struct jpeg_error_mgr errors;
  struct jpeg_progress_mgr progress;
  jump out;
  const rst_source *source;
  rst_image *image;
  rst_status status; /* of what went wrong outside the library */
  uint8_t *row;      /* of CMYK */
  int scan;          /* the last one seen */
  unsigned seen;     /* components that had a scan, as bits */
  bool warned, cut;
} reader;

static reader *reader_of(j_common_ptr codec) {
  return codec->client_data;
}

static void leave(reader *r, j_common_ptr codec) {
  r->out.code = codec->err->msg_code;
  codec->err->format_message(codec, r->out.message);
  longjmp(r->out.back, 1);
}

/* Leaves with a status of our own, whose message has been made. */
static void leave_with(reader *r, rst_status status) {
  r->status = status;
  longjmp(r->out.back, 1);
}

static void on_error(j_common_ptr codec) {
  leave(reader_of(codec), codec);
}

/* What means that pixels are missing or wrong ends the reading; what else is odd is told once. */
static void on_message(j_common_ptr codec, int level) {
  reader *r = reader_of(codec);
  if (level >= 0) return;
  switch (codec->err->msg_code) {
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_MUST_RESYNC:
      leave(r, codec);
      break;
    case JWRN_JPEG_EOF:
      r->cut = true;
      break;
    default:
      break;
  }
  if (r->warned) return; /* a damaged file has one for each of its bytes */
  char text[JMSG_LENGTH_MAX];
  codec->err->format_message(codec, text);
  rst_source_warn(r->source, "JPEG: %s", text);
  r->warned = true;
}

/* Called every now and then: counts scans and their components, and looks whether the caller has had enough.
 */
static void on_progress(j_common_ptr codec) {
  reader *r = reader_of(codec);
  const struct jpeg_decompress_struct *c = &r->codec;
  if (rst_source_cancelled(r->source)) leave_with(r, rst_source_stopped(r->source));
  if (c->input_scan_number > MAX_SCANS)
    leave_with(r, rst_source_fail(r->source, "JPEG: more than %d scans", MAX_SCANS));
  if (c->input_scan_number == r->scan) return;
  r->scan = c->input_scan_number;
  for (int i = 0; i < c->comps_in_scan; i++) r->seen |= 1u << c->cur_comp_info[i]->component_index;
}

/* Bytes of the coefficients that the library holds when a picture comes in several scans. */
static uint64_t coefficient_bytes(const struct jpeg_decompress_struct *c) {
  uint64_t bytes = 0;
  for (int i = 0; i < c->num_components; i++)
    bytes += (uint64_t)c->comp_info[i].width_in_blocks * c->comp_info[i].height_in_blocks * sizeof(JBLOCK);
  return bytes;
}

static rst_status check(reader *r) {
  struct jpeg_decompress_struct *c = &r->codec;
  const rst_source *s = r->source;
  const size_t width = c->image_width, height = c->image_height, n = (size_t)c->num_components;
  if (c->arith_code) return rst_source_fail(s, "JPEG: has arithmetic coding, expected Huffman codes");
  if (n != 1 && n != 3 && n != 4) return rst_source_fail(s, "JPEG: %zu components, expected 1, 3 or 4", n);
  rst_status status = rst_source_check_size(s, "JPEG", width, height);
  if (status != RST_OK) return status;
  /* A block of 8 x 8 takes a bit at least: a short file asks for no memory. */
  if (s->size < ((width + 7) / 8) * ((height + 7) / 8) / 8)
    return rst_source_fail(s, "JPEG: %zu bytes are too few for %zu x %zu pixels", s->size, width, height);
  const bool several = jpeg_has_multiple_scans(c);
  return rst_source_check_memory(
      s, (uint64_t)width * height * (n == 1 ? 1 : 3) + (several ? coefficient_bytes(c) : width * 64 * n));
}

/* A file that ends without its end marker is whole when each component was there, and a progressive one when
 * each coefficient was, down to its last bit. */
static rst_status check_scans(reader *r) {
  const struct jpeg_decompress_struct *c = &r->codec;
  if (c->num_components < 32 && r->seen != (1u << c->num_components) - 1)
    return rst_source_fail(r->source, "JPEG: a component has no scan");
  bool whole = true;
  for (int i = 0; r->cut && c->coef_bits != NULL && i < c->num_components; i++)
    for (int k = 0; k < DCTSIZE2; k++) whole = whole && c->coef_bits[i][k] == 0;
  return whole ? RST_OK
               : rst_source_fail(r->source, "JPEG: ends at byte %zu before its last scan (cut off?)",
                                 r->source->size);
}

/* Ink to light, as simply as everybody does without a profile. Adobe's files hold what is left of white. */
static void put_cmyk(const uint8_t *cmyk, bool inverted, size_t width, uint8_t *rgb) {
  for (size_t x = 0; x < width; x++, cmyk += 4)
    for (size_t k = 0; k < 3; k++) {
      unsigned a = cmyk[k], b = cmyk[3];
      if (!inverted) a = 255 - a, b = 255 - b;
      *rgb++ = (uint8_t)((a * b + 127) / 255);
    }
}

/* ---- Reading: metadata --------------------------------------------------------------------- */

static const char exif_head[] = "Exif\0", xmp_head[] = "http://ns.adobe.com/xap/1.0/"; /* with their last 0 */

static bool begins(const struct jpeg_marker_struct *m, const char *head, size_t size) {
  return m->data_length > size && memcmp(m->data, head, size) == 0;
}

/* Nothing says how a comment is encoded: what cannot be UTF-8 is taken for Latin-1, the usual one of old
 * cameras and programs. */
static void read_comment(reader *r, const struct jpeg_marker_struct *m) {
  char *text = rst_image_metadata_alloc(r->image, m->data_length + 1);
  if (text == NULL) return;
  size_t n = 0;
  for (size_t i = 0; i < m->data_length; i++)
    if (m->data[i] != 0) text[n++] = (char)m->data[i];
  text[n] = '\0';
  if (!rst_is_utf8(text)) {
    rst_free(text);
    text = rst_image_utf8_of_latin1(r->image, m->data, m->data_length);
  }
  if (text != NULL && n > 0) rst_image_add_text(r->image, RST_COMMENT, text, NULL);
  rst_free(text);
}

/* What cannot be kept is left out. */
static void read_marker(reader *r, const struct jpeg_marker_struct *m) {
  if (m->marker == JPEG_APP0 + 1 && begins(m, exif_head, sizeof exif_head))
    rst_image_set_metadata(r->image, RST_METADATA_EXIF, m->data + sizeof exif_head,
                           m->data_length - sizeof exif_head, NULL);
  if (m->marker == JPEG_APP0 + 1 && begins(m, xmp_head, sizeof xmp_head))
    rst_image_set_metadata(r->image, RST_METADATA_XMP, m->data + sizeof xmp_head,
                           m->data_length - sizeof xmp_head, NULL);
  if (m->marker == JPEG_COM) read_comment(r, m);
}

static void read_profile(reader *r) {
  struct jpeg_decompress_struct *c = &r->codec;
  JOCTET *profile = NULL;
  unsigned size;
  if (!jpeg_read_icc_profile(c, &profile, &size)) return;
  if (c->num_components == 4)
    rst_source_warn(r->source, "JPEG: its CMYK profile is not used: colours are approximate");
  else
    rst_image_set_metadata(r->image, RST_METADATA_ICC, profile, size, NULL);
  free(profile); /* the library's malloc */
}

/* JFIF's density, in dots per inch (1) or cm (2), as a PNG has it. */
static void read_density(reader *r) {
  const struct jpeg_decompress_struct *c = &r->codec;
  if (!c->saw_JFIF_marker || c->density_unit < 1 || c->density_unit > 2) return;
  const double unit = c->density_unit == 1 ? 1 / 0.0254 : 100;
  uint8_t phys[9] = {[8] = 1}; /* per metre */
  rst_put_be32(phys, (uint32_t)lrint(c->X_density * unit));
  rst_put_be32(phys + 4, (uint32_t)lrint(c->Y_density * unit));
  rst_image_set_metadata(r->image, RST_METADATA_PHYS, phys, sizeof phys, NULL);
}

static void read_metadata(reader *r) {
  for (const struct jpeg_marker_struct *m = r->codec.marker_list; m != NULL; m = m->next) read_marker(r, m);
  read_profile(r);
  read_density(r);
}

/* ---- Reading: pixels ----------------------------------------------------------------------- */

static rst_status decode(reader *r) {
  struct jpeg_decompress_struct *c = &r->codec;
  const rst_source *s = r->source;
  jpeg_mem_src(c, s->data, s->size);
  jpeg_save_markers(c, JPEG_APP0 + 1, UINT16_MAX);
  jpeg_save_markers(c, JPEG_APP0 + 2, UINT16_MAX);
  jpeg_save_markers(c, JPEG_COM, UINT16_MAX);
  jpeg_read_header(c, TRUE);
  rst_status status = check(r);
  if (status != RST_OK) return status;
  read_metadata(r);
  const bool cmyk = c->num_components == 4;
  const int channels = c->num_components == 1 ? 1 : 3;
  c->out_color_space = channels == 1 ? JCS_GRAYSCALE : cmyk ? JCS_CMYK : JCS_RGB;
  c->progress = &r->progress;
  if (s->options != NULL && s->options->max_memory != 0 && s->options->max_memory < INT32_MAX)
    c->mem->max_memory_to_use = (long)s->options->max_memory;
  jpeg_start_decompress(c);
  if (jpeg_has_multiple_scans(c)) status = check_scans(r);
  if (status == RST_OK)
    status =
        rst_source_allocate(s, "JPEG", c->output_width, c->output_height, channels, RST_SAMPLE_U8, r->image);
  const size_t stride = (size_t)c->output_width * (size_t)channels;
  if (status == RST_OK && cmyk) {
    r->row = rst_alloc(c->output_width, 4);
    if (r->row == NULL) status = rst_fail_memory(s->err, s->path);
  }
  if (status != RST_OK) return status;
  for (uint8_t *to = r->image->samples; c->output_scanline < c->output_height; to += stride) {
    JSAMPROW row = cmyk ? r->row : to;
    jpeg_read_scanlines(c, &row, 1);
    if (cmyk) put_cmyk(row, c->saw_Adobe_marker, c->output_width, to);
  }
  return RST_OK; /* what may come behind the last row does not matter */
}

/* What the library has complained about. */
static rst_status complain(const reader *r) {
  const rst_source *s = r->source;
  switch (r->out.code) {
    case JERR_OUT_OF_MEMORY:
    case JERR_NO_BACKING_STORE: /* its name for more memory than max_memory_to_use */
      return rst_fail_memory(s->err, s->path);
    case JWRN_HIT_MARKER:
      return rst_source_fail(s,
                             r->cut ? "JPEG: ends at byte %zu before its last pixel (cut off?)"
                                    : "JPEG: pixels are missing (of %zu bytes, some are lost)",
                             s->size);
    default:
      return rst_source_fail(s, "JPEG: cannot be decoded (%s)", r->out.message);
  }
}

rst_status rst_jpeg_read(const rst_source *source, rst_image *image) {
  reader *r = rst_alloc_zeroed(1, sizeof *r);
  if (r == NULL) return rst_fail_memory(source->err, source->path);
  r->source = source;
  r->image = image;
  r->codec.err = jpeg_std_error(&r->errors);
  r->codec.client_data = r;
  r->errors.error_exit = on_error;
  r->errors.emit_message = on_message;
  r->progress.progress_monitor = on_progress;
  rst_status status;
  if (setjmp(r->out.back) == 0) {
    jpeg_create_decompress(&r->codec);
    status = decode(r);
  } else {
    status = r->status != RST_OK ? r->status : complain(r);
  }
  jpeg_destroy_decompress(&r->codec);
  rst_free(r->row);
  rst_free(r);
  return status;
}

/* ---- Writing ------------------------------------------------------------------------------- */

typedef struct writer {
  struct jpeg_compress_struct codec;
  struct jpeg_error_mgr errors;
  struct jpeg_destination_mgr destination;
  jump out;
  rst_sink *sink;
  uint8_t *row;
  uint8_t buffer[BUFFER];
} writer;

static void on_write_error(j_common_ptr codec) {
  writer *w = codec->client_data;
  w->out.code = codec->err->msg_code;
  codec->err->format_message(codec, w->out.message);
  longjmp(w->out.back, 1);
}

static void on_write_message(j_common_ptr codec, int level) {
  (void)codec;
  (void)level;
}

static void start_buffer(j_compress_ptr codec) {
  writer *w = codec->client_data;
  w->destination.next_output_byte = w->buffer;
  w->destination.free_in_buffer = sizeof w->buffer;
}

static boolean flush_buffer(j_compress_ptr codec) {
  writer *w = codec->client_data;
  rst_sink_write(w->sink, w->buffer, sizeof w->buffer);
  start_buffer(codec);
  return TRUE;
}

static void end_buffer(j_compress_ptr codec) {
  writer *w = codec->client_data;
  rst_sink_write(w->sink, w->buffer, sizeof w->buffer - w->destination.free_in_buffer);
}

/* ---- Writing: metadata --------------------------------------------------------------------- */

/* A segment of a head and data; what does not fit into one is left out with a warning. */
static void put_segment(writer *w, int marker, const char *head, size_t head_size, const void *data,
                        size_t size) {
  enum { MOST = UINT16_MAX - 2 };
  if (size == 0) return;
  if (head_size + size > MOST) {
    rst_sink_warn(w->sink, "JPEG: %zu bytes of metadata do not fit into a segment: left out", size);
    return;
  }
  jpeg_write_m_header(&w->codec, marker, (unsigned)(head_size + size));
  for (size_t i = 0; i < head_size; i++) jpeg_write_m_byte(&w->codec, head[i]);
  for (size_t i = 0; i < size; i++) jpeg_write_m_byte(&w->codec, ((const uint8_t *)data)[i]);
}

static void set_density(writer *w, const rst_bytes *phys) {
  if (phys->size == 0 || phys->data[8] != 1) return;
  const double x = rst_be32(phys->data) * 0.0254, y = rst_be32(phys->data + 4) * 0.0254;
  if (x < 1 || y < 1 || x > UINT16_MAX || y > UINT16_MAX) return;
  w->codec.density_unit = 1;
  w->codec.X_density = (UINT16)lrint(x);
  w->codec.Y_density = (UINT16)lrint(y);
}

static void put_metadata(writer *w, const rst_image *image) {
  const rst_bytes *m = image->metadata;
  const rst_bytes *exif = &m[RST_METADATA_EXIF], *xmp = &m[RST_METADATA_XMP], *icc = &m[RST_METADATA_ICC];
  put_segment(w, JPEG_APP0 + 1, exif_head, sizeof exif_head, exif->data, exif->size);
  put_segment(w, JPEG_APP0 + 1, xmp_head, sizeof xmp_head, xmp->data, xmp->size);
  if (icc->size > 0) jpeg_write_icc_profile(&w->codec, icc->data, (unsigned)icc->size);
  for (size_t i = 0; i < image->text_count; i++) {
    const char *keyword, *text = rst_image_text(image, i, &keyword);
    char head[RST_KEYWORD_SIZE + 2] = ""; /* a comment has no keyword of its own */
    if (strcmp(keyword, RST_COMMENT) != 0) snprintf(head, sizeof head, "%s: ", keyword);
    put_segment(w, JPEG_COM, head, strlen(head), text, strlen(text));
  }
}

/* ---- Writing: pixels ----------------------------------------------------------------------- */

static void encode(writer *w, const rst_image *image) {
  struct jpeg_compress_struct *c = &w->codec;
  const int quality = w->sink->options->quality, colors = rst_color_channels(image->channels);
  c->dest = &w->destination;
  c->image_width = (JDIMENSION)image->width;
  c->image_height = (JDIMENSION)image->height;
  c->input_components = colors;
  c->in_color_space = colors == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(c);
  jpeg_set_quality(c, quality, TRUE);
  if (quality >= CHROMA_AS_FINE_FROM) c->comp_info[0].h_samp_factor = c->comp_info[0].v_samp_factor = 1;
  const bool strip = w->sink->options->strip;
  if (!strip) set_density(w, &image->metadata[RST_METADATA_PHYS]);
  jpeg_start_compress(c, TRUE);
  if (!strip) put_metadata(w, image);
  for (size_t y = 0; y < image->height && !w->sink->failed; y++) {
    rst_image_row(image, y, RST_SAMPLE_U8, w->sink->options->background, w->row);
    JSAMPROW row = w->row;
    jpeg_write_scanlines(c, &row, 1);
  }
  if (!w->sink->failed) jpeg_finish_compress(c);
}

rst_status rst_jpeg_write(rst_sink *sink, const rst_image *image) {
  writer *w = rst_alloc_zeroed(1, sizeof *w);
  rst_status status = RST_OK;
  if (w != NULL) w->row = rst_alloc(image->width, 3);
  if (w == NULL || w->row == NULL) {
    rst_free(w);
    return rst_fail_memory(sink->err, sink->path);
  }
  w->sink = sink;
  w->codec.err = jpeg_std_error(&w->errors);
  w->codec.client_data = w;
  w->errors.error_exit = on_write_error;
  w->errors.emit_message = on_write_message;
  w->destination.init_destination = start_buffer;
  w->destination.empty_output_buffer = flush_buffer;
  w->destination.term_destination = end_buffer;
  if (setjmp(w->out.back) == 0) {
    jpeg_create_compress(&w->codec);
    encode(w, image);
  } else {
    status = w->out.code == JERR_OUT_OF_MEMORY
                 ? rst_fail_memory(sink->err, sink->path)
                 : rst_fail(sink->err, RST_ERROR_OUTPUT, "%s: JPEG: cannot be encoded (%s)", sink->path,
                            w->out.message);
  }
  jpeg_destroy_compress(&w->codec);
  rst_free(w->row);
  rst_free(w);
  return status;
}
