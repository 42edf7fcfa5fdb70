/* weights.h - the tensors of an open manifest. */
#ifndef RST_WEIGHTS_WEIGHTS_H
#define RST_WEIGHTS_WEIGHTS_H

#include "base/tensor.h"
#include "model/architecture.h"
#include "restormer.h"

/* The tensor of that name, or NULL. Every tensor of rst_architecture_tensors is there with its shape: that
 * was checked when the manifest was opened. */
const rst_tensor *rst_weights_tensor(const rst_weights *weights, const char *name);
const rst_architecture *rst_weights_architecture(const rst_weights *weights);
const char *rst_weights_path(const rst_weights *weights); /* of the manifest, for messages */

#endif
