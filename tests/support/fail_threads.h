/* fail_threads.h - making the system give fewer threads. The tests are linked to replace pthread_create
 * (-Wl,--wrap=). */
#ifndef RST_TEST_FAIL_THREADS_H
#define RST_TEST_FAIL_THREADS_H

/* From now on `n` threads can be started and no more; a negative number: as many as there are. */
void fail_threads_after(int n);

#endif
