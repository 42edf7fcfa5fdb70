/* The manifest of weights: JSON and what it must hold, with inline tensors or files that are not there. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  rst_weights *weights;
  rst_error err = {.message = ""};
  rst_status status = rst_weights_open(fuzz_file(0, data, size), &weights, &err);
  fuzz_check(status, RST_ERROR_WEIGHTS, &err);
  if (status != RST_OK) return 0;
  rst_weights_info info;
  rst_weights_info_init(&info);
  rst_weights_get_info(weights, &info);
  rst_architecture_macs(info.architecture, 256, 256);
  status = rst_weights_verify(weights, &err);
  fuzz_check(status, RST_ERROR_WEIGHTS, &err);
  rst_weights_close(weights);
  return 0;
}
