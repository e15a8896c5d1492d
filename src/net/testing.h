/* What every test program of this folder includes. */
#ifndef NET_TESTING_H
#define NET_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
