/* A safetensors file, as of a manifest and as a checkpoint. */
#include "weights/safetensors.h"

#include <string.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *path = fuzz_file(0, data, size);
  for (int kind = RST_SAFETENSORS_WEIGHTS; kind <= RST_SAFETENSORS_ANY; kind++) {
    rst_safetensors file;
    rst_error err = {.message = ""};
    rst_status status = rst_safetensors_open(path, RST_ANY_BYTES, (rst_safetensors_kind)kind, &file, &err);
    fuzz_check(status, RST_ERROR_WEIGHTS, &err);
    if (status != RST_OK) continue;
    for (size_t i = 0; i < file.count; i++)
      fuzz_require(strlen(file.tensors[i].name) < size, "a name that is not in the file");
    rst_safetensors_close(&file);
  }
  return 0;
}
