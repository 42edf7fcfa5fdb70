/* A picture of the format FUZZ_FORMAT; what begins as another is left to that one's target. Magic numbers are
 * made right after mutations, PNG's checksums after most. The limits are small: pixels beyond them only cost
 * time. */
#include <string.h>

#include <zlib.h>

#include "fuzz.h"
#include "image/image.h"

/* ---- The format ---------------------------------------------------------------------------------------- */

/* How files of a format begin; a dot stands for any byte. Those of TGA begin as no other. */
static const struct {
  const char *format, *magic;
  size_t size;
} beginnings[] = {
#define BEGIN(format, magic) \
  { format, magic, sizeof(magic) - 1 }
    BEGIN("png", "\x89PNG\r\n\x1a\n"),
    BEGIN("jpeg", "\xff\xd8\xff"),
    BEGIN("bmp", "BM"),
    BEGIN("pnm", "P1"),
    BEGIN("pnm", "P2"),
    BEGIN("pnm", "P3"),
    BEGIN("pnm", "P4"),
    BEGIN("pnm", "P5"),
    BEGIN("pnm", "P6"),
    BEGIN("pfm", "PF"),
    BEGIN("pfm", "Pf"),
    BEGIN("tiff", "II*\0"),
    BEGIN("tiff", "MM\0*"),
    BEGIN("webp", "RIFF....WEBP"),
    BEGIN("heif", "....ftypavif"),
    BEGIN("heif", "....ftypheic"),
    BEGIN("heif", "....ftypmif1")};
enum { BEGINNINGS = sizeof beginnings / sizeof beginnings[0] };

static bool begins(size_t i, const uint8_t *data, size_t size) {
  for (size_t k = 0; k < beginnings[i].size; k++)
    if (k >= size || (beginnings[i].magic[k] != '.' && (uint8_t)beginnings[i].magic[k] != data[k]))
      return false;
  return true;
}

static bool is_own_format(size_t i) {
  return strcmp(beginnings[i].format, FUZZ_FORMAT) == 0;
}

static bool has_own_format(const uint8_t *data, size_t size) {
  bool own = false, any = false, has_magic = false;
  for (size_t i = 0; i < BEGINNINGS; i++) {
    has_magic = has_magic || is_own_format(i);
    if (!begins(i, data, size)) continue;
    any = true;
    own = own || is_own_format(i);
  }
  return has_magic ? own : !any;
}

static void put_own_format(uint8_t *data, size_t size, unsigned seed) {
  for (size_t n = 0, i = seed % BEGINNINGS; n < BEGINNINGS; n++, i = (i + 1) % BEGINNINGS) {
    if (!is_own_format(i) || size < beginnings[i].size) continue;
    for (size_t k = 0; k < beginnings[i].size; k++)
      if (beginnings[i].magic[k] != '.') data[k] = (uint8_t)beginnings[i].magic[k];
    return;
  }
}

static void mend_png(uint8_t *data, size_t size) {
  enum { SIGNATURE = 8, FRAME = 12 };
  for (size_t at = SIGNATURE; at <= size && size - at >= FRAME;) {
    size_t length = rst_be32(data + at);
    if (length > size - at - FRAME) break;
    rst_put_be32(data + at + 8 + length, (uint32_t)crc32(0, data + at + 4, (uInt)length + 4));
    at += FRAME + length;
  }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
  size = LLVMFuzzerMutate(data, size, max_size);
  if (!has_own_format(data, size)) put_own_format(data, size, seed / FUZZ_LEFT_WRONG);
  if (strcmp(FUZZ_FORMAT, "png") == 0 && seed % FUZZ_LEFT_WRONG != 0) mend_png(data, size);
  return size;
}

/* ---- The target ---------------------------------------------------------------------------------------- */

enum { MOST_PIXELS = 1 << 14, MOST_MEMORY = 8 << 20 };

static void warn(void *user, const char *message) {
  ++*(size_t *)user;
  fuzz_require(strlen(message) >= 10 && strchr(message, '\n') == NULL, "a warning that says nothing");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (!has_own_format(data, size)) return -1;
  size_t warnings = 0;
  rst_error err = {.message = ""};
  rst_image_read_options options;
  rst_image_read_options_init(&options);
  options.max_pixels = MOST_PIXELS;
  options.max_memory = MOST_MEMORY;
  options.warning = warn, options.user = &warnings;
  rst_image image = {0};
  const rst_source source = {"a picture", data, size, &err, &options};
  rst_status status = rst_source_read(&source, &image);
  fuzz_check(status, RST_ERROR_INPUT, &err);
  if (status == RST_OK) {
    fuzz_require(image.width > 0 && image.height > 0 && image.width * image.height <= MOST_PIXELS,
                 "a size that was not allowed");
    size_t n = image.width * image.height * (size_t)image.channels * rst_sample_size(image.sample);
    const volatile uint8_t *samples = image.samples;
    for (size_t i = 0; i < n; i += 64) (void)samples[i];
    (void)samples[n - 1]; /* all of it is there */
  }
  rst_image_clear(&image);
  return 0;
}
