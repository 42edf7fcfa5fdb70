/* pictures.h - pictures made up for tests. */
#ifndef RST_TEST_PICTURES_H
#define RST_TEST_PICTURES_H

#include "image/image.h"

/* Images by value, as the library has them inside; free with rst_image_clear. Any sample value may occur. */
rst_image picture_random(size_t width, size_t height, int channels, rst_sample sample, unsigned seed);
/* Smooth in x and y, different in every channel, within 0..1. */
rst_image picture_smooth(size_t width, size_t height, int channels, rst_sample sample);
/* Sizes, channels, sample types and every sample must be the same. */
void picture_assert_equal(const rst_image *a, const rst_image *b);

/* rst_image_read, and what it has read as a value. */
rst_status picture_read(const char *path, rst_image *picture, rst_error *err);
/* rst_restore_image likewise. */
rst_status picture_restore(const rst_model *model, const rst_image *input, const rst_image *right,
                           rst_sample sample, rst_image *output, const rst_session_options *options,
                           rst_error *err);
/* The image as a value; its own object is freed. NULL: an empty one. */
rst_image picture_take(rst_image *image);

#endif
