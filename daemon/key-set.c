#include "key-set.h"

#include <errno.h>
#include <string.h>

#include "common/util.h"

#define ALLOCATED_MIN 64

void key_set_done(struct key_set *set)
{
    free(set->list);
    *set = (struct key_set){0};
}

/* How many keys are smaller. */
static size_t find(const struct key_set *set, const struct message_key *key)
{
    const struct message_key *list = set->list + set->first;
    size_t low = 0, high = set->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (message_key_compare(&list[middle], key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct key_set *set, size_t at, const struct message_key *key)
{
    return at < set->count && message_key_compare(&set->list[set->first + at], key) == 0;
}

bool key_set_contains(const struct key_set *set, const struct message_key *key)
{
    return set->count > 0 && is_at(set, find(set, key), key);
}

/* Makes room behind the last key: keys that have gone from the front leave some. */
static int reserve(struct key_set *set)
{
    size_t allocated = MAX(ALLOCATED_MIN, 2 * set->allocated);
    struct message_key *list;

    if (set->first + set->count < set->allocated)
        return 0;
    if (set->first > set->allocated / 2) {
        memmove(set->list, set->list + set->first, set->count * sizeof(*set->list));
        set->first = 0;
        return 0;
    }
    list = realloc(set->list, allocated * sizeof(*list));
    if (!list)
        return -ENOMEM;
    set->list = list;
    set->allocated = allocated;
    return 0;
}

int key_set_add(struct key_set *set, const struct message_key *key)
{
    size_t at = set->count ? find(set, key) : 0;
    struct message_key *place;

    if (is_at(set, at, key))
        return 0;
    if (reserve(set) < 0)
        return -ENOMEM;
    if (at < set->count / 2 && set->first > 0) {
        place = set->list + --set->first;
        memmove(place, place + 1, at * sizeof(*place));
        place += at;
    } else {
        place = set->list + set->first + at;
        memmove(place + 1, place, (set->count - at) * sizeof(*place));
    }
    *place = *key;
    set->count++;
    return 0;
}

void key_set_remove(struct key_set *set, const struct message_key *key)
{
    size_t at = set->count ? find(set, key) : 0;
    struct message_key *list = set->list + set->first;

    if (!is_at(set, at, key))
        return;
    set->count--;
    if (at < set->count / 2 + 1) {
        memmove(list + 1, list, at * sizeof(*list));
        set->first = set->count ? set->first + 1 : 0;
    } else {
        memmove(list + at, list + at + 1, (set->count - at) * sizeof(*list));
    }
}
