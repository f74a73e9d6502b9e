#include "journal-limit.h"

#include <stdio.h>

bool journal_limit_pass(struct journal_limit *limit, uint64_t key, const char *text, uint64_t now)
{
    size_t place = key % LIMIT_PLACES;
    bool over = now - limit->places[place].begun >= LIMIT_WINDOW;

    /* A window with lines left out goes on until they are reported. */
    if (limit->places[place].begun == 0 || (over && limit->places[place].left_out == 0)) {
        limit->places[place].begun = now;
        limit->places[place].passed = 0;
    }
    if (limit->places[place].passed < LIMIT_BURST) {
        limit->places[place].passed++;
        return true;
    }
    if (limit->places[place].left_out++ == 0)
        snprintf(limit->places[place].text, LIMIT_TEXT_MAX, "%s", text);
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
