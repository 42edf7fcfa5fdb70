/* From the tensors of a manifest to a model. */
#include "base/error.h"
#include "base/options.h"
#include "model/model.h"
#include "weights/weights.h"

rst_status rst_model_create(const rst_weights *weights, const rst_model_options *options, rst_model **model,
                            rst_error *err) {
  const rst_tensor_source source = {rst_weights_tensor, weights, rst_weights_path(weights)};
  rst_model_options o;
  rst_model_options_init(&o);
  *model = NULL;
  rst_status status = rst_options_read(&o, sizeof o, options, "rst_model_options", err);
  if (status == RST_OK) status = rst_model_outline(rst_weights_architecture(weights), &o, model, err);
  if (status == RST_OK) status = rst_model_fill(*model, &source, &o, err);
  if (status != RST_OK) {
    rst_model_free(*model);
    *model = NULL;
  }
  return rst_end(err, status);
}
