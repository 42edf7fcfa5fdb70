/* adjust.h - what is done to pictures before and after the network. */
#ifndef RST_CLI_ADJUST_H
#define RST_CLI_ADJUST_H

#include "restormer.h"

typedef struct rectangle {
  size_t x, y, width, height;
} rectangle;

/* Replaces *image by a part of it, which lies within it. RST_ERROR_MEMORY. */
rst_status adjust_crop(rst_image **image, const rectangle *part, rst_error *err);

/* result = input + strength (result - input), in place; sizes and channels are equal. */
void adjust_blend(const rst_image *input, double strength, rst_image *result);

/* Replaces *result by `input` and, right of it, itself. RST_ERROR_MEMORY. */
rst_status adjust_beside(const rst_image *input, rst_image **result, rst_error *err);

#endif
