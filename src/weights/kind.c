#include "weights/kind.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define MAGIC(at, bytes, kind) \
  { at, bytes, sizeof(bytes) - 1, kind }

static const struct {
  size_t at;
  const char *bytes;
  size_t length;
  const char *kind;
} magics[] = {
    MAGIC(0, "version https://git-lfs.github.com/spec/",
          "a Git LFS pointer, which only stands for the file (git lfs pull brings it)"),
    MAGIC(0, "PK\3\4", "a zip file (a PyTorch checkpoint?)"),
    MAGIC(0, "\x89HDF\r\n\x1a\n", "an HDF5 file (Keras?)"),
    MAGIC(4, "TFL3", "a TensorFlow Lite model"),
    MAGIC(0, "model_checkpoint_path:", "the list of a TensorFlow checkpoint"),
    MAGIC(0, "\x93NUMPY", "a NumPy array"),
    MAGIC(0, "GGUF", "a GGUF model"),
    MAGIC(0, "7767517\n", "an ncnn model"),
    MAGIC(0, "MATLAB 5.0 MAT-file", "a MATLAB file"),
    MAGIC(0, "\x1f\x8b", "a gzip archive (unpacking it may help)"),
    MAGIC(0, "BZh", "a bzip2 archive (unpacking it may help)"),
    MAGIC(0,
          "\xfd"
          "7zXZ",
          "an xz archive (unpacking it may help)"),
    MAGIC(0, "\x28\xb5\x2f\xfd", "a zstd archive (unpacking it may help)"),
    MAGIC(0, "7z\xbc\xaf\x27\x1c", "a 7z archive (unpacking it may help)"),
    MAGIC(0, "Rar!\x1a\x07", "a RAR archive (unpacking it may help)"),
    MAGIC(257, "ustar", "a tar archive (unpacking it may help)"),
    MAGIC(0, "\x89PNG", "a PNG picture"),
    MAGIC(0, "\xff\xd8\xff", "a JPEG picture"),
    MAGIC(0, "%PDF-", "a PDF document"),
    MAGIC(0,
          "\x7f"
          "ELF",
          "an executable program"),
};

static bool is_text(const uint8_t *data, size_t size) {
  for (size_t i = 0; i < size; i++)
    if (data[i] >= 0x7f || (data[i] < 0x20 && !isspace(data[i]))) return false;
  return size > 0;
}

/* After a byte order mark and white space, in any case. */
static bool begins_with(const uint8_t *data, size_t size, const char *beginning) {
  size_t at = size >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
  while (at < size && isspace(data[at])) at++;
  size_t n = strlen(beginning), same = 0;
  while (same < n && at + same < size && tolower(data[at + same]) == beginning[same]) same++;
  return same == n;
}

static const char *kind_of_markup(const uint8_t *data, size_t size) {
  static const char *const html[] = {"<!doctype html", "<html", "<head", "<body", "<script"};
  for (size_t i = 0; i < sizeof html / sizeof html[0]; i++)
    if (begins_with(data, size, html[i])) return "a web page (HTML) that came in place of the file";
  if (begins_with(data, size, "<?xml")) return "an XML document (a server's error message?)";
  return begins_with(data, size, "{") ? RST_KIND_JSON : NULL;
}

/* 8 bytes of the header's length, then the header. */
static const char *kind_of_safetensors(const uint8_t *data, size_t size) {
  uint64_t length = 0;
  if (size < 10 || data[8] != '{') return NULL;
  for (int i = 7; i >= 0; i--) length = length << 8 | data[i];
  if (length >> 32 != 0) return NULL;
  return length > size - 8 ? "a safetensors file that is cut short" : "a safetensors file";
}

/* Models in protocol buffers. ONNX: ir_version, then a producer's name; TensorFlow:
 * saved_model_schema_version 1, then a graph; or a graph, whose first node begins with its name and
 * operation. */
static const char *kind_of_protobuf(const uint8_t *d, size_t size) {
  if (size < 64) return NULL;
  if (d[0] == 0x08 && d[1] < 0x20 && d[2] == 0x12 && d[3] < 32 && is_text(d + 4, d[3]))
    return "an ONNX model";
  if (d[0] == 0x08 && d[1] == 0x01 && d[2] == 0x12) return "a TensorFlow model";
  const size_t name = d[0] != 0x0a   ? 0
                      : d[2] == 0x0a ? 4
                      : d[3] == 0x0a ? 5
                                     : 0; /* after lengths of 1 or 2 bytes */
  if (name == 0 || name + d[name - 1] + 2 >= size || !is_text(d + name, d[name - 1])) return NULL;
  return d[name + d[name - 1]] == 0x12 ? "a TensorFlow graph" : NULL;
}

static bool is_table(const uint8_t *data, size_t size) {
  static const uint8_t footer[8] = {0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb};
  return size >= 48 && memcmp(data + size - 8, footer, 8) == 0;
}

static bool is_zeros(const uint8_t *data, size_t size) {
  size_t n = size < 4096 ? size : 4096, i = 0;
  while (i < n && data[i] == 0) i++;
  return n >= 64 && i == n;
}

static const char *find_kind(const uint8_t *data, size_t size) {
  if (size == 0) return "empty";
  const char *kind = kind_of_safetensors(data, size);
  for (size_t i = 0; i < sizeof magics / sizeof magics[0] && kind == NULL; i++)
    if (size >= magics[i].at + magics[i].length &&
        memcmp(data + magics[i].at, magics[i].bytes, magics[i].length) == 0)
      kind = magics[i].kind;
  if (kind == NULL) kind = kind_of_markup(data, size);
  if (kind == NULL) kind = kind_of_protobuf(data, size);
  if (kind == NULL && is_table(data, size)) kind = "the index of a TensorFlow checkpoint";
  if (kind == NULL && size >= 2 && data[0] == 0x80 && data[1] >= 2 && data[1] <= 5)
    kind = "a Python pickle (a PyTorch checkpoint?)";
  if (kind == NULL && is_zeros(data, size))
    kind = "nothing but zeros at its beginning (an incomplete download?)";
  return kind;
}

bool rst_file_kind(const uint8_t *data, size_t size, char kind[RST_KIND_TEXT]) {
  enum { SHOWN = 40 };
  const char *known = find_kind(data, size);
  size_t line = 0;
  if (known != NULL) {
    snprintf(kind, RST_KIND_TEXT, "%s", known);
    return true;
  }
  while (line < size && line < SHOWN && data[line] != '\n' && data[line] != '\r') line++;
  if (!is_text(data, line)) return false;
  snprintf(kind, RST_KIND_TEXT, RST_KIND_PLAIN "\"%.*s\"%s", (int)line, (const char *)data,
           line < size ? "..." : "");
  return true;
}
