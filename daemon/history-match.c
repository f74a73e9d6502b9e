#include "history-match.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bounds.h"
#include "common/util.h"
#include "store-schema.h"

/* A word as the index cuts it. */
struct word {
    char *literal; /* as it was given, where nothing is left of it */
    size_t count;
    char *parts[SEARCH_PARTS_MAX];
    bool prefix; /* the last part is a beginning */
    /* while a text is looked at: bit i, parts 0 … i are the last ones seen; and all were seen once
     */
    uint32_t seen;
    bool found;
};

struct match {
    fts5_tokenizer tokenizer;
    Fts5Tokenizer *instance;
    size_t count;
    struct word words[SEARCH_WORDS_MAX];
    char *query;
};

/* ---- the index's own way to cut texts ---- */

static int find_api(sqlite3 *database, fts5_api **ret)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(database, "SELECT fts5(?1)", -1, &statement, NULL);

    if (result == SQLITE_OK)
        result = sqlite3_bind_pointer(statement, 1, ret, "fts5_api_ptr", NULL);
    if (result == SQLITE_OK)
        sqlite3_step(statement);
    sqlite3_finalize(statement);
    return result == SQLITE_OK && *ret ? 0 : -ENOTSUP;
}

/* As STORE_TOKENIZER says. */
static int open_tokenizer(sqlite3 *database, struct match *match)
{
    const char *options[] = {"remove_diacritics", "2"};
    fts5_api *api = NULL;
    void *userdata = NULL;
    int result = find_api(database, &api);

    if (result < 0)
        return result;
    if (api->xFindTokenizer(api, "unicode61", &userdata, &match->tokenizer) != SQLITE_OK)
        return -ENOTSUP;
    return match->tokenizer.xCreate(userdata, options, ELEMENTS(options), &match->instance) ==
                   SQLITE_OK
               ? 0
               : -ENOMEM;
}

/* ---- the words ---- */

static int take_part(void *userdata, int flags, const char *token, int size, int start, int end)
{
    struct word *word = userdata;

    (void)flags, (void)start, (void)end;
    if (word->count == SEARCH_PARTS_MAX)
        return SQLITE_TOOBIG;
    word->parts[word->count] = strndup(token, (size_t)size);
    return word->parts[word->count++] ? SQLITE_OK : SQLITE_NOMEM;
}

static int add_word(struct match *match, const char *text, size_t size)
{
    struct word *word = &match->words[match->count];
    bool prefix = size > 1 && text[size - 1] == '*';
    int result;

    if (match->count == SEARCH_WORDS_MAX)
        return -EINVAL;
    match->count++;
    result = match->tokenizer.xTokenize(match->instance, word, FTS5_TOKENIZE_DOCUMENT, text,
                                        (int)(size - prefix), take_part);
    if (result != SQLITE_OK)
        return result == SQLITE_NOMEM ? -ENOMEM : -EINVAL;
    word->prefix = prefix && word->count > 0;
    if (word->count > 0)
        return 0;
    word->literal = strndup(text, size);
    return word->literal ? 0 : -ENOMEM;
}

static int add_words(struct match *match, const char *words)
{
    int result = 0;

    for (words += strspn(words, " \t\n"); result == 0 && *words; words += strspn(words, " \t\n")) {
        size_t size = strcspn(words, " \t\n");

        result = add_word(match, words, size);
        words += size;
    }
    return result == 0 && match->count == 0 ? -EINVAL : result;
}

/* All parts of all words, wherever they stand. None has a quotation mark. */
static int write_query(struct match *match)
{
    size_t size;
    FILE *out = open_memstream(&match->query, &size);

    if (!out)
        return -ENOMEM;
    for (size_t i = 0; i < match->count; i++) {
        const struct word *word = &match->words[i];

        for (size_t k = 0; k < word->count; k++)
            fprintf(out, "%s\"%s\"%s", ftell(out) > 0 ? " AND " : "", word->parts[k],
                    word->prefix && k + 1 == word->count ? " *" : "");
    }
    return fclose(out) == 0 ? 0 : -ENOMEM;
}

int match_new(sqlite3 *database, const char *words, struct match **ret)
{
    _cleanup_(match_freep) struct match *match = calloc(1, sizeof(*match));
    int result;

    if (!match)
        return -ENOMEM;
    result = open_tokenizer(database, match);
    if (result == 0)
        result = add_words(match, words);
    if (result == 0)
        result = write_query(match);
    if (result == 0)
        *ret = steal_pointer(match);
    return result;
}

void match_free(struct match *match)
{
    if (!match)
        return;
    for (size_t i = 0; i < match->count; i++) {
        for (size_t k = 0; k < match->words[i].count; k++)
            free(match->words[i].parts[k]);
        free(match->words[i].literal);
    }
    if (match->instance)
        match->tokenizer.xDelete(match->instance);
    free(match->query);
    free(match);
}

const char *match_query(const struct match *match)
{
    return *match->query ? match->query : NULL;
}

/* ---- a text ---- */

static bool is_part(const struct word *word, size_t part, const char *token, size_t size)
{
    size_t length = strlen(word->parts[part]);
    bool beginning = word->prefix && part + 1 == word->count;

    return (beginning ? size >= length : size == length) &&
           memcmp(word->parts[part], token, length) == 0;
}

static int see_token(void *userdata, int flags, const char *token, int size, int start, int end)
{
    struct match *match = userdata;

    (void)flags, (void)start, (void)end;
    for (size_t i = 0; i < match->count; i++) {
        struct word *word = &match->words[i];
        uint32_t possible = word->seen << 1 | 1;

        word->seen = 0;
        for (size_t k = 0; k < word->count && !word->found; k++) {
            if ((possible & 1U << k) && is_part(word, k, token, (size_t)size))
                word->seen |= 1U << k;
        }
        word->found |= word->count > 0 && (word->seen & 1U << (word->count - 1));
    }
    return SQLITE_OK;
}

int match_text(struct match *match, const char *text, size_t size)
{
    for (size_t i = 0; i < match->count; i++) {
        struct word *word = &match->words[i];

        word->seen = 0;
        word->found = word->literal && memmem(text, size, word->literal, strlen(word->literal));
        if (word->literal && !word->found)
            return 0;
    }
    if (match->tokenizer.xTokenize(match->instance, match, FTS5_TOKENIZE_DOCUMENT, text, (int)size,
                                   see_token) != SQLITE_OK)
        return -ENOMEM;
    for (size_t i = 0; i < match->count; i++) {
        if (!match->words[i].found)
            return 0;
    }
    return 1;
}
