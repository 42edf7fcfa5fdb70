/* peak.h - what the processor can do at most, measured: the yardstick of every rate that the benchmarks
 * print. */
#ifndef BENCH_PEAK_H
#define BENCH_PEAK_H

#include "restormer.h"

/* The peaks are of the instruction set `isa` (RST_ISA_AUTO: the best there is), of `threads` threads
 * together, which should be no more than there are cores, and measured for about `seconds`; 0 where there is
 * no such instruction. */

/* Float32 multiply-adds from registers, in FLOP/s (a multiply-add is 2). */
double peak_f32(rst_isa isa, int threads, double seconds);
/* bf16 dot products that sum in float32, in FLOP/s (a product of pairs is 4 per lane). */
double peak_bf16(rst_isa isa, int threads, double seconds);
/* Copying between buffers far larger than any cache, in bytes copied per second. */
double peak_copy(int threads, double seconds);

/* Seconds of the monotonic clock. */
double bench_now(void);

#endif
