#include "support/fail_threads.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

static atomic_int left = -1; /* threads that can be started; negative: any number */

typedef void *thread_start(void *argument);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, thread_start *start,
                          void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, thread_start *start,
                          void *argument);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, thread_start *start,
                          void *argument) {
  if (atomic_load(&left) == 0) return EAGAIN;
  if (atomic_load(&left) > 0) atomic_fetch_sub(&left, 1);
  return __real_pthread_create(thread, attributes, start, argument);
}

void fail_threads_after(int n) {
  atomic_store(&left, n);
}
