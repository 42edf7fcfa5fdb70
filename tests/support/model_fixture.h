/* model_fixture.h - random models packed and run through the public interface. Fails the running cmocka test
 * when something goes wrong. */
#ifndef TESTS_SUPPORT_MODEL_FIXTURE_H
#define TESTS_SUPPORT_MODEL_FIXTURE_H

#include "restormer.h"
#include "support/fixture.h"
#include "support/random_model.h"

/* The random model of that architecture; free with random_model_free. */
random_model fixture_random(const rst_architecture *architecture, uint64_t seed);

/* The random model written to a file and opened; what is opened packed; both. */
rst_weights *fixture_weights(const random_model *model);
rst_model *fixture_pack(const rst_weights *weights, rst_isa isa, rst_precision precision);
rst_model *fixture_model(const random_model *model, rst_isa isa, rst_precision precision);

/* A packed random model of two levels with these channels; it adds its input where they are equal. */
rst_model *fixture_channels(int in, int out, bool dual_pixel, uint64_t seed);

/* A view of densely packed samples, planar [c][h][w] or interleaved [h][w][c]. */
rst_pixels fixture_planar(const void *samples, rst_sample sample, int channels, size_t height, size_t width);
rst_pixels fixture_interleaved(const void *samples, rst_sample sample, int channels, size_t height,
                               size_t width);

/* rst_restore from planar float32 to planar float32. */
void fixture_restore(const rst_model *model, const float *input, size_t height, size_t width, int threads,
                     float *output);

#endif
