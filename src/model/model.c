/* model.c - building a model: every packed weight gets its place in one arena, then all are filled in. */
#include "model/model.h"

#include <pthread.h>

#include "base/budget.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/pages.h"
#include "base/threads.h"
#include "model/run.h"

static rst_packer packer_of(const rst_model *m, const rst_part *part) {
  rst_packer p = {.kernels = m->kernels, .plain = m->plain, .exact = m->exact, .again = m->calibrated};
  p.layer_count = part->kind->layers(part, p.layers);
  return p;
}

/* ---- Outline ------------------------------------------------------------------------------- */

/* Counts the parts, and adds them to model->parts unless that is NULL. */
typedef struct part_list {
  rst_model *model;
  size_t count, packed_bytes;
} part_list;

static void add_part(void *user, const rst_part *part) {
  part_list *list = user;
  rst_model *m = list->model;
  if (m->parts != NULL) {
    rst_part *mine = &m->parts[list->count];
    *mine = *part;
    mine->packed = m->packed + list->packed_bytes;
    mine->place = m->arena_bytes;
    rst_packer p = packer_of(m, mine);
    mine->kind->pack(&p, mine);
    m->arena_bytes += p.used;
  }
  list->count++;
  list->packed_bytes += rst_round_up(part->kind->packed_size, _Alignof(max_align_t));
}

static rst_status list_parts(rst_model *m, rst_error *err) {
  part_list list = {.model = m};
  rst_parts_visit(&m->architecture, add_part, &list);
  m->part_count = list.count;
  m->packed = rst_alloc_zeroed(list.packed_bytes, 1);
  m->parts = rst_alloc(list.count, sizeof *m->parts);
  if (m->packed == NULL || m->parts == NULL) return rst_fail_memory(err, "the model");
  list = (part_list){.model = m};
  rst_parts_visit(&m->architecture, add_part, &list);
  return RST_OK;
}

rst_status rst_model_outline(const rst_architecture *architecture, const rst_model_options *options,
                             rst_model **model, rst_error *err) {
  *model = NULL;
  const rst_kernels *kernels = rst_kernels_for(options->isa, options->precision);
  if (kernels == NULL && rst_isa_available(options->isa))
    return rst_fail(err, RST_ERROR_USAGE, "precision %d: there is none of that number",
                    (int)options->precision);
  if (kernels == NULL)
    return rst_fail(err, RST_ERROR_USAGE,
                    "instruction set %s: not available on this processor or in this build",
                    rst_isa_name(options->isa));
  rst_model *m = rst_alloc_zeroed(1, sizeof *m);
  if (m == NULL) return rst_fail_memory(err, "the model");
  m->architecture = *architecture;
  m->kernels = kernels;
  m->exact = rst_kernels_for(options->isa, RST_PRECISION_F32);
  const rst_kernels *bf16 = rst_kernels_for(options->isa, RST_PRECISION_BF16);
  m->plain = kernels->quantize == NULL ? kernels : bf16->pairs ? bf16 : m->exact;
  rst_status status = list_parts(m, err);
  if (status == RST_OK && kernels->quantize != NULL)
    status = rst_model_plan_calibration(m, options->threads, &m->calibration, err);
  if (status != RST_OK)
    rst_model_free(m);
  else
    *model = m;
  return status;
}

/* ---- Filling ------------------------------------------------------------------------------- */

static rst_status fill_part(const rst_model *m, const rst_part *part, const rst_tensor_source *source,
                            rst_error *err) {
  rst_packer p = packer_of(m, part);
  p.path = source->path;
  p.base = (uint8_t *)m->arena + part->place;
  p.err = err;
  char name[RST_TENSOR_NAME];
  for (size_t i = 0; i < p.layer_count; i++) {
    rst_layer_tensor_name(part, &p.layers[i], false, name);
    p.tensors[i].weight = source->find(source->weights, name);
    rst_layer_tensor_name(part, &p.layers[i], true, name);
    if (p.layers[i].bias) p.tensors[i].bias = source->find(source->weights, name);
  }
  part->kind->pack(&p, part);
  return p.status;
}

/* What the tasks of filling share. */
typedef struct filling {
  const rst_model *model;
  const rst_tensor_source *source;
  pthread_mutex_t lock; /* for the rest */
  size_t failed; /* the first of the parts that did, so that the message does not depend on the threads */
  rst_status status;
  rst_error *err;
} filling;

static void fill_and_note(void *context, size_t i, int worker) {
  filling *f = context;
  rst_error mine = {{0}};
  const rst_status status = fill_part(f->model, &f->model->parts[i], f->source, &mine);
  (void)worker;
  if (status == RST_OK) return;
  pthread_mutex_lock(&f->lock);
  if (i < f->failed) {
    f->failed = i;
    f->status = status;
    if (f->err != NULL) *f->err = mine;
  }
  pthread_mutex_unlock(&f->lock);
}

static rst_status fill(rst_model *m, const rst_tensor_source *source, rst_pool *pool, rst_error *err) {
  filling f = {.model = m, .source = source, .failed = SIZE_MAX, .err = err};
  pthread_mutex_init(&f.lock, NULL);
  rst_pool_run(pool, m->part_count, fill_and_note, NULL, &f);
  pthread_mutex_destroy(&f.lock);
  return f.status;
}

rst_status rst_model_fill(rst_model *m, const rst_tensor_source *source, const rst_model_options *options,
                          rst_error *err) {
  rst_status status = rst_budget_claim(options->budget, m->arena_bytes, "the packed weights", err);
  if (status != RST_OK) return status;
  m->budget = options->budget;
  m->arena = rst_pages_alloc(m->arena_bytes);
  rst_pool *pool = rst_pool_create(rst_threads(options->threads));
  if (m->arena == NULL || pool == NULL)
    status = rst_fail_memory(err, "the packed weights");
  else
    status = fill(m, source, pool, err);
  if (status == RST_OK && m->kernels->quantize != NULL) {
    status = rst_model_calibrate(m, pool, options->threads, options->budget, err);
    m->calibrated = true;
    if (status == RST_OK) status = fill(m, source, pool, err);
  }
  rst_pool_free(pool);
  return status;
}

/* ---- The rest ------------------------------------------------------------------------------ */

void rst_model_free(rst_model *m) {
  if (m == NULL) return;
  rst_pages_free(m->arena, m->arena_bytes);
  rst_budget_give(m->budget, m->arena_bytes);
  rst_free(m->parts);
  rst_free(m->packed);
  rst_free(m);
}

const rst_architecture *rst_model_architecture(const rst_model *m) {
  return &m->architecture;
}
