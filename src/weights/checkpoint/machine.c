#include "weights/checkpoint/machine.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"

void rst_machine_free(rst_machine *m) {
  rst_free(m->stack);
  rst_free(m->marks);
  rst_free(m->memo);
}

rst_status rst_machine_damaged(const rst_machine *m, const char *reason, rst_error *err) {
  return rst_fail(err, RST_ERROR_WEIGHTS, "%s: its pickle is damaged at byte %zu: %s", m->pickle->where,
                  m->opcode, reason);
}

/* ---- Input --------------------------------------------------------------------------------- */

rst_status rst_machine_take(rst_machine *m, size_t n, const uint8_t **out, rst_error *err) {
  if (n > m->size - m->pos) return rst_machine_damaged(m, "it ends too early", err);
  *out = m->data + m->pos;
  m->pos += n;
  return RST_OK;
}

rst_status rst_machine_take_text(rst_machine *m, uint64_t n, rst_text *out, rst_error *err) {
  if (n > m->size - m->pos) return rst_machine_damaged(m, "it ends too early", err);
  *out = (rst_text){(const char *)m->data + m->pos, (size_t)n};
  m->pos += (size_t)n;
  return RST_OK;
}

rst_status rst_machine_take_number(rst_machine *m, unsigned width, uint64_t *out, rst_error *err) {
  const uint8_t *p = NULL;
  rst_status status = rst_machine_take(m, width, &p, err);
  *out = 0;
  for (unsigned i = 0; status == RST_OK && i < width; i++) *out |= (uint64_t)p[i] << (8 * i);
  return status;
}

rst_status rst_machine_take_line(rst_machine *m, rst_text *out, rst_error *err) {
  const uint8_t *begin = m->data + m->pos;
  const uint8_t *end = m->pos < m->size ? memchr(begin, '\n', m->size - m->pos) : NULL;
  if (end == NULL) return rst_machine_damaged(m, "it ends too early", err);
  *out = (rst_text){(const char *)begin, (size_t)(end - begin)};
  m->pos += out->length + 1;
  return RST_OK;
}

/* ---- Stack and marks ----------------------------------------------------------------------- */

/* Doubles an array so that it has room for `needed` items; the new ones are zero. */
static rst_status reserve(const rst_machine *m, void **items, size_t *capacity, size_t needed,
                          size_t item_size, rst_error *err) {
  if (needed <= *capacity) return RST_OK;
  if (needed > RST_MACHINE_SLOTS)
    return rst_machine_damaged(m, "its stack or memo is larger than any checkpoint's", err);
  size_t grown = *capacity == 0 ? 256 : *capacity;
  while (grown < needed) grown *= 2;
  void *larger = rst_alloc_zeroed(grown, item_size);
  if (larger == NULL) return rst_fail_memory(err, "the stack of a pickle");
  if (*capacity > 0) memcpy(larger, *items, *capacity * item_size);
  rst_free(*items);
  *items = larger;
  *capacity = grown;
  return RST_OK;
}

static size_t lowest_in_reach(const rst_machine *m) {
  return m->mark_count > 0 ? m->marks[m->mark_count - 1] : 0;
}

rst_status rst_machine_push(rst_machine *m, rst_value *value, rst_error *err) {
  void *stack = m->stack;
  rst_status status = reserve(m, &stack, &m->capacity, m->count + 1, sizeof(rst_value *), err);
  m->stack = stack;
  if (status == RST_OK) m->stack[m->count++] = value;
  return status;
}

rst_status rst_machine_push_new(rst_machine *m, rst_value_kind kind, rst_value **out, rst_error *err) {
  rst_status status = rst_value_new(&m->pickle->heap, m->pickle->where, kind, out, err);
  return status == RST_OK ? rst_machine_push(m, *out, err) : status;
}

rst_status rst_machine_topmost(const rst_machine *m, size_t n, size_t *first, rst_error *err) {
  if (m->count - lowest_in_reach(m) < n) return rst_machine_damaged(m, "its stack is empty", err);
  *first = m->count - n;
  return RST_OK;
}

rst_status rst_machine_top(const rst_machine *m, rst_value **out, rst_error *err) {
  size_t first = 0;
  rst_status status = rst_machine_topmost(m, 1, &first, err);
  *out = status == RST_OK ? m->stack[first] : NULL;
  return status;
}

rst_status rst_machine_pop(rst_machine *m, rst_value **out, rst_error *err) {
  rst_status status = rst_machine_top(m, out, err);
  if (status == RST_OK) m->count--;
  return status;
}

rst_status rst_machine_push_mark(rst_machine *m, rst_error *err) {
  void *marks = m->marks;
  rst_status status = reserve(m, &marks, &m->mark_capacity, m->mark_count + 1, sizeof *m->marks, err);
  m->marks = marks;
  if (status == RST_OK) m->marks[m->mark_count++] = m->count;
  return status;
}

rst_status rst_machine_pop_mark(rst_machine *m, size_t *first, rst_error *err) {
  if (m->mark_count == 0) return rst_machine_damaged(m, "a mark is missing", err);
  *first = m->marks[--m->mark_count];
  return RST_OK;
}

/* ---- Memo ---------------------------------------------------------------------------------- */

rst_status rst_machine_remember(rst_machine *m, uint64_t index, rst_error *err) {
  rst_value *value;
  rst_status status = rst_machine_top(m, &value, err);
  if (status != RST_OK) return status;
  size_t needed = index < RST_MACHINE_SLOTS ? (size_t)index + 1 : RST_MACHINE_SLOTS + 1;
  void *memo = m->memo;
  status = reserve(m, &memo, &m->memo_capacity, needed, sizeof(rst_value *), err);
  m->memo = memo;
  if (status != RST_OK) return status;
  if (m->memo[index] == NULL) m->memo_count++;
  m->memo[index] = value;
  return RST_OK;
}

rst_status rst_machine_recall(rst_machine *m, uint64_t index, rst_error *err) {
  if (index >= m->memo_capacity || m->memo[index] == NULL)
    return rst_machine_damaged(m, "it asks for what was never put into the memo", err);
  return rst_machine_push(m, m->memo[index], err);
}
