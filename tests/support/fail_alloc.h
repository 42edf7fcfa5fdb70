/* fail_alloc.h - making the library's allocations fail in turn. Every allocation of the library ends in
 * aligned_alloc or an anonymous mmap, which the tests are linked to replace (-Wl,--wrap=). */
#ifndef RST_TEST_FAIL_ALLOC_H
#define RST_TEST_FAIL_ALLOC_H

#include <stddef.h>

#include "restormer.h"

/* The allocation after the next `n` ones fails, and only that one, in this process or one that it forks. */
void fail_alloc_after(size_t n);
/* No allocation fails any more. Returns whether one has failed. */
bool fail_alloc_stop(void);

/* Calls run(user, &err) with its first allocation failing, then its second, and so on until a run makes fewer
 * allocations than that and must be RST_OK. Every failed run must be RST_ERROR_MEMORY with a message. Returns
 * the number of failures, for the test to check that it is not 0. Leaks are for AddressSanitizer to find. */
size_t fail_each_alloc(rst_status (*run)(void *user, rst_error *err), void *user);

#endif
