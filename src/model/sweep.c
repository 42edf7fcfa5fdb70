#include "model/sweep.h"

#include <string.h>

#include "base/memory.h"

enum {
  RING_ROWS = 3,
  BAND_ROWS = 64 /* about; fewer cost more rows made twice, more cost balance and memory for the carry */
};

/* A multiple of the threads where there are enough rows or chunks. */
size_t rst_sweep_bands(const rst_sweep *s, size_t first, size_t end) {
  const size_t rows = end - first, t = (size_t)s->threads;
  return rst_min(t * ((rows + t * BAND_ROWS - 1) / (t * BAND_ROWS)),
                 s->chunks == NULL ? rows : s->chunk_count);
}

/* The first chunk of band i of `bands`. */
static size_t band_chunk(const rst_sweep *s, size_t i, size_t bands) {
  return s->chunk_count * i / bands;
}

/* The first row of band i of `bands`. */
static size_t band_start(const rst_sweep *s, size_t first, size_t end, size_t i, size_t bands) {
  return s->chunks == NULL ? first + (end - first) * i / bands : s->chunks[band_chunk(s, i, bands)];
}

size_t rst_sweep_band_rows(const rst_sweep *s, size_t first, size_t end) {
  const size_t bands = rst_sweep_bands(s, first, end);
  size_t most = 0;
  for (size_t i = 0; i < bands; i++) {
    const size_t rows = band_start(s, first, end, i + 1, bands) - band_start(s, first, end, i, bands);
    most = rows > most ? rows : most;
  }
  return most;
}

/* ---- One band ------------------------------------------------------------------------------ */

typedef struct band {
  const rst_sweep *s;
  rst_worker *w;
  bool callers; /* done by the thread that runs the sweep */
  size_t first_chunk;
  size_t y0, y1;                /* output rows */
  const uint8_t *above, *below; /* old rows y0 - 1 and y1 of the source, or NULL: as they are in it */
} band;

typedef struct strip {
  size_t x, n;         /* columns to make; n may be 0 in the last one */
  size_t out_x, out_n; /* columns to consume */
  bool last;           /* reaches the right edge */
} strip;

/* The strip that begins with output column out_x. */
static strip next_strip(const rst_sweep *s, size_t out_x) {
  strip t = {.out_x = out_x, .x = out_x == 0 ? 0 : out_x + 1};
  size_t cut = 0;
  while (s->column_cuts[cut] <= out_x) cut++;
  const size_t limit = s->column_cuts[cut];
  t.n = rst_min(rst_min(s->strip, limit + 1 - t.x), s->width - t.x);
  t.last = t.x + t.n == s->width && limit == s->width;
  t.out_n = (t.last ? s->width : t.x + t.n - 1) - out_x;
  return t;
}

static const void *source_row(const band *b, size_t x, size_t y) {
  const rst_map *source = b->s->source;
  if (source == NULL) return NULL;
  if (y + 1 == b->y0 && b->above != NULL) return b->above + x * source->pixel;
  if (y == b->y1 && b->below != NULL) return b->below + x * source->pixel;
  return rst_map_at(source, x, y);
}

/* Ring rows hold columns x - 2 .. x + n: the last one is the zero padding of the strip at the right edge. */
static uint8_t *ring_row(const band *b, size_t slot) {
  return b->w->ring + slot * (b->s->strip + 3) * b->s->ring_pixel;
}

/* Makes hidden row y - 1 + y0 ... `line` counts from 0 at row y0 - 1. */
static void make_row(const band *b, const strip *t, size_t line) {
  const rst_sweep *s = b->s;
  const size_t pixel = s->ring_pixel;
  uint8_t *row = ring_row(b, line % RING_ROWS);
  const size_t y = b->y0 + line - 1; /* wraps to SIZE_MAX above the picture */
  if (y >= s->height) {
    memset(row, 0, (t->n + 3) * pixel);
    return;
  }
  uint8_t *carry = b->w->carry + line * 2 * pixel;
  if (t->x == 0)
    memset(row, 0, 2 * pixel);
  else
    memcpy(row, carry, 2 * pixel);
  if (t->n > 0) s->produce(s, b->w, source_row(b, t->x, y), t->x, y, t->n, row + 2 * pixel);
  if (t->last) memset(row + (t->n + 2) * pixel, 0, pixel);
  memcpy(carry, row + t->n * pixel, 2 * pixel);
}

static bool stopped(const rst_sweep *s) {
  return atomic_load_explicit(&s->watch->stop, memory_order_relaxed);
}

static void run_strip(const band *b, const strip *t) {
  const rst_sweep *s = b->s;
  const size_t skip =
      (t->out_x + 1 - t->x) * s->ring_pixel; /* ring columns start at x - 2, rows[] at out_x - 1 */
  b->w->chunk = b->first_chunk;
  make_row(b, t, 0);
  make_row(b, t, 1);
  for (size_t y = b->y0; y < b->y1 && !stopped(s); y++) {
    const size_t line = y - b->y0 + 2;
    make_row(b, t, line);
    const void *rows[3];
    for (size_t i = 0; i < 3; i++) rows[i] = ring_row(b, (line - 2 + i) % RING_ROWS) + skip;
    if (s->chunks != NULL && y == s->chunks[b->w->chunk + 1]) b->w->chunk++;
    if (t->out_n > 0) s->consume(s, b->w, rows, t->out_x, y, t->out_n);
    if (b->callers) s->watch->look(s->watch->context);
  }
  atomic_fetch_add_explicit(&s->watch->pixels, t->out_n * (b->y1 - b->y0), memory_order_relaxed);
}

static void run_band(const band *b) {
  for (size_t x = 0; x < b->s->width && !stopped(b->s);) {
    const strip t = next_strip(b->s, x);
    run_strip(b, &t);
    x += t.out_n;
  }
}

/* ---- All bands ----------------------------------------------------------------------------- */

/* Rows [first, end), cut into bands. */
typedef struct part {
  const rst_sweep *s;
  size_t first, end, bands;
} part;

/* Keeps the two rows at the border above band i + 1, before anything is overwritten. */
static void keep_border(void *context, size_t i, int worker) {
  const part *p = context;
  const rst_sweep *s = p->s;
  const size_t row = s->width * s->source->pixel, y = band_start(s, p->first, p->end, i + 1, p->bands);
  (void)worker;
  memcpy(s->border_rows + 2 * i * row, rst_map_at(s->source, 0, y - 1), 2 * row);
}

static void do_band(void *context, size_t i, int worker) {
  const part *p = context;
  const rst_sweep *s = p->s;
  band b = {.s = s,
            .w = &s->workers[worker],
            .callers = worker == 0,
            .first_chunk = band_chunk(s, i, p->bands),
            .y0 = band_start(s, p->first, p->end, i, p->bands),
            .y1 = band_start(s, p->first, p->end, i + 1, p->bands)};
  if (s->in_place) {
    const size_t row = s->width * s->source->pixel;
    /* Of the pair kept at a border, the band below needs the first row, the band above the second. */
    if (i > 0) b.above = s->border_rows + (2 * i - 2) * row;
    if (i + 1 < p->bands) b.below = s->border_rows + (2 * i + 1) * row;
  }
  run_band(&b);
}

static void look(void *context) {
  const part *p = context;
  p->s->watch->look(p->s->watch->context);
}

void rst_sweep_run(const rst_sweep *s, size_t first, size_t end) {
  part p = {s, first, end, rst_sweep_bands(s, first, end)};
  if (stopped(s)) return;
  if (s->in_place) rst_pool_run(s->pool, p.bands - 1, keep_border, look, &p);
  rst_pool_run(s->pool, p.bands, do_band, look, &p);
}
