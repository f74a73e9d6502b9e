#include "line-cluster.h"

#include <string.h>
#include <wctype.h>

#include "common/util.h"

/* The first code: plane 15, which is for private use (Unicode 15, section 23.5). */
#define FIRST_CODE 0xf0000

/* In UTF-8 the codes are F3 B0 80 80 to F3 B0 8F BF. */
#define CODE_BYTES 4
#define CODE_BEGIN "\xf3\xb0"

bool cluster_is_mark(wchar_t character)
{
    return character > 0x7f && iswprint((wint_t)character) && wcwidth(character) == 0;
}

const wchar_t *cluster_find(const struct clusters *clusters, wchar_t code)
{
    size_t number = (size_t)(code - FIRST_CODE);

    return code >= FIRST_CODE && number < clusters->count ? clusters->list[number] : NULL;
}

wchar_t cluster_add(struct clusters *clusters, wchar_t base, wchar_t mark)
{
    const wchar_t *before = cluster_find(clusters, base);
    wchar_t text[CLUSTER_LENGTH_MAX + 1] = {base};
    size_t length;

    if (before)
        wcscpy(text, before);
    length = wcslen(text);
    if (length == CLUSTER_LENGTH_MAX || (!before && wcwidth(base) != 1))
        return 0;
    text[length] = mark;
    text[length + 1] = L'\0';
    for (size_t i = 0; i < clusters->count; i++) {
        if (wcscmp(clusters->list[i], text) == 0)
            return FIRST_CODE + (wchar_t)i;
    }
    if (clusters->count == CLUSTERS_MAX)
        return 0;
    wcscpy(clusters->list[clusters->count], text);
    return FIRST_CODE + (wchar_t)clusters->count++;
}

void clusters_pack(struct clusters *clusters, wchar_t *text)
{
    wchar_t *to = text, code;

    for (const wchar_t *at = text; *at; at++) {
        code = to > text && cluster_is_mark(*at) ? cluster_add(clusters, to[-1], *at) : 0;
        if (code)
            to[-1] = code;
        else
            *to++ = *at;
    }
    *to = L'\0';
}

/* ---- the stream ---- */

/* Writes what a code stands for. Whether the bytes are one. */
static bool put_code(const struct clusters *clusters, const unsigned char *bytes, size_t left)
{
    const wchar_t *text = NULL;

    if (left >= CODE_BYTES && memcmp(bytes, CODE_BEGIN, strlen(CODE_BEGIN)) == 0)
        text = cluster_find(clusters, FIRST_CODE + ((bytes[2] & 0x3f) << 6) + (bytes[3] & 0x3f));
    for (const wchar_t *at = text; at && *at; at++) {
        char character[16];
        mbstate_t state = {0};
        size_t size = wcrtomb(character, *at, &state);

        if (size != (size_t)-1)
            fwrite(character, 1, size, clusters->terminal);
    }
    return text != NULL;
}

/* The stream is not buffered: libedit writes a character at once, whole. */
static ssize_t write_codes(void *cookie, const char *data, size_t size)
{
    const struct clusters *clusters = cookie;

    for (size_t i = 0; i < size;) {
        if (put_code(clusters, (const unsigned char *)data + i, size - i)) {
            i += CODE_BYTES;
        } else {
            fputc(data[i], clusters->terminal);
            i++;
        }
    }
    return (ssize_t)size;
}

FILE *clusters_open(struct clusters *clusters, FILE *terminal)
{
    FILE *stream = fopencookie(clusters, "w", (cookie_io_functions_t){.write = write_codes});

    clusters->terminal = terminal;
    if (stream)
        setvbuf(stream, NULL, _IONBF, 0);
    return stream;
}
