/* cmocka_all.h - cmocka.h with the headers that it needs before it. */
#ifndef RST_TEST_CMOCKA_ALL_H
#define RST_TEST_CMOCKA_ALL_H

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
// clang-format on

#endif
