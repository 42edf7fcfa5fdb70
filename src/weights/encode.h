/* encode.h - from float32 to the types that weights are stored in. */
#ifndef RST_WEIGHTS_ENCODE_H
#define RST_WEIGHTS_ENCODE_H

#include "weights/weights.h"

/* Writes count values as `dtype`, little-endian, rounded to nearest, ties to even; out has
 * count * rst_dtype_size(dtype) bytes and need not be aligned. Returns how many values were written: fewer
 * than `count` when the next one is not finite or is too large for the type. */
size_t rst_encode(rst_dtype dtype, const float *values, size_t count, uint8_t *out);

#endif
