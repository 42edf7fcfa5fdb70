/* pictures.h - pictures made up for tests. */
#ifndef RST_TEST_PICTURES_H
#define RST_TEST_PICTURES_H

#include "restormer.h"

/* Any sample value may occur; free with rst_picture_free. */
rst_picture picture_random(size_t width, size_t height, int channels, rst_sample sample, unsigned seed);
/* Smooth in x and y, different in every channel, within 0..1. */
rst_picture picture_smooth(size_t width, size_t height, int channels, rst_sample sample);
/* Sizes, channels, sample types and every sample must be the same. */
void picture_assert_equal(const rst_picture *a, const rst_picture *b);

#endif
