#include "support/fail_alloc.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "support/cmocka_all.h"

static atomic_long unshared = LONG_MAX;
/* Allocations until the one that fails; negative: it has failed. In memory that forked processes share. */
static atomic_long *countdown = &unshared;

void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__real_mmap(void *address, size_t length, int protection, int flags, int file, off_t offset);
void *__wrap_mmap(void *address, size_t length, int protection, int flags, int file, off_t offset);

static bool is_the_one(void) {
  return atomic_fetch_sub(countdown, 1) == 0;
}

void *__wrap_aligned_alloc(size_t alignment, size_t size) {
  return is_the_one() ? NULL : __real_aligned_alloc(alignment, size);
}

/* Mapped files are no allocations. */
void *__wrap_mmap(void *address, size_t length, int protection, int flags, int file, off_t offset) {
  if ((flags & MAP_ANONYMOUS) != 0 && is_the_one()) return MAP_FAILED;
  return __real_mmap(address, length, protection, flags, file, offset);
}

void fail_alloc_after(size_t n) {
  if (countdown == &unshared) {
    void *page =
        __real_mmap(NULL, sizeof *countdown, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(page != MAP_FAILED);
    countdown = page;
  }
  atomic_store(countdown, (long)n);
}

bool fail_alloc_stop(void) {
  return atomic_exchange(countdown, LONG_MAX) < 0;
}

size_t fail_each_alloc(rst_status (*run)(void *user, rst_error *err), void *user) {
  for (size_t n = 0;; n++) {
    rst_error err = {.message = ""};
    fail_alloc_after(n);
    rst_status status = run(user, &err);
    if (!fail_alloc_stop()) {
      assert_int_equal(status, RST_OK);
      return n;
    }
    assert_int_equal(status, RST_ERROR_MEMORY);
    assert_true(err.message[0] != '\0');
  }
}
