/* The table of all storages that pickles have asked for. */
#include "base/error.h"
#include "base/memory.h"
#include "weights/checkpoint/pickle.h"

/* More than any checkpoint has. Keys that are chosen so that they get into each other's way make a look-up as
 * long as the table. */
enum { MAX_STORAGES = 1 << 15 };

/* FNV-1a. */
static size_t slot_of(const rst_pickle *pickle, rst_text key) {
  uint64_t hash = 14695981039346656037u;
  for (size_t i = 0; i < key.length; i++) hash = (hash ^ (uint8_t)key.bytes[i]) * 1099511628211u;
  size_t slot = (size_t)hash & (pickle->storage_capacity - 1);
  while (pickle->storages[slot] != NULL && rst_text_compare(pickle->storages[slot]->key, key) != 0)
    slot = (slot + 1) & (pickle->storage_capacity - 1);
  return slot;
}

rst_storage *rst_pickle_storage(const rst_pickle *pickle, rst_text key) {
  return pickle->storage_capacity > 0 ? pickle->storages[slot_of(pickle, key)] : NULL;
}

/* Keeps the table at most half full. */
static rst_status grow_storages(rst_pickle *pickle, rst_error *err) {
  if (pickle->storage_count < pickle->storage_capacity / 2) return RST_OK;
  rst_pickle larger = {.storage_capacity =
                           pickle->storage_capacity == 0 ? 512 : 2 * pickle->storage_capacity};
  larger.storages = rst_alloc_zeroed(larger.storage_capacity, sizeof(rst_storage *));
  if (larger.storages == NULL) return rst_fail_memory(err, "the storages of a checkpoint");
  for (size_t i = 0; i < pickle->storage_capacity; i++)
    if (pickle->storages[i] != NULL)
      larger.storages[slot_of(&larger, pickle->storages[i]->key)] = pickle->storages[i];
  rst_free(pickle->storages);
  pickle->storages = larger.storages;
  pickle->storage_capacity = larger.storage_capacity;
  return RST_OK;
}

rst_status rst_pickle_add_storage(rst_pickle *pickle, rst_text key, rst_storage **storage, rst_error *err) {
  *storage = rst_pickle_storage(pickle, key);
  if (*storage != NULL) return RST_OK;
  if (pickle->storage_count >= MAX_STORAGES)
    return rst_fail(err, RST_ERROR_WEIGHTS, "%s: pickle has more than %d storages", pickle->where,
                    MAX_STORAGES);
  void *fresh;
  rst_status status = grow_storages(pickle, err);
  if (status == RST_OK)
    status = rst_heap_alloc(&pickle->heap, pickle->where, 1, sizeof **storage, &fresh, err);
  if (status != RST_OK) return status;
  *storage = fresh;
  (*storage)->key = key;
  pickle->storages[slot_of(pickle, key)] = *storage;
  pickle->storage_count++;
  return RST_OK;
}
