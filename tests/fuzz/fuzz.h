/* fuzz.h - what the libFuzzer targets share. A target is a file with one LLVMFuzzerTestOneInput; what comes
 * out of the bytes must be a result that holds or an error that says something. */
#ifndef RST_TESTS_FUZZ_FUZZ_H
#define RST_TESTS_FUZZ_FUZZ_H

#include <stdint.h>

#include "restormer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A target may have a mutator of its own, which makes checksums right after libFuzzer's has been at work:
 * behind them is more to be found. Now and then they stay wrong. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
enum { FUZZ_LEFT_WRONG = 16 }; /* one of so many seeds */

/* Ends the process, which libFuzzer reports as a finding. */
void fuzz_require(bool holds, const char *what);

/* RST_OK without a message, or `expected` (or RST_ERROR_MEMORY) with one line that names a file. */
void fuzz_check(rst_status status, rst_status expected, const rst_error *err);

/* A path under which the bytes can be opened, until the next call. `which`: 0 or 1, for two files at a time.
 */
const char *fuzz_file(int which, const uint8_t *data, size_t size);

#endif
