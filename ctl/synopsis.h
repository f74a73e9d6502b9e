#pragma once

/* What a verb takes, read from its line in the table of verbs, such as
 *
 *     [-r|--room ROOM] [--notice] [TEXT...|-]
 *
 * so that help, completion and the search for global options behind a verb cannot differ from it.
 * Words in small letters stand for themselves, those in capitals for what they name. */

#include <stdbool.h>
#include <stddef.h>

#include "common/text.h"

struct synopsis_item {
    bool option;          /* else it is an argument, and `names` its alternatives */
    struct span names;    /* "-r|--room"; "debug|heartbeat|TOPIC..." */
    struct span argument; /* of an option: "ROOM"; empty: it takes none */
};

/* Reads the next item from `*cursor`, which begins at the whole text, and moves it on. false: there
 * is none. The spans point into the text. */
bool synopsis_next(const char **cursor, struct synopsis_item *ret);

/* Takes the next alternative off `names`, less "..." behind it. false: there is none. */
bool synopsis_alternative(struct span *names, struct span *ret);

/* Finds the option that a typed word is ("-r", "-rops", "--room", "--room=ops"). false: none. */
bool synopsis_find_option(const char *synopsis, const char *word, struct synopsis_item *ret);

/* Whether the option's argument is the next word, and not in this one. */
bool synopsis_takes_next_word(const struct synopsis_item *option, const char *word);

/* Whether the words behind the options are free text, which may look like an option. */
bool synopsis_takes_text(const char *synopsis);
