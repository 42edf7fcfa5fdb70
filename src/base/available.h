/* available.h - how much memory the system would give this process now. */
#ifndef RST_BASE_AVAILABLE_H
#define RST_BASE_AVAILABLE_H

#include <stdint.h>

/* Bytes that this process can take without the system running short: the least of what the machine has
 * available, what each control group (version 1 or 2) from the process's own up to the root leaves, both less
 * an eighth, and three quarters of the address space that RLIMIT_AS leaves (maps give pages back early, but
 * not their addresses). `root` is put before the paths of /proc and /sys: "" but for tests. UINT64_MAX where
 * nothing is known. */
uint64_t rst_available_memory(const char *root);

#endif
