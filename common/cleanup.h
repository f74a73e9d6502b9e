#pragma once

/* Ownership by scope: a variable declared with _cleanup_(f) is given to f when its scope ends.
 * Destructors take NULL. */

#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(function) __attribute__((cleanup(function)))

/* Defines NAMEp(), the form of a destructor that _cleanup_ takes. */
#define DEFINE_CLEANUP(type, function)                                                             \
    static inline void function##p(type *variable)                                                 \
    {                                                                                              \
        if (*variable)                                                                             \
            function(*variable);                                                                   \
    }                                                                                              \
    struct cleanup_needs_semicolon_##function

static inline void freep(void *variable)
{
    free(*(void **)variable);
}

static inline void closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

#define _cleanup_free_ _cleanup_(freep)
#define _cleanup_close_ _cleanup_(closep)

/* Hands a value out of a cleanup variable: evaluates to it and leaves NULL (or -1) behind. */
#define steal_pointer(pointer)                                                                     \
    __extension__({                                                                                \
        __typeof__(pointer) *place_ = &(pointer);                                                  \
        __typeof__(pointer) value_ = *place_;                                                      \
        *place_ = NULL;                                                                            \
        value_;                                                                                    \
    })

static inline int steal_fd(int *fd)
{
    int value = *fd;

    *fd = -1;
    return value;
}
