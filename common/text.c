#include "common/text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "common/check.h"
#include "common/cleanup.h"
#include "common/util.h"

/* Bytes that are looked at together: compilers make a few vectors of them. */
#define BLOCK_BYTES 32

struct range {
    uint32_t first, last;
};

/* What is invisible, moves the cursor, or changes the direction of reading (Unicode categories Cc,
 * Zl, Zp, and those of Cf that do so), ascending. U+200C and U+200D, the joiners, are needed to
 * write. */
static const struct range unsafe[] = {
    {0x00, 0x1f},       /* C0 */
    {0x7f, 0x9f},       /* DEL, C1 */
    {0xad, 0xad},       /* soft hyphen */
    {0x61c, 0x61c},     /* Arabic letter mark */
    {0x180e, 0x180e},   /* Mongolian vowel separator */
    {0x200b, 0x200b},   /* zero width space */
    {0x200e, 0x200f},   /* left-to-right and right-to-left mark */
    {0x2028, 0x202e},   /* separators, embeddings, overrides */
    {0x2060, 0x206f},   /* word joiner, invisible operators, isolates */
    {0xfeff, 0xfeff},   /* byte order mark */
    {0xfff9, 0xfffb},   /* interlinear annotation */
    {0xe0000, 0xe007f}, /* tags */
};

struct span span_of(const char *text)
{
    return (struct span){text, strlen(text)};
}

bool span_equal(struct span a, struct span b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Decodes one character of at most `size` (> 0) bytes. Its length, or 0 where the bytes are broken.
 */
static size_t decode(const unsigned char *data, size_t size, uint32_t *ret)
{
    static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = data[0] < 0x80 ? 1 : data[0] < 0xe0 ? 2 : data[0] < 0xf0 ? 3 : 4;
    uint32_t value;

    if (length > size || (data[0] >= 0x80 && data[0] < 0xc2) || data[0] > 0xf4)
        return 0;
    value = length == 1 ? data[0] : data[0] & (0x7fU >> length);
    for (size_t i = 1; i < length; i++) {
        if ((data[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (data[i] & 0x3f);
    }
    if (value < lowest[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    *ret = value;
    return length;
}

static inline bool all_ascii(const char *data, size_t size)
{
    unsigned char all = 0;

    for (size_t i = 0; i < size; i++)
        all |= (unsigned char)data[i];
    return all < 0x80;
}

/* The length of what begins with an ASCII character: a block, if all of it is. */
static inline size_t ascii_size(const char *data, size_t size)
{
    return size >= BLOCK_BYTES && all_ascii(data, BLOCK_BYTES) ? BLOCK_BYTES : 1;
}

bool text_is_ascii(const char *data, size_t size)
{
    return all_ascii(data, size);
}

bool text_is_utf8(const char *data, size_t size)
{
    uint32_t character;

    for (size_t i = 0, length; i < size; i += length) {
        length = (unsigned char)data[i] < 0x80
                     ? ascii_size(data + i, size - i)
                     : decode((const unsigned char *)data + i, size - i, &character);
        if (length == 0)
            return false;
    }
    return true;
}

static inline bool all_plain(const char *data, size_t size)
{
    unsigned char special = 0;

    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)data[i];

        special |= (unsigned char)((c < ' ') | (c == '"') | (c == '\\'));
    }
    return special == 0;
}

size_t text_plain_size(const char *data, size_t size)
{
    size_t plain = 0;

    while (size - plain >= BLOCK_BYTES && all_plain(data + plain, BLOCK_BYTES))
        plain += BLOCK_BYTES;
    return plain > 0 || size == 0 ? plain : all_plain(data, 1);
}

/* One escape, or two for a pair of surrogates. */
static size_t put_escape(char *to, uint32_t character)
{
    if (character < 0x10000)
        return (size_t)sprintf(to, "\\u%04x", character);
    character -= 0x10000;
    return (size_t)sprintf(to, "\\u%04x\\u%04x", 0xd800 | (character >> 10 & 0x3ff),
                           0xdc00 | (character & 0x3ff));
}

char *text_escape(const char *data, size_t size, size_t *ret_size)
{
    /* Two bytes become six, three six, four twelve; sprintf(3) ends with NUL. */
    char *escaped = malloc(3 * size + 1);
    size_t at = 0;

    if (!escaped)
        return NULL;
    for (size_t i = 0, length; i < size; i += length) {
        uint32_t character = 0;

        length = decode((const unsigned char *)data + i, size - i, &character);
        check(length > 0);
        if (length == 1)
            escaped[at++] = data[i];
        else
            at += put_escape(escaped + at, character);
    }
    *ret_size = at;
    return escaped;
}

size_t text_cut(const char *data, size_t size, size_t limit)
{
    if (size <= limit)
        return size;
    while (limit > 0 && ((unsigned char)data[limit] & 0xc0) == 0x80)
        limit--;
    return limit;
}

char *text_repair(const char *data, size_t size, size_t *ret_size)
{
    static const char replacement[] = "\xef\xbf\xbd";
    char *text = malloc(size * (sizeof(replacement) - 1) + 1);
    size_t used = 0;
    uint32_t character;

    if (!text)
        return NULL;
    for (size_t i = 0, length; i < size; i += MAX(length, 1U)) {
        bool keep;

        length = decode((const unsigned char *)data + i, size - i, &character);
        keep = length > 0 && character != 0;
        if (keep)
            memcpy(text + used, data + i, length);
        else
            memcpy(text + used, replacement, sizeof(replacement) - 1);
        used += keep ? length : sizeof(replacement) - 1;
    }
    text[used] = '\0';
    if (ret_size)
        *ret_size = used;
    return text;
}

static bool is_unsafe(uint32_t character)
{
    for (size_t i = 0; i < ELEMENTS(unsafe) && unsafe[i].first <= character; i++)
        if (character <= unsafe[i].last)
            return true;
    return false;
}

void text_put_json(FILE *to, const char *data, size_t size)
{
    size_t written = 0;
    uint32_t character;

    for (size_t i = 0, length; i < size; i += MAX(length, 1U)) {
        char escape[13];

        length = 1;
        if ((unsigned char)data[i] < 0x7f)
            continue;
        length = decode((const unsigned char *)data + i, size - i, &character);
        if (length > 0 && !is_unsafe(character))
            continue;
        fwrite(data + written, 1, i - written, to);
        fwrite(escape, 1, put_escape(escape, length > 0 ? character : 0xfffd), to);
        written = i + MAX(length, 1U);
    }
    fwrite(data + written, 1, size - written, to);
}

static void put_unsafe(FILE *to, uint32_t character, const char *newline)
{
    if (character == '\n')
        fputs(newline ? newline : "\\n", to);
    else if (character == '\t')
        fputc(' ', to);
    else
        fprintf(to, character < 0x80 ? "\\x%02x" : "\\u{%x}", character);
}

char *text_visible(const char *data, size_t size, const char *newline)
{
    char *text = NULL;
    size_t text_size;
    FILE *to = open_memstream(&text, &text_size);
    uint32_t character;

    if (!to)
        return NULL;
    for (size_t i = 0, length; i < size; i += MAX(length, 1U)) {
        length = decode((const unsigned char *)data + i, size - i, &character);
        if (length == 0)
            fprintf(to, "\\x%02x", (unsigned char)data[i]);
        else if (is_unsafe(character))
            put_unsafe(to, character, newline);
        else
            fwrite(data + i, 1, length, to);
    }
    if (fclose(to) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

size_t text_columns(const char *text)
{
    mbstate_t state = {0};
    size_t columns = 0;

    for (size_t size = strlen(text); size > 0;) {
        wchar_t character;
        size_t length = mbrtowc(&character, text, size, &state);
        int width;

        /* Not of this locale: a column a byte, and on with the next. */
        if (length == (size_t)-1 || length == (size_t)-2) {
            memset(&state, 0, sizeof(state));
            length = 1;
            width = 1;
        } else {
            width = wcwidth(character);
        }
        columns += width > 0 ? (size_t)width : 0;
        text += length;
        size -= length;
    }
    return columns;
}
