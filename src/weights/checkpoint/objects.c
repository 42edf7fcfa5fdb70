#include "weights/checkpoint/objects.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"

/* Bytes. A name is looked at each time that it is used, and the memo makes that cheap to ask for: a long one
 * would cost more and more time. */
enum { MAX_NAME = 255 };

typedef enum role {
  ROLE_INERT,    /* calls make an object of which only the class is known */
  ROLE_DICT,     /* dict(), OrderedDict([[key, value], ...]) */
  ROLE_FACTORY,  /* defaultdict(factory) */
  ROLE_SIZE,     /* torch.Size((2, 3)) */
  ROLE_STORAGE,  /* torch.FloatStorage: not called */
  ROLE_DTYPE,    /* torch.float32: not called */
  ROLE_TENSOR,   /* _rebuild_tensor(storage, offset, size, stride), v2 with more that does not matter here */
  ROLE_TENSOR_3, /* _rebuild_tensor_v3(storage, offset, size, stride, requires_grad, hooks, dtype) */
  ROLE_WRAPPER,  /* _rebuild_parameter(tensor, requires_grad, hooks) */
  ROLE_SUBCLASS  /* _rebuild_from_type_v2(function, type, args, state) */
} role;

typedef struct known {
  const char *module, *name;
  role role;
  rst_dtype dtype;
} known;

static const known table[] = {
    {"collections", "OrderedDict", ROLE_DICT, 0},
    {"collections", "defaultdict", ROLE_FACTORY, 0},
    {"collections", "Counter", ROLE_INERT, 0},
    {"collections", "deque", ROLE_INERT, 0},
    {"torch._utils", "_rebuild_tensor", ROLE_TENSOR, 0},
    {"torch._utils", "_rebuild_tensor_v2", ROLE_TENSOR, 0},
    {"torch._utils", "_rebuild_tensor_v3", ROLE_TENSOR_3, 0},
    {"torch._utils", "_rebuild_parameter", ROLE_WRAPPER, 0},
    {"torch._utils", "_rebuild_parameter_with_state", ROLE_WRAPPER, 0},
    {"torch._tensor", "_rebuild_from_type_v2", ROLE_SUBCLASS, 0},
    {"torch", "Size", ROLE_SIZE, 0},
    {"torch", "device", ROLE_INERT, 0},
    {"torch", "Tensor", ROLE_INERT, 0},
    {"torch.nn.parameter", "Parameter", ROLE_INERT, 0},
    {"torch.nn.parameter", "Buffer", ROLE_INERT, 0},
    {"torch.serialization", "_get_layout", ROLE_INERT, 0},
    {"torch.storage", "UntypedStorage", ROLE_STORAGE, RST_DTYPE_BYTES},
    {"torch.storage", "_UntypedStorage", ROLE_STORAGE, RST_DTYPE_BYTES},
    {"torch", "UntypedStorage", ROLE_STORAGE, RST_DTYPE_BYTES},
    {"torch", "float32", ROLE_DTYPE, RST_DTYPE_F32},
    {"torch", "float16", ROLE_DTYPE, RST_DTYPE_F16},
    {"torch", "bfloat16", ROLE_DTYPE, RST_DTYPE_BF16},
    {"torch", "float64", ROLE_DTYPE, RST_DTYPE_F64},
    {"torch", "int64", ROLE_DTYPE, RST_DTYPE_I64},
    {"torch", "int32", ROLE_DTYPE, RST_DTYPE_I32},
    {"torch", "int16", ROLE_DTYPE, RST_DTYPE_I16},
    {"torch", "int8", ROLE_DTYPE, RST_DTYPE_I8},
    {"torch", "uint64", ROLE_DTYPE, RST_DTYPE_U64},
    {"torch", "uint32", ROLE_DTYPE, RST_DTYPE_U32},
    {"torch", "uint16", ROLE_DTYPE, RST_DTYPE_U16},
    {"torch", "uint8", ROLE_DTYPE, RST_DTYPE_U8},
    {"torch", "float8_e4m3fn", ROLE_DTYPE, RST_DTYPE_F8_E4M3},
    {"torch", "float8_e5m2", ROLE_DTYPE, RST_DTYPE_F8_E5M2},
    {"torch", "bool", ROLE_DTYPE, RST_DTYPE_BOOL},
    {"torch", "complex64", ROLE_DTYPE, RST_DTYPE_C64},
    {"torch", "complex128", ROLE_DTYPE, RST_DTYPE_C128},
    /* what stands beside the weights: scalars and arrays of metrics, random states, settings */
    {"_codecs", "encode", ROLE_INERT, 0},
    {"argparse", "Namespace", ROLE_INERT, 0},
    {"types", "SimpleNamespace", ROLE_INERT, 0},
    {"typing", "Any", ROLE_INERT, 0},

    {"datetime", "datetime", ROLE_INERT, 0},
    {"datetime", "date", ROLE_INERT, 0},
    {"datetime", "time", ROLE_INERT, 0},
    {"datetime", "timedelta", ROLE_INERT, 0},
    {"datetime", "timezone", ROLE_INERT, 0},
    {"pathlib", "Path", ROLE_INERT, 0},
    {"pathlib", "PurePath", ROLE_INERT, 0},
    {"pathlib", "PosixPath", ROLE_INERT, 0},
    {"pathlib", "PurePosixPath", ROLE_INERT, 0},
    {"pathlib", "WindowsPath", ROLE_INERT, 0},
    {"pathlib", "PureWindowsPath", ROLE_INERT, 0},
    {"pathlib._local", "PosixPath", ROLE_INERT, 0},
    {"pathlib._local", "WindowsPath", ROLE_INERT, 0},
    {"numpy", "dtype", ROLE_INERT, 0},
    {"numpy", "ndarray", ROLE_INERT, 0},
    {"numpy.core.multiarray", "scalar", ROLE_INERT, 0},
    {"numpy.core.multiarray", "_reconstruct", ROLE_INERT, 0},
    {"numpy._core.multiarray", "scalar", ROLE_INERT, 0},
    {"numpy._core.multiarray", "_reconstruct", ROLE_INERT, 0},
    {"numpy.core.numeric", "_frombuffer", ROLE_INERT, 0},
    {"numpy._core.numeric", "_frombuffer", ROLE_INERT, 0},
    {"easydict", "EasyDict", ROLE_INERT, 0},
    {"addict.addict", "Dict", ROLE_INERT, 0},
    {"yacs.config", "CfgNode", ROLE_INERT, 0}};

/* torch.FloatStorage and the like; those of the GPU have the same names in torch.cuda. */
static const known storage_types[] = {{"torch", "FloatStorage", ROLE_STORAGE, RST_DTYPE_F32},
                                      {"torch", "HalfStorage", ROLE_STORAGE, RST_DTYPE_F16},
                                      {"torch", "BFloat16Storage", ROLE_STORAGE, RST_DTYPE_BF16},
                                      {"torch", "DoubleStorage", ROLE_STORAGE, RST_DTYPE_F64},
                                      {"torch", "LongStorage", ROLE_STORAGE, RST_DTYPE_I64},
                                      {"torch", "IntStorage", ROLE_STORAGE, RST_DTYPE_I32},
                                      {"torch", "ShortStorage", ROLE_STORAGE, RST_DTYPE_I16},
                                      {"torch", "CharStorage", ROLE_STORAGE, RST_DTYPE_I8},
                                      {"torch", "ByteStorage", ROLE_STORAGE, RST_DTYPE_U8},
                                      {"torch", "BoolStorage", ROLE_STORAGE, RST_DTYPE_BOOL},
                                      {"torch", "ComplexFloatStorage", ROLE_STORAGE, RST_DTYPE_C64},
                                      {"torch", "ComplexDoubleStorage", ROLE_STORAGE, RST_DTYPE_C128}};

/* Plain types of Python, under the name of their module in Python 3 and in Python 2. */
static const known builtin_types[] = {
    {"builtins", "dict", ROLE_DICT, 0},       {"builtins", "list", ROLE_INERT, 0},
    {"builtins", "tuple", ROLE_INERT, 0},     {"builtins", "set", ROLE_INERT, 0},
    {"builtins", "frozenset", ROLE_INERT, 0}, {"builtins", "int", ROLE_INERT, 0},
    {"builtins", "long", ROLE_INERT, 0},      {"builtins", "float", ROLE_INERT, 0},
    {"builtins", "complex", ROLE_INERT, 0},   {"builtins", "bool", ROLE_INERT, 0},
    {"builtins", "str", ROLE_INERT, 0},       {"builtins", "unicode", ROLE_INERT, 0},
    {"builtins", "bytes", ROLE_INERT, 0},     {"builtins", "bytearray", ROLE_INERT, 0},
    {"builtins", "object", ROLE_INERT, 0},    {"builtins", "slice", ROLE_INERT, 0},
    {"builtins", "range", ROLE_INERT, 0}};

/* Packages whose classes appear in training checkpoints: settings, callbacks, schedules. */
static const char *const inert_packages[] = {"omegaconf",        "pytorch_lightning",   "lightning",
                                             "lightning_fabric", "lightning_utilities", "torch.optim",
                                             "torchmetrics"};

static const known *find(const known *list, size_t count, rst_text module, rst_text name) {
  for (size_t i = 0; i < count; i++)
    if (rst_text_is(name, list[i].name) && rst_text_is(module, list[i].module)) return &list[i];
  return NULL;
}

static bool in_inert_package(rst_text module, rst_text name) {
  if (memchr(name.bytes, '.', name.length) != NULL) return false; /* could reach through to another module */
  for (size_t i = 0; i < sizeof inert_packages / sizeof inert_packages[0]; i++) {
    size_t n = strlen(inert_packages[i]);
    if (module.length >= n && memcmp(module.bytes, inert_packages[i], n) == 0 &&
        (module.length == n || module.bytes[n] == '.'))
      return true;
  }
  return false;
}

static const known *look_up(rst_text module, rst_text name) {
  static const known inert = {"", "", ROLE_INERT, 0};
  if (module.length > MAX_NAME || name.length > MAX_NAME) return NULL;
  const known *k = find(table, sizeof table / sizeof table[0], module, name);
  if (k != NULL) return k;
  rst_text torch = rst_text_is(module, "torch.cuda") ? (rst_text){"torch", 5} : module;
  k = find(storage_types, sizeof storage_types / sizeof storage_types[0], torch, name);
  if (k != NULL) return k;
  rst_text builtins = rst_text_is(module, "__builtin__") ? (rst_text){"builtins", 8} : module;
  k = find(builtin_types, sizeof builtin_types / sizeof builtin_types[0], builtins, name);
  if (k != NULL) return k;
  return in_inert_package(module, name) ? &inert : NULL;
}

rst_status rst_object_global(rst_pickle *pickle, rst_text module, rst_text name, rst_value **out,
                             rst_error *err) {
  *out = NULL;
  const known *k = look_up(module, name);
  if (k == NULL)
    return rst_fail(err, RST_ERROR_WEIGHTS,
                    "%s: pickle asks for %.*s.%.*s, which a checkpoint of weights does not need",
                    pickle->where, rst_text_shown(module), module.bytes, rst_text_shown(name), name.bytes);
  rst_status status = rst_value_new(&pickle->heap, pickle->where, RST_VALUE_GLOBAL, out, err);
  if (status != RST_OK) return status;
  (*out)->as.global.module = module;
  (*out)->as.global.name = name;
  (*out)->as.global.role = (int)k->role;
  (*out)->as.global.dtype = k->dtype;
  return RST_OK;
}

/* ---- Calls ------------------------------------------------------------------------------------ */

static rst_status wrong_arguments(const rst_pickle *pickle, const rst_value *callable, rst_error *err) {
  rst_text module = callable->as.global.module, name = callable->as.global.name;
  return rst_fail(err, RST_ERROR_WEIGHTS, "%s: pickle gives %.*s.%.*s arguments that do not fit it",
                  pickle->where, rst_text_shown(module), module.bytes, rst_text_shown(name), name.bytes);
}

static const rst_value *argument(const rst_value *args, size_t i, rst_value_kind kind) {
  if (i >= args->as.list.count || args->as.list.items[i]->kind != kind) return NULL;
  return args->as.list.items[i];
}

static bool is_sequence(const rst_value *value) {
  return value->kind == RST_VALUE_LIST || value->kind == RST_VALUE_TUPLE;
}

/* No arguments, or one: a sequence of pairs. */
static rst_status make_dict(rst_pickle *pickle, const rst_value *callable, const rst_value *args,
                            rst_value **out, rst_error *err) {
  rst_status status = rst_value_new(&pickle->heap, pickle->where, RST_VALUE_DICT, out, err);
  if (status != RST_OK || args->as.list.count == 0) return status;
  const rst_value *pairs = args->as.list.items[0];
  if (args->as.list.count > 1 || !is_sequence(pairs)) return wrong_arguments(pickle, callable, err);
  for (size_t i = 0; i < pairs->as.list.count; i++) {
    const rst_value *pair = pairs->as.list.items[i];
    if (!is_sequence(pair) || pair->as.list.count != 2) return wrong_arguments(pickle, callable, err);
    for (size_t k = 0; k < 2 && status == RST_OK; k++)
      status = rst_value_append(&pickle->heap, pickle->where, *out, pair->as.list.items[k], err);
    if (status != RST_OK) return status;
  }
  return RST_OK;
}

/* A sequence of numbers that are not negative. */
static rst_status read_sizes(rst_pickle *pickle, const rst_value *callable, const rst_value *sequence,
                             size_t **out, rst_error *err) {
  void *sizes;
  size_t count = sequence->as.list.count;
  rst_status status = rst_heap_alloc(&pickle->heap, pickle->where, count, sizeof **out, &sizes, err);
  *out = sizes;
  for (size_t i = 0; status == RST_OK && i < count; i++) {
    const rst_value *size = sequence->as.list.items[i];
    if (size->kind != RST_VALUE_INTEGER || size->as.integer < 0)
      return wrong_arguments(pickle, callable, err);
    (*out)[i] = (size_t)size->as.integer;
  }
  return status;
}

/* Whether the elements lie inside the storage is checked when the tensor is used, where its name is known. */
static rst_status make_tensor(rst_pickle *pickle, const rst_value *callable, const rst_value *args,
                              rst_value **out, rst_error *err) {
  const rst_value *storage = argument(args, 0, RST_VALUE_STORAGE),
                  *offset = argument(args, 1, RST_VALUE_INTEGER);
  if (storage == NULL || offset == NULL || offset->as.integer < 0 || args->as.list.count < 4)
    return wrong_arguments(pickle, callable, err);
  const rst_value *size = args->as.list.items[2], *stride = args->as.list.items[3], *dtype = NULL;
  if (!is_sequence(size) || !is_sequence(stride) || size->as.list.count != stride->as.list.count ||
      size->as.list.count > RST_STORAGE_DIMS)
    return wrong_arguments(pickle, callable, err);
  if (callable->as.global.role == ROLE_TENSOR_3) {
    dtype = argument(args, 6, RST_VALUE_GLOBAL);
    if (dtype == NULL || dtype->as.global.role != ROLE_DTYPE) return wrong_arguments(pickle, callable, err);
  }
  size_t *sizes = NULL, *strides = NULL;
  rst_status status = read_sizes(pickle, callable, size, &sizes, err);
  if (status == RST_OK) status = read_sizes(pickle, callable, stride, &strides, err);
  if (status == RST_OK) status = rst_value_new(&pickle->heap, pickle->where, RST_VALUE_TENSOR, out, err);
  if (status != RST_OK) return status;
  (*out)->as.tensor =
      (rst_tensor_view){.storage = storage->as.storage.root,
                        .dtype = dtype != NULL ? dtype->as.global.dtype : storage->as.storage.root->dtype,
                        .start = storage->as.storage.start,
                        .end = storage->as.storage.end,
                        .offset = (size_t)offset->as.integer,
                        .ndim = size->as.list.count,
                        .size = sizes,
                        .stride = strides};
  return RST_OK;
}

static rst_status make_object(rst_pickle *pickle, const rst_value *callable, rst_value **out,
                              rst_error *err) {
  rst_status status = rst_value_new(&pickle->heap, pickle->where, RST_VALUE_OBJECT, out, err);
  if (status == RST_OK) (*out)->as.global = callable->as.global;
  return status;
}

/* _rebuild_from_type_v2: function(*args), as a subclass of Tensor and with attributes that do not matter. */
static rst_status make_subclass(rst_pickle *pickle, const rst_value *callable, const rst_value *args,
                                rst_value **out, rst_error *err) {
  const rst_value *function = argument(args, 0, RST_VALUE_GLOBAL),
                  *inner = argument(args, 2, RST_VALUE_TUPLE);
  if (function == NULL || inner == NULL) return wrong_arguments(pickle, callable, err);
  if (function->as.global.role != ROLE_TENSOR && function->as.global.role != ROLE_TENSOR_3)
    return wrong_arguments(pickle, callable, err);
  return make_tensor(pickle, function, inner, out, err);
}

rst_status rst_object_call(rst_pickle *pickle, rst_value *callable, rst_value *args, rst_value **out,
                           rst_error *err) {
  *out = NULL;
  if (callable->kind != RST_VALUE_GLOBAL)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: pickle calls %s, which is not a class or function",
                    pickle->where, rst_value_kind_name(callable->kind));
  switch ((role)callable->as.global.role) {
    case ROLE_INERT:
      return make_object(pickle, callable, out, err);
    case ROLE_DICT:
      return make_dict(pickle, callable, args, out, err);
    case ROLE_FACTORY:
      return rst_value_new(&pickle->heap, pickle->where, RST_VALUE_DICT, out, err);
    case ROLE_TENSOR:
    case ROLE_TENSOR_3:
      return make_tensor(pickle, callable, args, out, err);
    case ROLE_SUBCLASS:
      return make_subclass(pickle, callable, args, out, err);
    case ROLE_SIZE:
      if (args->as.list.count != 1 || !is_sequence(args->as.list.items[0])) break;
      *out = args->as.list.items[0];
      return RST_OK;
    case ROLE_WRAPPER:
      if (argument(args, 0, RST_VALUE_TENSOR) == NULL) break;
      *out = args->as.list.items[0];
      return RST_OK;
    case ROLE_STORAGE:
    case ROLE_DTYPE:
      break;
  }
  return wrong_arguments(pickle, callable, err);
}

/* ---- Storages --------------------------------------------------------------------------------- */

static rst_status wrong_storage(const rst_pickle *pickle, rst_error *err) {
  return rst_fail(err, RST_ERROR_WEIGHTS,
                  "%s: pickle has a storage that is not described as torch.save does it", pickle->where);
}

/* (key, offset, number of elements) of a view of the legacy form; None or nothing stands for all of the
 * storage. */
static bool read_view(const rst_value *id, size_t element_size, size_t bytes, size_t *start, size_t *end) {
  *start = 0;
  *end = bytes;
  if (id->as.list.count < 6 || id->as.list.items[5]->kind == RST_VALUE_NONE) return true;
  const rst_value *view = argument(id, 5, RST_VALUE_TUPLE);
  if (view == NULL) return false;
  const rst_value *offset = argument(view, 1, RST_VALUE_INTEGER),
                  *count = argument(view, 2, RST_VALUE_INTEGER);
  if (offset == NULL || count == NULL || offset->as.integer < 0 || count->as.integer < 0) return false;
  size_t length;
  return rst_mul((size_t)offset->as.integer, element_size, start) &&
         rst_mul((size_t)count->as.integer, element_size, &length) && rst_add(*start, length, end) &&
         *end <= bytes;
}

rst_status rst_object_storage(rst_pickle *pickle, const rst_value *id, rst_value **out, rst_error *err) {
  *out = NULL;
  if (id->kind != RST_VALUE_TUPLE) return wrong_storage(pickle, err);
  const rst_value *tag = argument(id, 0, RST_VALUE_STRING), *type = argument(id, 1, RST_VALUE_GLOBAL),
                  *key = argument(id, 2, RST_VALUE_STRING), *count = argument(id, 4, RST_VALUE_INTEGER);
  if (tag == NULL || !rst_text_is(tag->as.text, "storage") || type == NULL || key == NULL || count == NULL ||
      type->as.global.role != ROLE_STORAGE || count->as.integer < 0 || key->as.text.length > MAX_NAME)
    return wrong_storage(pickle, err);
  size_t bytes, start, end, element_size = rst_dtype_size(type->as.global.dtype);
  if (!rst_mul((size_t)count->as.integer, element_size, &bytes) ||
      !read_view(id, element_size, bytes, &start, &end))
    return wrong_storage(pickle, err);

  const rst_dtype dtype = type->as.global.dtype;
  rst_storage *storage;
  rst_status status = rst_pickle_add_storage(pickle, key->as.text, dtype, bytes, &storage, err);
  if (status != RST_OK) return status;
  if (storage->dtype != dtype || storage->bytes != bytes)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: pickle describes storage %.*s in two ways", pickle->where,
                    rst_text_shown(storage->key), storage->key.bytes);
  status = rst_value_new(&pickle->heap, pickle->where, RST_VALUE_STORAGE, out, err);
  if (status != RST_OK) return status;
  (*out)->as.storage.root = storage;
  (*out)->as.storage.start = start;
  (*out)->as.storage.end = end;
  return RST_OK;
}
