/* html.h - two pictures on one page, to look at. */
#ifndef RST_COMPARE_HTML_H
#define RST_COMPARE_HTML_H

#include "restormer.h"

typedef struct html_page {
  const char *a_name, *b_name;
  const rst_image *a, *b, *difference; /* of the same size */
  double amplification;                /* of the difference picture */
  const rst_difference *numbers;
  double white; /* what max_difference is counted in */
} html_page;

/* Writes a page that needs no other file: a slider between the pictures, their difference, the numbers. The
 * slider begins in the middle, or at the percentage that the address ends in (page.html#25). `path` appears
 * whole or not at all. RST_ERROR_OUTPUT or RST_ERROR_MEMORY. */
rst_status html_write(const char *path, const html_page *page, rst_error *err);

#endif
