#pragma once

/* Keeps a line that comes again and again from filling the journal: of lines with one key, so many
 * pass within a window, and the others are counted. Not for debug lines, which are asked for. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/util.h"

/* How many pass, and in which time: a ring of a hundred that forms anew says less about one host,
 * and a flood says no more. */
#define LIMIT_BURST 20
#define LIMIT_WINDOW (10 * USEC_PER_SEC)

/* Keys that are told apart within a window; where there are more, they share the last place. */
#define LIMIT_PLACES 64

/* What is shown of a line that was left out. */
#define LIMIT_TEXT_MAX 120

struct journal_limit {
    struct journal_limit_place {
        uint64_t key;
        uint64_t begun; /* the window, monotonic µs; 0: never used */
        size_t passed, left_out;
        char text[LIMIT_TEXT_MAX]; /* of the first that was left out */
    } places[LIMIT_PLACES];
};

/* Whether a line may pass. `now`: monotonic µs. */
bool journal_limit_pass(struct journal_limit *limit, uint64_t key, const char *text, uint64_t now);

/* A window that has ended with lines left out: true, with their count and the first one's text,
 * valid until the next call. To be called until it returns false. */
bool journal_limit_report(struct journal_limit *limit, uint64_t now, size_t *ret_left_out,
                          const char **ret_text);
