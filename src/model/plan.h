/* plan.h - whether a picture is run at once or in tiles, and what memory that takes. */
#ifndef RST_MODEL_PLAN_H
#define RST_MODEL_PLAN_H

#include "model/model.h"
#include "model/tiles.h"

/* The plan of the model's run over a width x height picture; `plan` is initialised also on failure. The model
 * need not be filled. RST_ERROR_USAGE (size or options do not fit) or RST_ERROR_MEMORY (the budget leaves too
 * little). */
rst_status rst_plan_make(const rst_model *model, size_t width, size_t height,
                         const rst_session_options *options, rst_plan *plan, rst_error *err);

/* The tiles of such a plan, whose plan->tile is not 0. */
rst_tiles rst_plan_tiles(const rst_model *model, size_t width, size_t height,
                         const rst_session_options *options, const rst_plan *plan);

#endif
