/* A safetensors file, as of a manifest and as a checkpoint. */
#include "fuzz.h"
#include "weights/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *path = fuzz_file(0, data, size);
  for (int kind = RST_SAFETENSORS_WEIGHTS; kind <= RST_SAFETENSORS_ANY; kind++) {
    rst_safetensors file;
    rst_error err = {.message = ""};
    rst_status status = rst_safetensors_open(path, RST_ANY_BYTES, (rst_safetensors_kind)kind, &file, &err);
    fuzz_check(status, RST_ERROR_WEIGHTS, &err);
    if (status != RST_OK) continue;
    for (size_t i = 0; i < file.count; i++) {
      const rst_tensor *t = &file.tensors[i];
      size_t bytes = t->elements * rst_dtype_size(t->dtype);
      const volatile uint8_t *values = t->data;
      if (bytes > 0) (void)values[0], (void)values[bytes - 1];
    }
    rst_safetensors_close(&file);
  }
  return 0;
}
