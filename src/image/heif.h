/* heif.h - what a HEIF file asks a decoder for, found without one. */
#ifndef RST_IMAGE_HEIF_H
#define RST_IMAGE_HEIF_H

#include "image/image.h"

/* RST_ERROR_INPUT when decoding the primary picture would take pictures in a circle, or far more pixels than
 * the file says that it has: its parts, as often as they are used, with the sizes that their streams tell.
 * What else may be wrong is left to libheif. (heif_boxes.c) */
rst_status rst_heif_check(const rst_source *source);

/* The pixels of the largest picture that a stream announces; UINT64_MAX: it cannot be read. (heif_coded.c)
 * HEVC: units with their length in four bytes before them. One unit. AV1: open bitstream units. */
uint64_t rst_hevc_pixels(const uint8_t *data, size_t size);
uint64_t rst_hevc_unit_pixels(const uint8_t *data, size_t size);
uint64_t rst_av1_pixels(const uint8_t *data, size_t size);

#endif
