#include "base/pages.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

void *rst_pages_alloc(size_t bytes) {
  if (bytes == 0) bytes = 1;
  void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return NULL;
#ifdef MADV_HUGEPAGE
  madvise(pages, bytes, MADV_HUGEPAGE); /* a hint: fewer page faults and TLB misses where it is followed */
#endif
  return pages;
}

void rst_pages_free(void *pages, size_t bytes) {
  if (pages != NULL) munmap(pages, bytes == 0 ? 1 : bytes);
}

void rst_pages_release(void *start, size_t bytes) {
#ifdef MADV_DONTNEED
  const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  const uintptr_t first = ((uintptr_t)start + page - 1) / page * page;
  const uintptr_t end = ((uintptr_t)start + bytes) / page * page;
  if (first < end) madvise((void *)first, end - first, MADV_DONTNEED);
#else
  (void)start, (void)bytes;
#endif
}
