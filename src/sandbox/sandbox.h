/* sandbox.h - work on strangers' bytes in a helper process that has given up everything: no files, no
 * network, no programs, bounded memory and time. What comes back is a stream of records and one piece of
 * shared memory.
 *
 * The helper is a fork of the calling thread. It may allocate memory and call what the caller's bytes need to
 * be decoded; it must not use locks that other threads of the process may hold; threads that it starts end
 * with it. Linux with libseccomp only; elsewhere rst_sandbox_available is false. */
#ifndef RST_SANDBOX_SANDBOX_H
#define RST_SANDBOX_SANDBOX_H

#include <stdint.h>

#include "restormer.h"

typedef struct rst_sandbox rst_sandbox; /* the helper's end */

/* What the helper does. Its status and message become those of rst_sandbox_run. */
typedef rst_status (*rst_sandbox_work)(void *user, rst_sandbox *sandbox, rst_error *err);

typedef struct rst_sandbox_options {
  const char *name;  /* what is worked on, for messages */
  rst_status status; /* for a helper that crashes, or does what it must not */
  uint64_t memory;   /* bytes that it may take beside what the process has already; 0: no limit */
  uint64_t shared;   /* bytes that it may share */
  unsigned seconds;  /* of processor time that it may take; 0: no limit */
  unsigned idle;     /* seconds without any after which it is given up as hanging; 0: no limit */
  /* Asked every twentieth of a second: true kills the helper. May be NULL. */
  bool (*cancelled)(void *user);
  /* For rst_sandbox_run: takes a record of the helper's, whose content is not to be trusted; false: it makes
   * no sense. May be NULL. */
  bool (*receive)(void *user, unsigned kind, const void *data, size_t size);
  void *user; /* passed to both */
} rst_sandbox_options;

/* Memory that was the helper's. */
typedef struct rst_shared {
  void *data; /* NULL: nothing was shared */
  size_t size;
} rst_shared;

/* Runs work(user) in a helper and waits for it. What it has shared is in *shared, and the caller's, when the
 * status is RST_OK. Besides what the work returns: options->status, RST_ERROR_MEMORY, RST_CANCELLED. */
rst_status rst_sandbox_run(const rst_sandbox_options *options, rst_sandbox_work work, void *user,
                           rst_shared *shared, rst_error *err);
void rst_shared_free(rst_shared *shared); /* a no-op on a zeroed or freed one */

/* The same a record at a time, without shared memory, for work that gives more than is to be held at once:
 * the helper waits while nobody takes its records. */
typedef struct rst_helper rst_helper; /* the caller's end */

typedef struct rst_sandbox_record {
  unsigned kind;    /* less than 256 */
  const void *data; /* not to be trusted; until the next call */
  size_t size;
} rst_sandbox_record;

/* `user` and what it points to are copied by the fork; what `options` points to lives as long as the helper.
 * *helper is NULL when it fails. */
rst_status rst_sandbox_start(const rst_sandbox_options *options, rst_sandbox_work work, void *user,
                             rst_helper **helper, rst_error *err);
/* Waits for the next record; *more is false, and the status that of the work, when there is none any more. */
rst_status rst_sandbox_next(rst_helper *helper, rst_sandbox_record *record, bool *more, rst_error *err);
/* Ends the helper, whatever it does, and frees what the caller holds of it; NULL is allowed. */
void rst_sandbox_stop(rst_helper *helper);

/* ---- In the helper ------------------------------------------------------------------------- */

enum { RST_SANDBOX_RECORD = 1 << 26 }; /* bytes of a record at the most */

/* False when there is nobody to take the record, or it is too long. `kind` is the caller's, less than 256. */
bool rst_sandbox_send(rst_sandbox *sandbox, unsigned kind, const void *data, size_t size);
/* Zeroed memory that becomes the caller's when the work ends well. Once only; NULL: not so much
 * (errno EFBIG: because the process may not make such large files). */
void *rst_sandbox_share(rst_sandbox *sandbox, size_t bytes);

/* Gives up everything; from then on only the two descriptors can be written. 0, or an errno: ENOMEM, or what
 * the kernel has refused with. (filter.c) */
int rst_sandbox_enter(int records, int shared);

#endif
