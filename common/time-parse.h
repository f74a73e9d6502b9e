#pragma once

/* Times and lengths of time as people type them: systemd.time(7). */

#include <stdint.h>

/* A length of time ("1min 30s", "500ms"); a plain number is seconds. 0 or -EINVAL. */
int span_parse(const char *text, uint64_t *ret_usec);

/* A point in time, µs since the epoch: "now", "today", "yesterday", "tomorrow", "-1h", "+5min",
 * "2 days ago", "@1764061200", "2026-11-23", "10:00", "Mon 2026-11-23 10:00:30.5 UTC". Without UTC
 * it is local time; a date without a time is its beginning, a time without a date is today's. `now`
 * is the present in µs. 0 or -EINVAL. */
int time_parse(const char *text, uint64_t now, uint64_t *ret_usec);
