/* gate.h - who may compute: as many pictures at once as there are budgets. */
#ifndef RST_CLI_GATE_H
#define RST_CLI_GATE_H

#include <pthread.h>

#include "restormer.h"

enum { GATE_MAX = 256 };

typedef struct gate {
  pthread_mutex_t lock;
  pthread_cond_t freed;
  rst_budget *budgets[GATE_MAX]; /* those that nobody has */
  size_t count;
} gate;

void gate_init(gate *g);
void gate_destroy(gate *g);

/* Waits for a budget, which gate_leave gives back. */
rst_budget *gate_enter(gate *g);
void gate_leave(gate *g, rst_budget *budget);

#endif
