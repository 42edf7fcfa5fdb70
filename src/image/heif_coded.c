/* The sizes of pictures in streams of HEVC (ITU-T H.265, 7.3.2.2: sequence parameter sets) and AV1 (5.5:
 * sequence headers). */
#include "image/heif.h"

/* ---- Bits ------------------------------------------------------------------------------------ */

typedef struct bits {
  const uint8_t *data;
  size_t size, at; /* bytes */
  int left;        /* bits of byte `at` that are not read yet */
  int zeros;       /* bytes of 0 before it; behind two of them HEVC puts a 3 that does not count */
  bool escaped, ended;
} bits;

static bits bits_of(const uint8_t *data, size_t size, bool escaped) {
  return (bits){.data = data, .size = size, .left = 8, .escaped = escaped};
}

static void next_byte(bits *b) {
  b->zeros = b->data[b->at] == 0 ? b->zeros + 1 : 0;
  b->at++;
  b->left = 8;
  if (!b->escaped || b->zeros < 2 || b->at >= b->size || b->data[b->at] != 3) return;
  b->at++;
  b->zeros = 0;
}

static uint64_t take(bits *b, int count) {
  uint64_t value = 0;
  for (; count > 0; count--) {
    if (b->at >= b->size) {
      b->ended = true;
      return 0;
    }
    b->left--;
    value = value << 1 | (b->data[b->at] >> b->left & 1u);
    if (b->left == 0) next_byte(b);
  }
  return value;
}

static void skip(bits *b, int count) {
  for (; count > 32; count -= 32) take(b, 32);
  take(b, count);
}

/* Exponential Golomb: some zeros, a one, and as many bits as there were zeros. */
static uint64_t take_golomb(bits *b) {
  int zeros = 0;
  while (take(b, 1) == 0 && !b->ended)
    if (++zeros > 32) b->ended = true;
  return b->ended ? 0 : ((uint64_t)1 << zeros) - 1 + take(b, zeros);
}

static uint64_t product(const bits *b, uint64_t width, uint64_t height) {
  uint64_t pixels;
  return b->ended || __builtin_mul_overflow(width, height, &pixels) ? UINT64_MAX : pixels;
}

/* ---- HEVC ------------------------------------------------------------------------------------ */

static void skip_profile(bits *b, int sub_layers) {
  enum { PROFILE = 88, LEVEL = 8, MAX_SUB_LAYERS = 8 };
  bool profiles[MAX_SUB_LAYERS], levels[MAX_SUB_LAYERS];
  skip(b, PROFILE + LEVEL);
  for (int i = 0; i < sub_layers; i++) profiles[i] = take(b, 1) != 0, levels[i] = take(b, 1) != 0;
  if (sub_layers > 0) skip(b, 2 * (MAX_SUB_LAYERS - sub_layers));
  for (int i = 0; i < sub_layers; i++) skip(b, (profiles[i] ? PROFILE : 0) + (levels[i] ? LEVEL : 0));
}

uint64_t rst_hevc_unit_pixels(const uint8_t *data, size_t size) {
  enum { SEQUENCE = 33, PLANES_444 = 3 };
  bits b = bits_of(data, size, true);
  skip(&b, 1);
  const uint64_t type = take(&b, 6), layer = take(&b, 6);
  if (b.ended || type != SEQUENCE || layer != 0) return 0;
  skip(&b, 3 + 4);
  const int sub_layers = (int)take(&b, 3);
  skip(&b, 1);
  skip_profile(&b, sub_layers);
  take_golomb(&b); /* its number */
  if (take_golomb(&b) == PLANES_444) skip(&b, 1);
  const uint64_t width = take_golomb(&b), height = take_golomb(&b);
  return product(&b, width, height);
}

uint64_t rst_hevc_pixels(const uint8_t *data, size_t size) {
  enum { LENGTH = 4 };
  uint64_t most = 0;
  for (size_t at = 0; size - at >= LENGTH;) {
    const size_t length = rst_be32(data + at);
    at += LENGTH;
    if (length > size - at) break; /* which is where a decoder ends */
    const uint64_t pixels = rst_hevc_unit_pixels(data + at, length);
    if (pixels > most) most = pixels;
    at += length;
  }
  return most;
}

/* ---- AV1 ------------------------------------------------------------------------------------- */

static void skip_timing(bits *b) {
  skip(b, 64);
  if (take(b, 1) != 0) take_golomb(b); /* equal intervals */
}

/* Of each way to decode it: what it holds, its level, and delays. */
static void skip_points(bits *b, bool delays, int delay_bits) {
  enum { TIERS = 7 /* levels above that have them */ };
  const bool displays = take(b, 1) != 0;
  for (uint64_t points = take(b, 5) + 1; points > 0 && !b->ended; points--) {
    skip(b, 12);
    if (take(b, 5) > TIERS) skip(b, 1);
    if (delays && take(b, 1) != 0) skip(b, 2 * delay_bits + 1);
    if (displays && take(b, 1) != 0) skip(b, 4);
  }
}

static uint64_t sequence_pixels(const uint8_t *data, size_t size) {
  bits b = bits_of(data, size, false);
  bool delays = false;
  int delay_bits = 0;
  skip(&b, 3 + 1);
  const bool reduced = take(&b, 1) != 0;
  if (reduced) {
    skip(&b, 5);
  } else {
    if (take(&b, 1) != 0) {
      skip_timing(&b);
      delays = take(&b, 1) != 0;
      if (delays) delay_bits = (int)take(&b, 5) + 1;
      if (delays) skip(&b, 32 + 5 + 5);
    }
    skip_points(&b, delays, delay_bits);
  }
  const int width_bits = (int)take(&b, 4) + 1, height_bits = (int)take(&b, 4) + 1;
  const uint64_t width = take(&b, width_bits) + 1, height = take(&b, height_bits) + 1;
  /* Frames may have any other size of as many bits, unless there is but one. */
  return reduced ? product(&b, width, height)
                 : product(&b, (uint64_t)1 << width_bits, (uint64_t)1 << height_bits);
}

/* A number in groups of seven bits, lowest first; false: it does not end. */
static bool take_length(const uint8_t *data, size_t size, size_t *at, uint64_t *length) {
  *length = 0;
  for (int i = 0; i < 8 && *at < size; i++) {
    const uint8_t byte = data[(*at)++];
    *length |= (uint64_t)(byte & 0x7f) << (7 * i);
    if (byte < 0x80) return true;
  }
  return false;
}

uint64_t rst_av1_pixels(const uint8_t *data, size_t size) {
  enum { SEQUENCE = 1, EXTENDED = 4, SIZED = 2 };
  uint64_t most = 0;
  for (size_t at = 0; at < size;) {
    const uint8_t head = data[at];
    uint64_t length;
    at += (head & EXTENDED) != 0 ? 2 : 1;
    if (at > size) break;
    if ((head & SIZED) == 0)
      length = size - at;
    else if (!take_length(data, size, &at, &length) || length > size - at)
      break;
    const uint64_t pixels = (head >> 3 & 15) == SEQUENCE ? sequence_pixels(data + at, (size_t)length) : 0;
    if (pixels > most) most = pixels;
    at += (size_t)length;
  }
  return most;
}
