/* threads.h - how many threads to use, and a pool of them that shares out the tasks of one job after another.
 */
#ifndef RST_BASE_THREADS_H
#define RST_BASE_THREADS_H

#include <stddef.h>

/* `requested`, at most 1024; 0 or less: as many as the process may use. */
int rst_threads(int requested);

/* Of a clock that only goes forward. */
double rst_seconds(void);

/* The thread that calls rst_pool_run, and others that wait between jobs: spinning for some microseconds, then
 * asleep. They are started by the first job, and anew in a child after fork. Where the system does not give
 * as many as were asked for, the pool works with fewer. For one caller at a time. */
typedef struct rst_pool rst_pool;

/* A pool of up to `threads` threads, the caller's included; NULL when there is no memory. */
rst_pool *rst_pool_create(int threads);
void rst_pool_free(rst_pool *pool); /* NULL is allowed */

/* Does one task. `worker` is that of the thread: 0 for the caller's, below `threads`. */
typedef void rst_task(void *context, size_t task, int worker);
/* What the caller's thread does now and then while it waits for the others. */
typedef void rst_poll(void *context);

/* Does tasks 0 .. count - 1, each once, on whichever threads are free, begun in that order, and returns when
 * all are done. `poll` is called about every twentieth of a second while the caller's thread has nothing else
 * to do; it may be NULL. */
void rst_pool_run(rst_pool *pool, size_t count, rst_task *task, rst_poll *poll, void *context);

#endif
