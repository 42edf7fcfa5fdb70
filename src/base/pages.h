/* pages.h - large zeroed buffers straight from the system, whose pages can be given back early. */
#ifndef RST_BASE_PAGES_H
#define RST_BASE_PAGES_H

#include <stddef.h>

/* `bytes` zeroed bytes, aligned to a page, committed as they are touched and in large pages where the system
 * has them; NULL when there is no address space. Free with the same size. */
void *rst_pages_alloc(size_t bytes);
void rst_pages_free(void *pages, size_t bytes); /* NULL is allowed */

/* Gives the pages that lie wholly inside [start, start + bytes) back to the system; their bytes are lost. */
void rst_pages_release(void *start, size_t bytes);

#endif
