#pragma once

/* What the daemon tells systemd by sd_notify(3), and what it gets from it: readiness, status line,
 * watchdog, sockets that outlive it. Without systemd nothing happens. Loop thread only. */

#include <event2/event.h>

#include "common/util.h"
#include "engine.h"
#include "journal.h"
#include "keys.h"

/* For how long systemd waits once more for a start that takes long. */
#define START_EXTEND_USEC (60 * USEC_PER_SEC)

struct supervisor;

/* Tells the status line now and then, has the journal tell what it left out, and asks the engine
 * for `nudged` as often as the watchdog wants to be fed. All must live longer. NULL: out of memory.
 */
struct supervisor *supervisor_new(struct event_base *base, struct engine *engine,
                                  const struct keys *keys, struct journal *journal);
void supervisor_free(struct supervisor *supervisor); /* NULL is allowed */

/* Tells the status line if it has changed. */
void supervisor_tell_status(struct supervisor *supervisor);

void supervisor_feed_watchdog(void);

/* The control socket that systemd kept over a restart, or listens on; -1: none. */
int supervisor_inherited_socket(void);

/* Has systemd keep it over a restart, and over a crash. */
void supervisor_keep_socket(int fd);

/* The start takes long and gets on: systemd is to wait for it. Needs saying every
 * START_EXTEND_USEC / 2 at least. `text`: what takes so long; `seconds`: it has taken so far. */
void supervisor_starting(const char *text, unsigned seconds);
void supervisor_ready(void);
void supervisor_stopping(void);
void supervisor_reloading(uint64_t monotonic);
void supervisor_failed(const char *text, int error); /* a positive errno */
