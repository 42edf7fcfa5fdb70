/* A checkpoint in any form (zip, the older plain form, safetensors), up to the architecture that it holds,
 * and the first value of every tensor. */
#include "fuzz.h"
#include "weights/checkpoint/conversion.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *path = fuzz_file(0, data, size);
  rst_error err = {.message = ""};
  rst_conversion c = {0};
  rst_status status = rst_checkpoint_load(path, NULL, NULL, &c.checkpoint, &err);
  if (status == RST_OK) {
    status = rst_conversion_read(&c, &err);
    for (size_t i = 0; status == RST_OK && i < c.count; i++) {
      float value;
      status = c.values(&c, i, &c.specs[i], 0, 1, &value, &err);
    }
    rst_conversion_close(&c);
  }
  fuzz_check(status, RST_ERROR_WEIGHTS, &err);
  return 0;
}
