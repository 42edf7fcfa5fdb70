/* The pickle interpreter: what it reads, and what it refuses by name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/cmocka_all.h"
#include "support/pickle_session.h"

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

#define SHAPE "K\x02K\x03\x86K\x03K\x01\x86" /* size (2, 3), stride (3, 1) */

static void assert_tensor(program p, rst_dtype element) {
  session s;
  const rst_value *value = read_ok(&s, p);
  assert_int_equal(value->kind, RST_VALUE_TENSOR);
  const rst_tensor_view *t = &value->as.tensor;
  assert_int_equal(t->dtype, element);
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
  assert_tensor(P("ctorch._utils\n_rebuild_tensor\n(" FLOATS "K\x01" SHAPE "tR."), RST_DTYPE_F32);
  assert_tensor(P("ctorch._utils\n_rebuild_tensor_v2\n(" FLOATS "K\x01" SHAPE "\x89"
                  "ccollections\nOrderedDict\n)RtR."),
                RST_DTYPE_F32);
  assert_tensor(P("ctorch._utils\n_rebuild_tensor_v3\n(" STORAGE(
                    "torch.storage\nUntypedStorage", "0", "\x30") "K\x01" SHAPE "\x89Nctorch\nfloat16\ntR."),
                RST_DTYPE_F16);
  assert_tensor(P("ctorch._utils\n_rebuild_parameter\nctorch._utils\n_rebuild_tensor_v2\n(" FLOATS
                  "K\x01" SHAPE "\x89NtR\x88N\x87R."),
                RST_DTYPE_F32);
  assert_tensor(
      P("ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor_v2\nctorch\nTensor\n(" FLOATS
        "K\x01" SHAPE "\x89Nt}tR."),
      RST_DTYPE_F32);
  assert_tensor(P("\x8c\x0ctorch._utils\x8c\x12_rebuild_tensor_v2\x93(" FLOATS "K\x01" SHAPE "\x89NtR."),
                RST_DTYPE_F32);
}

static void storages_of_every_type(void **state) {
  (void)state;
  const struct {
    program p;
    rst_dtype dtype;
    size_t bytes;
  } cases[] = {{P(STORAGE("torch\nFloatStorage", "0", "\x03") "."), RST_DTYPE_F32, 12},
               {P(STORAGE("torch\nHalfStorage", "0", "\x03") "."), RST_DTYPE_F16, 6},
               {P(STORAGE("torch\nBFloat16Storage", "0", "\x03") "."), RST_DTYPE_BF16, 6},
               {P(STORAGE("torch\nDoubleStorage", "0", "\x03") "."), RST_DTYPE_F64, 24},
               {P(STORAGE("torch\nLongStorage", "0", "\x03") "."), RST_DTYPE_I64, 24},
               {P(STORAGE("torch\nIntStorage", "0", "\x03") "."), RST_DTYPE_I32, 12},
               {P(STORAGE("torch\nShortStorage", "0", "\x03") "."), RST_DTYPE_I16, 6},
               {P(STORAGE("torch\nCharStorage", "0", "\x03") "."), RST_DTYPE_I8, 3},
               {P(STORAGE("torch\nByteStorage", "0", "\x03") "."), RST_DTYPE_U8, 3},
               {P(STORAGE("torch\nBoolStorage", "0", "\x03") "."), RST_DTYPE_BOOL, 3},
               {P(STORAGE("torch\nComplexFloatStorage", "0", "\x03") "."), RST_DTYPE_C64, 24},
               {P(STORAGE("torch\nComplexDoubleStorage", "0", "\x03") "."), RST_DTYPE_C128, 48},
               {P(STORAGE("torch.cuda\nHalfStorage", "0", "\x03") "."), RST_DTYPE_F16, 6},
               {P(STORAGE("torch.storage\nUntypedStorage", "0", "\x03") "."), RST_DTYPE_BYTES, 3}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    session s;
    const rst_value *value = read_ok(&s, cases[i].p);
    assert_int_equal(value->kind, RST_VALUE_STORAGE);
    assert_int_equal(value->as.storage.root->dtype, cases[i].dtype);
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
  bytes[n] = 'N';
  bytes[n + 1] = '.';
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

static size_t height_of(const rst_storage *node) {
  if (node == NULL) return 0;
  const size_t left = height_of(node->left), right = height_of(node->right);
  return 1 + (left > right ? left : right);
}

/* Keys in any order leave the tree at most twice as high as it must be: no choice of them makes look-ups
 * slow. */
static void keys_cannot_be_chosen_to_be_slow(void **state) {
  (void)state;
  enum { COUNT = 1 << 16 };
  char *bytes = malloc(COUNT * 64);
  assert_non_null(bytes);
  for (int order = 0; order < 4; order++) {
    size_t n = 0;
    for (int i = 0; i < COUNT; i++) {
      const int key = order == 0   ? i
                      : order == 1 ? COUNT - 1 - i
                      : order == 2 ? (i % 2 == 0 ? i / 2 : COUNT - 1 - i / 2)
                                   : (int)((unsigned)i * 40503u % COUNT);
      n += (size_t)snprintf(bytes + n, 64, "(\x8c\x07storagectorch\nByteStorage\nS'%05x'\nNI%d\ntQ0", key,
                            key);
    }
    memcpy(bytes + n, "N.", 2);
    session s;
    read_ok(&s, (program){bytes, n + 2});
    assert_in_range(height_of(s.pickle.storages), 16, 32);
    for (int i = 0; i < COUNT; i++) {
      char key[16];
      rst_text text = {key, (size_t)snprintf(key, sizeof key, "%05x", i)};
      assert_int_equal(rst_pickle_storage(&s.pickle, text)->bytes, i);
    }
    assert_null(rst_pickle_storage(&s.pickle, (rst_text){"00000x", 6}));
    end(&s);
  }
  free(bytes);
}

/* They would be looked at again each time that the memo brings them back. */
static void long_keys_and_names_are_refused(void **state) {
  (void)state;
  char text[1024], name[257];
  memset(name, 'k', sizeof name - 1);
  for (int length = 255; length <= 256; length++) {
    name[length] = '\0';
    int n = snprintf(text, sizeof text, "(\x8c\x07storagectorch\nByteStorage\nS'%s'\nNK\x01tQ.", name);
    session s;
    if (length == 255) {
      read_ok(&s, (program){text, (size_t)n});
      end(&s);
    } else {
      assert_fails((program){text, (size_t)n},
                   "x.pth: pickle has a storage that is not described as torch.save does it");
    }
    n = snprintf(text, sizeof text, "ctorch.optim\n%s\n.", name);
    if (length == 255) {
      read_ok(&s, (program){text, (size_t)n});
      end(&s);
    } else {
      char message[512];
      snprintf(message, sizeof message,
               "x.pth: pickle asks for torch.optim.%.200s, which a checkpoint of weights does not need",
               name);
      assert_fails((program){text, (size_t)n}, message);
    }
    name[length] = 'k';
  }
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
  assert_fails(P("cos\n\xc2\x9b"
                 "31m\xc2\xa0\n."),
               REFUSED("os.??31m\xc2\xa0")); /* U+009B is a terminal's CSI, too */
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
      cmocka_unit_test(keys_cannot_be_chosen_to_be_slow),
      cmocka_unit_test(long_keys_and_names_are_refused),
      cmocka_unit_test(objects_of_trainers_are_kept_by_name_only),
      cmocka_unit_test(what_could_run_code_is_refused_by_name),
      cmocka_unit_test(opcodes_that_torch_never_writes_are_refused_by_name),
  };
  return cmocka_run_group_tests_name("pickle", tests, NULL, NULL);
}
