/* PNM: P1 and P4 bitmaps, P2 and P5 grey, P3 and P6 RGB, the first three as decimal text (Netpbm's man pages
 * pbm, pgm, ppm). And PFM, its float cousin. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "image/image.h"

enum { PFM_HEADER_SIZE = 64 };

typedef struct cursor {
  const rst_source *source;
  const char *format; /* for messages */
  size_t position;
} cursor;

static bool is_space(uint8_t c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
static bool is_digit(uint8_t c) {
  return c >= '0' && c <= '9';
}

/* White space and comments, which run from a # to the end of the line. */
static void skip_space(cursor *c) {
  const rst_source *s = c->source;
  for (; c->position < s->size; c->position++) {
    if (s->data[c->position] == '#')
      while (c->position < s->size && s->data[c->position] != '\n' && s->data[c->position] != '\r')
        c->position++;
    if (c->position >= s->size || !is_space(s->data[c->position])) return;
  }
}

/* The next number, between 0 and `max`, and no other letter right behind it. */
static rst_status read_number(cursor *c, const char *what, size_t max, size_t *value) {
  const rst_source *s = c->source;
  skip_space(c);
  if (c->position >= s->size) return rst_source_fail(s, "%s: ends before %s (cut off?)", c->format, what);
  if (!is_digit(s->data[c->position]))
    return rst_source_fail(s, "%s: byte %zu: expected %s", c->format, c->position, what);
  size_t v = 0;
  for (; c->position < s->size && is_digit(s->data[c->position]); c->position++) {
    v = 10 * v + (size_t)(s->data[c->position] - '0');
    if (v > max) return rst_source_fail(s, "%s: %s is larger than %zu", c->format, what, max);
  }
  if (c->position < s->size && !is_space(s->data[c->position]) && s->data[c->position] != '#')
    return rst_source_fail(s, "%s: byte %zu: expected white space after %s", c->format, c->position, what);
  *value = v;
  return RST_OK;
}

/* Both sides, after the magic number (which must not run into them). */
static rst_status read_size(cursor *c, size_t *width, size_t *height) {
  const rst_source *s = c->source;
  if (c->position < s->size && !is_space(s->data[c->position]) && s->data[c->position] != '#')
    return rst_source_fail(s, "%s: byte %zu: expected white space", c->format, c->position);
  rst_status status = read_number(c, "the width", RST_MAX_SIDE, width);
  return status == RST_OK ? read_number(c, "the height", RST_MAX_SIDE, height) : status;
}

/* The one byte of white space between the header and binary samples. */
static rst_status end_header(cursor *c) {
  if (c->position >= c->source->size || !is_space(c->source->data[c->position]))
    return rst_source_fail(c->source, "%s: byte %zu: expected white space after the header", c->format,
                           c->position);
  c->position++;
  return RST_OK;
}

/* Fails when the rest of the file has fewer than `need` bytes. */
static rst_status check_left(const cursor *c, size_t need) {
  size_t left = c->source->size - c->position;
  if (left >= need) return RST_OK;
  return rst_source_fail(c->source, "%s: %zu bytes of samples, expected %zu (cut off?)", c->format, left,
                         need);
}

/* ---- PNM ----------------------------------------------------------------------------------- */

static void put_sample(rst_image *image, size_t i, size_t value, size_t max) {
  size_t full = image->sample == RST_SAMPLE_U16 ? 65535 : 255;
  size_t scaled = max == full ? value : (value * full + max / 2) / max;
  if (image->sample == RST_SAMPLE_U16)
    ((uint16_t *)image->samples)[i] = (uint16_t)scaled;
  else
    ((uint8_t *)image->samples)[i] = (uint8_t)scaled;
}

static rst_status too_large_sample(const rst_source *s, size_t value, size_t max) {
  return rst_source_fail(s, "PNM: a sample of %zu, larger than the maximum of %zu", value, max);
}

static rst_status read_text(cursor *c, size_t max, rst_image *image) {
  size_t count = image->width * image->height * (size_t)image->channels, value = 0;
  for (size_t i = 0; i < count; i++) {
    rst_status status = read_number(c, "a sample", 65535, &value);
    if (status != RST_OK) return status;
    if (value > max) return too_large_sample(c->source, value, max);
    put_sample(image, i, value, max);
  }
  return RST_OK;
}

static rst_status read_binary(cursor *c, size_t max, rst_image *image) {
  size_t count = image->width * image->height * (size_t)image->channels;
  const uint8_t *p = c->source->data + c->position;
  bool wide = image->sample == RST_SAMPLE_U16;
  for (size_t i = 0; i < count; i++) {
    size_t value = wide ? rst_be16(p + 2 * i) : p[i];
    if (value > max) return too_large_sample(c->source, value, max);
    put_sample(image, i, value, max);
  }
  return RST_OK;
}

/* 1 is black. The digits of P1 need no space between them. */
static rst_status read_text_bits(cursor *c, rst_image *image) {
  const rst_source *s = c->source;
  uint8_t *out = image->samples;
  for (size_t i = 0; i < image->width * image->height; i++) {
    skip_space(c);
    if (c->position >= s->size) return rst_source_fail(s, "PNM: ends before a sample (cut off?)");
    uint8_t digit = s->data[c->position++];
    if (digit != '0' && digit != '1')
      return rst_source_fail(s, "PNM: byte %zu: expected 0 or 1", c->position - 1);
    out[i] = digit == '0' ? 255 : 0;
  }
  return RST_OK;
}

static void read_packed_bits(const cursor *c, rst_image *image) {
  const uint8_t *row = c->source->data + c->position;
  uint8_t *out = image->samples;
  for (size_t y = 0; y < image->height; y++, row += (image->width + 7) / 8)
    for (size_t x = 0; x < image->width; x++) *out++ = row[x / 8] >> (7 - x % 8) & 1 ? 0 : 255;
}

/* Bytes that the samples need at least (binary ones: exactly), so that a short file asks for no memory. */
static size_t least_bytes(char kind, size_t width, size_t height, size_t channels, bool wide) {
  size_t count = width * height * channels;
  switch (kind) {
    case '1':
      return count;
    case '4':
      return (width + 7) / 8 * height;
    case '2':
    case '3':
      return 2 * count - 1;
    default:
      return wide ? 2 * count : count;
  }
}

rst_status rst_pnm_read(const rst_source *source, rst_image *image) {
  cursor c = {source, "PNM", 2};
  char kind = (char)source->data[1];
  bool bits = kind == '1' || kind == '4', text = kind <= '3';
  size_t width, height, max = 1;
  rst_status status = read_size(&c, &width, &height);
  if (status == RST_OK && !bits) status = read_number(&c, "the largest sample", 65535, &max);
  if (status == RST_OK && max == 0) status = rst_source_fail(source, "PNM: the largest sample is 0");
  if (status == RST_OK && !text) status = end_header(&c);
  if (status == RST_OK) status = rst_source_check_size(source, "PNM", width, height);
  if (status != RST_OK) return status;
  if (text) skip_space(&c);
  int channels = kind == '3' || kind == '6' ? 3 : 1;
  status = check_left(&c, least_bytes(kind, width, height, (size_t)channels, max > 255));
  if (status == RST_OK)
    status = rst_source_allocate(source, "PNM", width, height, channels,
                                 max > 255 ? RST_SAMPLE_U16 : RST_SAMPLE_U8, image);
  if (status != RST_OK) return status;
  if (kind == '1') return read_text_bits(&c, image);
  if (kind != '4') return text ? read_text(&c, max, image) : read_binary(&c, max, image);
  read_packed_bits(&c, image);
  return RST_OK;
}

/* ---- PFM ----------------------------------------------------------------------------------- */

/* The scale is a decimal number other than 0, whose sign tells the byte order: negative is little-endian. Its
 * size (the unit of the samples) is left alone, as everybody does. */
static rst_status read_scale(cursor *c, bool *little_endian) {
  const rst_source *s = c->source;
  skip_space(c);
  size_t begin = c->position, digits = 0, points = 0;
  bool nonzero = false, ok = true;
  while (c->position < s->size && !is_space(s->data[c->position])) {
    uint8_t letter = s->data[c->position++];
    if (letter == 'e' || letter == 'E') { /* the exponent: a sign and digits */
      if (c->position < s->size && (s->data[c->position] == '-' || s->data[c->position] == '+'))
        c->position++;
      ok = ok && c->position < s->size && is_digit(s->data[c->position]);
      while (c->position < s->size && is_digit(s->data[c->position])) c->position++;
      break;
    }
    bool sign = c->position == begin + 1 && (letter == '-' || letter == '+');
    ok = ok && (is_digit(letter) || letter == '.' || sign);
    digits += is_digit(letter);
    points += letter == '.';
    nonzero = nonzero || (letter >= '1' && letter <= '9');
  }
  if (!ok || digits == 0 || points > 1 || !nonzero)
    return rst_source_fail(s, "PFM: byte %zu: expected a scale other than 0", begin);
  *little_endian = s->data[begin] == '-';
  return RST_OK;
}

/* The end of the header is one byte of white space, or a blank or a carriage return and a line feed: as
 * samples may look like white space, the size of the file tells. */
static rst_status end_pfm_header(cursor *c, size_t sample_bytes) {
  const rst_source *s = c->source;
  rst_status status = end_header(c);
  if (status != RST_OK) return status;
  const bool feed = c->position < s->size && s->data[c->position] == '\n';
  if (feed && s->data[c->position - 1] != '\n' && s->size - c->position > sample_bytes) c->position++;
  return RST_OK;
}

/* Photoshop begins with the top row, and can be told by the line that it gives each side. */
static bool has_own_line(const cursor *c, size_t begin) {
  const rst_source *s = c->source;
  while (begin < s->size && is_space(s->data[begin])) begin++;
  while (begin < s->size && is_digit(s->data[begin])) begin++;
  for (; begin < s->size && is_space(s->data[begin]); begin++)
    if (s->data[begin] == '\n') return true;
  return false;
}

rst_status rst_pfm_read(const rst_source *source, rst_image *image) {
  cursor c = {source, "PFM", 2};
  size_t width, height, channels = source->data[1] == 'F' ? 3 : 1;
  bool little_endian = false;
  rst_status status = read_size(&c, &width, &height);
  if (status == RST_OK) status = read_scale(&c, &little_endian);
  if (status == RST_OK) status = rst_source_check_size(source, "PFM", width, height);
  if (status == RST_OK) status = end_pfm_header(&c, width * height * channels * sizeof(float));
  if (status == RST_OK) status = check_left(&c, width * height * channels * sizeof(float));
  if (status == RST_OK)
    status = rst_source_allocate(source, "PFM", width, height, (int)channels, RST_SAMPLE_F32, image);
  if (status != RST_OK) return status;
  size_t row = width * channels;
  const bool top_first = has_own_line(&c, 2);
  for (size_t y = 0; y < height; y++) {
    const uint8_t *p = source->data + c.position + (top_first ? y : height - 1 - y) * row * sizeof(float);
    float *out = (float *)image->samples + y * row;
    for (size_t i = 0; i < row; i++, p += sizeof(float)) {
      uint32_t pattern = little_endian ? rst_le32(p) : rst_be32(p);
      memcpy(&out[i], &pattern, sizeof pattern);
    }
  }
  return RST_OK;
}

rst_status rst_pfm_write(rst_sink *sink, const rst_image *image) {
  size_t n = image->width * (size_t)rst_color_channels(image->channels);
  float *row = rst_alloc(n, sizeof *row);
  uint8_t *bytes = rst_alloc(n, sizeof *row);
  rst_status status = row == NULL || bytes == NULL ? rst_fail_memory(sink->err, sink->path) : RST_OK;
  if (status == RST_OK) {
    char header[PFM_HEADER_SIZE];
    int length = snprintf(header, sizeof header, "P%c\n%zu %zu\n-1.0\n", n > image->width ? 'F' : 'f',
                          image->width, image->height);
    rst_sink_write(sink, header, (size_t)length);
  }
  for (size_t y = image->height; status == RST_OK && y-- > 0;) {
    rst_image_row(image, y, RST_SAMPLE_F32, sink->options->background, row);
    for (size_t i = 0; i < n; i++) {
      uint32_t pattern;
      memcpy(&pattern, &row[i], sizeof pattern);
      rst_put_le32(bytes + 4 * i, pattern);
    }
    if (!rst_sink_write(sink, bytes, 4 * n)) break;
  }
  rst_free(bytes);
  rst_free(row);
  return status;
}
