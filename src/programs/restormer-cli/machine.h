/* machine.h - what the process may take, and has taken, of the machine. */
#ifndef RST_CLI_MACHINE_H
#define RST_CLI_MACHINE_H

#include <stdint.h>

/* The most memory that the process has had, in bytes; 0 where the system does not tell. */
uint64_t machine_peak_memory(void);

/* Processors that the process may use. */
int machine_processors(void);

#endif
