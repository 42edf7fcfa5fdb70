/* session.c - sessions and what is made of them: one plan, one budget, one block of memory for all runs. */
#include "model/session.h"

#include "base/budget.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/pages.h"
#include "model/plan.h"
#include "model/run.h"

struct rst_session {
  const rst_model *model;
  rst_session_options options;
  rst_pool *pool;
  size_t width, height; /* 0: nothing is planned */
  rst_plan plan;
  uint64_t claimed; /* of the budget */
  rst_tiles tiles;  /* when there are any */
  rst_run run;      /* of the whole picture, or of a tile */
  void *memory;     /* buffers, tiles and maps */
  size_t memory_bytes;
};

/* ---- Planning ---------------------------------------------------------------------------------------- */

static rst_status read_options(const rst_session_options *given, rst_session_options *options,
                               rst_error *err) {
  rst_session_options_init(options);
  return rst_options_read(options, sizeof *options, given, "rst_session_options", err);
}

rst_status rst_plan_restore(const rst_architecture *architecture, const rst_model_options *model_options,
                            size_t width, size_t height, const rst_session_options *options, rst_plan *plan,
                            rst_error *err) {
  rst_session_options o;
  rst_model_options mo;
  rst_model *m = NULL;
  rst_plan p;
  rst_plan_init(&p);
  rst_model_options_init(&mo);
  rst_status status = read_options(options, &o, err);
  if (status == RST_OK) status = rst_options_read(&mo, sizeof mo, model_options, "rst_model_options", err);
  if (status == RST_OK) status = rst_architecture_check(architecture, "the model", err);
  if (status == RST_OK) status = rst_model_outline(architecture, &mo, &m, err);
  if (status == RST_OK) status = rst_plan_make(m, width, height, &o, &p, err);
  rst_model_free(m);
  rst_info_write(plan, &p, sizeof p);
  return rst_end(err, status);
}

/* ---- Life -------------------------------------------------------------------------------------------- */

static void drop_plan(rst_session *s) {
  rst_network_free(&s->run);
  rst_pages_free(s->memory, s->memory_bytes);
  rst_budget_give(s->options.budget, s->claimed);
  s->memory = NULL;
  s->claimed = 0;
  s->width = s->height = 0;
  rst_plan_init(&s->plan);
}

/* The run and its memory, for the plan. */
static rst_status prepare(rst_session *s, size_t width, size_t height, rst_error *err) {
  if (s->plan.tile != 0) {
    s->tiles = rst_plan_tiles(s->model, width, height, &s->options, &s->plan);
    width = s->tiles.x.tile, height = s->tiles.y.tile;
  }
  rst_status status = rst_network_plan(&s->run, s->model, width, height, &s->options, err);
  if (status != RST_OK) return status;
  for (int real = 0; real < 2; real++) { /* first counted, then taken */
    rst_place place = {.base = s->memory};
    rst_network_take(&s->run, &place);
    if (s->plan.tile != 0) rst_tiles_place(&s->tiles, &place);
    if (real) break;
    s->memory_bytes = place.used;
    s->memory = s->run.too_large || place.used == SIZE_MAX ? NULL : rst_pages_alloc(place.used);
    if (s->memory == NULL) return rst_fail_memory(err, "the feature maps");
  }
  return RST_OK;
}

void rst_session_make_room(rst_session *s, size_t width, size_t height) {
  if (s->memory != NULL && (width != s->width || height != s->height)) drop_plan(s);
}

static rst_status resize(rst_session *s, size_t width, size_t height, rst_error *err) {
  rst_session_make_room(s, width, height);
  if (s->memory != NULL) return RST_OK;
  rst_status status = rst_plan_make(s->model, width, height, &s->options, &s->plan, err);
  if (status == RST_OK) status = rst_budget_claim(s->options.budget, s->plan.working_bytes, "the run", err);
  if (status == RST_OK) {
    s->claimed = s->plan.working_bytes;
    status = prepare(s, width, height, err);
  }
  if (status == RST_OK)
    s->width = width, s->height = height;
  else
    drop_plan(s);
  return status;
}

rst_status rst_session_resize(rst_session *s, size_t width, size_t height, rst_error *err) {
  return rst_end(err, resize(s, width, height, err));
}

rst_status rst_session_create(const rst_model *model, size_t width, size_t height,
                              const rst_session_options *options, rst_session **session, rst_error *err) {
  *session = NULL;
  rst_session *s = rst_alloc_zeroed(1, sizeof *s);
  if (s == NULL) return rst_fail_memory(err, "the session");
  s->model = model;
  rst_plan_init(&s->plan);
  rst_status status = read_options(options, &s->options, err);
  if (status == RST_OK) {
    s->pool = rst_pool_create(rst_threads(s->options.threads));
    if (s->pool == NULL) status = rst_fail_memory(err, "the threads");
  }
  if (status == RST_OK && (width != 0 || height != 0)) status = resize(s, width, height, err);
  if (status == RST_OK)
    *session = s;
  else
    rst_session_free(s);
  return rst_end(err, status);
}

void rst_session_free(rst_session *s) {
  if (s == NULL) return;
  drop_plan(s);
  rst_pool_free(s->pool);
  rst_free(s);
}

void rst_session_plan(const rst_session *s, rst_plan *plan) {
  rst_info_write(plan, &s->plan, sizeof s->plan);
}

void rst_session_tell_plan(const rst_session *s) {
  if (s->options.planned != NULL) s->options.planned(s->options.planned_user, &s->plan);
}

const rst_model *rst_session_model(const rst_session *s) {
  return s->model;
}

rst_budget *rst_session_budget(const rst_session *s) {
  return s->options.budget;
}

/* ---- Running ----------------------------------------------------------------------------------------- */

static rst_status run_tiles(rst_session *s, const rst_pixels *input, const rst_pixels *output, double first,
                            double share, rst_error *err) {
  rst_tiles *t = &s->tiles;
  const double each = share / (double)(t->x.count * t->y.count);
  rst_status status = RST_OK;
  rst_tiles_begin(t);
  for (size_t j = 0; j < t->y.count && status == RST_OK; j++)
    for (size_t i = 0; i < t->x.count && status == RST_OK; i++) {
      const rst_pixels in = rst_tiles_input(t, input, i, j), result = rst_tiles_result(t, &in);
      status = rst_network_run(&s->run, s->pool, &in, &result, first + each * (double)(j * t->x.count + i),
                               each, err);
      if (status == RST_OK) rst_tiles_blend(t, &result, i, j);
    }
  for (size_t y = 0; y < output->height && status == RST_OK; y++)
    for (size_t x = 0; x < output->width; x++)
      rst_pixels_store(output, x, y, rst_tiles_row(t, y) + x * (size_t)t->channels);
  return status;
}

rst_status rst_session_run_part(rst_session *s, const rst_pixels *input, const rst_pixels *output, int part,
                                int parts, rst_error *err) {
  rst_status status = rst_pixels_check(&s->model->architecture, input, output, err);
  if (status == RST_OK) status = rst_pixels_check_overlap(input, output, err);
  if (status != RST_OK) return status;
  if (input->width != s->width || input->height != s->height)
    return rst_fail(err, RST_ERROR_USAGE, "input is %zu x %zu, the session %zu x %zu", input->width,
                    input->height, s->width, s->height);
  const double first = (double)part / parts, share = 1.0 / parts;
  if (s->plan.tile != 0) return run_tiles(s, input, output, first, share, err);
  return rst_network_run(&s->run, s->pool, input, output, first, share, err);
}

rst_status rst_session_run(rst_session *s, const rst_pixels *input, const rst_pixels *output,
                           rst_error *err) {
  return rst_end(err, rst_session_run_part(s, input, output, 0, 1, err));
}

rst_status rst_restore(const rst_model *model, const rst_pixels *input, const rst_pixels *output,
                       const rst_session_options *options, rst_error *err) {
  rst_session *session = NULL;
  rst_status status = rst_pixels_check(&model->architecture, input, output, err);
  if (status == RST_OK)
    status = rst_session_create(model, input->width, input->height, options, &session, err);
  if (status == RST_OK) status = rst_session_run(session, input, output, err);
  rst_session_free(session);
  return status;
}
