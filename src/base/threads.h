/* threads.h - how many threads to use. */
#ifndef RST_BASE_THREADS_H
#define RST_BASE_THREADS_H

/* `requested`, at most 1024; 0 or less: as many as the process may use. */
int rst_threads(int requested);

#endif
