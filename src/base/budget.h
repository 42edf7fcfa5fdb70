/* budget.h - the memory that everything that belongs together may take. See rst_budget in restormer.h. */
#ifndef RST_BASE_BUDGET_H
#define RST_BASE_BUDGET_H

#include "restormer.h"

/* What the budget leaves; UINT64_MAX when it is NULL. */
uint64_t rst_budget_left(const rst_budget *budget);

/* rst_budget_take that says so when it fails; `what` says what the memory is for. RST_ERROR_MEMORY. */
rst_status rst_budget_claim(rst_budget *budget, uint64_t bytes, const char *what, rst_error *err);

#endif
