/* gate.h - who may compute: several small pictures that share the machine, or one that has all of it. */
#ifndef RST_CLI_GATE_H
#define RST_CLI_GATE_H

#include <pthread.h>
#include <stdbool.h>

#include "restormer.h"

enum { GATE_MAX = 256 };

/* What a picture has while it is computed. */
typedef struct gate_place {
  rst_budget *budget;
  int threads;          /* 0: as many as the process may use */
  rst_session *session; /* of the pictures before, for others of their size; NULL: none */
  void *user;           /* whoever has the place */
} gate_place;

typedef struct gate {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  gate_place whole;            /* the machine; no budget: nobody gets it */
  gate_place shares[GATE_MAX]; /* parts of it */
  gate_place *free[GATE_MAX];  /* those that nobody has */
  size_t count, free_count;    /* of the shares */
  bool taken;                  /* the whole */
  size_t waiting;              /* for the whole */
} gate;

void gate_init(gate *g);
/* Before anybody enters: the whole, and at most GATE_MAX shares of it; one of them at the least. */
void gate_add_whole(gate *g, rst_budget *budget, int threads);
void gate_add_share(gate *g, rst_budget *budget, int threads);
/* Frees the sessions, not the budgets. */
void gate_destroy(gate *g);

/* Waits for a place, which gate_leave gives back: for a share where one will do and there are any, else for
 * the whole, which nobody has beside others. */
gate_place *gate_enter(gate *g, bool share);
void gate_leave(gate *g, gate_place *place);

/* Frees the session of the place. */
void gate_close_session(gate_place *place);

#endif
