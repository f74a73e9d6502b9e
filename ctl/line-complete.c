/* Completion in the line that is typed. */

#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "line-internal.h"

/* Candidates that a completion may have. */
#define CANDIDATES_MAX 64

struct candidates {
    size_t count;
    char *words[CANDIDATES_MAX];
};

static void add_candidate(void *list, const char *word)
{
    struct candidates *candidates = list;

    for (size_t i = 0; i < candidates->count; i++) {
        if (strcmp(candidates->words[i], word) == 0)
            return;
    }
    if (candidates->count < CANDIDATES_MAX) {
        candidates->words[candidates->count] = strdup(word);
        candidates->count += candidates->words[candidates->count] != NULL;
    }
}

/* Bytes that all candidates have in common. */
static size_t common_size(const struct candidates *candidates)
{
    size_t size = strlen(candidates->words[0]);

    for (size_t i = 1; i < candidates->count; i++) {
        size_t same = 0;

        while (same < size && candidates->words[i][same] == candidates->words[0][same])
            same++;
        size = same;
    }
    return text_cut(candidates->words[0], strlen(candidates->words[0]), size);
}

/* The bytes of one character, or of one with marks. */
static size_t put_narrow(const struct line *line, char *bytes, wchar_t character)
{
    const wchar_t one[] = {character, L'\0'};
    const wchar_t *text = cluster_find(&line->clusters, character);
    mbstate_t state = {0};
    size_t used = 0;

    for (const wchar_t *at = text ? text : one; *at; at++) {
        size_t length = wcrtomb(bytes + used, *at, &state);

        used += length == (size_t)-1 ? 0 : length;
    }
    return used;
}

char *narrow(const struct line *line, const wchar_t *text, size_t size)
{
    char *bytes = malloc(size * CLUSTER_LENGTH_MAX * MB_CUR_MAX + 1);
    size_t used = 0;

    for (size_t i = 0; bytes && i < size; i++)
        used += put_narrow(line, bytes + used, text[i]);
    if (bytes)
        bytes[used] = '\0';
    return bytes;
}

wchar_t *widen(const char *text)
{
    size_t most = strlen(text) + 1;
    wchar_t *wide = calloc(most, sizeof(*wide));

    if (wide && mbstowcs(wide, text, most - 1) == (size_t)-1)
        *wide = L'\0';
    return wide;
}

/* Puts what the candidates have in common in the place of the last word. Whether that is more than
 * was typed. */
static bool insert_common(struct line *line, const struct candidates *candidates, const char *text)
{
    const char *blank = strrchr(text, ' ');
    const char *word = blank ? blank + 1 : text;
    size_t common = common_size(candidates), typed = strlen(word);
    _cleanup_free_ char *more = NULL;
    _cleanup_free_ wchar_t *wide = NULL;

    if (common < typed || (common == typed && candidates->count > 1))
        return false;
    more = strndup(candidates->words[0], common);
    wide = more ? widen(more) : NULL;
    if (!wide)
        return false;
    /* Replaced as a whole: capital letters may differ. */
    while (el_wline(line->editor)->cursor > el_wline(line->editor)->buffer &&
           el_wline(line->editor)->cursor[-1] != L' ')
        el_wdeletestr(line->editor, 1);
    el_winsertstr(line->editor, wide);
    if (candidates->count == 1)
        el_winsertstr(line->editor, L" ");
    return true;
}

unsigned char line_complete(EditLine *editor, wint_t key)
{
    const LineInfoW *info = el_wline(editor);
    _cleanup_free_ char *text = NULL;
    struct candidates candidates = {0};
    unsigned char result = CC_REFRESH_BEEP;
    struct line *line;

    (void)key;
    el_wget(editor, EL_CLIENTDATA, &line);
    text = narrow(line, info->buffer, (size_t)(info->cursor - info->buffer));
    if (text)
        line->options.complete(line->options.userdata, text, add_candidate, &candidates);
    if (candidates.count > 0 && insert_common(line, &candidates, text)) {
        result = CC_REFRESH;
    } else if (candidates.count > 1) {
        line_hide(line);
        line->options.list(line->options.userdata, candidates.count, candidates.words);
        line_show(line);
        result = CC_REFRESH;
    }
    for (size_t i = 0; i < candidates.count; i++)
        free(candidates.words[i]);
    return result;
}
