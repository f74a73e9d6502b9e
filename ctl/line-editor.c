#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "common/bounds.h"
#include "common/text.h"
#include "common/util.h"
#include "line-history.h"

/* A terminal that does not know its size. */
#define COLUMNS_DEFAULT 80
#define ROWS_DEFAULT 24

#define PASTE_ON "\033[?2004h"
#define PASTE_OFF "\033[?2004l"
#define PASTE_END L"\033[201~"

/* What ^C does where something is typed: libedit's key that removes the line. */
#define KEY_REMOVE_LINE L'\025'

/* ---- signals ---- */

static volatile sig_atomic_t caught[NSIG];

static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGWINCH};

static void on_signal(int number)
{
    caught[number] = 1;
}

static void catch_signals(struct line *line)
{
    /* No SA_RESTART: poll() must return. */
    struct sigaction action = {.sa_handler = on_signal};

    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < ELEMENTS(signals); i++) {
        caught[signals[i]] = 0;
        sigaction(signals[i], &action, &line->old[signals[i]]);
    }
}

static void release_signals(struct line *line)
{
    for (size_t i = 0; i < ELEMENTS(signals); i++)
        sigaction(signals[i], &line->old[signals[i]], NULL);
}

static bool take_signal(int number)
{
    bool came = caught[number];

    caught[number] = 0;
    return came;
}

/* ---- the screen ---- */

static struct winsize terminal_size(void)
{
    struct winsize size = {0};

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        size.ws_col = COLUMNS_DEFAULT;
    if (size.ws_row == 0)
        size.ws_row = ROWS_DEFAULT;
    return size;
}

size_t line_columns(void)
{
    return terminal_size().ws_col;
}

/* Where libedit's cursor is when it has drawn some text, the prompt at its beginning. */
struct place {
    size_t row, column, columns;
};

static void advance(struct place *place, wchar_t character)
{
    size_t width;
    int columns = wcwidth(character);

    if (character == L'\n') {
        place->row++;
        place->column = 0;
        return;
    }
    if (character == L'\t')
        width = 8 - place->column % 8;
    else if (character < 32 || character == 127)
        width = 2; /* ^A */
    else if (columns < 0)
        width = character > 0xffff ? 8 : 7; /* \U+1234 */
    else
        width = (size_t)columns;
    if (place->column + width > place->columns) {
        place->row++;
        place->column = 0;
    }
    place->column += width;
    if (place->column >= place->columns) {
        place->row++;
        place->column = 0;
    }
}

/* The row of the cursor, and the last one, both from the prompt's on. */
static void measure(struct line *line, size_t *ret_cursor, size_t *ret_last)
{
    const LineInfoW *info = el_wline(line->editor);
    struct winsize size = terminal_size();
    struct place place = {.columns = size.ws_col};
    size_t most = size.ws_row - 1U, cursor;

    for (const wchar_t *at = line->prompt; *at; at++)
        advance(&place, *at);
    cursor = place.row;
    for (const wchar_t *at = info->buffer; at < info->lastchar; at++) {
        advance(&place, *at);
        if (at + 1 == info->cursor)
            cursor = place.row;
    }
    /* Of a text longer than the screen libedit shows the end. */
    *ret_cursor = MIN(cursor, most);
    *ret_last = MIN(place.row, most);
}

static void go_up_and_clear(size_t rows)
{
    putchar('\r');
    if (rows > 0)
        printf("\033[%zuA", rows);
    fputs("\033[J", stdout);
}

/* The rows that the lines above take when the terminal has folded those that became too long. */
static size_t rows_of(const char *lines)
{
    size_t rows = 0, columns = line_columns();

    for (const char *end; (end = strchr(lines, '\n')); lines = end + 1) {
        _cleanup_free_ char *text = strndup(lines, (size_t)(end - lines));
        size_t width = text ? text_columns(text) : 0;

        rows += width > 0 ? (width - 1) / columns + 1 : 1;
    }
    return rows;
}

static void draw_above(struct line *line)
{
    fputs(line->above, stdout);
    fflush(stdout);
}

void line_hide(struct line *line)
{
    size_t cursor, last;

    if (!line->reading || line->hidden)
        return;
    measure(line, &cursor, &last);
    go_up_and_clear(cursor + rows_of(line->above));
    fflush(stdout);
    line->hidden = true;
}

void line_show(struct line *line)
{
    if (!line->reading || !line->hidden)
        return;
    line->hidden = false;
    draw_above(line);
    el_wset(line->editor, EL_REFRESH);
    fflush(stdout);
}

/* ---- keys ---- */

static void after_resize(struct line *line)
{
    line_hide(line);
    el_resize(line->editor);
    line_show(line);
}

/* ^Z: the shell gets the terminal as it was. */
static void stop_process(struct line *line)
{
    line_hide(line);
    fputs(PASTE_OFF, stdout);
    fflush(stdout);
    el_wset(line->editor, EL_PREP_TERM, 0);
    raise(SIGSTOP);
    el_wset(line->editor, EL_PREP_TERM, 1);
    fputs(PASTE_ON, stdout);
    el_resize(line->editor);
    line_show(line);
}

/* 1: `ret` is a key to take. 0: the end. -1: nothing happened. */
static int take_signals(struct line *line, wchar_t *ret)
{
    const LineInfoW *info = el_wline(line->editor);

    if (take_signal(SIGTERM) || take_signal(SIGHUP))
        line->ending = true;
    if (take_signal(SIGTSTP))
        stop_process(line);
    if (take_signal(SIGWINCH))
        after_resize(line);
    if (take_signal(SIGINT)) {
        if (info->lastchar > info->buffer) {
            *ret = KEY_REMOVE_LINE;
            return 1;
        }
        line->ending = true;
    }
    return line->ending ? 0 : -1;
}

/* One character of UTF-8 from stdin. 1, or 0 at the end. */
static int read_character(wchar_t *ret)
{
    mbstate_t state = {0};

    for (;;) {
        char byte;
        ssize_t size = read(STDIN_FILENO, &byte, 1);
        size_t length;

        if (size < 0 && errno == EINTR)
            continue;
        if (size <= 0)
            return 0;
        length = mbrtowc(ret, &byte, 1, &state);
        if (length == (size_t)-1) {
            /* Not UTF-8: its place is marked. */
            *ret = 0xfffd;
            return 1;
        }
        if (length != (size_t)-2)
            return 1;
    }
}

/* A mark goes together with the character before it, which is taken off the line for that. */
static void take_mark(struct line *line, wchar_t *character)
{
    const LineInfoW *info = el_wline(line->editor);
    wchar_t code = info->cursor > info->buffer
                       ? cluster_add(&line->clusters, info->cursor[-1], *character)
                       : 0;

    if (!code)
        return;
    line_hide(line);
    el_wdeletestr(line->editor, 1);
    line_show(line);
    *character = code;
}

static int get_character(EditLine *editor, wchar_t *ret)
{
    struct line *line;
    int taken;

    el_wget(editor, EL_CLIENTDATA, &line);
    fflush(stdout);
    do {
        taken = take_signals(line, ret);
        if (taken >= 0)
            return taken;
    } while (!line->options.wait(line->options.userdata, STDIN_FILENO));
    taken = read_character(ret);
    if (taken == 1 && !line->pasting && cluster_is_mark(*ret))
        take_mark(line, ret);
    return taken;
}

/* ---- paste ---- */

static bool ends_with(const wchar_t *text, size_t size, const wchar_t *end)
{
    size_t length = wcslen(end);

    return size >= length && wmemcmp(text + size - length, end, length) == 0;
}

/* Line ends as terminals paste them become newlines. */
static void clean_paste(wchar_t *text)
{
    wchar_t *to = text;

    for (const wchar_t *at = text; *at; at++) {
        if (*at == L'\r' && at[1] == L'\n')
            continue;
        *to++ = *at == L'\r' ? L'\n' : *at;
    }
    /* The last newline is the end of the last line, and not an empty one. */
    if (to > text && to[-1] == L'\n')
        to--;
    *to = L'\0';
}

/* Reads up to the end of the paste. Whether that came. */
static bool read_paste(EditLine *editor, wchar_t *text)
{
    size_t size = 0;
    wchar_t character;

    while (size < TEXT_BYTES_MAX && el_wgetc(editor, &character) == 1) {
        if (character == L'\0')
            continue;
        text[size++] = character;
        if (!ends_with(text, size, PASTE_END))
            continue;
        text[size - wcslen(PASTE_END)] = L'\0';
        return true;
    }
    return false;
}

static unsigned char take_paste(EditLine *editor, wint_t key)
{
    _cleanup_free_ wchar_t *text = malloc((TEXT_BYTES_MAX + 1) * sizeof(*text));
    struct line *line;
    bool whole;

    (void)key;
    el_wget(editor, EL_CLIENTDATA, &line);
    line->pasting = true;
    whole = text && read_paste(editor, text);
    line->pasting = false;
    if (!whole)
        return CC_ERROR;
    clean_paste(text);
    clusters_pack(&line->clusters, text);
    return el_winsertstr(editor, text) < 0 ? CC_ERROR : CC_REFRESH;
}

/* ---- the line ---- */

static wchar_t *show_prompt(EditLine *editor)
{
    struct line *line;

    el_wget(editor, EL_CLIENTDATA, &line);
    return line->prompt;
}

void line_set_prompt(struct line *line, const char *prompt)
{
    wchar_t *wide = widen(prompt);

    if (!wide)
        return;
    free(line->prompt);
    line->prompt = wide;
}

void line_set_above(struct line *line, const char *lines)
{
    char *copy = strdup(lines);

    if (!copy)
        return;
    free(line->above);
    line->above = copy;
}

static void set_up_editor(struct line *line)
{
    EditLine *editor = line->editor;
    HistEventW event;

    el_wset(editor, EL_CLIENTDATA, line);
    el_wset(editor, EL_SIGNAL, 0);
    el_wset(editor, EL_EDITOR, L"emacs");
    el_wset(editor, EL_PROMPT, show_prompt);
    el_wset(editor, EL_GETCFN, get_character);
    el_wset(editor, EL_ADDFN, L"ringchat-paste", L"Take a paste as one text", take_paste);
    el_wset(editor, EL_ADDFN, L"ringchat-complete", L"Complete a word", line_complete);
    el_wset(editor, EL_BIND, L"\033[200~", L"ringchat-paste", NULL);
    el_wset(editor, EL_BIND, L"^I", L"ringchat-complete", NULL);
    el_wset(editor, EL_BIND, L"^R", L"em-inc-search-prev", NULL);
    history_w(line->history, &event, H_SETSIZE, HISTORY_MAX);
    history_w(line->history, &event, H_SETUNIQUE, 1);
    el_wset(editor, EL_HIST, history_w, line->history);
}

int line_new(const struct line_options *options, struct line **ret)
{
    _cleanup_(line_freep) struct line *line = calloc(1, sizeof(*line));

    if (!line)
        return -ENOMEM;
    line->options = *options;
    line->above = strdup("");
    line->prompt = wcsdup(L"> ");
    line->history = history_winit();
    line->stream = clusters_open(&line->clusters, stdout);
    if (line->stream)
        line->editor = el_init_fd("ringchatctl", stdin, line->stream, stderr, STDIN_FILENO,
                                  STDOUT_FILENO, STDERR_FILENO);
    if (!line->above || !line->prompt || !line->history || !line->editor)
        return -ENOMEM;
    set_up_editor(line);
    if (options->history_path)
        line_history_load(line, options->history_path);
    catch_signals(line);
    fputs(PASTE_ON, stdout);
    fflush(stdout);
    *ret = steal_pointer(line);
    return 0;
}

void line_free(struct line *line)
{
    if (!line)
        return;
    if (line->editor && line->history) {
        fputs(PASTE_OFF, stdout);
        fflush(stdout);
        release_signals(line);
    }
    if (line->editor)
        el_end(line->editor);
    if (line->stream)
        fclose(line->stream);
    if (line->history)
        history_wend(line->history);
    free(line->above);
    free(line->prompt);
    free(line);
}

/* Takes prompt and text off the screen when no more is read. With a complete text the cursor is
 * below it, as the newline at its end says. */
static void clear_typed(struct line *line, bool complete)
{
    size_t cursor, last;

    measure(line, &cursor, &last);
    go_up_and_clear((complete ? last : cursor) + rows_of(line->above));
    fflush(stdout);
}

char *line_read(struct line *line)
{
    const wchar_t *text;
    HistEventW event;
    int size = 0;
    char *bytes;

    if (line->ending)
        return NULL;
    draw_above(line);
    line->reading = true;
    text = el_wgets(line->editor, &size);
    line->reading = line->hidden = false;
    clear_typed(line, text && size > 0);
    if (!text || size <= 0)
        return NULL;
    if (text[size - 1] == L'\n')
        size--;
    bytes = narrow(line, text, (size_t)size);
    if (bytes && *bytes) {
        history_w(line->history, &event, H_ENTER, text);
        if (line->options.history_path)
            line_history_add(line->options.history_path, bytes);
    }
    return bytes;
}

void line_end(struct line *line)
{
    line->ending = true;
}
