#include "base/threads.h"

#include <omp.h>

/* OpenMP ends the process when it cannot start the threads that it was asked for. */
enum { MAX_THREADS = 1024 };

int rst_threads(int requested) {
  const int threads = requested > 0 ? requested : omp_get_num_procs();
  return threads < MAX_THREADS ? threads : MAX_THREADS;
}
