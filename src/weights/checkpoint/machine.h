/* machine.h - the stack machine of a pickle: its input, stack, marks and memo, with every access checked. */
#ifndef RST_WEIGHTS_CHECKPOINT_MACHINE_H
#define RST_WEIGHTS_CHECKPOINT_MACHINE_H

#include "weights/checkpoint/pickle.h"

/* Of stack, marks and memo, each. A checkpoint of weights needs some thousands. */
enum { RST_MACHINE_SLOTS = 1 << 20 };

typedef struct rst_machine {
  rst_pickle *pickle;
  const uint8_t *data;
  size_t size, pos;
  size_t opcode; /* where the one that runs begins, for messages */
  rst_value **stack;
  size_t count, capacity;
  size_t *marks; /* heights of the stack; what lies below the last one is out of reach until that goes */
  size_t mark_count, mark_capacity;
  rst_value **memo; /* NULL where nothing was put */
  size_t memo_count, memo_capacity;
  bool stopped;
} rst_machine;

void rst_machine_free(rst_machine *m);

/* "WHERE: its pickle is damaged at byte N: REASON" */
rst_status rst_machine_damaged(const rst_machine *m, const char *reason, rst_error *err);

/* The next n bytes. */
rst_status rst_machine_take(rst_machine *m, size_t n, const uint8_t **out, rst_error *err);
rst_status rst_machine_take_text(rst_machine *m, uint64_t n, rst_text *out, rst_error *err);
/* An unsigned little-endian number of `width` bytes. */
rst_status rst_machine_take_number(rst_machine *m, unsigned width, uint64_t *out, rst_error *err);
/* Up to a newline, which is taken but not part of the text. */
rst_status rst_machine_take_line(rst_machine *m, rst_text *out, rst_error *err);

rst_status rst_machine_push(rst_machine *m, rst_value *value, rst_error *err);
rst_status rst_machine_push_new(rst_machine *m, rst_value_kind kind, rst_value **out, rst_error *err);
rst_status rst_machine_pop(rst_machine *m, rst_value **out, rst_error *err);
rst_status rst_machine_top(const rst_machine *m, rst_value **out, rst_error *err);
/* Checks that the n topmost items are in reach; *first is the index of the lowest of them. */
rst_status rst_machine_topmost(const rst_machine *m, size_t n, size_t *first, rst_error *err);

rst_status rst_machine_push_mark(rst_machine *m, rst_error *err);
/* Takes the last mark away; the items above it are stack[*first..count). */
rst_status rst_machine_pop_mark(rst_machine *m, size_t *first, rst_error *err);

/* Puts the topmost item into the memo. */
rst_status rst_machine_remember(rst_machine *m, uint64_t index, rst_error *err);
rst_status rst_machine_recall(rst_machine *m, uint64_t index, rst_error *err);

#endif
