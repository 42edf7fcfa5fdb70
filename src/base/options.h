/* options.h - public structs that begin with `size_t struct_size`, of whatever version the caller was built
 * with. */
#ifndef RST_BASE_OPTIONS_H
#define RST_BASE_OPTIONS_H

#include "restormer.h"

/* Options: copies from `given` (NULL: nothing) to `known`, a struct of `size` bytes that holds the defaults,
 * what both have; members that `given` is too old for keep their defaults. RST_ERROR_USAGE, with `name` (of
 * the type) in the message, when `given` was not initialised, or is newer and sets what this library does not
 * know. */
rst_status rst_options_read(void *known, size_t size, const void *given, const char *name, rst_error *err);

/* Information: copies from `known` to `given` what both have, and zeroes what is newer. Nothing when `given`
 * was not initialised. */
void rst_info_write(void *given, const void *known, size_t size);

#endif
