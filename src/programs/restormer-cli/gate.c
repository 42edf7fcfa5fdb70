#include "gate.h"

void gate_init(gate *g) {
  g->count = g->free_count = 0;
  pthread_mutex_init(&g->lock, NULL);
  pthread_cond_init(&g->freed, NULL);
}

void gate_add(gate *g, rst_budget *budget) {
  g->places[g->count] = (gate_place){.budget = budget};
  g->free[g->free_count++] = &g->places[g->count++];
}

void gate_destroy(gate *g) {
  for (size_t i = 0; i < g->count; i++) rst_session_free(g->places[i].session);
  pthread_cond_destroy(&g->freed);
  pthread_mutex_destroy(&g->lock);
}

gate_place *gate_enter(gate *g) {
  pthread_mutex_lock(&g->lock);
  while (g->free_count == 0) pthread_cond_wait(&g->freed, &g->lock);
  gate_place *place = g->free[--g->free_count];
  pthread_mutex_unlock(&g->lock);
  return place;
}

void gate_leave(gate *g, gate_place *place) {
  pthread_mutex_lock(&g->lock);
  g->free[g->free_count++] = place;
  pthread_cond_signal(&g->freed);
  pthread_mutex_unlock(&g->lock);
}
