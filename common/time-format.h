#pragma once

/* Times and sizes for people. Times are µs since the epoch (UTC); shown in local time. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for every text of this file, NUL included. */
#define TIME_TEXT_MAX 64

/* "10:32:07" */
void time_format_clock(uint64_t usec, char ret[TIME_TEXT_MAX]);

/* "Mon 2026-11-23", for the line between two days. */
void time_format_date(uint64_t usec, char ret[TIME_TEXT_MAX]);

/* "2026-11-23 10:32:07" */
void time_format_full(uint64_t usec, char ret[TIME_TEXT_MAX]);

/* Whether both are on one local day. */
bool time_same_day(uint64_t a, uint64_t b);

/* A length of time with two or three significant digits: "840 us", "1.8 ms", "12.3 s", "4 min 20
 * s", "3 h 12 min", "5 d 7 h". */
void time_format_span(uint64_t usec, char ret[TIME_TEXT_MAX]);

/* "512 B", "1.5 KiB", "20.3 MiB" */
void size_format(uint64_t bytes, char ret[TIME_TEXT_MAX]);
