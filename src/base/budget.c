#include "base/budget.h"

#include <stdatomic.h>

#include "base/available.h"
#include "base/error.h"
#include "base/memory.h"

struct rst_budget {
  uint64_t limit;
  _Atomic uint64_t used;
};

rst_status rst_budget_create(uint64_t limit, rst_budget **budget, rst_error *err) {
  *budget = rst_alloc_zeroed(1, sizeof **budget);
  if (*budget == NULL) return rst_fail_memory(err, "the budget");
  (*budget)->limit = limit != 0 ? limit : rst_available_memory("");
  return RST_OK;
}

void rst_budget_free(rst_budget *budget) {
  rst_free(budget);
}

uint64_t rst_budget_limit(const rst_budget *budget) {
  return budget->limit;
}

uint64_t rst_budget_used(const rst_budget *budget) {
  return atomic_load(&budget->used);
}

uint64_t rst_budget_left(const rst_budget *budget) {
  if (budget == NULL) return UINT64_MAX;
  const uint64_t used = rst_budget_used(budget);
  return budget->limit > used ? budget->limit - used : 0;
}

bool rst_budget_take(rst_budget *budget, uint64_t bytes) {
  if (budget == NULL) return true;
  uint64_t used = atomic_load(&budget->used);
  do {
    if (used > budget->limit || bytes > budget->limit - used) return false;
  } while (!atomic_compare_exchange_weak(&budget->used, &used, used + bytes));
  return true;
}

void rst_budget_give(rst_budget *budget, uint64_t bytes) {
  if (budget != NULL) atomic_fetch_sub(&budget->used, bytes);
}

rst_status rst_budget_claim(rst_budget *budget, uint64_t bytes, const char *what, rst_error *err) {
  if (rst_budget_take(budget, bytes)) return RST_OK;
  return rst_fail(err, RST_ERROR_MEMORY, "out of memory for %s: %.1f MB; %.1f of %.1f MB are left", what,
                  (double)bytes / 1e6, (double)rst_budget_left(budget) / 1e6, (double)budget->limit / 1e6);
}
