#include "machine.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

uint64_t machine_peak_memory(void) {
  struct rusage usage;
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
#ifdef __APPLE__
  const uint64_t unit = 1; /* of ru_maxrss */
#else
  const uint64_t unit = 1024;
#endif
  return (uint64_t)usage.ru_maxrss * unit;
}

int machine_processors(void) {
#ifdef CPU_COUNT
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return CPU_COUNT(&allowed);
#endif
  const long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 ? (int)online : 1;
}
