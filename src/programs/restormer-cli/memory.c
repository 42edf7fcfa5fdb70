#include "memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static uint64_t read_number(const char *path) {
  FILE *f = fopen(path, "r");
  if (f == NULL) return 0;
  uint64_t value;
  const int found = fscanf(f, "%" SCNu64, &value); /* "max" means no limit */
  fclose(f);
  return found == 1 ? value : 0;
}

/* The number that follows `key` in a file of such lines; 0 where there is none. */
static uint64_t read_entry(const char *path, const char *key) {
  FILE *f = fopen(path, "r");
  if (f == NULL) return 0;
  char line[256], name[64];
  uint64_t value, found = 0;
  while (fgets(line, sizeof line, f) != NULL)
    if (sscanf(line, "%63s %" SCNu64, name, &value) == 2 && strcmp(name, key) == 0) found = value;
  fclose(f);
  return found;
}

/* What the control group (version 2) of a container leaves; 0: no limit. Cached files that nobody has used
 * lately count as its use, but make way. */
static uint64_t group_available(void) {
  const uint64_t limit = read_number("/sys/fs/cgroup/memory.max");
  const uint64_t used = read_number("/sys/fs/cgroup/memory.current");
  const uint64_t cached = read_entry("/sys/fs/cgroup/memory.stat", "inactive_file");
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
