/* random_model.h - models of any architecture with reproducible random weights.
 *
 * A weight depends on the seed, its tensor's name and its index alone, by integer arithmetic: it is the same
 * on every machine, and nothing is stored. The scales keep activations near 1 through any number of blocks:
 * convolutions are uniform with variance 1 / fan-in (the output convolution a tenth of that, so that the
 * result stays near the picture), norm weights 1 +- 0.2, biases +- 0.1, temperatures 0.5..2.5 so that
 * attention is not nearly uniform, a prompt's components +- 1 and what mixes them three times the usual. */
#ifndef TESTS_SUPPORT_RANDOM_MODEL_H
#define TESTS_SUPPORT_RANDOM_MODEL_H

#include "model/architecture.h"
#include "weights/weights.h"

/* ---- Random numbers --------------------------------------------------------------------------------------
 */

/* A number of 64 evenly spread bits for every pair. */
uint64_t random_bits(uint64_t seed, uint64_t index);
/* In [-1, 1), a multiple of 2^-23. */
float random_unit(uint64_t seed, uint64_t index);

/* ---- Architectures ---------------------------------------------------------------------------------------
 */

/* A small one to vary: RGB, one block a level and one of refinement, one head, factor 2.66, WithBias,
 * residual. */
rst_architecture architecture_small(int dim, int levels);
/* The published one: 26,126,644 parameters. */
rst_architecture architecture_published(void);
/* A prompt on every level but the first; the lowest one halves its map's width, as PromptIR's does. */
void architecture_add_prompts(rst_architecture *architecture);
/* The small one with them. */
rst_architecture architecture_prompted(int dim, int levels);
/* PromptIR as it is published. */
rst_architecture architecture_promptir(void);
/* Sets ffn_hidden as the authors' program does, int(width * factor). */
void architecture_set_factor(rst_architecture *architecture, double factor);

/* ---- Models ----------------------------------------------------------------------------------------------
 */

typedef struct random_model {
  rst_architecture architecture;
  uint64_t seed;
  rst_dtype dtype; /* all values can be represented exactly in it */
  rst_tensor_spec *specs;
  size_t count;
} random_model;

/* RST_ERROR_WEIGHTS when the architecture is none, RST_ERROR_MEMORY. Free with random_model_free. */
rst_status random_model_init(random_model *model, const rst_architecture *architecture, uint64_t seed,
                             rst_dtype dtype, rst_error *err);
void random_model_free(random_model *model);

/* Elements [first, first + count) of a tensor. */
void random_model_values(const random_model *model, const rst_tensor_spec *spec, size_t first, size_t count,
                         float *out);

/* An oracle_fetch, `user` being the random_model: aborts when there is no such tensor of that size. */
void random_model_fetch(void *user, const char *name, size_t elements, double *out);

/* Writes a manifest and its .safetensors file. */
rst_status random_model_write(const random_model *model, const char *manifest_path, rst_error *err);
/* Writes a manifest with inline tensors: for tiny models. RST_ERROR_OUTPUT. */
rst_status random_model_write_inline(const random_model *model, const char *manifest_path, rst_error *err);

#endif
