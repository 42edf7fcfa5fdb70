/* error.h - filling in an rst_error. */
#ifndef RST_BASE_ERROR_H
#define RST_BASE_ERROR_H

#include "restormer.h"

/* Formats the message (control characters become '?', too long ones lose their middle, where a long path is,
 * and keep the reason at the end) and gives `status`, so that a caller can write `return rst_fail(err,
 * RST_ERROR_WEIGHTS, "%s: ...", path);`. `err` may be NULL. A macro, so that compilers and analyzers see
 * which status comes back, and so what does not happen after it. */
#define rst_fail(err, status, ...) (rst_error_format(err, __VA_ARGS__), rst_error_status(status))

/* RST_ERROR_MEMORY with the one message for it; `what` says what the memory was for. */
#define rst_fail_memory(err, what) rst_fail(err, RST_ERROR_MEMORY, "out of memory for %s", what)

/* What public functions end with: no message without an error, whatever was tried on the way. */
static inline rst_status rst_end(rst_error *err, rst_status status) {
  if (status == RST_OK && err != NULL) err->message[0] = '\0';
  return status;
}

/* `status` with `PATH: WHAT: the system's word for NUMBER`, an errno. */
#define rst_fail_errno(err, status, path, what, number) \
  (rst_error_format_errno(err, path, what, number), rst_error_status(status))

void rst_error_format(rst_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
void rst_error_format_errno(rst_error *err, const char *path, const char *what, int number);
static inline rst_status rst_error_status(rst_status status) {
  return status;
}

#endif
