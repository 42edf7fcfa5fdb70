/* memory.h - how much memory a run may take. */
#ifndef RST_CLI_MEMORY_H
#define RST_CLI_MEMORY_H

#include <stdint.h>

/* Bytes that this process can take without the system running short: what is available, control groups'
 * limits included, with an eighth of it left. 0: not known. */
uint64_t memory_available(void);

#endif
