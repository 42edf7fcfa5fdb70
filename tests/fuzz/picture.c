/* A picture of any format: which one is fuzzed is the corpus' business. The limits are small: pixels beyond
 * them only cost time. */
#include <string.h>

#include "fuzz.h"
#include "image/image.h"

#ifdef RST_FUZZ_PNG
#include <zlib.h>

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
  enum { SIGNATURE = 8, FRAME = 12 };
  size = LLVMFuzzerMutate(data, size, max_size);
  if (seed % FUZZ_LEFT_WRONG == 0) return size;
  for (size_t at = SIGNATURE; at <= size && size - at >= FRAME;) {
    size_t length = rst_be32(data + at);
    if (length > size - at - FRAME) break;
    rst_put_be32(data + at + 8 + length, (uint32_t)crc32(0, data + at + 4, (uInt)length + 4));
    at += FRAME + length;
  }
  return size;
}
#endif

enum { MOST_PIXELS = 1 << 14, MOST_MEMORY = 8 << 20 };

static void warn(void *user, const char *message) {
  ++*(size_t *)user;
  fuzz_require(strlen(message) >= 10 && strchr(message, '\n') == NULL, "a warning that says nothing");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
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
