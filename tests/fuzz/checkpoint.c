/* A checkpoint in any form (zip, the older plain form, safetensors), up to the architecture that it holds,
 * and the first bytes of every tensor. */
#include "weights/checkpoint/checkpoint.h"

#include "base/memory.h"
#include "fuzz.h"
#include "weights/checkpoint/state_dict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *path = fuzz_file(0, data, size);
  rst_error err = {.message = ""};
  rst_checkpoint checkpoint;
  rst_state_dict dict = {0};
  rst_architecture architecture;
  rst_tensor_spec *specs = NULL;
  const rst_tensor_view **views = NULL;
  size_t count = 0;
  rst_status status = rst_checkpoint_open(path, NULL, NULL, &checkpoint, &err);
  if (status == RST_OK) {
    status = rst_state_dict_find(checkpoint.root, path, &dict, &err);
    if (status == RST_OK) status = rst_state_dict_architecture(&dict, path, &architecture, &err);
    if (status == RST_OK)
      status = rst_state_dict_match(&dict, path, &architecture, &specs, &views, &count, &err);
    for (size_t i = 0; status == RST_OK && i < count; i++) {
      const uint8_t *bytes;
      status = rst_checkpoint_data(&checkpoint, views[i]->storage, &bytes, &err);
      if (status == RST_OK && views[i]->storage->bytes > 0) (void)*(const volatile uint8_t *)bytes;
    }
    rst_free(specs);
    rst_free(views);
    rst_state_dict_free(&dict);
    rst_checkpoint_close(&checkpoint);
  }
  fuzz_check(status, RST_ERROR_WEIGHTS, &err);
  return 0;
}
