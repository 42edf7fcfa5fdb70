#include "gate.h"

void gate_init(gate *g) {
  g->count = 0;
  pthread_mutex_init(&g->lock, NULL);
  pthread_cond_init(&g->freed, NULL);
}

void gate_destroy(gate *g) {
  pthread_cond_destroy(&g->freed);
  pthread_mutex_destroy(&g->lock);
}

rst_budget *gate_enter(gate *g) {
  pthread_mutex_lock(&g->lock);
  while (g->count == 0) pthread_cond_wait(&g->freed, &g->lock);
  rst_budget *budget = g->budgets[--g->count];
  pthread_mutex_unlock(&g->lock);
  return budget;
}

void gate_leave(gate *g, rst_budget *budget) {
  pthread_mutex_lock(&g->lock);
  g->budgets[g->count++] = budget;
  pthread_cond_signal(&g->freed);
  pthread_mutex_unlock(&g->lock);
}
