/* conversion.h - the network of a checkpoint, on its way to a manifest: its architecture, and its values in
 * the order of rst_architecture_tensors. */
#ifndef RST_WEIGHTS_CHECKPOINT_CONVERSION_H
#define RST_WEIGHTS_CHECKPOINT_CONVERSION_H

#include "sandbox/sandbox.h"
#include "weights/checkpoint/checkpoint.h"
#include "weights/checkpoint/state_dict.h"
#include "weights/writer.h"

typedef struct rst_conversion {
  rst_convert_options options;
  rst_checkpoint checkpoint;
  rst_architecture architecture; /* checked */
  rst_dtype dtype;               /* F16 and BF16 when all tensors are, else F32 */
  rst_tensor_values values;      /* its `user` is the conversion */

  /* Read here: */
  rst_state_dict dict;
  rst_tensor_spec *specs;
  const rst_tensor_view **views; /* of specs */
  size_t count;

  /* Or in a helper process, which sends the values: */
  rst_helper *helper;
  const uint8_t *at; /* what has come and is still to be taken, in values */
  size_t left;
} rst_conversion;

/* Reads a checkpoint that is loaded, in a conversion that is zeroed but for it and the options: here, or in a
 * helper process without rights, which takes the checkpoint apart and gives nothing but the architecture,
 * values and notices. RST_ERROR_WEIGHTS, RST_ERROR_MEMORY or RST_CANCELLED; the caller closes it. */
rst_status rst_conversion_read(rst_conversion *conversion, rst_error *err);
rst_status rst_conversion_read_isolated(rst_conversion *conversion, rst_error *err);
void rst_conversion_close(rst_conversion *conversion); /* and the checkpoint */

#endif
