#include "memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

/* MemAvailable of /proc/meminfo, in bytes; 0 where there is none. */
static uint64_t system_available(void) {
  FILE *f = fopen("/proc/meminfo", "r");
  if (f == NULL) return 0;
  char line[256];
  uint64_t kib = 0;
  while (fgets(line, sizeof line, f) != NULL)
    if (sscanf(line, "MemAvailable: %" SCNu64, &kib) == 1) break;
  fclose(f);
  return kib * 1024;
}

static uint64_t read_number(const char *path) {
  FILE *f = fopen(path, "r");
  if (f == NULL) return 0;
  uint64_t value;
  const int found = fscanf(f, "%" SCNu64, &value); /* "max" means no limit */
  fclose(f);
  return found == 1 ? value : 0;
}

/* What the control group (version 2) of a container leaves; 0: no limit. */
static uint64_t group_available(void) {
  const uint64_t limit = read_number("/sys/fs/cgroup/memory.max");
  const uint64_t used = read_number("/sys/fs/cgroup/memory.current");
  return limit == 0 ? 0 : limit > used ? limit - used : 1;
}

uint64_t memory_available(void) {
  uint64_t available = system_available();
  if (available == 0) { /* not Linux: half of what is built in */
    const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    if (pages > 0 && size > 0) available = (uint64_t)pages * (uint64_t)size / 2;
  }
  const uint64_t group = group_available();
  if (group != 0 && group < available) available = group;
  return available - available / 8;
}
