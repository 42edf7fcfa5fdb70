/* passes.h - what sweeps share, those of a block most of it. */
#ifndef RST_MODEL_PASSES_H
#define RST_MODEL_PASSES_H

#include "model/run.h"

/* The context of a block's sweep. */
typedef struct rst_pass {
  const rst_run *run;
  const rst_grid *grid;
  const rst_part *part;
  const rst_linear *in; /* after the layer norm */
  const rst_map *map;   /* that is added to */
} rst_pass;

/* Bytes of a ring pixel of `channels` floats. One group more than the channels: with a power of two, the
 * pixels that a depthwise convolution steps through would all fall on the same few sets of the cache. */
static inline size_t rst_pass_ring_pixel(size_t channels) {
  return (channels + RST_GROUP) * sizeof(float);
}

/* produce: layer norm and pass->in. Needs operand[1] of the padded channels. */
rst_produce rst_pass_produce;

/* Whether what is not int8 reads a map's elements as they are; else as floats. */
static inline bool rst_reads_elements(const rst_run *run) {
  return run->model->plain->element == run->kernels->element;
}

/* Bytes of a map's pixel as it is read then. */
static inline size_t rst_pass_plain_pixel(const rst_run *run, const rst_map *map) {
  return map->pixel / run->kernels->element * run->model->plain->element;
}

/* produce: the pixels of the source so. The sweep's context begins with a pointer to the run. */
rst_produce rst_produce_copy;

/* The depthwise convolution of ring rows. */
rst_dwconv rst_pass_dwconv(const rst_depthwise *d, const rst_sweep *s, const void *const rows[3], size_t n);

/* map[x .. x + n)[y] += a * linear, where `a` has a row of `pitch` operands per pixel, which are prepared. */
void rst_pass_add(const rst_pass *pass, void *a, size_t pitch, const rst_linear *linear, size_t x, size_t y,
                  size_t n);

#endif
