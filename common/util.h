#pragma once

/* The few macros that everybody needs. */

#include <stddef.h>

#define STRING(value) STRING_OF(value)
#define STRING_OF(text) #text
#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define USEC_PER_MSEC 1000ULL
#define USEC_PER_SEC 1000000ULL
