/* gate.h - who may compute: as many pictures at once as there are places. */
#ifndef RST_CLI_GATE_H
#define RST_CLI_GATE_H

#include <pthread.h>

#include "restormer.h"

enum { GATE_MAX = 256 };

/* What a picture has while it is computed. */
typedef struct gate_place {
  rst_budget *budget;
  rst_session *session; /* of the pictures before, for others of their size; NULL: none */
  void *user;           /* whoever has the place */
} gate_place;

typedef struct gate {
  pthread_mutex_t lock;
  pthread_cond_t freed;
  gate_place places[GATE_MAX];
  gate_place *free[GATE_MAX]; /* those that nobody has */
  size_t count, free_count;
} gate;

void gate_init(gate *g);
/* A place for one more, before anybody enters; at most GATE_MAX. */
void gate_add(gate *g, rst_budget *budget);
/* Frees the sessions, not the budgets. */
void gate_destroy(gate *g);

/* Waits for a place, which gate_leave gives back. */
gate_place *gate_enter(gate *g);
void gate_leave(gate *g, gate_place *place);

#endif
