/* Included before every source file by the build: functions that C programs go wrong with are compile errors here. */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H
#include <alloca.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#undef isalpha
#undef isdigit
#undef isalnum
#undef isspace
#undef isupper
#undef islower
#undef isxdigit
#undef ispunct
#undef isprint
#undef iscntrl
#undef alloca
#pragma GCC poison strcpy strcat strncat stpcpy sprintf vsprintf strtok atoi atol atoll strtol strtoul strtoll         \
	strtoull gets alloca
#pragma GCC poison isalpha isdigit isalnum isspace isupper islower isxdigit ispunct isprint iscntrl
#endif
