#include "gate.h"

void gate_init(gate *g) {
  *g = (gate){0};
  pthread_mutex_init(&g->lock, NULL);
  pthread_cond_init(&g->changed, NULL);
}

void gate_add_whole(gate *g, rst_budget *budget, int threads) {
  g->whole = (gate_place){.budget = budget, .threads = threads};
}

void gate_add_share(gate *g, rst_budget *budget, int threads) {
  g->shares[g->count] = (gate_place){.budget = budget, .threads = threads};
  g->free[g->free_count++] = &g->shares[g->count++];
}

void gate_close_session(gate_place *place) {
  rst_session_free(place->session);
  place->session = NULL;
}

void gate_destroy(gate *g) {
  for (size_t i = 0; i < g->count; i++) gate_close_session(&g->shares[i]);
  gate_close_session(&g->whole);
  pthread_cond_destroy(&g->changed);
  pthread_mutex_destroy(&g->lock);
}

/* Nobody begins with a share while somebody waits for the whole, who would wait forever. */
static gate_place *wait_for_share(gate *g) {
  while (g->taken || g->waiting > 0 || g->free_count == 0) pthread_cond_wait(&g->changed, &g->lock);
  return g->free[--g->free_count];
}

static gate_place *wait_for_whole(gate *g) {
  g->waiting++;
  while (g->taken || g->free_count < g->count) pthread_cond_wait(&g->changed, &g->lock);
  g->waiting--;
  g->taken = true;
  for (size_t i = 0; i < g->count; i++) gate_close_session(&g->shares[i]); /* it may need all the memory */
  return &g->whole;
}

gate_place *gate_enter(gate *g, bool share) {
  pthread_mutex_lock(&g->lock);
  const bool shares = g->whole.budget == NULL || (share && g->count > 0);
  gate_place *place = shares ? wait_for_share(g) : wait_for_whole(g);
  pthread_mutex_unlock(&g->lock);
  return place;
}

void gate_leave(gate *g, gate_place *place) {
  pthread_mutex_lock(&g->lock);
  if (place == &g->whole)
    g->taken = false;
  else
    g->free[g->free_count++] = place;
  pthread_cond_broadcast(&g->changed);
  pthread_mutex_unlock(&g->lock);
}
