/* scratch.h - an empty folder of its own for every test, and files in it. */
#ifndef TESTS_SUPPORT_SCRATCH_H
#define TESTS_SUPPORT_SCRATCH_H

#include <stddef.h>

/* cmocka setup and teardown: the test runs in the folder. */
int scratch_enter(void **state);
int scratch_leave(void **state);

/* Writes a file; fails the test when that does not work. */
void scratch_put(const char *path, const void *data, size_t size);
void scratch_put_text(const char *path, const char *text);

/* `text` with its first `from` replaced by `to`; free with free(). Fails the test when there is no `from`. */
char *scratch_edit(const char *text, const char *from, const char *to);

#endif
