/* key: the ring's keys, in the running daemon or in a file without one. */

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/keyring.h"
#include "common/text.h"
#include "common/util.h"
#include "output.h"
#include "table.h"
#include "verbs.h"

/* What is asked for. */
struct request {
    const struct context *context;
    const char *path; /* --file, or NULL */
    uint32_t id;      /* where one is given */
    bool has_id;
    struct ring_key key; /* for add */
};

/* ---- reading a key ---- */

/* A line without its echo: a key does not belong on a screen. */
static bool read_line(char *line, size_t size)
{
    struct termios before, quiet;
    bool is_terminal = tcgetattr(STDIN_FILENO, &before) == 0, read;

    if (is_terminal) {
        fputs("Paste the line that ringchatctl key show prints on another host: ", stderr);
        quiet = before;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    }
    read = fgets(line, (int)size, stdin) != NULL;
    if (is_terminal) {
        tcsetattr(STDIN_FILENO, TCSANOW, &before);
        fputc('\n', stderr);
    }
    return read;
}

static int read_key(struct request *request)
{
    char line[2 * KEY_LINE_MAX];
    int result = read_line(line, sizeof(line)) ? key_parse(line, &request->key) : -ENODATA;

    explicit_bzero(line, sizeof(line));
    if (result == -ENODATA)
        return complain(EXIT_FAILED, "no key was given; it is the line of: ringchatctl key show");
    if (result == -EBADMSG)
        return complain(EXIT_FAILED, "the key is cut or mistyped; copy its line whole");
    if (result < 0)
        return complain(EXIT_FAILED, "that is no key; it is the line of: ringchatctl key show");
    return 0;
}

/* ---- printing ---- */

static struct json_object *id_object(uint32_t id)
{
    struct json_object *object = json_object_new_object();
    char text[KEY_ID_TEXT_MAX];

    key_format_id(id, text);
    json_object_object_add(object, "id", json_object_new_string(text));
    return object;
}

static void print_keys(const struct context *context, struct json_object *reply)
{
    static const char *const headings[] = {"KEY", "STATE"};
    _cleanup_(table_freep) struct table *table = NULL;
    _cleanup_free_ char *path = visible(field_text(reply, "path"));
    struct json_object *keys = field(reply, "keys");

    if (context->json) {
        print_json(context, reply);
        return;
    }
    table = table_new(ELEMENTS(headings), headings);
    for (size_t i = 0; table && i < json_object_array_length(keys); i++) {
        struct json_object *key = json_object_array_get_idx(keys, i);

        table_add(table, (const char *const[]){field_text(key, "id"),
                                               field_flag(key, "used") ? "in use" : "accepted"});
    }
    if (table)
        table_print(context, table);
    if (!context->no_legend)
        printf("%s%zu key%s, in %s%s\n", dim(context), json_object_array_length(keys),
               json_object_array_length(keys) == 1 ? "" : "s", path, plain(context));
}

static void print_key(const struct context *context, struct json_object *reply)
{
    if (context->json) {
        print_json(context, reply);
        return;
    }
    print_visible(field_text(reply, "key"));
    putchar('\n');
}

/* `what`: "removed", or NULL: as the reply says. */
static void print_change(const struct context *context, struct json_object *reply, const char *what)
{
    _cleanup_free_ char *id = visible(field_text(reply, "id"));
    uint64_t members = field_number(reply, "members");

    if (context->json) {
        print_json(context, reply);
        return;
    }
    if (context->quiet)
        return;
    if (!what)
        what = field_flag(reply, "used") ? "in use" : "accepted";
    printf("key %s is %s", id, what);
    if (members > 1)
        printf(" at all %llu members", (unsigned long long)members);
    putchar('\n');
}

/* ---- in a file ---- */

static int file_failed(char *error)
{
    int result = complain(EXIT_FAILED, "%s", error ? error : "out of memory");

    free(error);
    return result;
}

static int file_id_failed(const struct request *request, int error)
{
    if (error == -EBUSY)
        return complain(EXIT_FAILED,
                        "key %08x is in use; make another one that first: ringchatctl "
                        "key use",
                        request->id);
    if (error == -ENOSPC)
        return complain(EXIT_FAILED, "there are %d keys already; remove one first", KEYS_MAX);
    if (error == -EEXIST)
        return complain(EXIT_FAILED, "another key has the id %08x", request->key.id);
    return complain(EXIT_FAILED, "%s has no key %08x; see: ringchatctl key list --file %s",
                    request->path, request->id, request->path);
}

static int file_store(const struct request *request, const struct keyring *ring, uint32_t id,
                      const char *what)
{
    const struct ring_key *used = keyring_used(ring);
    struct json_object *object;
    char *error = NULL;

    if (keyring_save(request->path, ring, &error) < 0)
        return file_failed(error);
    object = id_object(id);
    json_object_object_add(object, "used", json_object_new_boolean(used && used->id == id));
    print_change(request->context, object, what);
    json_object_put(object);
    return EXIT_DONE;
}

/* A file belongs to a node that is not running, or to none: what is added is what it will use. */
static int file_add(struct request *request, struct keyring *ring)
{
    int result = keyring_add(ring, &request->key);

    if (result < 0)
        return file_id_failed(request, result);
    keyring_use(ring, request->key.id);
    ring->rotation++;
    return file_store(request, ring, request->key.id, NULL);
}

static int file_generate(struct request *request, struct keyring *ring)
{
    key_generate(&request->key);
    return file_add(request, ring);
}

static int file_show(struct request *request, struct keyring *ring)
{
    const struct ring_key *key =
        request->has_id ? keyring_find(ring, request->id) : keyring_used(ring);
    struct json_object *object;
    char line[KEY_LINE_MAX];

    if (!key && request->has_id)
        return file_id_failed(request, -ENOENT);
    if (!key)
        return complain(EXIT_FAILED,
                        "%s has no key; make one with: ringchatctl key generate "
                        "--file %s",
                        request->path, request->path);
    key_format(key, line);
    object = id_object(key->id);
    json_object_object_add(object, "key", json_object_new_string(line));
    print_key(request->context, object);
    json_object_put(object);
    explicit_bzero(line, sizeof(line));
    return EXIT_DONE;
}

static int file_use(struct request *request, struct keyring *ring)
{
    if (keyring_use(ring, request->id) < 0)
        return file_id_failed(request, -ENOENT);
    ring->rotation++;
    return file_store(request, ring, request->id, NULL);
}

static int file_remove(struct request *request, struct keyring *ring)
{
    int result = keyring_remove(ring, request->id);

    return result < 0 ? file_id_failed(request, result)
                      : file_store(request, ring, request->id, "removed");
}

static int file_list(struct request *request, struct keyring *ring)
{
    struct json_object *reply = json_object_new_object(), *keys = json_object_new_array();

    for (size_t i = 0; i < ring->count; i++) {
        struct json_object *key = id_object(ring->keys[i].id);

        json_object_object_add(key, "used", json_object_new_boolean(i == ring->used));
        json_object_array_add(keys, key);
    }
    json_object_object_add(reply, "keys", keys);
    json_object_object_add(reply, "path", json_object_new_string(request->path));
    print_keys(request->context, reply);
    json_object_put(reply);
    return EXIT_DONE;
}

/* ---- the words ---- */

static const struct word {
    const char *name, *method;
    int (*in_file)(struct request *request, struct keyring *ring);
    enum { ID_NONE, ID_MAY, ID_MUST } id;
    bool makes; /* the file need not be there */
} words[] = {
    {"generate", VARLINK_INTERFACE ".KeyGenerate", file_generate, ID_NONE, true},
    {"show", VARLINK_INTERFACE ".KeyShow", file_show, ID_MAY, false},
    {"add", VARLINK_INTERFACE ".KeyAdd", file_add, ID_NONE, true},
    {"use", VARLINK_INTERFACE ".KeyUse", file_use, ID_MUST, false},
    {"remove", VARLINK_INTERFACE ".KeyRemove", file_remove, ID_MUST, false},
    {"list", VARLINK_INTERFACE ".KeyList", file_list, ID_NONE, false},
};

static int run_in_file(const struct word *word, struct request *request)
{
    struct keyring ring = {0};
    char *error = NULL;
    int result = keyring_load(request->path, &ring, &error);

    if (result == -ENOENT && word->makes) {
        free(error);
        result = 0;
    }
    if (result < 0)
        return file_failed(error);
    result = word->in_file(request, &ring);
    keyring_done(&ring);
    return result;
}

static struct json_object *parameters(const struct word *word, const struct request *request)
{
    struct json_object *object =
        request->has_id ? id_object(request->id) : json_object_new_object();
    char line[KEY_LINE_MAX];

    if (word->in_file == file_add) {
        key_format(&request->key, line);
        json_object_object_add(object, "key", json_object_new_string(line));
        explicit_bzero(line, sizeof(line));
    }
    return object;
}

static int run_in_daemon(const struct word *word, const struct request *request)
{
    struct varlink_reply reply;
    int result = context_call(request->context, word->method, parameters(word, request), &reply);

    if (result != 0)
        return result;
    if (word->in_file == file_list)
        print_keys(request->context, reply.parameters);
    else if (word->in_file == file_show)
        print_key(request->context, reply.parameters);
    else
        print_change(request->context, reply.parameters,
                     word->in_file == file_remove ? "removed" : NULL);
    varlink_reply_done(&reply);
    return EXIT_DONE;
}

static const struct word *find_word(const char *name)
{
    for (size_t i = 0; name && i < ELEMENTS(words); i++) {
        if (strcmp(words[i].name, name) == 0)
            return &words[i];
    }
    return NULL;
}

/* The arguments behind the word. 0, or an exit code after a message. */
static int take_arguments(const struct word *word, struct request *request, int count, char **list)
{
    if (count > 0 && word->in_file == file_add)
        return verb_usage("key", "a key is never an argument, where others could see it: it is "
                                 "read from the terminal or standard input");
    if (count > (word->id != ID_NONE))
        return verb_usage("key", "unexpected: \"%s\"", list[word->id != ID_NONE]);
    if (count == 0)
        return word->id == ID_MUST ? verb_usage("key", "%s needs the id of a key", word->name) : 0;
    if (key_parse_id(list[0], &request->id) < 0)
        return verb_usage("key", "an id has 8 digits (see: ringchatctl key list), not \"%s\"",
                          list[0]);
    request->has_id = true;
    return 0;
}

int verb_key(struct context *context, int argc, char **argv)
{
    static const struct option options[] = {{"file", required_argument, NULL, 'f'},
                                            {NULL, 0, NULL, 0}};
    struct request request = {.context = context};
    const struct word *word;
    int option, result;

    while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        if (option != 'f')
            return verb_usage("key", "unknown option, or one without its value");
        request.path = optarg;
    }
    word = find_word(argv[optind]);
    if (!word && argv[optind])
        return verb_usage("key", "unknown: \"%s\"", argv[optind]);
    if (!word)
        return verb_usage("key", "what to do is missing");
    result = take_arguments(word, &request, argc - optind - 1, argv + optind + 1);
    if (result == 0 && word->in_file == file_add)
        result = read_key(&request);
    if (result == 0)
        result = request.path ? run_in_file(word, &request) : run_in_daemon(word, &request);
    explicit_bzero(&request.key, sizeof(request.key));
    return result;
}
