#include "support/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/cmocka_all.h"

int scratch_enter(void **state) {
  char name[] = "/tmp/restormer-test-XXXXXX";
  if (mkdtemp(name) == NULL || chdir(name) != 0) return -1;
  *state = strdup(name);
  return *state == NULL;
}

int scratch_leave(void **state) {
  char command[64];
  snprintf(command, sizeof command, "rm -rf '%s'", (char *)*state);
  free(*state);
  return chdir("/") != 0 || system(command) != 0;
}

void scratch_put(const char *path, const void *data, size_t size) {
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(data, 1, size, f), size);
  assert_int_equal(fclose(f), 0);
}

void scratch_put_text(const char *path, const char *text) {
  scratch_put(path, text, strlen(text));
}

char *scratch_edit(const char *text, const char *from, const char *to) {
  const char *at = strstr(text, from);
  if (at == NULL) fail_msg("the text to edit has no '%s'", from);
  size_t head = (size_t)(at - text), size = strlen(text) - strlen(from) + strlen(to) + 1;
  char *edited = malloc(size);
  assert_non_null(edited);
  snprintf(edited, size, "%.*s%s%s", (int)head, text, to, at + strlen(from));
  return edited;
}
