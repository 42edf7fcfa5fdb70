/* fixture.c - see fixture.h. */
#include "support/fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/cmocka_all.h"
#include "support/random_model.h"

void *fixture_alloc(size_t count, size_t size) {
  void *p = calloc(count > 0 ? count : 1, size);
  if (p == NULL) fail_msg("no memory for %zu times %zu bytes", count, size);
  return p;
}

char *fixture_folder(void) {
  static const char NAME[] = "/restormer-test-XXXXXX";
  const char *parent = getenv("TMPDIR");
  if (parent == NULL || *parent == '\0') parent = "/tmp";
  const size_t n = strlen(parent);
  char *folder = fixture_alloc(n + sizeof NAME, 1);
  memcpy(folder, parent, n);
  memcpy(folder + n, NAME, sizeof NAME);
  if (mkdtemp(folder) == NULL) fail_msg("%s: cannot be made", folder);
  return folder;
}

void fixture_remove_folder(char *folder) {
  DIR *dir = opendir(folder);
  assert_non_null(dir);
  for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      assert_int_equal(unlinkat(dirfd(dir), entry->d_name, 0), 0);
  }
  closedir(dir);
  assert_int_equal(rmdir(folder), 0);
  free(folder);
}

rst_budget *fixture_budget(uint64_t limit) {
  rst_budget *budget;
  assert_int_equal(rst_budget_create(limit, &budget, NULL), RST_OK);
  return budget;
}

float *fixture_samples(uint64_t seed, size_t count) {
  float *samples = fixture_alloc(count, sizeof *samples);
  for (size_t i = 0; i < count; i++) samples[i] = (random_unit(seed, i) + 1) / 2;
  return samples;
}
