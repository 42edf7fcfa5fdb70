/* error.h - filling in an rst_error. */
#ifndef RST_BASE_ERROR_H
#define RST_BASE_ERROR_H

#include "restormer.h"

/* Formats the message (control characters become '?', too long ones are cut) and returns `status`,
 * so that a caller can write `return rst_fail(err, RST_ERROR_WEIGHTS, "%s: ...", path);`. `err` may be NULL. */
rst_status rst_fail(rst_error *err, rst_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* RST_ERROR_MEMORY with the one message for it; `what` says what the memory was for. */
rst_status rst_fail_memory(rst_error *err, const char *what);

#endif
