/* The only place where stb_image and stb_image_write are compiled, with nothing in them but zlib and JPEG,
 * their functions static so that a program that links this library may have its own stb. */
#include "image/stb.h"

#include <limits.h>
#include <setjmp.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

/* Zeroed: a JPEG file may leave out parts of the picture, whose memory stb would hand out as it came. */
#define STBI_MALLOC(size) rst_alloc_zeroed(size, 1)
#define STBI_REALLOC_SIZED(p, old_size, new_size) grow(p, old_size, new_size)
#define STBI_FREE(p) rst_free(p)
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_ONLY_JPEG
#define STBI_SUPPORT_ZLIB
#define STBI_MAX_DIMENSIONS 65535
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION

#define STBIW_MALLOC(size) take(size)
#define STBIW_REALLOC_SIZED(p, old_size, new_size) take_more(p, old_size, new_size)
#define STBIW_REALLOC(p, new_size) NULL /* never used, but asked for */
#define STBIW_FREE(p) ((void)(p))
#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION

static void *grow(void *p, size_t old_size, size_t new_size) {
  void *grown = rst_alloc(new_size, 1);
  if (grown == NULL) return NULL;
  if (p != NULL) memcpy(grown, p, old_size < new_size ? old_size : new_size);
  rst_free(p);
  return grown;
}

/* stb's compressor does not survive a failed allocation, so it works in memory that is there before it
 * starts, and is left by longjmp when that should not be enough. It has no argument to pass the arena
 * through: a variable of the thread, which is NULL outside rst_stb_deflate. */
typedef struct arena {
  uint8_t *next;
  size_t left;
  jmp_buf full;
} arena;
static _Thread_local arena *current;

static void *take(size_t size) {
  size_t rounded = (size + 15) & ~(size_t)15;
  if (current->left < rounded) longjmp(current->full, 1);
  void *p = current->next;
  current->next += rounded;
  current->left -= rounded;
  return p;
}

static void *take_more(void *p, size_t old_size, size_t new_size) {
  void *more = take(new_size);
  if (p != NULL) memcpy(more, p, old_size);
  return more;
}

/* GCC looks for unused functions at the end of the file: this one is for the whole of it. */
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include <stb/stb_image.h>
#include <stb/stb_image_write.h>
#pragma GCC diagnostic pop

bool rst_stb_inflate(const uint8_t *in, size_t in_size, uint8_t *out, size_t out_size, const char **reason) {
  *reason = "it is too large";
  if (in_size > INT_MAX || out_size > INT_MAX) return false;
  stbi__err("bad block type",
            ""); /* the one failure that stb leaves without a reason would show an older one */
  int n = stbi_zlib_decode_buffer((char *)out, (int)out_size, (const char *)in, (int)in_size);
  *reason = n < 0 ? stbi_failure_reason() : "it ends too early";
  if (n < 0 && strcmp(*reason, "output buffer limit") == 0)
    *reason = "it has more than the picture's size asks for";
  return n >= 0 && (size_t)n == out_size;
}

size_t rst_stb_deflate_scratch(size_t size) {
  /* 2^14 lists of at most 16 pointers, which grow through capacities of 2, 5, 11 and 23 with a header each,
   * and their table; the output of at most 9 bits a byte, in an array that doubles. Nothing is given back
   * before the end. */
  size_t lists = ((size_t)1 << 14) * (400 + sizeof(void *));
  return lists + 5 * size + 4096;
}

uint8_t *rst_stb_deflate(const uint8_t *in, size_t size, void *scratch, size_t scratch_size,
                         size_t *out_size) {
  enum { QUALITY = 8 }; /* stb's default: how many earlier places are tried for a match */
  arena a = {.next = scratch, .left = scratch_size};
  *out_size = 0;
  if (size > RST_STB_DEFLATE_MAX) return NULL;
  current = &a;
  if (setjmp(a.full) != 0) {
    current = NULL;
    return NULL;
  }
  int n = 0;
  /* It only reads the input, through a pointer that is not const. */
  uint8_t *out = stbi_zlib_compress((unsigned char *)(uintptr_t)in, (int)size, &n, QUALITY);
  current = NULL;
  if (out != NULL) *out_size = (size_t)n;
  return out;
}

rst_status rst_stb_read_jpeg(const rst_source *source, rst_image *image) {
  int width, height, channels;
  if (source->size > INT_MAX) return rst_source_fail(source, "JPEG: larger than 2 GiB");
  stbi__err("bad segment", ""); /* as above */
  uint8_t *samples = stbi_load_from_memory(source->data, (int)source->size, &width, &height, &channels, 0);
  /* "unknown image type": the format's test, which this file has passed, had no memory. */
  const char *reason = stbi_failure_reason();
  if (samples == NULL && (strcmp(reason, "outofmem") == 0 || strcmp(reason, "unknown image type") == 0))
    return rst_fail_memory(source->err, source->path);
  if (samples == NULL) return rst_source_fail(source, "JPEG: cannot be decoded (%s)", reason);
  *image = (rst_image){(size_t)width, (size_t)height, channels, RST_SAMPLE_U8, samples};
  return RST_OK;
}

static void write_to_sink(void *sink, void *data, int size) {
  rst_sink_write(sink, data, (size_t)size);
}

bool rst_stb_write_jpeg(rst_sink *sink, const uint8_t *samples, int width, int height, int channels,
                        int quality) {
  return stbi_write_jpg_to_func(write_to_sink, sink, width, height, channels, samples, quality) != 0;
}
