/* cli.h - what the programs share: messages, options, numbers, interruption. */
#ifndef RST_PROGRAMS_COMMON_CLI_H
#define RST_PROGRAMS_COMMON_CLI_H

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>

#include "restormer.h"

/* The exit status that stands for `status`: 0, 2 to 7 as restormer-cli(1) lists them, 130 for RST_CANCELLED.
 */
int cli_exit_status(rst_status status);

/* One line on any stream, with '?' for control characters: names of files, and texts that come out of them,
 * must not drive the terminal. Cut after 4 KiB. */
void cli_print_line(FILE *stream, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints one line, `PROGRAM: message`, to stderr and returns the exit status, so that a program
 * can write `return cli_fail(PROGRAM, RST_ERROR_USAGE, "...");`. Control characters become '?'. */
int cli_fail(const char *program, rst_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for what a library function has reported. */
int cli_fail_error(const char *program, rst_status status, const rst_error *err);

/* Puts a message into `err` and returns `status`. */
rst_status cli_error(rst_error *err, rst_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A string to be freed; NULL: there is no memory. */
char *cli_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Explains what getopt_long (with opterr = 0 and a leading ':' in its optstring) has answered with `code`,
 * '?' or ':', and returns the exit status. `options` and `argv` are what it was called with. */
int cli_fail_option(const char *program, int code, const struct option *options, char *const argv[]);

/* Full parses: the whole of `text` is a number between the limits, without white space. Else false, with
 * *value unchanged. Doubles are finite. */
bool cli_parse_long(const char *text, long min, long max, long *value);
bool cli_parse_double(const char *text, double min, double max, double *value);

/* More than 0: a whole number, perhaps with K, M, G or T (in either case) for powers of `thousand`, 1000 or
 * 1024. */
bool cli_parse_amount(const char *text, unsigned thousand, uint64_t *amount);

/* `WxH`, each from 1 to `max`. */
bool cli_parse_size(const char *text, size_t max, size_t *width, size_t *height);

/* Bytes that a program takes in all for a run whose plan is given: with its pictures, and with itself and the
 * libraries it is linked to, which were measured to be 2 to 3 MB. */
uint64_t cli_memory_in_all(uint64_t plan_bytes, uint64_t picture_bytes);

/* A number in JSON (null when it is not finite) with as many digits as bring the same double back. */
void cli_print_json_number(FILE *stream, double number);

/* Flushes stdout; a failure (a full disk, a closed pipe) is reported as RST_ERROR_OUTPUT. Otherwise returns
 * the exit status `status`. The last thing a program that prints results does. */
int cli_finish_stdout(const char *program, int status);

/* Opens standard input, output and error where the caller has closed them, in a way that makes every use
 * fail: files opened later would take their places, and messages would be written into pictures. The first
 * thing a program does. */
void cli_open_standard_files(void);

/* From now on SIGINT, SIGTERM and SIGHUP set a flag, which a progress callback can turn into RST_CANCELLED so
 * that the library cleans up; a second one ends the process at once (which leaves the output's old file,
 * too). Writing past a closed pipe or a file size limit becomes an error instead of a signal. */
void cli_catch_signals(void);
bool cli_interrupted(void);

#endif
