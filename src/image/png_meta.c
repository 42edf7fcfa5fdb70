/* The chunks of a PNG that describe its picture, both ways. (Portable Network Graphics Specification, third
 * edition, section 11.3.) */
#include <string.h>

#include <zlib.h>

#include "base/error.h"
#include "base/text.h"
#include "image/png.h"

enum { MOST_INFLATED = 8 << 20, FIRST_INFLATED = 4096 };

#define XMP_KEYWORD "XML:com.adobe.xmp"

/* Chunks that are kept as they are. */
static const struct {
  const char *type;
  rst_metadata kind;
} plain[] = {{"cICP", RST_METADATA_CICP}, {"sRGB", RST_METADATA_SRGB}, {"gAMA", RST_METADATA_GAMA},
             {"cHRM", RST_METADATA_CHRM}, {"pHYs", RST_METADATA_PHYS}, {"eXIf", RST_METADATA_EXIF}};
enum { PLAIN = sizeof plain / sizeof plain[0] };

/* ---- Reading ------------------------------------------------------------------------------- */

/* Inflates a small zlib stream and puts a 0 behind it; NULL: damaged, longer than MOST_INFLATED, or no
 * memory. */
static uint8_t *inflate_all(rst_image *image, const uint8_t *data, size_t size, size_t *out_size) {
  z_stream z = {.zalloc = rst_png_zalloc, .zfree = rst_png_zfree};
  uint8_t *out = NULL;
  size_t capacity = 0, filled = 0;
  int result = size > UINT32_MAX ? Z_DATA_ERROR : inflateInit(&z);
  if (result == Z_MEM_ERROR) image->metadata_lost = true;
  if (result != Z_OK) return NULL;
  z.next_in = (uint8_t *)(uintptr_t)data; /* zlib only reads it */
  z.avail_in = (unsigned)size;
  while (result == Z_OK && capacity < MOST_INFLATED) {
    capacity = capacity == 0 ? FIRST_INFLATED : 2 * capacity;
    uint8_t *more = rst_image_metadata_alloc(image, capacity + 1);
    if (more == NULL) break;
    if (filled > 0) memcpy(more, out, filled);
    rst_free(out);
    out = more;
    z.next_out = out + filled;
    z.avail_out = (unsigned)(capacity - filled);
    result = inflate(&z, Z_NO_FLUSH);
    filled = capacity - z.avail_out;
  }
  inflateEnd(&z);
  if (result == Z_MEM_ERROR) image->metadata_lost = true;
  if (result != Z_STREAM_END) {
    rst_free(out);
    return NULL;
  }
  out[filled] = 0;
  *out_size = filled;
  return out;
}

/* The keyword at the beginning of a chunk: its length; 0: none. */
static size_t keyword_length(const uint8_t *data, size_t size) {
  const uint8_t *end = memchr(data, 0, size < RST_KEYWORD_SIZE ? size : RST_KEYWORD_SIZE);
  return end == NULL ? 0 : (size_t)(end - data);
}

static bool add_latin1(rst_image *image, const uint8_t *keyword, const uint8_t *text, size_t size) {
  char *name = rst_image_utf8_of_latin1(image, keyword, strlen((const char *)keyword)),
       *utf8 = rst_image_utf8_of_latin1(image, text, size);
  bool ok = name != NULL && utf8 != NULL && rst_image_add_text(image, name, utf8, NULL) == RST_OK;
  rst_free(name);
  rst_free(utf8);
  return ok;
}

/* Keyword, 0, compressed?, method, language, 0, translated keyword, 0, text. */
static bool read_itxt(rst_image *image, const uint8_t *data, size_t size, size_t keyword) {
  const uint8_t *end = data + size, *at = data + keyword + 1;
  if (end - at < 2) return false;
  const bool compressed = at[0] == 1;
  at += 2;
  for (int skipped = 0; skipped < 2; skipped++) {
    const uint8_t *zero = memchr(at, 0, (size_t)(end - at));
    if (zero == NULL) return false;
    at = zero + 1;
  }
  size_t length = (size_t)(end - at);
  uint8_t *text = NULL;
  if (compressed) {
    text = inflate_all(image, at, length, &length);
  } else if ((text = rst_image_metadata_alloc(image, length + 1)) != NULL) {
    memcpy(text, at, length);
    text[length] = 0;
  }
  if (text == NULL || !rst_is_utf8((const char *)text)) {
    rst_free(text);
    return false;
  }
  bool xmp = strcmp((const char *)data, XMP_KEYWORD) == 0;
  rst_status status = xmp ? rst_image_set_metadata(image, RST_METADATA_XMP, text, length, NULL)
                          : rst_image_add_text(image, (const char *)data, (const char *)text, NULL);
  rst_free(text);
  return status == RST_OK;
}

bool rst_png_read_metadata(const char *type, const uint8_t *data, size_t size, rst_image *image) {
  for (size_t i = 0; i < PLAIN; i++)
    if (strcmp(type, plain[i].type) == 0)
      return size > 0 && rst_image_set_metadata(image, plain[i].kind, data, size, NULL) == RST_OK;
  const bool text = strcmp(type, "tEXt") == 0, packed = strcmp(type, "zTXt") == 0,
             icc = strcmp(type, "iCCP") == 0;
  if (!text && !packed && !icc && strcmp(type, "iTXt") != 0) return true;
  const size_t n = keyword_length(data, size);
  if (n == 0) return false;
  if (text) return add_latin1(image, data, data + n + 1, size - n - 1);
  if (!packed && !icc) return read_itxt(image, data, size, n);
  size_t inflated;
  uint8_t *out = size < n + 2 ? NULL : inflate_all(image, data + n + 2, size - n - 2, &inflated);
  if (out == NULL) return false;
  bool ok = icc ? rst_image_set_metadata(image, RST_METADATA_ICC, out, inflated, NULL) == RST_OK
                : add_latin1(image, data, out, inflated);
  rst_free(out);
  return ok;
}

/* ---- Writing ------------------------------------------------------------------------------- */

static bool is_ascii(const char *text) {
  for (; *text != '\0'; text++)
    if ((unsigned char)*text >= 0x80) return false;
  return true;
}

/* A chunk of the two parts; false: no memory. */
static bool put(rst_sink *sink, const char *type, const void *a, size_t a_size, const void *b,
                size_t b_size) {
  uint8_t *both = rst_alloc(a_size + b_size, 1);
  if (both == NULL) return false;
  memcpy(both, a, a_size);
  if (b_size > 0) memcpy(both + a_size, b, b_size);
  rst_png_write_chunk(sink, type, both, a_size + b_size);
  rst_free(both);
  return true;
}

static bool put_profile(rst_sink *sink, const rst_bytes *icc) {
  static const char head[] = "icc\0"; /* a name, a 0, compression method 0 */
  uLong bound = compressBound((uLong)icc->size);
  uint8_t *packed = rst_alloc(bound, 1);
  bool ok = packed != NULL &&
            compress2(packed, &bound, icc->data, (uLong)icc->size, Z_BEST_COMPRESSION) == Z_OK &&
            put(sink, "iCCP", head, sizeof head, packed, bound);
  rst_free(packed);
  return ok;
}

static bool put_text(rst_sink *sink, const char *keyword, const char *text) {
  char head[RST_KEYWORD_SIZE + 5] = {0};
  size_t n = strlen(keyword) + 1;
  memcpy(head, keyword, n); /* at most RST_KEYWORD_SIZE */
  if (is_ascii(keyword) && is_ascii(text)) return put(sink, "tEXt", head, n, text, strlen(text));
  return put(sink, "iTXt", head, n + 4, text, strlen(text)); /* not compressed, no language, no translation */
}

bool rst_png_write_metadata(rst_sink *sink, const rst_image *image) {
  const rst_bytes *icc = &image->metadata[RST_METADATA_ICC], *xmp = &image->metadata[RST_METADATA_XMP];
  static const char xmp_head[] = XMP_KEYWORD "\0\0\0\0";
  bool ok = icc->size == 0 || put_profile(sink, icc);
  for (size_t i = 0; i < PLAIN; i++) {
    const rst_bytes *m = &image->metadata[plain[i].kind];
    if (m->size > 0) rst_png_write_chunk(sink, plain[i].type, m->data, m->size);
  }
  if (xmp->size > 0) ok = put(sink, "iTXt", xmp_head, sizeof xmp_head, xmp->data, xmp->size) && ok;
  for (size_t i = 0; i < image->text_count; i++) {
    const char *keyword, *text = rst_image_text(image, i, &keyword);
    ok = put_text(sink, keyword, text) && ok;
  }
  return ok;
}
