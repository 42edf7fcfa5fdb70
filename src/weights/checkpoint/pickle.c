#include "weights/checkpoint/pickle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "weights/checkpoint/machine.h"
#include "weights/checkpoint/objects.h"

enum {
  MAX_PROTOCOL = 5,
  HEAP_LIMIT = 256 << 20,  /* bytes */
  STEPS_UNASKED = 1 << 14, /* a few milliseconds */
  MAX_NUMBER = 64          /* characters of a number that is written out */
};

/* ---- Opcodes: numbers and texts --------------------------------------------------------------------------
 */

static rst_status op_constant(rst_machine *m, unsigned kind_and_value, rst_error *err) {
  rst_value *value;
  rst_status status = rst_machine_push_new(m, (rst_value_kind)(kind_and_value >> 1), &value, err);
  if (status == RST_OK) value->as.integer = kind_and_value & 1;
  return status;
}

static rst_status op_integer(rst_machine *m, unsigned width, rst_error *err) {
  uint64_t number;
  rst_value *value;
  rst_status status = rst_machine_take_number(m, width, &number, err);
  if (status == RST_OK) status = rst_machine_push_new(m, RST_VALUE_INTEGER, &value, err);
  if (status == RST_OK) value->as.integer = width == 4 ? (int32_t)(uint32_t)number : (int64_t)number;
  return status;
}

/* Two's complement of any length, after its length in `width` bytes. */
static rst_status op_long(rst_machine *m, unsigned width, rst_error *err) {
  uint64_t length;
  rst_text text;
  rst_value *value;
  rst_status status = rst_machine_take_number(m, width, &length, err);
  if (status == RST_OK && width == 4 && length > INT32_MAX)
    return rst_machine_damaged(m, "a length is negative", err);
  if (status == RST_OK) status = rst_machine_take_text(m, length, &text, err);
  if (status == RST_OK)
    status = rst_machine_push_new(m, length > 8 ? RST_VALUE_BIG_INTEGER : RST_VALUE_INTEGER, &value, err);
  if (status != RST_OK) return status;
  if (length > 8) {
    value->as.text = text;
    return RST_OK;
  }
  bool negative = length > 0 && (text.bytes[length - 1] & 0x80) != 0;
  uint64_t bits = negative ? UINT64_MAX : 0;
  for (uint64_t i = length; i-- > 0;) bits = bits << 8 | (uint8_t)text.bytes[i];
  value->as.integer = (int64_t)bits;
  return RST_OK;
}

static rst_status op_float(rst_machine *m, unsigned unused, rst_error *err) {
  (void)unused;
  const uint8_t *p;
  rst_value *value;
  rst_status status = rst_machine_take(m, 8, &p, err);
  if (status == RST_OK) status = rst_machine_push_new(m, RST_VALUE_FLOAT, &value, err);
  if (status != RST_OK) return status;
  uint64_t bits = 0;
  for (int i = 0; i < 8; i++) bits = bits << 8 | p[i];
  memcpy(&value->as.number, &bits, sizeof bits);
  return RST_OK;
}

/* Protocol 0: a number in digits, an int perhaps with an L behind it; 00 and 01 are the bools. */
static rst_status op_number_line(rst_machine *m, unsigned kind, rst_error *err) {
  rst_text line;
  rst_value *value;
  char digits[MAX_NUMBER], *end;
  rst_status status = rst_machine_take_line(m, &line, err);
  if (status == RST_OK) status = rst_machine_push_new(m, (rst_value_kind)kind, &value, err);
  if (status != RST_OK) return status;
  if (line.length == 0 || line.length >= sizeof digits)
    return rst_machine_damaged(m, "a number is not one", err);
  memcpy(digits, line.bytes, line.length);
  digits[line.length] = '\0';
  errno = 0;
  if (kind == RST_VALUE_FLOAT)
    value->as.number = strtod(digits, &end);
  else
    value->as.integer = strtoll(digits, &end, 10);
  if (kind == RST_VALUE_INTEGER && *end == 'L') end++;
  if (end != digits + line.length) return rst_machine_damaged(m, "a number is not one", err);
  if (kind == RST_VALUE_INTEGER && errno == ERANGE) {
    value->kind = RST_VALUE_BIG_INTEGER;
    value->as.text = line;
  } else if (kind == RST_VALUE_INTEGER && line.length == 2 && digits[0] == '0') {
    value->kind = RST_VALUE_BOOL;
  }
  return RST_OK;
}

static rst_status push_text(rst_machine *m, rst_value_kind kind, rst_text text, rst_error *err) {
  rst_value *value;
  rst_status status = rst_machine_push_new(m, kind, &value, err);
  if (status == RST_OK) value->as.text = text;
  return status;
}

static rst_status counted_text(rst_machine *m, rst_value_kind kind, unsigned width, rst_error *err) {
  uint64_t length;
  rst_text text;
  rst_status status = rst_machine_take_number(m, width, &length, err);
  if (status == RST_OK) status = rst_machine_take_text(m, length, &text, err);
  return status == RST_OK ? push_text(m, kind, text, err) : status;
}

static rst_status op_string(rst_machine *m, unsigned width, rst_error *err) {
  return counted_text(m, RST_VALUE_STRING, width, err);
}

static rst_status op_bytes(rst_machine *m, unsigned width, rst_error *err) {
  return counted_text(m, RST_VALUE_BYTES, width, err);
}

/* Protocol 0. Escapes stay as they are: names of tensors have none. */
static rst_status op_string_line(rst_machine *m, unsigned quoted, rst_error *err) {
  rst_text line;
  rst_status status = rst_machine_take_line(m, &line, err);
  if (status == RST_OK && quoted) {
    if (line.length < 2 || (line.bytes[0] != '\'' && line.bytes[0] != '"') ||
        line.bytes[line.length - 1] != line.bytes[0])
      return rst_machine_damaged(m, "a string lacks its quotes", err);
    line.bytes++;
    line.length -= 2;
  }
  return status == RST_OK ? push_text(m, RST_VALUE_STRING, line, err) : status;
}

/* ---- Opcodes: containers ---------------------------------------------------------------------------------
 */

static rst_status op_empty(rst_machine *m, unsigned kind, rst_error *err) {
  rst_value *value;
  return rst_machine_push_new(m, (rst_value_kind)kind, &value, err);
}

/* Makes a container of the items from `first` on and puts it in their place. */
static rst_status collect(rst_machine *m, rst_value_kind kind, size_t first, rst_error *err) {
  rst_value *value;
  rst_status status = rst_value_new(&m->pickle->heap, m->pickle->where, kind, &value, err);
  for (size_t i = first; status == RST_OK && i < m->count; i++)
    status = rst_value_append(&m->pickle->heap, m->pickle->where, value, m->stack[i], err);
  m->count = first;
  return status == RST_OK ? rst_machine_push(m, value, err) : status;
}

static rst_status op_tuple_of(rst_machine *m, unsigned n, rst_error *err) {
  size_t first;
  rst_status status = rst_machine_topmost(m, n, &first, err);
  return status == RST_OK ? collect(m, RST_VALUE_TUPLE, first, err) : status;
}

static rst_status op_collect(rst_machine *m, unsigned kind, rst_error *err) {
  size_t first;
  rst_status status = rst_machine_pop_mark(m, &first, err);
  if (status != RST_OK) return status;
  if (kind == RST_VALUE_DICT && (m->count - first) % 2 != 0)
    return rst_machine_damaged(m, "a key has no value", err);
  return collect(m, (rst_value_kind)kind, first, err);
}

/* Appends the items from `first` on to the list or dict below them. Of objects nothing is kept. */
static rst_status extend(rst_machine *m, rst_value_kind kind, size_t first, rst_error *err) {
  size_t target_index, count = m->count - first;
  m->count = first;
  rst_status status = rst_machine_topmost(m, 1, &target_index, err);
  if (status != RST_OK) return status;
  rst_value *target = m->stack[target_index];
  if (target->kind == RST_VALUE_OBJECT) return RST_OK;
  if (target->kind != kind) return rst_machine_damaged(m, "items are added to what cannot hold them", err);
  if (kind == RST_VALUE_DICT && count % 2 != 0) return rst_machine_damaged(m, "a key has no value", err);
  for (size_t i = first; status == RST_OK && i < first + count; i++)
    status = rst_value_append(&m->pickle->heap, m->pickle->where, target, m->stack[i], err);
  return status;
}

static rst_status op_extend_marked(rst_machine *m, unsigned kind, rst_error *err) {
  size_t first;
  rst_status status = rst_machine_pop_mark(m, &first, err);
  return status == RST_OK ? extend(m, (rst_value_kind)kind, first, err) : status;
}

static rst_status op_extend_one(rst_machine *m, unsigned kind, rst_error *err) {
  size_t first;
  rst_status status = rst_machine_topmost(m, kind == RST_VALUE_DICT ? 2 : 1, &first, err);
  return status == RST_OK ? extend(m, (rst_value_kind)kind, first, err) : status;
}

/* Sets have no use here: an object stands for them. */
static rst_status push_set(rst_machine *m, const char *name, rst_error *err) {
  rst_value *value;
  rst_status status = rst_machine_push_new(m, RST_VALUE_OBJECT, &value, err);
  if (status != RST_OK) return status;
  value->as.global.module = (rst_text){"builtins", 8};
  value->as.global.name = (rst_text){name, strlen(name)};
  return RST_OK;
}

static rst_status op_empty_set(rst_machine *m, unsigned unused, rst_error *err) {
  (void)unused;
  return push_set(m, "set", err);
}

static rst_status op_frozen_set(rst_machine *m, unsigned unused, rst_error *err) {
  (void)unused;
  size_t first;
  rst_status status = rst_machine_pop_mark(m, &first, err);
  if (status != RST_OK) return status;
  m->count = first;
  return push_set(m, "frozenset", err);
}

static rst_status op_add_to_set(rst_machine *m, unsigned unused, rst_error *err) {
  (void)unused;
  return op_extend_marked(m, RST_VALUE_OBJECT, err);
}

/* ---- Opcodes: stack and memo -----------------------------------------------------------------------------
 */

static rst_status op_mark(rst_machine *m, unsigned unused, rst_error *err) {
  (void)unused;
  return rst_machine_push_mark(m, err);
}

static rst_status op_pop(rst_machine *m, unsigned unused, rst_error *err) {
  (void)unused;
  size_t first;
  rst_value *value;
  bool only_a_mark = m->mark_count > 0 && m->marks[m->mark_count - 1] == m->count;
  return only_a_mark ? rst_machine_pop_mark(m, &first, err) : rst_machine_pop(m, &value, err);
}

static rst_status op_pop_mark(rst_machine *m, unsigned unused, rst_error *err) {
  (void)unused;
  size_t first;
  rst_status status = rst_machine_pop_mark(m, &first, err);
  if (status == RST_OK) m->count = first;
  return status;
}

static rst_status op_dup(rst_machine *m, unsigned unused, rst_error *err) {
  (void)unused;
  rst_value *value;
  rst_status status = rst_machine_top(m, &value, err);
  return status == RST_OK ? rst_machine_push(m, value, err) : status;
}

/* The index that follows in `width` bytes or, when that is 0, in a line of digits. */
static rst_status take_index(rst_machine *m, unsigned width, uint64_t *index, rst_error *err) {
  if (width > 0) return rst_machine_take_number(m, width, index, err);
  rst_text line;
  rst_status status = rst_machine_take_line(m, &line, err);
  if (status != RST_OK) return status;
  *index = 0;
  for (size_t i = 0; i < line.length; i++) {
    if (line.bytes[i] < '0' || line.bytes[i] > '9' || *index > RST_MACHINE_SLOTS)
      return rst_machine_damaged(m, "a memo index is not a number", err);
    *index = *index * 10 + (uint64_t)(line.bytes[i] - '0');
  }
  return line.length > 0 ? RST_OK : rst_machine_damaged(m, "a memo index is not a number", err);
}

static rst_status op_put(rst_machine *m, unsigned width, rst_error *err) {
  uint64_t index;
  rst_status status = take_index(m, width, &index, err);
  return status == RST_OK ? rst_machine_remember(m, index, err) : status;
}

static rst_status op_memoize(rst_machine *m, unsigned unused, rst_error *err) {
  (void)unused;
  return rst_machine_remember(m, m->memo_count, err);
}

static rst_status op_get(rst_machine *m, unsigned width, rst_error *err) {
  uint64_t index;
  rst_status status = take_index(m, width, &index, err);
  return status == RST_OK ? rst_machine_recall(m, index, err) : status;
}

/* ---- Opcodes: classes and calls --------------------------------------------------------------------------
 */

static rst_status push_global(rst_machine *m, rst_text module, rst_text name, rst_error *err) {
  rst_value *value;
  rst_status status = rst_object_global(m->pickle, module, name, &value, err);
  return status == RST_OK ? rst_machine_push(m, value, err) : status;
}

static rst_status op_global(rst_machine *m, unsigned unused, rst_error *err) {
  (void)unused;
  rst_text module, name;
  rst_status status = rst_machine_take_line(m, &module, err);
  if (status == RST_OK) status = rst_machine_take_line(m, &name, err);
  return status == RST_OK ? push_global(m, module, name, err) : status;
}

static rst_status op_stack_global(rst_machine *m, unsigned unused, rst_error *err) {
  (void)unused;
  rst_value *module, *name;
  rst_status status = rst_machine_pop(m, &name, err);
  if (status == RST_OK) status = rst_machine_pop(m, &module, err);
  if (status != RST_OK) return status;
  if (module->kind != RST_VALUE_STRING || name->kind != RST_VALUE_STRING)
    return rst_machine_damaged(m, "the name of a class is not a str", err);
  return push_global(m, module->as.text, name->as.text, err);
}

/* class or function, arguments -> result. NEWOBJ_EX has keyword arguments on top, which no tensor needs. */
static rst_status op_call(rst_machine *m, unsigned keywords, rst_error *err) {
  rst_value *callable, *args, *ignored, *result;
  rst_status status = keywords ? rst_machine_pop(m, &ignored, err) : RST_OK;
  if (status == RST_OK) status = rst_machine_pop(m, &args, err);
  if (status == RST_OK) status = rst_machine_pop(m, &callable, err);
  if (status == RST_OK && args->kind != RST_VALUE_TUPLE)
    return rst_machine_damaged(m, "arguments are not a tuple", err);
  if (status == RST_OK) status = rst_object_call(m->pickle, callable, args, &result, err);
  return status == RST_OK ? rst_machine_push(m, result, err) : status;
}

/* Sets the state of an object. For dicts that is what stands beside their items (_metadata): not needed. */
static rst_status op_build(rst_machine *m, unsigned unused, rst_error *err) {
  (void)unused;
  rst_value *state, *target;
  rst_status status = rst_machine_pop(m, &state, err);
  if (status == RST_OK) status = rst_machine_top(m, &target, err);
  if (status == RST_OK && target->kind != RST_VALUE_DICT && target->kind != RST_VALUE_OBJECT)
    return rst_fail(err, RST_ERROR_WEIGHTS,
                    "%s: pickle sets the state of %s, which a checkpoint of weights does not need",
                    m->pickle->where, rst_value_kind_name(target->kind));
  return status;
}

static rst_status op_persistent_id(rst_machine *m, unsigned unused, rst_error *err) {
  (void)unused;
  rst_value *id, *storage;
  rst_status status = rst_machine_pop(m, &id, err);
  if (status == RST_OK) status = rst_object_storage(m->pickle, id, &storage, err);
  return status == RST_OK ? rst_machine_push(m, storage, err) : status;
}

static rst_status op_protocol(rst_machine *m, unsigned unused, rst_error *err) {
  (void)unused;
  uint64_t version;
  rst_status status = rst_machine_take_number(m, 1, &version, err);
  if (status == RST_OK && version > MAX_PROTOCOL)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: pickle protocol %d, expected 0 to %d", m->pickle->where,
                    (int)version, MAX_PROTOCOL);
  return status;
}

/* Frames only help to read from a stream. */
static rst_status op_frame(rst_machine *m, unsigned width, rst_error *err) {
  uint64_t length;
  return rst_machine_take_number(m, width, &length, err);
}

static rst_status op_stop(rst_machine *m, unsigned unused, rst_error *err) {
  (void)unused;
  (void)err;
  m->stopped = true;
  return RST_OK;
}

/* ---- The table -------------------------------------------------------------------------------------------
 */

typedef struct opcode {
  rst_status (*run)(rst_machine *m, unsigned argument, rst_error *err);
  unsigned argument;
  const char *refused; /* name of one that is known but not run */
} opcode;

enum { NONE = RST_VALUE_NONE << 1, FALSE = RST_VALUE_BOOL << 1, TRUE = FALSE | 1 };

static const opcode opcodes[256] = {
    /* numbers and texts; the argument is the width of the number or length that follows */
    ['N'] = {op_constant, NONE, NULL},
    [0x88] = {op_constant, TRUE, NULL},
    [0x89] = {op_constant, FALSE, NULL},
    ['J'] = {op_integer, 4, NULL},
    ['K'] = {op_integer, 1, NULL},
    ['M'] = {op_integer, 2, NULL},
    [0x8a] = {op_long, 1, NULL},
    [0x8b] = {op_long, 4, NULL},
    ['G'] = {op_float, 0, NULL},
    ['I'] = {op_number_line, RST_VALUE_INTEGER, NULL},
    ['L'] = {op_number_line, RST_VALUE_INTEGER, NULL},
    ['F'] = {op_number_line, RST_VALUE_FLOAT, NULL},
    ['X'] = {op_string, 4, NULL},
    [0x8c] = {op_string, 1, NULL},
    [0x8d] = {op_string, 8, NULL},
    ['T'] = {op_string, 4, NULL},
    ['U'] = {op_string, 1, NULL},
    ['B'] = {op_bytes, 4, NULL},
    ['C'] = {op_bytes, 1, NULL},
    [0x8e] = {op_bytes, 8, NULL},
    [0x96] = {op_bytes, 8, NULL},
    ['S'] = {op_string_line, true, NULL},
    ['V'] = {op_string_line, false, NULL},
    /* containers; the argument is their kind or their length */
    [')'] = {op_empty, RST_VALUE_TUPLE, NULL},
    [']'] = {op_empty, RST_VALUE_LIST, NULL},
    ['}'] = {op_empty, RST_VALUE_DICT, NULL},
    [0x85] = {op_tuple_of, 1, NULL},
    [0x86] = {op_tuple_of, 2, NULL},
    [0x87] = {op_tuple_of, 3, NULL},
    ['t'] = {op_collect, RST_VALUE_TUPLE, NULL},
    ['l'] = {op_collect, RST_VALUE_LIST, NULL},
    ['d'] = {op_collect, RST_VALUE_DICT, NULL},
    ['e'] = {op_extend_marked, RST_VALUE_LIST, NULL},
    ['u'] = {op_extend_marked, RST_VALUE_DICT, NULL},
    ['a'] = {op_extend_one, RST_VALUE_LIST, NULL},
    ['s'] = {op_extend_one, RST_VALUE_DICT, NULL},
    [0x8f] = {op_empty_set, 0, NULL},
    [0x90] = {op_add_to_set, 0, NULL},
    [0x91] = {op_frozen_set, 0, NULL},
    /* stack and memo; the argument is the width of the index that follows */
    ['('] = {op_mark, 0, NULL},
    ['0'] = {op_pop, 0, NULL},
    ['1'] = {op_pop_mark, 0, NULL},
    ['2'] = {op_dup, 0, NULL},
    ['p'] = {op_put, 0, NULL},
    ['q'] = {op_put, 1, NULL},
    ['r'] = {op_put, 4, NULL},
    [0x94] = {op_memoize, 0, NULL},
    ['g'] = {op_get, 0, NULL},
    ['h'] = {op_get, 1, NULL},
    ['j'] = {op_get, 4, NULL},
    /* classes and calls */
    ['c'] = {op_global, 0, NULL},
    [0x93] = {op_stack_global, 0, NULL},
    ['R'] = {op_call, false, NULL},
    [0x81] = {op_call, false, NULL},
    [0x92] = {op_call, true, NULL},
    ['b'] = {op_build, 0, NULL},
    ['Q'] = {op_persistent_id, 0, NULL},
    [0x80] = {op_protocol, 0, NULL},
    [0x95] = {op_frame, 8, NULL},
    ['.'] = {op_stop, 0, NULL},
    /* torch.save never writes these */
    ['P'] = {NULL, 0, "PERSID"},
    ['i'] = {NULL, 0, "INST"},
    ['o'] = {NULL, 0, "OBJ"},
    [0x82] = {NULL, 0, "EXT1"},
    [0x83] = {NULL, 0, "EXT2"},
    [0x84] = {NULL, 0, "EXT4"},
    [0x97] = {NULL, 0, "NEXT_BUFFER"},
    [0x98] = {NULL, 0, "READONLY_BUFFER"}};

static rst_status step(rst_machine *m, rst_error *err) {
  const uint8_t *code;
  m->opcode = m->pos;
  rst_status status = rst_machine_take(m, 1, &code, err);
  if (status != RST_OK) return status;
  const opcode *op = &opcodes[*code];
  if (op->run != NULL) return op->run(m, op->argument, err);
  if (op->refused != NULL)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: pickle uses %s, which a checkpoint of weights does not need",
                    m->pickle->where, op->refused);
  char reason[48];
  snprintf(reason, sizeof reason, "0x%02x is not an opcode", *code);
  return rst_machine_damaged(m, reason, err);
}

/* ---- Public ----------------------------------------------------------------------------------------------
 */

void rst_pickle_init(rst_pickle *pickle, const char *where) {
  *pickle = (rst_pickle){.where = where, .heap = {.limit = HEAP_LIMIT}};
}

void rst_pickle_free(rst_pickle *pickle) {
  rst_heap_free(&pickle->heap);
  *pickle = (rst_pickle){0};
}

rst_status rst_pickle_read(rst_pickle *pickle, const uint8_t *data, size_t size, const rst_value **value,
                           size_t *used, rst_error *err) {
  rst_machine m = {.pickle = pickle, .data = data, .size = size};
  rst_status status = RST_OK;
  for (unsigned steps = 0; status == RST_OK && !m.stopped; steps++) {
    status = step(&m, err);
    if (steps % STEPS_UNASKED == 0 && pickle->cancelled != NULL && pickle->cancelled(pickle->user))
      status = rst_fail(err, RST_CANCELLED, "cancelled");
  }
  rst_value *result = NULL;
  if (status == RST_OK) status = rst_machine_pop(&m, &result, err);
  *value = result;
  *used = m.pos;
  rst_machine_free(&m);
  return status;
}
