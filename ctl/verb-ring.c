/* ringchatctl ring: the ring drawn for the eye. Two columns: down the left one, over to the right
 * one, up that and back, so that who feeds whom is seen as a loop. Too many members, or too narrow
 * a terminal, and it is a list. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include "common/text.h"
#include "common/time-format.h"
#include "common/util.h"
#include "ring-picture.h"
#include "verbs.h"

/* More do not fit the rows of a usual terminal. */
#define DRAWN_MAX 12

/* Columns below which there is no place for two members side by side. */
#define DRAWN_COLUMNS_MIN 60

/* The picture is no wider than this: the eye should not have to travel. */
#define PICTURE_COLUMNS_MAX 76

/* A hop is slow if it takes so many times the median, and so long that it matters, µs. */
#define SLOW_TIMES 3
#define SLOW_USEC 1000

struct glyphs {
    const char *down, *up, *left, *right, *line, *top_left, *top_right, *bottom_left, *bottom_right;
    const char *bar, *leader, *more;
};

static const struct glyphs unicode_glyphs = {
    .down = "▼",
    .up = "▲",
    .left = "◀",
    .right = "▶",
    .line = "─",
    .top_left = "╭",
    .top_right = "╮",
    .bottom_left = "╰",
    .bottom_right = "╯",
    .bar = "│",
    .leader = "★",
    .more = "…",
};

static const struct glyphs ascii_glyphs = {
    .down = "v",
    .up = "^",
    .left = "<",
    .right = ">",
    .line = "-",
    .top_left = "+",
    .top_right = "+",
    .bottom_left = "+",
    .bottom_right = "+",
    .bar = "|",
    .leader = "*",
    .more = "~",
};

struct picture {
    const struct context *context;
    const struct glyphs *glyphs;
    struct json_object *members;
    size_t count, first; /* the leader, who is drawn first */
    uint64_t slow;       /* a hop of this time or more is; UINT64_MAX: none */
    size_t column;       /* width of one of the two columns */
};

static struct json_object *member_at(const struct picture *picture, size_t number)
{
    return json_object_array_get_idx(picture->members, (picture->first + number) % picture->count);
}

static uint64_t hop_of(const struct picture *picture, size_t number)
{
    return field_number(member_at(picture, number), "hop_usec");
}

/* ---- hops ---- */

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return left < right ? -1 : left > right;
}

static uint64_t slow_from(const struct picture *picture)
{
    _cleanup_free_ uint64_t *hops = calloc(picture->count, sizeof(*hops));

    if (!hops || picture->count < 3)
        return UINT64_MAX;
    for (size_t i = 0; i < picture->count; i++)
        hops[i] = hop_of(picture, i);
    qsort(hops, picture->count, sizeof(*hops), compare);
    return MAX(SLOW_TIMES * hops[(picture->count - 1) / 2], (uint64_t)SLOW_USEC);
}

static bool is_slow(const struct picture *picture, size_t number)
{
    return hop_of(picture, number) >= picture->slow;
}

/* "1.2 ms", "1.2 ms, slow", "?": not measured yet. */
static void hop_text(const struct picture *picture, size_t number, char ret[TIME_TEXT_MAX + 8])
{
    char span[TIME_TEXT_MAX] = "?";

    if (hop_of(picture, number))
        time_format_span(hop_of(picture, number), span);
    snprintf(ret, TIME_TEXT_MAX + 8, "%s%s", span, is_slow(picture, number) ? ", slow" : "");
}

/* ---- pieces of text ---- */

/* Writes at most `columns` columns; with `fill` blanks up to them. */
static void put(const struct picture *picture, const char *text, bool fill, const char *colour)
{
    size_t used = 0, columns = picture->column;
    mbstate_t state = {0};
    const char *at = text;

    fputs(colour, stdout);
    while (*at) {
        wchar_t character;
        size_t size = mbrtowc(&character, at, strlen(at), &state);
        int width = size == (size_t)-1 || size == (size_t)-2 ? 1 : wcwidth(character);

        if (size == (size_t)-1 || size == (size_t)-2)
            size = 1;
        if (used + (size_t)MAX(width, 0) + (at[size] ? 1U : 0U) > columns) {
            fputs(picture->glyphs->more, stdout);
            used++;
            break;
        }
        fwrite(at, 1, size, stdout);
        used += (size_t)MAX(width, 0);
        at += size;
    }
    fputs(*colour ? plain(picture->context) : "", stdout);
    if (fill)
        printf("%*s", (int)(columns - MIN(used, columns)), "");
}

/* "★ alpha (this host)", to be freed. */
static char *label_of(const struct picture *picture, size_t number)
{
    struct json_object *member = member_at(picture, number);
    _cleanup_free_ char *name = visible(field_text(member, "name"));
    char *label;

    if (asprintf(&label, "%s %s%s", field_flag(member, "leader") ? picture->glyphs->leader : " ",
                 name, field_flag(member, "self") ? " (this host)" : "") < 0)
        return NULL;
    return label;
}

static void put_member(const struct picture *picture, size_t number, bool fill)
{
    _cleanup_free_ char *label = label_of(picture, number);
    bool leader = field_flag(member_at(picture, number), "leader");

    put(picture, label ? label : "?", fill, leader ? bold(picture->context) : "");
}

static const char *hop_colour(const struct picture *picture, size_t number)
{
    return is_slow(picture, number) ? warning_colour(picture->context) : dim(picture->context);
}

/* "  ▼ 89 us" */
static void put_hop(const struct picture *picture, const char *arrow, size_t number, bool fill)
{
    char hop[TIME_TEXT_MAX + 8], text[TIME_TEXT_MAX + 16];

    hop_text(picture, number, hop);
    snprintf(text, sizeof(text), "  %s %s", arrow, hop);
    put(picture, text, fill, hop_colour(picture, number));
}

/* "  ╭◀───── 89 us ─────╮": the hop from one column to the other, at the top or at the bottom. */
static void put_edge(const struct picture *picture, bool top, size_t number)
{
    const struct glyphs *glyphs = picture->glyphs;
    char hop[TIME_TEXT_MAX + 8];
    size_t inside = picture->column - 1, size, before;

    hop_text(picture, number, hop);
    /* The arrow, and a blank on each side of the time. */
    size = text_columns(hop) + 3;
    before = inside > size ? (inside - size) / 2 : 0;
    printf("  %s%s%s", hop_colour(picture, number), top ? glyphs->top_left : glyphs->bottom_left,
           top ? glyphs->left : "");
    for (size_t i = 0; i < before; i++)
        fputs(glyphs->line, stdout);
    printf(" %s ", hop);
    for (size_t i = before + size; i < inside; i++)
        fputs(glyphs->line, stdout);
    printf("%s%s%s\n", top ? "" : glyphs->right, top ? glyphs->top_right : glyphs->bottom_right,
           plain(picture->context));
}

/* ---- the two forms ---- */

/* Down the left column go the first members, up the right one the others. */
static void draw(const struct picture *picture)
{
    size_t count = picture->count, left = (count + 1) / 2, right = count - left;

    put_edge(picture, true, count - 1);
    for (size_t row = 0; row < left; row++) {
        put_member(picture, row, true);
        if (row < right)
            put_member(picture, count - 1 - row, false);
        else
            printf("  %s%s%s", dim(picture->context), picture->glyphs->bar,
                   plain(picture->context));
        putchar('\n');
        if (row + 1 == left)
            break;
        put_hop(picture, picture->glyphs->down, row, true);
        if (row + 1 < right)
            put_hop(picture, picture->glyphs->up, count - 2 - row, false);
        else
            printf("  %s%s%s", dim(picture->context), picture->glyphs->bar,
                   plain(picture->context));
        putchar('\n');
    }
    put_edge(picture, false, left - 1);
}

static void list(const struct picture *picture)
{
    for (size_t i = 0; i < picture->count; i++) {
        _cleanup_free_ char *label = label_of(picture, i);
        char hop[TIME_TEXT_MAX + 8];

        hop_text(picture, i, hop);
        printf("%s%s%s\n",
               field_flag(member_at(picture, i), "leader") ? bold(picture->context) : "",
               label ? label : "?", plain(picture->context));
        if (picture->count > 1)
            printf("  %s%s %s%s\n", hop_colour(picture, i), picture->glyphs->down, hop,
                   plain(picture->context));
    }
    if (picture->count > 1) {
        _cleanup_free_ char *label = label_of(picture, 0);

        printf("%s%s, the first again%s\n", dim(picture->context), label ? label : "?",
               plain(picture->context));
    }
}

/* ---- who went ---- */

static bool is_member(const struct picture *picture, const char *id)
{
    for (size_t i = 0; i < picture->count; i++) {
        if (strcmp(field_text(member_at(picture, i), "id"), id) == 0)
            return true;
    }
    return false;
}

static void print_gone(const struct picture *picture, struct json_object *gone)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    for (size_t i = 0; gone && i < json_object_array_length(gone); i++) {
        struct json_object *node = json_object_array_get_idx(gone, i);
        _cleanup_free_ char *name = visible(field_text(node, "name"));
        bool failed = strcmp(field_text(node, "event"), "failed") == 0;
        bool back = is_member(picture, field_text(node, "id"));
        uint64_t wall = (uint64_t)now.tv_sec * USEC_PER_SEC, time = field_number(node, "time");
        char span[TIME_TEXT_MAX];

        time_format_span(wall > time ? wall - time : 0, span);
        printf("%s%s %s %s ago%s%s\n",
               failed && !back ? warning_colour(picture->context) : dim(picture->context), name,
               failed ? "failed" : "left", span, back ? ", and is back" : "",
               plain(picture->context));
    }
}

void ring_draw(const struct context *context, struct json_object *reply, size_t columns)
{
    struct picture picture = {
        .context = context,
        .glyphs = context->ascii ? &ascii_glyphs : &unicode_glyphs,
        .members = field(reply, "members"),
        .column = (MIN(columns, (size_t)PICTURE_COLUMNS_MAX) - 2) / 2,
    };

    picture.count = json_object_array_length(picture.members);
    if (picture.count == 0)
        return;
    for (size_t i = 0; i < picture.count; i++) {
        if (field_flag(json_object_array_get_idx(picture.members, i), "leader"))
            picture.first = i;
    }
    picture.slow = slow_from(&picture);
    if (picture.count >= 2 && picture.count <= DRAWN_MAX && columns >= DRAWN_COLUMNS_MIN)
        draw(&picture);
    else
        list(&picture);
    print_gone(&picture, field(reply, "gone"));
}

int verb_ring(struct context *context, int argc, char **argv)
{
    struct varlink_reply reply;
    int result;

    if (argc > 1)
        return verb_usage("ring", "unexpected: \"%s\"", argv[1]);
    result = context_call(context, VARLINK_INTERFACE ".Members", NULL, &reply);
    if (result != 0)
        return result;
    if (context->json) {
        print_json(context, reply.parameters);
    } else {
        if (!context->no_legend)
            print_warnings(context, field(reply.parameters, "warnings"));
        ring_draw(context, reply.parameters, terminal_columns());
    }
    varlink_reply_done(&reply);
    return EXIT_DONE;
}
