/* The pickle interpreter: what it reads, what it refuses, and that nothing hostile harms it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "support/cmocka_all.h"
#include "support/fail_alloc.h"
#include "support/random_model.h"
#include "weights/checkpoint/pickle.h"

/* A pickle as a string literal, which may hold zeros. */
typedef struct program {
  const char *bytes;
  size_t size;
} program;
#define P(literal) ((program){literal, sizeof(literal) - 1})

static rst_status read_program(rst_pickle *pickle, program p, const rst_value **value, size_t *used,
                               rst_error *err) {
  /* A copy of its own size: AddressSanitizer sees reads beyond the end. */
  return rst_pickle_read(pickle, (const uint8_t *)p.bytes, p.size, value, used, err);
}

typedef struct session {
  rst_pickle pickle;
  uint8_t *copy;
} session;

static const rst_value *read_ok(session *s, program p) {
  rst_error err = {.message = ""};
  const rst_value *value;
  size_t used;
  rst_pickle_init(&s->pickle, "x.pth");
  s->copy = malloc(p.size);
  assert_non_null(s->copy);
  memcpy(s->copy, p.bytes, p.size);
  rst_status status = read_program(&s->pickle, (program){(const char *)s->copy, p.size}, &value, &used, &err);
  assert_string_equal(err.message, "");
  assert_int_equal(status, RST_OK);
  assert_int_equal(used, p.size);
  return value;
}

static void end(session *s) {
  rst_pickle_free(&s->pickle);
  free(s->copy);
}

static void assert_fails(program p, const char *message) {
  session s = {.copy = malloc(p.size > 0 ? p.size : 1)};
  rst_error err = {.message = ""};
  const rst_value *value;
  size_t used;
  assert_non_null(s.copy);
  memcpy(s.copy, p.bytes, p.size);
  rst_pickle_init(&s.pickle, "x.pth");
  rst_status status = read_program(&s.pickle, (program){(const char *)s.copy, p.size}, &value, &used, &err);
  assert_string_equal(err.message, message);
  assert_int_equal(status, RST_ERROR_WEIGHTS);
  assert_null(value);
  end(&s);
}

/* ---- Values ------------------------------------------------------------------------------------------- */

static void assert_integer(program p, rst_value_kind kind, int64_t expected) {
  session s;
  const rst_value *value = read_ok(&s, p);
  assert_int_equal(value->kind, kind);
  assert_true(value->as.integer == expected);
  end(&s);
}

static void integers_of_every_opcode(void **state) {
  (void)state;
  assert_integer(P("K\xff."), RST_VALUE_INTEGER, 255);
  assert_integer(P("M\x01\x80."), RST_VALUE_INTEGER, 0x8001);
  assert_integer(P("J\xfe\xff\xff\xff."), RST_VALUE_INTEGER, -2);
  assert_integer(P("\x8a\x00."), RST_VALUE_INTEGER, 0);
  assert_integer(P("\x8a\x01\xff."), RST_VALUE_INTEGER, -1);
  assert_integer(P("\x8a\x02\xff\x00."), RST_VALUE_INTEGER, 255);
  assert_integer(P("\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80."), RST_VALUE_INTEGER, INT64_MIN);
  assert_integer(P("\x8b\x03\x00\x00\x00\x01\x02\x03."), RST_VALUE_INTEGER, 0x030201);
  assert_integer(P("I-17\n."), RST_VALUE_INTEGER, -17);
  assert_integer(P("L123L\n."), RST_VALUE_INTEGER, 123);
  assert_integer(P("I01\n."), RST_VALUE_BOOL, 1);
  assert_integer(P("I00\n."), RST_VALUE_BOOL, 0);
  assert_integer(P("\x88."), RST_VALUE_BOOL, 1);
  assert_integer(P("\x89."), RST_VALUE_BOOL, 0);
}

static void integers_too_big_for_64_bits_are_kept_as_bytes(void **state) {
  (void)state;
  session s;
  const rst_value *value = read_ok(&s, P("\x8a\x09\x01\x02\x03\x04\x05\x06\x07\x08\x09."));
  assert_int_equal(value->kind, RST_VALUE_BIG_INTEGER);
  assert_int_equal(value->as.text.length, 9);
  end(&s);
  value = read_ok(&s, P("L99999999999999999999L\n."));
  assert_int_equal(value->kind, RST_VALUE_BIG_INTEGER);
  end(&s);
}

static void floats_and_none(void **state) {
  (void)state;
  session s;
  const rst_value *value = read_ok(&s, P("G\x3f\xf8\x00\x00\x00\x00\x00\x00."));
  assert_int_equal(value->kind, RST_VALUE_FLOAT);
  assert_true(value->as.number == 1.5);
  end(&s);
  value = read_ok(&s, P("F-0.25\n."));
  assert_true(value->as.number == -0.25);
  end(&s);
  value = read_ok(&s, P("N."));
  assert_int_equal(value->kind, RST_VALUE_NONE);
  end(&s);
}

static void texts_of_every_opcode(void **state) {
  (void)state;
  const struct {
    program p;
    rst_value_kind kind;
  } cases[] = {{P("X\x02\x00\x00\x00hi."), RST_VALUE_STRING},
               {P("\x8c\x02hi."), RST_VALUE_STRING},
               {P("\x8d\x02\x00\x00\x00\x00\x00\x00\x00hi."), RST_VALUE_STRING},
               {P("U\x02hi."), RST_VALUE_STRING},
               {P("T\x02\x00\x00\x00hi."), RST_VALUE_STRING},
               {P("S'hi'\n."), RST_VALUE_STRING},
               {P("S\"hi\"\n."), RST_VALUE_STRING},
               {P("Vhi\n."), RST_VALUE_STRING},
               {P("C\x02hi."), RST_VALUE_BYTES},
               {P("B\x02\x00\x00\x00hi."), RST_VALUE_BYTES},
               {P("\x8e\x02\x00\x00\x00\x00\x00\x00\x00hi."), RST_VALUE_BYTES},
               {P("\x96\x02\x00\x00\x00\x00\x00\x00\x00hi."), RST_VALUE_BYTES}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    session s;
    const rst_value *value = read_ok(&s, cases[i].p);
    assert_int_equal(value->kind, cases[i].kind);
    assert_true(rst_text_is(value->as.text, "hi"));
    end(&s);
  }
}

static void assert_list(program p, rst_value_kind kind, size_t count) {
  session s;
  const rst_value *value = read_ok(&s, p);
  assert_int_equal(value->kind, kind);
  assert_int_equal(value->as.list.count, count);
  for (size_t i = 0; i < count; i++) assert_int_equal(value->as.list.items[i]->as.integer, i);
  end(&s);
}

static void containers_of_every_opcode(void **state) {
  (void)state;
  assert_list(P(")."), RST_VALUE_TUPLE, 0);
  assert_list(P("K\x00\x85."), RST_VALUE_TUPLE, 1);
  assert_list(P("K\x00K\x01\x86."), RST_VALUE_TUPLE, 2);
  assert_list(P("K\x00K\x01K\x02\x87."), RST_VALUE_TUPLE, 3);
  assert_list(P("(K\x00K\x01K\x02K\x03t."), RST_VALUE_TUPLE, 4);
  assert_list(P("]."), RST_VALUE_LIST, 0);
  assert_list(P("(K\x00K\x01l."), RST_VALUE_LIST, 2);
  assert_list(P("]K\x00"
                "aK\x01"
                "a."),
              RST_VALUE_LIST, 2);
  assert_list(P("](K\x00K\x01K\x02"
                "e."),
              RST_VALUE_LIST, 3);
  assert_list(P("}."), RST_VALUE_DICT, 0);
  assert_list(P("(K\x00K\x01"
                "d."),
              RST_VALUE_DICT, 2);
  assert_list(P("}K\x00K\x01s."), RST_VALUE_DICT, 2);
  assert_list(P("}(K\x00K\x01K\x02K\x03u."), RST_VALUE_DICT, 4);
  assert_list(P("ccollections\nOrderedDict\n)R."), RST_VALUE_DICT, 0);
  assert_list(P("ccollections\nOrderedDict\n](](K\x00K\x01"
                "eK\x02K\x03\x86"
                "e\x85R."),
              RST_VALUE_DICT, 4);
  assert_list(P("ccollections\ndefaultdict\nc__builtin__\nint\n\x85RK\x00K\x01s."), RST_VALUE_DICT, 2);
  assert_list(P("cbuiltins\ndict\n)\x81."), RST_VALUE_DICT, 0);
  assert_list(P("ctorch\nSize\nK\x00K\x01\x86\x85R."), RST_VALUE_TUPLE, 2);
}

static void stack_and_memo_of_every_opcode(void **state) {
  (void)state;
  assert_integer(P("K\x01K\x02"
                   "0."),
                 RST_VALUE_INTEGER, 1);                /* POP */
  assert_integer(P("K\x01(0."), RST_VALUE_INTEGER, 1); /* POP of a mark */
  assert_integer(P("K\x01(K\x02K\x03"
                   "1."),
                 RST_VALUE_INTEGER, 1); /* POP_MARK */
  assert_list(P("]K\x00K\x01"
                "20\x86"
                "0."),
              RST_VALUE_LIST, 0); /* DUP */
  assert_integer(P("K\x05p300\n0g300\n."), RST_VALUE_INTEGER, 5);
  assert_integer(P("K\x05q\x07"
                   "0h\x07."),
                 RST_VALUE_INTEGER, 5);
  assert_integer(P("K\x05r\x00\x04\x00\x00"
                   "0j\x00\x04\x00\x00."),
                 RST_VALUE_INTEGER, 5);
  assert_integer(P("K\x05\x94K\x06\x94"
                   "00h\x01."),
                 RST_VALUE_INTEGER, 6); /* MEMOIZE counts from 0 */
  assert_integer(P("\x80\x05\x95\x00\x00\x00\x00\x00\x00\x00\x00K\x05."), RST_VALUE_INTEGER, 5); /* FRAME */
}

static void the_last_of_equal_keys_counts(void **state) {
  (void)state;
  session s;
  const rst_value *value = read_ok(&s, P("}(\x8c\x01"
                                         "aK\x01\x8c\x01"
                                         "bK\x02\x8c\x01"
                                         "aK\x03u."));
  assert_int_equal(rst_value_get(value, "a")->as.integer, 3);
  assert_int_equal(rst_value_get(value, "b")->as.integer, 2);
  assert_null(rst_value_get(value, "c"));
  end(&s);
}

/* ---- Tensors ------------------------------------------------------------------------------------------ */

#define STORAGE(type, key, count)           \
  "(\x8c\x07storagec" type "\n\x8c\x01" key \
  "\x8c\x03"                                \
  "cpuK" count "tQ"
#define FLOATS STORAGE("torch\nFloatStorage", "0", "\x0c")
#define SHAPE "K\x02K\x03\x86K\x03K\x01\x86" /* size (2, 3), stride (3, 1) */

static void assert_tensor(program p, rst_element element) {
  session s;
  const rst_value *value = read_ok(&s, p);
  assert_int_equal(value->kind, RST_VALUE_TENSOR);
  const rst_tensor_view *t = &value->as.tensor;
  assert_int_equal(t->element, element);
  assert_int_equal(t->offset, 1);
  assert_int_equal(t->ndim, 2);
  assert_int_equal(t->size[0], 2);
  assert_int_equal(t->size[1], 3);
  assert_int_equal(t->stride[0], 3);
  assert_int_equal(t->stride[1], 1);
  assert_true(rst_text_is(t->storage->key, "0"));
  assert_ptr_equal(rst_pickle_storage(&s.pickle, (rst_text){"0", 1}), t->storage);
  end(&s);
}

static void tensors_of_every_function(void **state) {
  (void)state;
  assert_tensor(P("ctorch._utils\n_rebuild_tensor\n(" FLOATS "K\x01" SHAPE "tR."), RST_ELEMENT_F32);
  assert_tensor(P("ctorch._utils\n_rebuild_tensor_v2\n(" FLOATS "K\x01" SHAPE "\x89"
                  "ccollections\nOrderedDict\n)RtR."),
                RST_ELEMENT_F32);
  assert_tensor(P("ctorch._utils\n_rebuild_tensor_v3\n(" STORAGE(
                    "torch.storage\nUntypedStorage", "0", "\x30") "K\x01" SHAPE "\x89Nctorch\nfloat16\ntR."),
                RST_ELEMENT_F16);
  assert_tensor(P("ctorch._utils\n_rebuild_parameter\nctorch._utils\n_rebuild_tensor_v2\n(" FLOATS
                  "K\x01" SHAPE "\x89NtR\x88N\x87R."),
                RST_ELEMENT_F32);
  assert_tensor(
      P("ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor_v2\nctorch\nTensor\n(" FLOATS
        "K\x01" SHAPE "\x89Nt}tR."),
      RST_ELEMENT_F32);
  assert_tensor(P("\x8c\x0ctorch._utils\x8c\x12_rebuild_tensor_v2\x93(" FLOATS "K\x01" SHAPE "\x89NtR."),
                RST_ELEMENT_F32);
}

static void storages_of_every_type(void **state) {
  (void)state;
  const struct {
    program p;
    rst_element element;
    size_t bytes;
  } cases[] = {{P(STORAGE("torch\nFloatStorage", "0", "\x03") "."), RST_ELEMENT_F32, 12},
               {P(STORAGE("torch\nHalfStorage", "0", "\x03") "."), RST_ELEMENT_F16, 6},
               {P(STORAGE("torch\nBFloat16Storage", "0", "\x03") "."), RST_ELEMENT_BF16, 6},
               {P(STORAGE("torch\nDoubleStorage", "0", "\x03") "."), RST_ELEMENT_F64, 24},
               {P(STORAGE("torch\nLongStorage", "0", "\x03") "."), RST_ELEMENT_I64, 24},
               {P(STORAGE("torch\nIntStorage", "0", "\x03") "."), RST_ELEMENT_I32, 12},
               {P(STORAGE("torch\nShortStorage", "0", "\x03") "."), RST_ELEMENT_I16, 6},
               {P(STORAGE("torch\nCharStorage", "0", "\x03") "."), RST_ELEMENT_I8, 3},
               {P(STORAGE("torch\nByteStorage", "0", "\x03") "."), RST_ELEMENT_U8, 3},
               {P(STORAGE("torch\nBoolStorage", "0", "\x03") "."), RST_ELEMENT_BOOL, 3},
               {P(STORAGE("torch\nComplexFloatStorage", "0", "\x03") "."), RST_ELEMENT_C64, 24},
               {P(STORAGE("torch\nComplexDoubleStorage", "0", "\x03") "."), RST_ELEMENT_C128, 48},
               {P(STORAGE("torch.cuda\nHalfStorage", "0", "\x03") "."), RST_ELEMENT_F16, 6},
               {P(STORAGE("torch.storage\nUntypedStorage", "0", "\x03") "."), RST_ELEMENT_UNTYPED, 3}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    session s;
    const rst_value *value = read_ok(&s, cases[i].p);
    assert_int_equal(value->kind, RST_VALUE_STORAGE);
    assert_int_equal(value->as.storage.root->element, cases[i].element);
    assert_int_equal(value->as.storage.root->bytes, cases[i].bytes);
    assert_int_equal(value->as.storage.end, cases[i].bytes);
    end(&s);
  }
}

static void a_view_of_a_storage_is_a_part_of_it(void **state) {
  (void)state;
  session s;
  const rst_value *value = read_ok(&s, P("(\x8c\x07storagectorch\nHalfStorage\n\x8c\x01"
                                         "0\x8c\x03"
                                         "cpuK\x0a(\x8c\x01vK\x02K\x03ttQ."));
  assert_int_equal(value->as.storage.root->bytes, 20);
  assert_int_equal(value->as.storage.start, 4);
  assert_int_equal(value->as.storage.end, 10);
  end(&s);
}

static void many_storages_are_told_apart(void **state) {
  (void)state;
  enum { COUNT = 2000 };
  char *bytes = malloc(COUNT * 64);
  assert_non_null(bytes);
  size_t n = 0;
  for (int i = 0; i < COUNT; i++)
    n += (size_t)snprintf(bytes + n, 64, "(\x8c\x07storagectorch\nByteStorage\nS'k%d'\nNI%d\ntQ0", i, i);
  memcpy(bytes + n, "N.", 2);
  session s;
  read_ok(&s, (program){bytes, n + 2});
  for (int i = 0; i < COUNT; i++) {
    char key[16];
    rst_text text = {key, (size_t)snprintf(key, sizeof key, "k%d", i)};
    assert_int_equal(rst_pickle_storage(&s.pickle, text)->bytes, i);
  }
  end(&s);
  free(bytes);
}

/* ---- What stands beside them -------------------------------------------------------------------------- */

static void assert_object(program p, const char *name) {
  session s;
  const rst_value *value = read_ok(&s, p);
  assert_int_equal(value->kind, RST_VALUE_OBJECT);
  assert_true(rst_text_is(value->as.global.name, name));
  end(&s);
}

static void objects_of_trainers_are_kept_by_name_only(void **state) {
  (void)state;
  assert_object(P("cargparse\nNamespace\n)R}\x8c\x02lrK\x01sb."), "Namespace");
  assert_object(P("cpytorch_lightning.utilities.parsing\nAttributeDict\n)\x81}b\x8c\x01"
                  "aK\x01s."),
                "AttributeDict");
  assert_object(P("comegaconf.listconfig\nListConfig\n)}\x92K\x01"
                  "a(K\x02K\x03"
                  "e."),
                "ListConfig");
  assert_object(P("cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\n\x8c\x02"
                  "f8\x85RC\x01x\x86R."),
                "scalar");
  assert_object(P("\x8f(K\x01K\x02\x90."), "set");
  assert_object(P("(K\x01K\x02\x91."), "frozenset");
  assert_object(P("c__builtin__\nset\n](K\x01K\x02"
                  "e\x85R."),
                "set");
  assert_object(P("ctorch\ndevice\n\x8c\x03"
                  "cpu\x85R."),
                "device");
}

static void what_could_run_code_is_refused_by_name(void **state) {
  (void)state;
#define REFUSED(name) "x.pth: pickle asks for " name ", which a checkpoint of weights does not need"
  assert_fails(P("cos\nsystem\n\x8c\x02ls\x85R."), REFUSED("os.system"));
  assert_fails(P("cposix\nsystem\n\x8c\x02ls\x85R."), REFUSED("posix.system"));
  assert_fails(P("\x8c\x02os\x8c\x06system\x93\x8c\x02ls\x85R."), REFUSED("os.system"));
  assert_fails(P("cbuiltins\neval\n."), REFUSED("builtins.eval"));
  assert_fails(P("c__builtin__\ngetattr\n."), REFUSED("__builtin__.getattr"));
  assert_fails(P("csubprocess\nPopen\n."), REFUSED("subprocess.Popen"));
  assert_fails(P("ctorch\nload\n."), REFUSED("torch.load"));
  assert_fails(P("ctorch.storage\n_load_from_bytes\n."), REFUSED("torch.storage._load_from_bytes"));
  assert_fails(P("c__main__\nRestormer\n."), REFUSED("__main__.Restormer"));
  assert_fails(P("comegaconf\nos.system\n."), REFUSED("omegaconf.os.system"));
  assert_fails(P("comegaconfig\nX\n."), REFUSED("omegaconfig.X"));
  assert_fails(P("cos\n\033[31m\n."), REFUSED("os.?[31m"));
}

static void opcodes_that_torch_never_writes_are_refused_by_name(void **state) {
  (void)state;
#define UNUSED(name) "x.pth: pickle uses " name ", which a checkpoint of weights does not need"
  assert_fails(P("P0\n."), UNUSED("PERSID"));
  assert_fails(P("(ios\nsystem\n."), UNUSED("INST"));
  assert_fails(P("(o."), UNUSED("OBJ"));
  assert_fails(P("\x82\x01."), UNUSED("EXT1"));
  assert_fails(P("\x83\x01\x01."), UNUSED("EXT2"));
  assert_fails(P("\x84\x01\x01\x01\x01."), UNUSED("EXT4"));
  assert_fails(P("\x97."), UNUSED("NEXT_BUFFER"));
  assert_fails(P("\x98."), UNUSED("READONLY_BUFFER"));
}

/* ---- Damage ------------------------------------------------------------------------------------------- */

#define DAMAGED(at, reason) "x.pth: its pickle is damaged at byte " at ": " reason
#define EMPTY "its stack is empty"

static void a_program_that_ends_too_early(void **state) {
  (void)state;
  assert_fails(P(""), DAMAGED("0", "it ends too early"));
  assert_fails(P("N"), DAMAGED("1", "it ends too early"));
  /* Every opcode with something behind it, cut before its end. */
  static const program cut[] = {P("K"),
                                P("M\x01"),
                                P("J\x01\x02\x03"),
                                P("\x8a"),
                                P("\x8a\x02\x01"),
                                P("\x8b\x01\x00\x00"),
                                P("\x8b\x01\x00\x00\x00"),
                                P("G\x01\x02\x03\x04\x05\x06\x07"),
                                P("I12"),
                                P("L12"),
                                P("F1.5"),
                                P("X\x01\x00\x00"),
                                P("X\x02\x00\x00\x00x"),
                                P("X\xff\xff\xff\xffx"),
                                P("\x8c"),
                                P("\x8c\x02x"),
                                P("\x8d\x01\x00\x00\x00\x00\x00\x00"),
                                P("\x8d\xff\xff\xff\xff\xff\xff\xff\xffx"),
                                P("T\x02\x00\x00\x00x"),
                                P("U\x02x"),
                                P("B\x02\x00\x00\x00x"),
                                P("C\x02x"),
                                P("\x8e\x02\x00\x00\x00\x00\x00\x00\x00x"),
                                P("\x96\x02\x00\x00\x00\x00\x00\x00\x00x"),
                                P("S'x'"),
                                P("Vx"),
                                P("cos"),
                                P("cos\nsystem"),
                                P("\x80"),
                                P("\x95\x01\x00\x00\x00\x00\x00\x00"),
                                P("g1"),
                                P("h"),
                                P("j\x01\x00\x00")};
  for (size_t i = 0; i < sizeof cut / sizeof cut[0]; i++)
    assert_fails(cut[i], DAMAGED("0", "it ends too early"));
  assert_fails(P("Np1"), DAMAGED("1", "it ends too early"));
  assert_fails(P("Nq"), DAMAGED("1", "it ends too early"));
  assert_fails(P("Nr\x01\x00\x00"), DAMAGED("1", "it ends too early"));
}

static void an_empty_stack(void **state) {
  (void)state;
  static const program empty[] = {
      P("."),    P("0"),    P("2"),    P("a"),    P("s"),    P("R"),     P("b"),    P("Q"),
      P("\x81"), P("\x85"), P("\x92"), P("\x93"), P("\x94"), P("q\x01"), P("p1\n"), P("r\x01\x00\x00\x00")};
  for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) assert_fails(empty[i], DAMAGED("0", EMPTY));
  assert_fails(P("N\x86"), DAMAGED("1", EMPTY));
  assert_fails(P("NN\x87"), DAMAGED("2", EMPTY));
  assert_fails(P("Na"), DAMAGED("1", EMPTY));
  assert_fails(P("}NNNs"), DAMAGED("4", "items are added to what cannot hold them"));
}

static void items_below_a_mark_are_out_of_reach(void **state) {
  (void)state;
  assert_fails(P("N(."), DAMAGED("2", EMPTY));
  assert_fails(P("N(\x85."), DAMAGED("2", EMPTY));
  assert_fails(P("](Na."), DAMAGED("3", EMPTY));
  assert_fails(P("(Ne."), DAMAGED("2", EMPTY));
  assert_fails(P("N(R."), DAMAGED("2", EMPTY));
}

static void a_missing_mark(void **state) {
  (void)state;
  static const program unmarked[] = {P("t"), P("l"), P("d"), P("e"), P("u"), P("1"), P("\x90"), P("\x91")};
  for (size_t i = 0; i < sizeof unmarked / sizeof unmarked[0]; i++)
    assert_fails(unmarked[i], DAMAGED("0", "a mark is missing"));
}

static void misuse_of_the_memo(void **state) {
  (void)state;
  const char *never = DAMAGED("0", "it asks for what was never put into the memo");
  assert_fails(P("h\x00."), never);
  assert_fails(P("j\xff\xff\xff\xff."), never);
  assert_fails(P("g7\n."), never);
  assert_fails(P("g18446744073709551616\n."), DAMAGED("0", "a memo index is not a number"));
  assert_fails(P("g-1\n."), DAMAGED("0", "a memo index is not a number"));
  assert_fails(P("Np\n."), DAMAGED("1", "a memo index is not a number"));
  assert_fails(P("Nr\xff\xff\xff\xff."), DAMAGED("1", "its stack or memo is larger than any checkpoint's"));
  assert_fails(P("Nq\x05j\x06\x00\x00\x00."), DAMAGED("3", "it asks for what was never put into the memo"));
}

static void values_in_places_where_they_make_no_sense(void **state) {
  (void)state;
  assert_fails(P("Ix\n."), DAMAGED("0", "a number is not one"));
  assert_fails(P("I\n."), DAMAGED("0", "a number is not one"));
  assert_fails(P("F1.5x\n."), DAMAGED("0", "a number is not one"));
  assert_fails(P("Sx\n."), DAMAGED("0", "a string lacks its quotes"));
  assert_fails(P("S'\n."), DAMAGED("0", "a string lacks its quotes"));
  assert_fails(P("S'x\"\n."), DAMAGED("0", "a string lacks its quotes"));
  assert_fails(P("\x8b\xff\xff\xff\xff."), DAMAGED("0", "a length is negative"));
  assert_fails(P("(Nd."), DAMAGED("2", "a key has no value"));
  assert_fails(P("}(Nu."), DAMAGED("3", "a key has no value"));
  assert_fails(P("NNa."), DAMAGED("2", "items are added to what cannot hold them"));
  assert_fails(P("}Na."), DAMAGED("2", "items are added to what cannot hold them"));
  assert_fails(P("]NNs."), DAMAGED("3", "items are added to what cannot hold them"));
  assert_fails(P("N(\x90."), DAMAGED("2", "items are added to what cannot hold them"));
  assert_fails(P("NN\x93."), DAMAGED("2", "the name of a class is not a str"));
  assert_fails(P("ccollections\nOrderedDict\nNR."), DAMAGED("26", "arguments are not a tuple"));
  assert_fails(P("\xff."), DAMAGED("0", "0xff is not an opcode"));
  assert_fails(P("\x80\x06."), "x.pth: pickle protocol 6, expected 0 to 5");
  assert_fails(P("N)R."), "x.pth: pickle calls None, which is not a class or function");
  assert_fails(P("NNb."),
               "x.pth: pickle sets the state of None, which a checkpoint of weights does not need");
}

static void arguments_that_do_not_fit(void **state) {
  (void)state;
#define MISFIT(name) "x.pth: pickle gives " name " arguments that do not fit it"
#define V2 "ctorch._utils\n_rebuild_tensor_v2\n"
  const char *v2 = MISFIT("torch._utils._rebuild_tensor_v2");
  assert_fails(P(V2 ")R."), v2);
  assert_fails(P(V2 "(NK\x00)))tR."), v2);
  assert_fails(P(V2 "(" FLOATS "N)))tR."), v2);
  assert_fails(P(V2 "(" FLOATS "J\xff\xff\xff\xff))tR."), v2);                 /* offset */
  assert_fails(P(V2 "(" FLOATS "K\x00)tR."), v2);                              /* no stride */
  assert_fails(P(V2 "(" FLOATS "K\x00NNtR."), v2);                             /* no sequences */
  assert_fails(P(V2 "(" FLOATS "K\x00K\x01\x85)tR."), v2);                     /* of different lengths */
  assert_fails(P(V2 "(" FLOATS "K\x00J\xff\xff\xff\xff\x85K\x01\x85tR."), v2); /* negative size */
  assert_fails(P(V2 "(" FLOATS "K\x00K\x01\x85J\xff\xff\xff\xff\x85tR."), v2); /* negative stride */
  assert_fails(P(V2 "(" FLOATS "K\x00N\x85K\x01\x85tR."), v2);
  assert_fails(P("ctorch._utils\n_rebuild_tensor_v3\n(" FLOATS "K\x00))tR."),
               MISFIT("torch._utils._rebuild_tensor_v3"));
  assert_fails(P("ctorch._utils\n_rebuild_tensor_v3\n(" FLOATS "K\x00))NNNtR."),
               MISFIT("torch._utils._rebuild_tensor_v3"));
  assert_fails(P("ctorch._utils\n_rebuild_parameter\nN\x85R."), MISFIT("torch._utils._rebuild_parameter"));
  assert_fails(P("ctorch._tensor\n_rebuild_from_type_v2\n)R."),
               MISFIT("torch._tensor._rebuild_from_type_v2"));
  assert_fails(P("ctorch._tensor\n_rebuild_from_type_v2\n(ctorch\nSize\nN)NtR."),
               MISFIT("torch._tensor._rebuild_from_type_v2"));
  assert_fails(P("ctorch\nSize\n)R."), MISFIT("torch.Size"));
  assert_fails(P("ctorch\nFloatStorage\n)R."), MISFIT("torch.FloatStorage"));
  assert_fails(P("ctorch\nfloat32\n)R."), MISFIT("torch.float32"));
  assert_fails(P("ccollections\nOrderedDict\nN\x85R."), MISFIT("collections.OrderedDict"));
  assert_fails(P("ccollections\nOrderedDict\n]Na\x85R."), MISFIT("collections.OrderedDict"));
  assert_fails(P("ccollections\nOrderedDict\n])a\x85R."), MISFIT("collections.OrderedDict"));
}

static void storages_that_are_not_described_rightly(void **state) {
  (void)state;
  const char *wrong = "x.pth: pickle has a storage that is not described as torch.save does it";
  assert_fails(P("NQ."), wrong);
  assert_fails(P(")Q."), wrong);
  assert_fails(P("(\x8c\x06modulectorch\nFloatStorage\n\x8c\x01"
                 "0NK\x01tQ."),
               wrong);
  assert_fails(P("(\x8c\x07storageN\x8c\x01"
                 "0NK\x01tQ."),
               wrong);
  assert_fails(P("(\x8c\x07storagectorch\nSize\n\x8c\x01"
                 "0NK\x01tQ."),
               wrong);
  assert_fails(P("(\x8c\x07storagectorch\nFloatStorage\nK\x01NK\x01tQ."), wrong);
  assert_fails(P("(\x8c\x07storagectorch\nFloatStorage\n\x8c\x01"
                 "0NNtQ."),
               wrong);
  assert_fails(P("(\x8c\x07storagectorch\nFloatStorage\n\x8c\x01"
                 "0NJ\xff\xff\xff\xfftQ."),
               wrong);
  /* too many elements for their bytes to be counted */
  assert_fails(P("(\x8c\x07storagectorch\nFloatStorage\n\x8c\x01"
                 "0N\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7ftQ."),
               wrong);
  /* views: not a tuple, negative, beyond the end */
  assert_fails(P("(\x8c\x07storagectorch\nFloatStorage\n\x8c\x01"
                 "0NK\x04K\x01tQ."),
               wrong);
  assert_fails(P("(\x8c\x07storagectorch\nFloatStorage\n\x8c\x01"
                 "0NK\x04(NJ\xff\xff\xff\xffK\x01ttQ."),
               wrong);
  assert_fails(P("(\x8c\x07storagectorch\nFloatStorage\n\x8c\x01"
                 "0NK\x04(NK\x02K\x03ttQ."),
               wrong);
  assert_fails(P("(\x8c\x07storagectorch\nFloatStorage\n\x8c\x01"
                 "0NK\x04(N\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fK\x03ttQ."),
               wrong);
  assert_fails(P(STORAGE("torch\nFloatStorage", "0", "\x04") STORAGE("torch\nFloatStorage", "0", "\x05") "."),
               "x.pth: pickle describes storage 0 in two ways");
  assert_fails(P(STORAGE("torch\nFloatStorage", "0", "\x04") STORAGE("torch\nIntStorage", "0", "\x04") "."),
               "x.pth: pickle describes storage 0 in two ways");
}

/* ---- Hostile sizes ------------------------------------------------------------------------------------ */

/* `count` times `byte`, then the end. */
static void assert_repeated(char byte, size_t count, const char *last, const char *message) {
  size_t n = strlen(last);
  char *bytes = malloc(count + n);
  assert_non_null(bytes);
  memset(bytes, byte, count);
  memcpy(bytes + count, last, n);
  if (message != NULL) {
    assert_fails((program){bytes, count + n}, message);
  } else {
    session s;
    read_ok(&s, (program){bytes, count + n});
    end(&s);
  }
  free(bytes);
}

static void deep_nesting_does_not_overflow_the_stack(void **state) {
  (void)state;
  enum { DEPTH = 200000 };
  char *bytes = malloc(DEPTH + 3);
  assert_non_null(bytes);
  memset(bytes, '\x85', DEPTH + 3); /* a tuple in a tuple in a tuple ... */
  bytes[0] = 'N';
  bytes[DEPTH + 2] = '.';
  session s;
  const rst_value *value = read_ok(&s, (program){bytes, DEPTH + 3});
  for (size_t i = 0; i < DEPTH + 1; i++) {
    assert_int_equal(value->kind, RST_VALUE_TUPLE);
    value = value->as.list.items[0];
  }
  assert_int_equal(value->kind, RST_VALUE_NONE);
  end(&s);
  free(bytes);
}

static void a_list_may_hold_itself(void **state) {
  (void)state;
  session s;
  const rst_value *value = read_ok(&s, P("]q\x00h\x00"
                                         "a."));
  assert_int_equal(value->kind, RST_VALUE_LIST);
  assert_ptr_equal(value->as.list.items[0], value);
  end(&s);
}

static void stack_and_marks_have_a_limit(void **state) {
  (void)state;
  const char *message = DAMAGED("1048576", "its stack or memo is larger than any checkpoint's");
  assert_repeated('2', 10, "0.", DAMAGED("0", EMPTY));
  assert_repeated('(', (1 << 20) + 1, ".", message);
  assert_repeated('(', 1000, "N.", NULL);
  assert_repeated(')', (1 << 20) + 1, ".", message);
}

static void memory_has_a_limit(void **state) {
  (void)state;
  rst_pickle pickle;
  rst_pickle_init(&pickle, "x.pth");
  pickle.heap.limit = 4096;
  char bytes[1024];
  memset(bytes, 'N', sizeof bytes);
  rst_error err = {.message = ""};
  const rst_value *value;
  size_t used;
  rst_status status = rst_pickle_read(&pickle, (const uint8_t *)bytes, sizeof bytes, &value, &used, &err);
  assert_int_equal(status, RST_ERROR_WEIGHTS);
  assert_string_equal(err.message, "x.pth: its pickle needs more than 4096 bytes of memory");
  rst_pickle_free(&pickle);
}

/* ---- Fuzzing and memory ------------------------------------------------------------------------------- */

static const program seed_program =
    P("\x80\x02}q\x00(X\x06\x00\x00\x00paramsq\x01"
      "ccollections\nOrderedDict\nq\x02)Rq\x03(X\x01\x00\x00\x00wq\x04"
      "ctorch._utils\n_rebuild_tensor_v2\nq\x05((X\x07\x00\x00\x00storageq\x06"
      "ctorch\nFloatStorage\nq\x07X\x01\x00\x00\x00"
      "0q\x08X\x03\x00\x00\x00"
      "cpuq\x09K\x0ctq\x0aQK\x00K\x02K\x03\x86"
      "q\x0bK\x03K\x01\x86q\x0c\x89h\x02)Rq\x0dtq\x0eRq\x0f"
      "X\x01\x00\x00\x00nq\x10M\x00\x01u}X\x09\x00\x00\x00_metadatah\x03sbX\x05\x00\x00\x00"
      "epochq\x11](K\x01G@\x08\x00\x00\x00\x00\x00\x00\x8a\x01\xff"
      "eX\x03\x00\x00\x00"
      "argcargparse\nNamespace\n)R}(X\x02\x00\x00\x00lrNubu.");

static void run_damaged(const uint8_t *bytes, size_t size) {
  rst_pickle pickle;
  rst_error err = {.message = ""};
  const rst_value *value;
  size_t used;
  uint8_t *copy = malloc(size > 0 ? size : 1);
  assert_non_null(copy);
  memcpy(copy, bytes, size);
  rst_pickle_init(&pickle, "x.pth");
  rst_status status = rst_pickle_read(&pickle, copy, size, &value, &used, &err);
  assert_true(status == RST_OK || status == RST_ERROR_WEIGHTS);
  assert_true((status == RST_OK) == (value != NULL));
  assert_true((status == RST_OK) == (err.message[0] == '\0'));
  assert_true(used <= size);
  rst_pickle_free(&pickle);
  free(copy);
}

static void damaged_programs_are_read_or_refused(void **state) {
  (void)state;
  enum { ROUNDS = 30000 };
  uint8_t bytes[1024];
  assert_true(seed_program.size <= sizeof bytes);
  session s;
  read_ok(&s, seed_program);
  end(&s);
  for (size_t size = 0; size < seed_program.size; size++)
    run_damaged((const uint8_t *)seed_program.bytes, size);
  for (uint64_t round = 0; round < ROUNDS; round++) {
    memcpy(bytes, seed_program.bytes, seed_program.size);
    uint64_t changes = 1 + random_bits(1, round) % 4;
    for (uint64_t i = 0; i < changes; i++) {
      uint64_t bits = random_bits(2, 4 * round + i);
      bytes[(bits >> 8) % seed_program.size] = (uint8_t)bits;
    }
    run_damaged(bytes, seed_program.size);
  }
}

static rst_status read_seed(void *user, rst_error *err) {
  (void)user;
  rst_pickle pickle;
  const rst_value *value;
  size_t used;
  rst_pickle_init(&pickle, "x.pth");
  rst_status status = read_program(&pickle, seed_program, &value, &used, err);
  rst_pickle_free(&pickle);
  return status;
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  assert_true(fail_each_alloc(read_seed, NULL) >= 4); /* heap, stack, marks, memo, storages */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(integers_of_every_opcode),
      cmocka_unit_test(integers_too_big_for_64_bits_are_kept_as_bytes),
      cmocka_unit_test(floats_and_none),
      cmocka_unit_test(texts_of_every_opcode),
      cmocka_unit_test(containers_of_every_opcode),
      cmocka_unit_test(stack_and_memo_of_every_opcode),
      cmocka_unit_test(the_last_of_equal_keys_counts),
      cmocka_unit_test(tensors_of_every_function),
      cmocka_unit_test(storages_of_every_type),
      cmocka_unit_test(a_view_of_a_storage_is_a_part_of_it),
      cmocka_unit_test(many_storages_are_told_apart),
      cmocka_unit_test(objects_of_trainers_are_kept_by_name_only),
      cmocka_unit_test(what_could_run_code_is_refused_by_name),
      cmocka_unit_test(opcodes_that_torch_never_writes_are_refused_by_name),
      cmocka_unit_test(a_program_that_ends_too_early),
      cmocka_unit_test(an_empty_stack),
      cmocka_unit_test(items_below_a_mark_are_out_of_reach),
      cmocka_unit_test(a_missing_mark),
      cmocka_unit_test(misuse_of_the_memo),
      cmocka_unit_test(values_in_places_where_they_make_no_sense),
      cmocka_unit_test(arguments_that_do_not_fit),
      cmocka_unit_test(storages_that_are_not_described_rightly),
      cmocka_unit_test(deep_nesting_does_not_overflow_the_stack),
      cmocka_unit_test(a_list_may_hold_itself),
      cmocka_unit_test(stack_and_marks_have_a_limit),
      cmocka_unit_test(memory_has_a_limit),
      cmocka_unit_test(damaged_programs_are_read_or_refused),
      cmocka_unit_test(every_allocation_may_fail),
  };
  return cmocka_run_group_tests_name("pickle", tests, NULL, NULL);
}
