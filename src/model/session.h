/* session.h - what the API's functions for pictures need of sessions beside restormer.h. */
#ifndef RST_MODEL_SESSION_H
#define RST_MODEL_SESSION_H

#include "restormer.h"

const rst_model *rst_session_model(const rst_session *session);
rst_budget *rst_session_budget(const rst_session *session);
/* Gives back what was planned for another size. */
void rst_session_make_room(rst_session *session, size_t width, size_t height);
/* Calls the caller's `planned`. */
void rst_session_tell_plan(const rst_session *session);

/* rst_session_run as one of `parts` runs that are a whole for the progress. */
rst_status rst_session_run_part(rst_session *session, const rst_pixels *input, const rst_pixels *output,
                                int part, int parts, rst_error *err);

#endif
