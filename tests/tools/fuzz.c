/* fuzz.c - reads damaged copies of good files through the public API: whatever comes out of a stranger's
 * file, it is a clear error or a result that holds, soon, and never a crash. The same copies on every
 * machine. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <zlib.h>

#include "restormer.h"
#include "support/pictures.h"

static const char USAGE[] =
    "usage: fuzz [options] FILE...\n"
    "Damages each FILE in turn and reads it: pictures, checkpoints (.pth, .ckpt, .safetensors) and "
    "manifests\n"
    "(.json, with the .safetensors of the same name beside it, where there is one). The damaged copies are\n"
    "written into the current folder, under the name of the original after `fuzz-`; the last one stays "
    "there\n"
    "when something goes wrong.\n"
    "  --rounds N   damaged copies of each file [100]\n"
    "  --seconds N  until so much time has passed, instead of --rounds\n"
    "  --seed N     of the damage [1]\n";

enum { MAX_SEEDS = 200, MAX_SIZE = 1 << 22, GROWTH = 4096, NAME_SIZE = 512 };
enum { SLOW = 10 }; /* seconds of processor time that no small file may take */

typedef struct bytes {
  uint8_t *data; /* with room for MAX_SIZE + GROWTH */
  size_t size;
} bytes;

typedef enum kind { PICTURE, CHECKPOINT, MANIFEST } kind;

typedef struct seed {
  kind kind;
  char name[NAME_SIZE];    /* of the damaged copy */
  char tensors[NAME_SIZE]; /* of a manifest, "" where it has none */
  bytes content, tensors_content;
} seed;

static const char *now_reading = ""; /* for messages */

__attribute__((noreturn)) static void die(const char *what, const char *why) {
  fprintf(stderr, "fuzz: %s: %s\n", what, why);
  exit(1);
}

/* ---- Files --------------------------------------------------------------------------------- */

static bool ends_in(const char *path, const char *ending) {
  size_t n = strlen(path), m = strlen(ending);
  return n >= m && strcmp(path + n - m, ending) == 0;
}

/* False where there is no such file. */
static bool load(const char *path, bytes *b) {
  FILE *f = fopen(path, "rb");
  if (f == NULL) return false;
  b->data = malloc(MAX_SIZE + GROWTH);
  if (b->data == NULL) die(path, "out of memory");
  b->size = fread(b->data, 1, MAX_SIZE, f);
  if (fgetc(f) != EOF) die(path, "is too large to be damaged many times");
  fclose(f);
  return true;
}

static void save(const char *path, const bytes *b) {
  FILE *f = fopen(path, "wb");
  if (f == NULL || fwrite(b->data, 1, b->size, f) != b->size || fclose(f) != 0) die(path, strerror(errno));
}

static void load_seed(const char *path, seed *s) {
  const char *slash = strrchr(path, '/'), *base = slash != NULL ? slash + 1 : path;
  *s = (seed){.kind = ends_in(base, ".json") ? MANIFEST
                      : ends_in(base, ".pth") || ends_in(base, ".ckpt") || ends_in(base, ".safetensors")
                          ? CHECKPOINT
                          : PICTURE};
  snprintf(s->name, sizeof s->name, "fuzz-%s", base);
  if (!load(path, &s->content)) die(path, strerror(errno));
  if (s->kind != MANIFEST) return;
  char tensors[2 * NAME_SIZE];
  snprintf(tensors, sizeof tensors, "%.*s.safetensors", (int)strlen(path) - 5, path);
  if (load(tensors, &s->tensors_content)) /* under the name that the manifest has */
    snprintf(s->tensors, sizeof s->tensors, "%.*s.safetensors", (int)strlen(base) - 5, base);
}

/* ---- Damage -------------------------------------------------------------------------------- */

static uint64_t random_state;

static uint64_t random64(void) { /* splitmix64 */
  uint64_t z = random_state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}
static size_t below(size_t n) {
  return n == 0 ? 0 : (size_t)(random64() % n);
}

/* Headers are at the beginning, directories of zip files at the end: most of what matters is there. */
static size_t place(const bytes *b) {
  size_t near = b->size < 256 ? b->size : 256;
  switch (below(4)) {
    case 0:
      return below(near);
    case 1:
      return b->size - near + below(near);
    default:
      return below(b->size);
  }
}

/* A number of 1, 2, 4 or 8 bytes, in either order, of those that make sums and products go wrong. */
static void put_number(bytes *b, size_t at) {
  static const uint64_t numbers[] = {0,          1,          2,           0x7f,       0x80,       0xff,
                                     0x7fff,     0x8000,     0xffff,      0x10000,    0x7fffffff, 0x80000000,
                                     0xfffffff0, 0xffffffff, 0x100000000, 1ull << 62, UINT64_MAX};
  uint64_t value = numbers[below(sizeof numbers / sizeof numbers[0])];
  size_t width = (size_t)1 << below(4);
  bool big = below(2) == 0;
  for (size_t i = 0; i < width && at + i < b->size; i++)
    b->data[at + i] = (uint8_t)(value >> 8 * (big ? width - 1 - i : i));
}

static void insert(bytes *b, size_t at, const uint8_t *data, size_t n) {
  uint8_t copy[GROWTH];
  if (b->size + n > MAX_SIZE) return;
  memcpy(copy, data, n);
  memmove(b->data + at + n, b->data + at, b->size - at);
  memcpy(b->data + at, copy, n);
  b->size += n;
}

static void damage_once(bytes *b) {
  if (b->size == 0) return;
  size_t at = place(b), n = 1 + below(below(8) == 0 ? GROWTH : 16);
  if (n > b->size - at) n = b->size - at;
  switch (below(9)) {
    case 0:
      b->data[at] ^= (uint8_t)(1u << below(8));
      break;
    case 1:
      b->data[at] = (uint8_t)random64();
      break;
    case 2:
    case 3:
      put_number(b, at);
      break;
    case 4: /* another digit, sign or exponent */
      while (at < b->size && !isdigit(b->data[at])) at++;
      if (at < b->size) b->data[at] = (uint8_t) "0123456789-.eE"[below(14)];
      break;
    case 5:
      memmove(b->data + at, b->data + at + n, b->size - at - n);
      b->size -= n;
      break;
    case 6: /* the same once more, here or elsewhere */
      insert(b, below(2) == 0 ? at : place(b), b->data + at, n);
      break;
    case 7:
      memmove(b->data + at, b->data + below(b->size - n + 1), n);
      break;
    default:
      if (below(4) == 0) b->size = at;
      break;
  }
}

/* ---- Checksums, so that damage is found behind them, too --------------------------------------- */

static uint32_t be32(const uint8_t *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static size_t le16(const uint8_t *p) {
  return (size_t)p[0] | (size_t)p[1] << 8;
}
static size_t le32(const uint8_t *p) {
  return le16(p) | le16(p + 2) << 16;
}

static void mend_png(bytes *b) {
  for (size_t at = 8; at + 12 <= b->size;) {
    size_t size = be32(b->data + at);
    if (size > b->size - at - 12) return;
    uint32_t crc = (uint32_t)crc32_z(0, b->data + at + 4, size + 4);
    for (int i = 0; i < 4; i++) b->data[at + 8 + size + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
    at += 12 + size;
  }
}

/* Records that are stored as they are, by the directory. Zip's checksum is PNG's. */
static void mend_zip(bytes *b) {
  enum { ENTRY = 46, LOCAL = 30 };
  for (size_t at = 0; at + ENTRY <= b->size; at++) {
    uint8_t *p = b->data + at;
    if (memcmp(p, "PK\1\2", 4) != 0 || le16(p + 10) != 0) continue;
    size_t size = le32(p + 20), local = le32(p + 42);
    if (local > b->size || b->size - local < LOCAL) continue;
    size_t data = local + LOCAL + le16(b->data + local + 26) + le16(b->data + local + 28);
    if (data > b->size || b->size - data < size) continue;
    uint32_t crc = (uint32_t)crc32_z(0, b->data + data, size);
    for (int i = 0; i < 4; i++) p[16 + i] = b->data[local + 14 + (size_t)i] = (uint8_t)(crc >> 8 * i);
  }
}

static void damage(bytes *b) {
  for (size_t n = 1 + below(below(4) == 0 ? 16 : 3); n > 0; n--) damage_once(b);
  if (below(8) == 0) return;
  if (b->size > 8 && memcmp(b->data, "\x89PNG", 4) == 0) mend_png(b);
  if (b->size > 4 && memcmp(b->data, "PK", 2) == 0) mend_zip(b);
}

/* ---- Reading ------------------------------------------------------------------------------- */

/* One of the statuses that there can be, with a message of one line that names a file. */
static void check_answer(rst_status status, rst_status expected, const rst_error *err) {
  if (status == RST_OK) return;
  if (status != expected && status != RST_ERROR_MEMORY) die(now_reading, "has another status than it should");
  if (strlen(err->message) < 10) die(now_reading, "is refused without a reason");
  for (const char *c = err->message; *c != '\0'; c++)
    if ((unsigned char)*c < 0x20 || *c == 0x7f) die(now_reading, "brings control characters into a message");
}

static void read_picture(const char *path) {
  rst_image picture;
  rst_error err = {{0}};
  rst_status status = picture_read(path, &picture, &err);
  check_answer(status, RST_ERROR_INPUT, &err);
  if (status != RST_OK) return;
  size_t n = picture.width * picture.height * (size_t)picture.channels * rst_sample_size(picture.sample);
  const volatile uint8_t *samples = picture.samples;
  for (size_t i = 0; i < n; i += 64) (void)samples[i];
  (void)samples[n - 1]; /* all of it is there */
  rst_image_clear(&picture);
}

static rst_status open_weights(const char *path, bool verified) {
  rst_weights *weights;
  rst_error err = {{0}};
  rst_status status = rst_weights_open(path, &weights, &err);
  check_answer(status, RST_ERROR_WEIGHTS, &err);
  if (status != RST_OK) return status;
  rst_weights_info info;
  rst_weights_info_init(&info);
  rst_weights_get_info(weights, &info);
  rst_architecture_macs(info.architecture, 256, 256);
  status = rst_weights_verify(weights, &err);
  check_answer(status, RST_ERROR_WEIGHTS, &err);
  if (verified && status == RST_ERROR_WEIGHTS) die(now_reading, "converts to weights that are not good");
  rst_weights_close(weights);
  return RST_OK;
}

static void convert(const char *path) {
  rst_error err = {{0}};
  remove("fuzz-converted.safetensors"); /* what is there already is left, and another name taken */
  rst_status status = rst_weights_convert(path, "fuzz-converted.json", NULL, &err);
  check_answer(status, RST_ERROR_WEIGHTS, &err);
  if (status == RST_OK && open_weights("fuzz-converted.json", true) == RST_ERROR_WEIGHTS)
    die(now_reading, "converts to weights that cannot be opened");
}

static void run_case(const seed *s, bytes *b) {
  bool in_tensors = s->tensors[0] != '\0' && below(2) == 0;
  const bytes *from = in_tensors ? &s->tensors_content : &s->content;
  memcpy(b->data, from->data, from->size);
  b->size = from->size;
  damage(b);
  save(s->name, in_tensors ? &s->content : b);
  if (s->tensors[0] != '\0') save(s->tensors, in_tensors ? b : &s->tensors_content);
  now_reading = s->name;
  struct timespec start, end;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
  if (s->kind == PICTURE) read_picture(s->name);
  if (s->kind == CHECKPOINT) convert(s->name);
  if (s->kind == MANIFEST) open_weights(s->name, false);
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
  if (end.tv_sec - start.tv_sec > SLOW) die(now_reading, "takes too long");
}

/* Files that are open; where the system does not tell, always 0. */
static int count_open_files(void) {
  int count = 0;
  DIR *folder = opendir("/proc/self/fd");
  if (folder == NULL) return 0;
  while (readdir(folder) != NULL) count++;
  closedir(folder);
  return count;
}

/* ---- Command line -------------------------------------------------------------------------- */

static unsigned long parse_number(const char *text) {
  char *end;
  errno = 0;
  unsigned long value = strtoul(text, &end, 10);
  if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0) die(text, "is not a number");
  return value;
}

/* No small file asks for more; a sanitizer does. */
static void limit_memory(void) {
#ifndef __SANITIZE_ADDRESS__
  const rlim_t most = (rlim_t)8 << 30; /* bytes of address space */
  struct rlimit limit = {most, most};
  setrlimit(RLIMIT_AS, &limit);
#endif
}

static void clean_up(const seed *seeds, int count) {
  for (int i = 0; i < count; i++) {
    remove(seeds[i].name);
    if (seeds[i].tensors[0] != '\0') remove(seeds[i].tensors);
    free(seeds[i].content.data);
    free(seeds[i].tensors_content.data);
  }
  remove("fuzz-converted.json");
  remove("fuzz-converted.safetensors");
}

int main(int argc, char *argv[]) {
  static const struct option options[] = {{"rounds", required_argument, NULL, 'r'},
                                          {"seconds", required_argument, NULL, 's'},
                                          {"seed", required_argument, NULL, 'n'},
                                          {NULL, 0, NULL, 0}};
  static seed seeds[MAX_SEEDS];
  unsigned long rounds = 100, seconds = 0, cases = 0;
  random_state = 1;
  for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    if (option == 'r') rounds = parse_number(optarg);
    if (option == 's') seconds = parse_number(optarg);
    if (option == 'n') random_state = parse_number(optarg);
    if (option == '?') {
      fputs(USAGE, stderr);
      return 2;
    }
  }
  int count = argc - optind;
  if (count < 1 || count > MAX_SEEDS) {
    fputs(USAGE, stderr);
    return 2;
  }
  for (int i = 0; i < count; i++) load_seed(argv[optind + i], &seeds[i]);
  limit_memory();
  bytes b = {malloc(MAX_SIZE + GROWTH), 0};
  if (b.data == NULL) die("a damaged file", "out of memory");
  int open_files = count_open_files();
  time_t start = time(NULL);
  for (unsigned long round = 0; seconds > 0 ? time(NULL) - start < (time_t)seconds : round < rounds; round++)
    for (int i = 0; i < count; i++, cases++) run_case(&seeds[i], &b);
  if (count_open_files() != open_files) die("a damaged file", "is still open");
  free(b.data);
  clean_up(seeds, count);
  if (cases == 0) die("--rounds", "is 0: nothing was damaged");
  printf("every damaged file was read or refused\n");
  return 0;
}
