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

rst_status rst_model_calibrate(const rst_model *m, rst_pool *pool, int threads, rst_budget *budget,
                               rst_error *err) {
  const int in = m->architecture.in_channels, out = m->architecture.out_channels;
  rst_session_options options;
  rst_session_options_init(&options);
  options.threads = threads;
  rst_run run;
  rst_status status = rst_network_plan(&run, m, SIDE, SIDE, &options, err);
  rst_place place = {0};
  uint8_t *memory = NULL;
  size_t bytes = 0;
  for (int real = 0; real < 2 && status == RST_OK; real++) { /* first counted, then taken */
    place = (rst_place){.base = memory};
    float *from = rst_place_take(&place, sizeof(float) * SIDE * SIDE * (size_t)in);
    float *to = rst_place_take(&place, sizeof(float) * SIDE * SIDE * (size_t)out);
    rst_network_take(&run, &place);
    if (real) {
      const rst_pixels input = pixels_of(from, in), output = pixels_of(to, out);
      paint(from, (size_t)in);
      /* Weights with which this overflows may do without on other pictures. */
      (void)rst_network_run(&run, pool, &input, &output, 0, 1, NULL);
      break;
    }
    bytes = place.used;
    status = rst_budget_claim(budget, bytes, "calibration", err);
    if (status != RST_OK) bytes = 0;
    if (status == RST_OK && (memory = rst_pages_alloc(bytes)) == NULL)
      status = rst_fail_memory(err, "calibration");
  }
  rst_pages_free(memory, bytes);
  rst_budget_give(budget, bytes);
  rst_network_free(&run);
  return status;
}
