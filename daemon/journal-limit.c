#include "journal-limit.h"

#include <stdio.h>

/* A window with lines left out goes on until they are reported. */
static bool is_over(const struct journal_limit_place *place, uint64_t now)
{
    return place->begun == 0 || (now - place->begun >= LIMIT_WINDOW && place->left_out == 0);
}

/* The key's own place, or one that is free. */
static struct journal_limit_place *find(struct journal_limit *limit, uint64_t key, uint64_t now)
{
    struct journal_limit_place *free_one = &limit->places[LIMIT_PLACES - 1];

    for (size_t i = LIMIT_PLACES; i-- > 0;) {
        if (limit->places[i].begun != 0 && limit->places[i].key == key)
            return &limit->places[i];
        if (is_over(&limit->places[i], now))
            free_one = &limit->places[i];
    }
    return free_one;
}

bool journal_limit_pass(struct journal_limit *limit, uint64_t key, const char *text, uint64_t now)
{
    struct journal_limit_place *place = find(limit, key, now);

    if (is_over(place, now))
        *place = (struct journal_limit_place){.key = key, .begun = now};
    if (place->passed < LIMIT_BURST) {
        place->passed++;
        return true;
    }
    if (place->left_out++ == 0)
        snprintf(place->text, sizeof(place->text), "%s", text);
    return false;
}

bool journal_limit_report(struct journal_limit *limit, uint64_t now, size_t *ret_left_out,
                          const char **ret_text)
{
    for (size_t i = 0; i < LIMIT_PLACES; i++) {
        if (limit->places[i].left_out == 0 || now - limit->places[i].begun < LIMIT_WINDOW)
            continue;
        *ret_left_out = limit->places[i].left_out;
        *ret_text = limit->places[i].text;
        limit->places[i].left_out = 0;
        limit->places[i].passed = 0;
        limit->places[i].begun = now;
        return true;
    }
    return false;
}
