#pragma once

/* Two kinds of failure: a programmer's error ends the process, in release builds too; what a peer,
 * a disk or a user does never reaches one of these. */

#include <stdlib.h>

/* Ends the process (abort) unless `expression` holds. Always evaluated. */
#define check(expression)                                                                          \
    do {                                                                                           \
        if (__builtin_expect(!(expression), 0))                                                    \
            abort();                                                                               \
    } while (0)

/* Marks a place that cannot be reached, such as the end of a switch that handles every value. */
#define check_unreachable() abort()
