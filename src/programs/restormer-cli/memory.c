#include "memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The number that follows `key` at the beginning of a line; 0 where there is none ("max" is none, too). */
static uint64_t read_entry(const char *path, const char *key) {
  FILE *f = fopen(path, "r");
  if (f == NULL) return 0;
  char line[256];
  uint64_t value = 0;
  while (fgets(line, sizeof line, f) != NULL)
    if (strncmp(line, key, strlen(key)) == 0) value = strtoull(line + strlen(key), NULL, 10);
  fclose(f);
  return value;
}

/* What the control group (version 2) of a container leaves; 0: no limit. Cached files that nobody has used
 * lately count as its use, but make way. */
static uint64_t group_available(void) {
  const uint64_t limit = read_entry("/sys/fs/cgroup/memory.max", "");
  const uint64_t used = read_entry("/sys/fs/cgroup/memory.current", "");
  const uint64_t cached = read_entry("/sys/fs/cgroup/memory.stat", "inactive_file ");
  const uint64_t held = used > cached ? used - cached : 0;
  return limit == 0 ? 0 : limit > held ? limit - held : 1;
}

uint64_t memory_available(void) {
  uint64_t available = read_entry("/proc/meminfo", "MemAvailable:") * 1024; /* given in KiB */
  if (available == 0) { /* not Linux: half of what is built in */
    const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    if (pages > 0 && size > 0) available = (uint64_t)pages * (uint64_t)size / 2;
  }
  const uint64_t group = group_available();
  if (group != 0 && group < available) available = group;
  return available - available / 8;
}
