/* What files say about a picture besides its samples: kept as bytes, which formats write as far as they can.
 */
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "image/image.h"

/* Of one image: more is not a picture's description any more, and hostile files can make it of few bytes. */
static const size_t MOST_BYTES = (size_t)64 << 20;

static bool known(rst_metadata kind) {
  return kind >= 0 && kind < RST_METADATA_TEXT;
}

void *rst_image_metadata_alloc(rst_image *image, size_t size) {
  void *memory = rst_alloc(size, 1);
  image->metadata_lost = image->metadata_lost || memory == NULL;
  return memory;
}

static bool keep(rst_image *image, rst_bytes *place, const void *data, size_t size) {
  uint8_t *copy = NULL;
  if (size > MOST_BYTES - (image->metadata_bytes - place->size)) return false;
  if (size > 0) {
    copy = rst_image_metadata_alloc(image, size);
    if (copy == NULL) return false;
    memcpy(copy, data, size);
  }
  image->metadata_bytes += size;
  image->metadata_bytes -= place->size;
  rst_free(place->data);
  *place = (rst_bytes){copy, size};
  return true;
}

const void *rst_image_metadata(const rst_image *image, rst_metadata kind, size_t *size) {
  *size = known(kind) ? image->metadata[kind].size : 0;
  return *size > 0 ? image->metadata[kind].data : NULL;
}

rst_status rst_image_set_metadata(rst_image *image, rst_metadata kind, const void *data, size_t size,
                                  rst_error *err) {
  static const size_t sizes[RST_METADATA_TEXT] = {[RST_METADATA_SRGB] = 1,
                                                  [RST_METADATA_GAMA] = 4,
                                                  [RST_METADATA_CHRM] = 32,
                                                  [RST_METADATA_CICP] = 4,
                                                  [RST_METADATA_PHYS] = 9};
  if (!known(kind)) return rst_fail(err, RST_ERROR_USAGE, "metadata of unknown kind %d", (int)kind);
  if (size > 0 && sizes[kind] != 0 && size != sizes[kind])
    return rst_fail(err, RST_ERROR_USAGE, "metadata of kind %d: %zu bytes, expected %zu", (int)kind, size,
                    sizes[kind]);
  if (!keep(image, &image->metadata[kind], data, size)) return rst_fail_memory(err, "metadata");
  return rst_end(err, RST_OK);
}

/* ---- Texts --------------------------------------------------------------------------------- */

char *rst_image_utf8_of_latin1(rst_image *image, const uint8_t *text, size_t size) {
  char *utf8 = rst_image_metadata_alloc(image, 2 * size + 1), *to = utf8;
  for (size_t i = 0; utf8 != NULL && i < size; i++) {
    if (text[i] >= 0x80) *to++ = (char)(0xc0 | text[i] >> 6), *to++ = (char)(0x80 | (text[i] & 0x3f));
    if (text[i] > 0 && text[i] < 0x80) *to++ = (char)text[i];
  }
  if (utf8 != NULL) *to = '\0';
  return utf8;
}

/* A text is kept as its keyword, a 0 byte, its content, a 0 byte. */
rst_status rst_image_add_text(rst_image *image, const char *keyword, const char *text, rst_error *err) {
  const size_t n = strlen(keyword) + 1, m = strlen(text) + 1;
  if (n < 2 || n > RST_KEYWORD_SIZE)
    return rst_fail(err, RST_ERROR_USAGE, "a keyword of %zu letters, expected 1 to %d", n - 1,
                    RST_KEYWORD_SIZE - 1);
  rst_bytes *grown = rst_image_metadata_alloc(image, (image->text_count + 1) * sizeof *grown);
  char *both = rst_image_metadata_alloc(image, n + m);
  if (grown == NULL || both == NULL || n + m > MOST_BYTES - image->metadata_bytes) {
    rst_free(grown);
    rst_free(both);
    return rst_fail_memory(err, "a text");
  }
  memcpy(both, keyword, n);
  memcpy(both + n, text, m);
  if (image->text_count > 0) memcpy(grown, image->texts, image->text_count * sizeof *grown);
  rst_free(image->texts);
  image->texts = grown;
  image->texts[image->text_count++] = (rst_bytes){(uint8_t *)both, n + m};
  image->metadata_bytes += n + m;
  return rst_end(err, RST_OK);
}

size_t rst_image_text_count(const rst_image *image) {
  return image->text_count;
}

const char *rst_image_text(const rst_image *image, size_t i, const char **keyword) {
  if (i >= image->text_count) return NULL;
  const char *both = (const char *)image->texts[i].data;
  if (keyword != NULL) *keyword = both;
  return both + strlen(both) + 1;
}

/* ---- All ----------------------------------------------------------------------------------- */

unsigned rst_image_metadata_kinds(const rst_image *image) {
  unsigned kinds = image->text_count > 0 ? 1u << RST_METADATA_TEXT : 0;
  for (unsigned k = 0; k < RST_METADATA_TEXT; k++)
    if (image->metadata[k].size > 0) kinds |= 1u << k;
  return kinds;
}

void rst_image_clear_metadata(rst_image *image) {
  for (size_t k = 0; k < RST_METADATA_TEXT; k++) {
    rst_free(image->metadata[k].data);
    image->metadata[k] = (rst_bytes){0};
  }
  for (size_t i = 0; i < image->text_count; i++) rst_free(image->texts[i].data);
  rst_free(image->texts);
  image->texts = NULL;
  image->text_count = image->metadata_bytes = 0;
}

rst_status rst_image_copy_metadata(const rst_image *from, rst_image *to, rst_error *err) {
  if (from == to) return rst_end(err, RST_OK);
  rst_image_clear_metadata(to);
  for (size_t k = 0; k < RST_METADATA_TEXT; k++)
    if (!keep(to, &to->metadata[k], from->metadata[k].data, from->metadata[k].size))
      return rst_fail_memory(err, "metadata");
  for (size_t i = 0; i < from->text_count; i++) {
    const char *keyword, *text = rst_image_text(from, i, &keyword);
    rst_status status = rst_image_add_text(to, keyword, text, err);
    if (status != RST_OK) return status;
  }
  return rst_end(err, RST_OK);
}
