#pragma once

/* A pager between what is printed and a terminal, as $PAGER has it. */

#include <sys/types.h>

#include "context.h"

/* Sends what is printed from now on through a pager, and has SIGPIPE ignored: writing fails once
 * the user has left it. Its process id, or -1: there is none. */
pid_t pager_start(const struct context *context);

/* Waits until the user has seen enough. */
void pager_end(pid_t child);
