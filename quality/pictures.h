/* pictures.h - the pictures of a folder, and what is done to them. */
#ifndef QUALITY_PICTURES_H
#define QUALITY_PICTURES_H

#include "restormer.h"

typedef struct picture_list {
  char **names; /* file names without the folder, sorted */
  size_t count;
} picture_list;

/* The files of the folder whose names end as a picture's do. RST_ERROR_INPUT (none, or no such folder),
 * RST_ERROR_MEMORY.
 */
rst_status pictures_list(const char *folder, picture_list *list, rst_error *err);
void pictures_free(picture_list *list);

/* A copy with 8 bits, clamped and rounded, and without alpha. RST_ERROR_MEMORY. */
rst_status pictures_to_bytes(const rst_image *picture, rst_image **bytes, rst_error *err);

/* A float copy of an 8-bit picture plus Gaussian noise of deviation sigma (of 255), neither clamped nor
 * rounded. The noise depends on `name` and grows with sigma. RST_ERROR_MEMORY. */
rst_status pictures_add_noise(const rst_image *clean, const char *name, double sigma, rst_image **noisy,
                              rst_error *err);

/* What JPEG of that quality, 1 to 100, leaves of an 8-bit picture. RST_ERROR_OUTPUT (too large for JPEG),
 * RST_ERROR_MEMORY. */
rst_status pictures_through_jpeg(const rst_image *clean, int quality, rst_image **degraded, rst_error *err);

/* A contact sheet: a grid of square cells on white, which show the middles of pictures. */
typedef struct contact_sheet {
  rst_image *picture; /* RGB, 8 bits */
  size_t rows, columns;
} contact_sheet;

rst_status contact_sheet_create(size_t rows, size_t columns, contact_sheet *sheet, rst_error *err);
/* Puts an 8-bit picture, grey or RGB, into a cell. */
void contact_sheet_put(contact_sheet *sheet, size_t row, size_t column, const rst_image *bytes);

#endif
