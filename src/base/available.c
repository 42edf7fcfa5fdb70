#include "base/available.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { PATH_SIZE = 4096, LINE_SIZE = 512 };

static uint64_t least(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

/* The number that follows `key` at the beginning of a line of root + path + name; UINT64_MAX where there is
 * none
 * ("max" is none, too). */
static uint64_t read_number(const char *root, const char *path, const char *name, const char *key) {
  char file[PATH_SIZE], line[LINE_SIZE];
  const int n = snprintf(file, sizeof file, "%s%s%s", root, path, name);
  FILE *f = n < 0 || (size_t)n >= sizeof file ? NULL : fopen(file, "r");
  if (f == NULL) return UINT64_MAX;
  uint64_t value = UINT64_MAX;
  while (value == UINT64_MAX && fgets(line, sizeof line, f) != NULL) {
    if (strncmp(line, key, strlen(key)) != 0) continue;
    char *end;
    const unsigned long long number = strtoull(line + strlen(key), &end, 10);
    if (end != line + strlen(key)) value = number;
  }
  fclose(f);
  return value;
}

/* ---- Control groups -------------------------------------------------------------------------------- */

/* Names of the files of a version. Cached files that nobody has used lately count as a group's use, but make
 * way. */
typedef struct version {
  const char *mount;
  const char *limits[2], *used,
      *cached; /* limits: hard, and where the kernel begins to slow processes down */
} version;

static const version VERSION_1 = {
    "/sys/fs/cgroup/memory",
    {"/memory.limit_in_bytes", NULL},
    "/memory.usage_in_bytes",
    "total_inactive_file ",
};
static const version VERSION_2 = {
    "/sys/fs/cgroup",
    {"/memory.max", "/memory.high"},
    "/memory.current",
    "inactive_file ",
};

static uint64_t group_leaves(const char *root, const version *v, const char *folder) {
  uint64_t limit = read_number(root, folder, v->limits[0], "");
  if (v->limits[1] != NULL) limit = least(limit, read_number(root, folder, v->limits[1], ""));
  const uint64_t used = read_number(root, folder, v->used, "");
  if (limit == UINT64_MAX || used == UINT64_MAX) return limit;
  const uint64_t cached = read_number(root, folder, "/memory.stat", v->cached);
  const uint64_t held = cached == UINT64_MAX ? used : used > cached ? used - cached : 0;
  return limit > held ? limit - held : 0;
}

/* The least that the group of that path and those above it leave. Inside a container the path may be the
 * host's, which is not there; the container's own group is then what is mounted. */
static uint64_t groups_leave(const char *root, const version *v, const char *path) {
  char folder[PATH_SIZE];
  const size_t mount = strlen(v->mount);
  const int n = snprintf(folder, sizeof folder, "%s%s", v->mount, path);
  if (n < 0 || (size_t)n >= sizeof folder) return UINT64_MAX;
  uint64_t leaves = UINT64_MAX;
  for (;;) {
    leaves = least(leaves, group_leaves(root, v, folder));
    char *slash = strrchr(folder, '/');
    if ((size_t)(slash - folder) < mount) return leaves;
    *slash = '\0';
  }
}

/* Lines of /proc/self/cgroup: ID:CONTROLLERS:PATH, version 2 with ID 0 and no controllers. */
static uint64_t all_groups_leave(const char *root) {
  char name[PATH_SIZE], line[PATH_SIZE];
  snprintf(name, sizeof name, "%s/proc/self/cgroup", root);
  FILE *f = fopen(name, "r");
  uint64_t leaves = UINT64_MAX;
  while (f != NULL && fgets(line, sizeof line, f) != NULL) {
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':'), *path = controllers == NULL ? NULL : strchr(controllers + 1, ':');
    if (path == NULL) continue;
    *path++ = '\0';
    if (strcmp(controllers, ":") == 0) leaves = least(leaves, groups_leave(root, &VERSION_2, path));
    for (char *rest = controllers + 1, *one; (one = strtok_r(rest, ",", &rest)) != NULL;)
      if (strcmp(one, "memory") == 0) leaves = least(leaves, groups_leave(root, &VERSION_1, path));
  }
  if (f != NULL) fclose(f);
  return leaves;
}

/* ---- The machine and the process ------------------------------------------------------------------- */

static uint64_t machine_leaves(const char *root) {
  const uint64_t kib = read_number(root, "/proc/meminfo", "", "MemAvailable:");
  if (kib < UINT64_MAX / 1024) return kib * 1024;
  const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
  return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size / 2 : UINT64_MAX;
}

static uint64_t addresses_left(const char *root) {
  struct rlimit limit;
  const long page = sysconf(_SC_PAGESIZE);
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || page <= 0) return UINT64_MAX;
  const uint64_t pages = read_number(root, "/proc/self/statm", "", "");
  const uint64_t used = pages == UINT64_MAX ? 0 : pages * (uint64_t)page;
  return limit.rlim_cur > used ? limit.rlim_cur - used : 0;
}

uint64_t rst_available_memory(const char *root) {
  const uint64_t memory = least(machine_leaves(root), all_groups_leave(root)),
                 addresses = addresses_left(root);
  return least(memory == UINT64_MAX ? memory : memory - memory / 8,
               addresses == UINT64_MAX ? addresses : addresses - addresses / 4);
}
