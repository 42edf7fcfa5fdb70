/* calibrate.c - a run of a model whose evenings are open, over a made picture. */
#include "base/budget.h"
#include "base/error.h"
#include "base/pages.h"
#include "model/run.h"

enum { SIDE = 64 };

/* From -1 to 1, the same on every machine. */
static float noise(uint32_t *state) {
  *state = *state * UINT32_C(1664525) + UINT32_C(1013904223);
  return (float)(*state >> 8) * 0x1p-23f - 1;
}

/* Brightness grows from left to right, another colour from top to bottom, and noise, up to a deviation of
 * 1/4, along the diagonal. */
static void paint(float *samples, size_t channels) {
  uint32_t state = 1;
  for (size_t y = 0; y < SIDE; y++)
    for (size_t x = 0; x < SIDE; x++)
      for (size_t c = 0; c < channels; c++) {
        const float grey = (float)x / SIDE, colour = (float)y / SIDE * (c % 2 == 0 ? 0.25f : -0.25f);
        const float amplitude = (float)((x + y) % SIDE) / SIDE * 0.43f;
        *samples++ = grey + colour + amplitude * noise(&state);
      }
}

static rst_pixels pixels_of(float *samples, int channels) {
  const ptrdiff_t c = channels;
  return (rst_pixels){samples, RST_SAMPLE_F32, SIDE, SIDE, channels, SIDE * c, c, 1};
}

/* The network's run, and where its pictures and buffers stand: counted first, then taken. */
typedef struct calibration {
  rst_session_options options; /* which the run refers to */
  rst_run run;
  rst_place place;
  float *from, *to;
} calibration;

static rst_status plan(calibration *c, const rst_model *m, int threads, rst_error *err) {
  rst_session_options_init(&c->options);
  c->options.threads = threads;
  return rst_network_plan(&c->run, m, SIDE, SIDE, &c->options, err);
}

static size_t take(calibration *c, uint8_t *memory) {
  const rst_architecture *a = &c->run.model->architecture;
  c->place = (rst_place){0};
  c->place.base = memory;
  c->from = rst_place_take(&c->place, sizeof(float) * SIDE * SIDE * (size_t)a->in_channels);
  c->to = rst_place_take(&c->place, sizeof(float) * SIDE * SIDE * (size_t)a->out_channels);
  rst_network_take(&c->run, &c->place);
  return c->place.used;
}

static void run(calibration *c, rst_pool *pool) {
  const rst_architecture *a = &c->run.model->architecture;
  const rst_pixels input = pixels_of(c->from, a->in_channels), output = pixels_of(c->to, a->out_channels);
  paint(c->from, (size_t)a->in_channels);
  /* Weights with which this overflows may do without on other pictures. */
  (void)rst_network_run(&c->run, pool, &input, &output, 0, 1, NULL);
}

rst_status rst_model_calibrate(const rst_model *m, rst_pool *pool, int threads, rst_budget *budget,
                               rst_error *err) {
  calibration c;
  rst_status status = plan(&c, m, threads, err);
  const size_t bytes = status == RST_OK ? take(&c, NULL) : 0;
  if (status == RST_OK) status = rst_budget_claim(budget, bytes, "calibration", err);
  if (status == RST_OK) {
    uint8_t *memory = rst_pages_alloc(bytes);
    if (memory == NULL) {
      status = rst_fail_memory(err, "calibration");
    } else {
      take(&c, memory);
      run(&c, pool);
      rst_pages_free(memory, bytes);
    }
    rst_budget_give(budget, bytes);
  }
  rst_network_free(&c.run);
  return status;
}

rst_status rst_model_plan_calibration(const rst_model *m, int threads, uint64_t *bytes, rst_error *err) {
  calibration c;
  const rst_status status = plan(&c, m, threads, err);
  *bytes = status == RST_OK ? take(&c, NULL) : 0;
  rst_network_free(&c.run);
  return status;
}
