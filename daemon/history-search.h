#pragma once

/* The history by what is asked for: times, user, node, room, words; in either direction. Takes
 * constant memory however much is found, and never long at once. */

#include "history.h"

/* What is asked for; the strings are copied. */
struct history_query {
    uint64_t since, until;           /* by `sent`, µs, both included; UINT64_MAX: no end */
    const char *user, *room, *words; /* NULL: any */
    const char *node; /* its name, or the beginning of its id (at least 4 digits); NULL: any */
    const struct history_position *upto; /* as it was there, for a tail that goes on from it; it
                                            lives as long as the search; NULL: as it is */
    uint64_t high;                       /* with `upto`: the highest clock there */
};

struct history_search;

/* `history` must live longer. 0; -EINVAL: the words cannot be looked for; or a negative errno. */
int history_search_new(struct history *history, const struct history_query *query,
                       struct history_search **ret);
void history_search_free(struct history_search *search); /* NULL is allowed */

/* Begins (again) at a key, itself included: upwards, or downwards. */
void history_search_start(struct history_search *search, const struct message_key *from, bool down);

/* The next messages in the direction, at most `count`. A page that is short, or empty, may not be
 * the end: call again. 0 or a negative errno. */
int history_search_read(struct history_search *search, size_t count, struct history_page *ret);
