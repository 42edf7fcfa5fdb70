/* JPEG. stb_image decodes; but it takes cut files for whole ones, and its older versions trust the Huffman
 * tables, so the structure is checked here first. (ITU-T T.81, annex B.) */
#include <limits.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "image/image.h"
#include "image/stb.h"

enum {
  SOF0 = 0xc0,
  SOF1 = 0xc1,
  SOF2 = 0xc2,
  DHT = 0xc4,
  JPG = 0xc8,
  DAC = 0xcc,
  SOF15 = 0xcf,
  RST0 = 0xd0,
  RST7 = 0xd7,
  SOI = 0xd8,
  EOI = 0xd9,
  SOS = 0xda,
  DQT = 0xdb,
  TEM = 0x01
};
/* Progressive files have about ten scans; each costs a pass over the whole picture. */
enum { MAX_SCANS = 500, MAX_COMPONENTS = 4, QUALITY = 95, JPEG_MAX_SIDE = 65535 };
static const size_t MAX_SCANNED = (size_t)1
                                  << 33; /* pixels, of all scans together: 32 of the largest picture */

typedef struct walk {
  const rst_source *source;
  size_t position;
  size_t width, height;
  int components;
  uint8_t ids[MAX_COMPONENTS];
  uint8_t quantizers[MAX_COMPONENTS];
  bool progressive;
  unsigned seen;                                /* bit i: component i has had a scan */
  unsigned quantization_tables, huffman_tables; /* bits: those defined so far; Huffman: 4 DC, then 4 AC */
  int scans;
} walk;

static rst_status cut_off(const walk *w) {
  return rst_source_fail(w->source, "JPEG: ends at byte %zu without an end marker (cut off?)",
                         w->source->size);
}

static rst_status check_frame(walk *w, int marker, const uint8_t *data, size_t size) {
  const rst_source *s = w->source;
  if (w->components != 0) return rst_source_fail(s, "JPEG: a second frame header");
  if (marker > SOF2) /* lossless, hierarchical, arithmetic */
    return rst_source_fail(s, "JPEG: coding process SOF%d, expected baseline or progressive", marker - SOF0);
  if (size < 6 || size != 6 + 3 * (size_t)data[5])
    return rst_source_fail(s, "JPEG: bad length of the frame header");
  if (data[0] != 8) return rst_source_fail(s, "JPEG: %d bits per sample, expected 8", data[0]);
  w->height = rst_be16(data + 1);
  w->width = rst_be16(data + 3);
  w->components = data[5];
  w->progressive = marker == SOF2;
  if (w->components != 1 && w->components != 3 && w->components != 4)
    return rst_source_fail(s, "JPEG: %d components, expected 1, 3 or 4", w->components);
  for (int i = 0; i < w->components; i++) {
    w->ids[i] = data[6 + 3 * i];
    w->quantizers[i] = data[8 + 3 * i] & 3;
    for (int j = 0; j < i; j++)
      if (w->ids[i] == w->ids[j]) return rst_source_fail(s, "JPEG: two components with the same number");
  }
  return rst_source_check_size(s, "JPEG", w->width, w->height);
}

static rst_status check_huffman_tables(walk *w, const uint8_t *data, size_t size) {
  enum { LENGTHS = 16, MAX_CODES = 256, MAX_DC_CATEGORY = 15 };
  const rst_source *s = w->source;
  while (size > 0) {
    size_t codes = 0;
    if (size < 1 + LENGTHS) return rst_source_fail(s, "JPEG: a Huffman table is cut off");
    for (int i = 0; i < LENGTHS; i++) codes += data[1 + i];
    if (codes > MAX_CODES || codes > size - 1 - LENGTHS)
      return rst_source_fail(s, "JPEG: a Huffman table has %zu codes, more than its length allows", codes);
    for (size_t i = 0; data[0] >> 4 == 0 && i < codes; i++)
      if (data[1 + LENGTHS + i] > MAX_DC_CATEGORY)
        return rst_source_fail(s, "JPEG: a Huffman table has a category of %d, expected at most %d",
                               data[1 + LENGTHS + i], MAX_DC_CATEGORY);
    w->huffman_tables |= 1u << ((data[0] >> 4 & 1) * 4 + (data[0] & 3));
    data += 1 + LENGTHS + codes;
    size -= 1 + LENGTHS + codes;
  }
  return RST_OK;
}

static rst_status check_quantization_tables(walk *w, const uint8_t *data, size_t size) {
  while (size > 0) {
    size_t length = data[0] >> 4 == 0 ? 65 : 129;
    if (size < length) return rst_source_fail(w->source, "JPEG: a quantization table is cut off");
    w->quantization_tables |= 1u << (data[0] & 3);
    data += length;
    size -= length;
  }
  return RST_OK;
}

/* A component of a scan, whose tables are `tables`; stb would take zeros for tables that are not there. */
static rst_status check_component(walk *w, int id, int tables, bool first, bool dc, bool ac) {
  const rst_source *s = w->source;
  int c = 0;
  while (c < w->components && w->ids[c] != id) c++;
  if (c == w->components) return rst_source_fail(s, "JPEG: a scan of component %d, which does not exist", id);
  unsigned need = (dc && first ? 1u << (tables >> 4 & 3) : 0) | (ac ? 0x10u << (tables & 3) : 0);
  if ((need & ~w->huffman_tables) != 0) return rst_source_fail(s, "JPEG: a scan without its Huffman tables");
  if ((w->quantization_tables >> w->quantizers[c] & 1) == 0)
    return rst_source_fail(s, "JPEG: component %d without its quantization table", id);
  w->seen |= 1u << c;
  return RST_OK;
}

/* The scan's header, then its data up to the next marker. */
static rst_status check_scan(walk *w, const uint8_t *data, size_t size) {
  const rst_source *s = w->source;
  if (w->components == 0) return rst_source_fail(s, "JPEG: a scan before the frame header");
  if (size < 1 || size != 4 + 2 * (size_t)data[0])
    return rst_source_fail(s, "JPEG: bad length of a scan header");
  if (++w->scans > MAX_SCANS) return rst_source_fail(s, "JPEG: more than %d scans", MAX_SCANS);
  if ((size_t)w->scans > MAX_SCANNED / (w->width * w->height))
    return rst_source_fail(s, "JPEG: %d scans or more of %zu x %zu pixels, expected at most %zu", w->scans,
                           w->width, w->height, MAX_SCANNED / (w->width * w->height));
  /* A progressive scan has either DC or AC coefficients, and DC codes only when it is their first. */
  const uint8_t *spectrum = data + 1 + 2 * (size_t)data[0];
  bool dc = !w->progressive || spectrum[0] == 0, ac = !w->progressive || spectrum[0] > 0;
  for (int i = 0; i < data[0]; i++) {
    rst_status status = check_component(w, data[1 + 2 * i], data[2 + 2 * i], spectrum[2] >> 4 == 0, dc, ac);
    if (status != RST_OK) return status;
  }
  for (; w->position + 1 < s->size; w->position++) {
    const uint8_t *p = s->data + w->position;
    if (p[0] == 0xff && p[1] != 0 && p[1] != 0xff && !(p[1] >= RST0 && p[1] <= RST7)) return RST_OK;
  }
  return cut_off(w);
}

/* The next marker with its segment. *marker is EOI at the end. */
static rst_status check_segment(walk *w, int *marker) {
  const rst_source *s = w->source;
  while (w->position < s->size && s->data[w->position] != 0xff)
    w->position++; /* padding, as decoders allow it */
  while (w->position < s->size && s->data[w->position] == 0xff) w->position++;
  if (w->position >= s->size) return cut_off(w);
  *marker = s->data[w->position++];
  if (*marker == EOI || *marker == 0 || *marker == TEM || (*marker >= RST0 && *marker <= SOI)) return RST_OK;
  size_t left = s->size - w->position;
  if (left < 2) return cut_off(w);
  size_t length = rst_be16(s->data + w->position);
  if (length < 2)
    return rst_source_fail(s, "JPEG: segment %02x of %zu bytes, expected 2 or more", *marker, length);
  if (length > left) return cut_off(w);
  const uint8_t *data = s->data + w->position + 2;
  w->position += length;
  if (*marker == DQT) return check_quantization_tables(w, data, length - 2);
  if (*marker == DHT) return check_huffman_tables(w, data, length - 2);
  if (*marker == SOS) return check_scan(w, data, length - 2);
  if (*marker >= SOF0 && *marker <= SOF15 && *marker != JPG && *marker != DAC)
    return check_frame(w, *marker, data, length - 2);
  return RST_OK;
}

rst_status rst_jpeg_read(const rst_source *source, rst_image *image) {
  walk w = {.source = source, .position = 2};
  for (int marker = SOI; marker != EOI;) {
    rst_status status = check_segment(&w, &marker);
    if (status != RST_OK) return status;
  }
  if (w.components == 0) return rst_source_fail(source, "JPEG: no frame header");
  if (w.seen != (1u << w.components) - 1) return rst_source_fail(source, "JPEG: a component has no scan");
  /* A block of 8 x 8 takes a bit at least: a short file asks for no memory. */
  size_t blocks = ((w.width + 7) / 8) * ((w.height + 7) / 8);
  if (source->size < blocks / 8)
    return rst_source_fail(source, "JPEG: %zu bytes are too few for %zu x %zu pixels", source->size, w.width,
                           w.height);
  return rst_stb_read_jpeg(source, image);
}

rst_status rst_jpeg_write(rst_sink *sink, const rst_image *image) {
  size_t n = image->width * image->height * (size_t)image->channels;
  uint8_t *converted = NULL;
  const uint8_t *samples = image->samples;
  if (image->sample != RST_SAMPLE_U8) {
    samples = converted = rst_alloc(n, 1);
    if (converted == NULL) return rst_fail_memory(sink->err, sink->path);
    rst_convert_samples(image->samples, image->sample, 1, converted, RST_SAMPLE_U8, 1, n);
  }
  bool ok = rst_stb_write_jpeg(sink, samples, (int)image->width, (int)image->height, image->channels,
                               sink->options->quality);
  rst_free(converted);
  return ok ? RST_OK : rst_fail(sink->err, RST_ERROR_OUTPUT, "%s: JPEG: cannot be encoded", sink->path);
}
