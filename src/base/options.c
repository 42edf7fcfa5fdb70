#include "base/options.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"

static size_t size_of(const void *s) {
  size_t size;
  memcpy(&size, s, sizeof size);
  return size;
}

rst_status rst_options_read(void *known, size_t size, const void *given, const char *name, rst_error *err) {
  if (given == NULL) return RST_OK;
  const size_t given_size = size_of(given);
  if (given_size < sizeof given_size)
    return rst_fail(err, RST_ERROR_USAGE, "%s: struct_size is %zu, expected what %s_init sets", name,
                    given_size, name);
  for (size_t i = size; i < given_size; i++)
    if (((const unsigned char *)given)[i] != 0)
      return rst_fail(err, RST_ERROR_USAGE,
                      "%s: has a member set that version %s of the library does not know", name,
                      rst_version());
  memcpy(known, given, rst_min(size, given_size));
  memcpy(known, &size, sizeof size);
  return RST_OK;
}

void rst_info_write(void *given, const void *known, size_t size) {
  const size_t given_size = size_of(given);
  if (given_size < sizeof given_size) return;
  memcpy(given, known, rst_min(size, given_size));
  if (given_size > size) memset((unsigned char *)given + size, 0, given_size - size);
  memcpy(given, &given_size, sizeof given_size);
}
