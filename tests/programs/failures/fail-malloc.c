/* Put before the C library: of all allocations, whoever makes them, number FAIL_MALLOC (from 0) fails and no
 * other. They are counted in memory that forked processes share, with FROM_SANDBOX set from the moment on in
 * which a helper has given up its rights; how many there were is written to $COUNT_MALLOC at the end. */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static struct counter {
  atomic_long made;
  atomic_int counting;
} * counter; /* NULL: not yet there, or not any more */
static long one = -1;

static int fails(void) {
  if (counter == NULL || !atomic_load(&counter->counting)) return 0;
  if (atomic_fetch_add(&counter->made, 1) != one) return 0;
  errno = ENOMEM;
  return 1;
}

__attribute__((constructor)) static void begin(void) {
  const char *number = getenv("FAIL_MALLOC");
  void *page = mmap(NULL, sizeof *counter, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (number != NULL) one = strtol(number, NULL, 10);
  if (page == MAP_FAILED) return;
  counter = page;
  atomic_store(&counter->counting, getenv("FROM_SANDBOX") == NULL);
}

/* libseccomp without memory crashes, or goes round in circles until its processor time is over: in the
 * helper, which is told. What it allocates is not counted. */
void *seccomp_init(unsigned action) {
  void *(*init)(unsigned) = (void *(*)(unsigned))dlsym(RTLD_NEXT, "seccomp_init");
  if (counter != NULL) atomic_store(&counter->counting, 0);
  return init(action);
}

int seccomp_load(const void *filter) {
  int (*load)(const void *) = (int (*)(const void *))dlsym(RTLD_NEXT, "seccomp_load");
  const int status = load(filter);
  if (counter != NULL) atomic_store(&counter->counting, 1);
  return status;
}

__attribute__((destructor)) static void end(void) {
  const char *name = getenv("COUNT_MALLOC");
  const long count = counter == NULL ? 0 : atomic_load(&counter->made);
  counter = NULL;
  FILE *file = name == NULL ? NULL : fopen(name, "w");
  if (file == NULL) return;
  fprintf(file, "%ld\n", count);
  fclose(file);
}

// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): the C library's are reserved
void *malloc(size_t size) {
  return fails() ? NULL : __libc_malloc(size);
}
void *calloc(size_t count, size_t size) {
  return fails() ? NULL : __libc_calloc(count, size);
}
void *realloc(void *memory, size_t size) {
  return fails() ? NULL : __libc_realloc(memory, size);
}
void *aligned_alloc(size_t alignment, size_t size) {
  return fails() ? NULL : __libc_memalign(alignment, size);
}
void *memalign(size_t alignment, size_t size) {
  return aligned_alloc(alignment, size);
}
int posix_memalign(void **memory, size_t alignment, size_t size) {
  *memory = aligned_alloc(alignment, size);
  return *memory == NULL ? ENOMEM : 0;
}
// NOLINTEND(readability-inconsistent-declaration-parameter-name)
