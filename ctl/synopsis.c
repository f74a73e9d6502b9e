#include "synopsis.h"

#include <string.h>

static struct span word_at(const char *text, const char *ends)
{
    return (struct span){text, strcspn(text, ends)};
}

bool synopsis_next(const char **cursor, struct synopsis_item *ret)
{
    const char *at = *cursor + strspn(*cursor, " []");
    struct span names = word_at(at, " ]");

    if (names.size == 0)
        return false;
    *ret = (struct synopsis_item){.option = names.size > 1 && *at == '-', .names = names};
    at += names.size;
    /* An option's argument is in the same brackets. */
    if (ret->option && *at == ' ') {
        ret->argument = word_at(at + 1, " ]");
        at += 1 + ret->argument.size;
    }
    *cursor = at;
    return true;
}

bool synopsis_alternative(struct span *names, struct span *ret)
{
    const char *bar = memchr(names->data, '|', names->size);
    struct span name = *names;

    if (names->size == 0)
        return false;
    if (bar) {
        name.size = (size_t)(bar - names->data);
        names->data = bar + 1;
        names->size -= name.size + 1;
    } else {
        names->data += names->size;
        names->size = 0;
    }
    if (name.size > 3 && memcmp(name.data + name.size - 3, "...", 3) == 0)
        name.size -= 3;
    *ret = name;
    return true;
}

static bool is_option(struct span name, const char *word)
{
    struct span typed = word_at(word, "=");

    /* As getopt_long(3) has it, the beginning of a long option will do. */
    if (strncmp(word, "--", 2) == 0)
        return typed.size > 2 && typed.size <= name.size &&
               memcmp(name.data, typed.data, typed.size) == 0;
    return name.size == 2 && strncmp(name.data, word, 2) == 0;
}

bool synopsis_find_option(const char *synopsis, const char *word, struct synopsis_item *ret)
{
    struct synopsis_item item;
    struct span names, name;

    while (synopsis_next(&synopsis, &item)) {
        names = item.names;
        while (item.option && synopsis_alternative(&names, &name)) {
            if (is_option(name, word)) {
                *ret = item;
                return true;
            }
        }
    }
    return false;
}

bool synopsis_takes_next_word(const struct synopsis_item *option, const char *word)
{
    if (option->argument.size == 0)
        return false;
    return strncmp(word, "--", 2) == 0 ? strchr(word, '=') == NULL : strlen(word) == 2;
}

bool synopsis_takes_text(const char *synopsis)
{
    return strstr(synopsis, "TEXT") != NULL;
}
