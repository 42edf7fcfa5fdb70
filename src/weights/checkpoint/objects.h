/* objects.h - the classes and functions that a pickle may name, and what becomes of them. */
#ifndef RST_WEIGHTS_CHECKPOINT_OBJECTS_H
#define RST_WEIGHTS_CHECKPOINT_OBJECTS_H

#include "weights/checkpoint/pickle.h"

/* A class or function by name. Three kinds are known: what tensors are made of (torch's storages and
 * rebuilding functions, dicts), what commonly stands beside them and does not touch them (configurations of
 * trainers, random states, dates), of which only the name is kept, and all others, which are refused. */
rst_status rst_object_global(rst_pickle *pickle, rst_text module, rst_text name, rst_value **out,
                             rst_error *err);

/* What callable(*args) stands for: a dict, a tensor, or an object of which nothing but its class is known. */
rst_status rst_object_call(rst_pickle *pickle, rst_value *callable, rst_value *args, rst_value **out,
                           rst_error *err);

/* The storage that a persistent id stands for: ('storage', type, key, location, number of elements) and, in
 * the legacy form, None or (key of the view, offset, number of elements of the view). */
rst_status rst_object_storage(rst_pickle *pickle, const rst_value *id, rst_value **out, rst_error *err);

#endif
