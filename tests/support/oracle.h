/* oracle.h - the whole network in plain float64, written from its description and never tuned: what
 * rst_restore is compared with. It shares nothing with the library but the struct of hyper-parameters. */
#ifndef TESTS_SUPPORT_ORACLE_H
#define TESTS_SUPPORT_ORACLE_H

#include <stdbool.h>

#include "restormer.h"
#include "support/oracle_ops.h"

/* Where the weights come from: writes the `elements` values of the tensor with the state dict's `name`. It is
 * an error of the test when there is no such tensor or when it has another size; fetch must not return then.
 */
typedef void (*oracle_fetch)(void *user, const char *name, size_t elements, double *out);

typedef struct oracle_model {
  rst_architecture architecture;
  oracle_fetch fetch;
  void *user;
  size_t window; /* statistics of attention per window of this many pixels at full resolution, 2^(levels - 1)
                    or more; 0: whole */
} oracle_model;

/* One transformer block in place: x [channels][height][width] with channels = dim * 2^width_level. `prefix`
 * names it
 * ("encoder_level1.0"); heads, attention and window are those of `level`, the width that of `width_level`
 * (they differ in decoder_level1 and refinement). */
void oracle_block(const oracle_model *model, const char *prefix, int level, int width_level, size_t height,
                  size_t width, double *x);

/* Runs the network: input [in_channels][height][width] with nominal range 0..1, output
 * [out_channels][height][width], neither clamped nor rounded. Any height and width from 1 on. */
void oracle_network(const oracle_model *model, const float *input, size_t height, size_t width,
                    double *output);

#endif
