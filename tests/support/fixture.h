/* fixture.h - what tests need around them: memory, temporary files, random samples. Fails the running cmocka
 * test when something goes wrong. */
#ifndef TESTS_SUPPORT_FIXTURE_H
#define TESTS_SUPPORT_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

#include "restormer.h"

/* count * size zeroed bytes; free with free(). */
void *fixture_alloc(size_t count, size_t size);

/* A new folder for temporary files; fixture_remove_folder removes it with the files in it and frees the path.
 */
char *fixture_folder(void);
void fixture_remove_folder(char *folder);

/* What initialisers of rst_session_options begin with. */
#define SESSION .struct_size = sizeof(rst_session_options)

/* A budget of so many bytes; free with rst_budget_free. */
rst_budget *fixture_budget(uint64_t limit);

/* `count` reproducible samples in 0..1; free with free(). */
float *fixture_samples(uint64_t seed, size_t count);

#endif
