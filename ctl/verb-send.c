/* ringchatctl send */

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/bounds.h"
#include "common/message.h"
#include "common/text.h"
#include "common/time-format.h"
#include "common/util.h"
#include "output.h"
#include "send.h"

/* Standard input that is longer than this is no message. */
#define INPUT_BYTES_MAX (TEXT_BYTES_MAX + 1)

enum option_value { OPTION_ID = 256, OPTION_NOTICE, OPTION_EACH_LINE };

static const struct option long_options[] = {
    {"room", required_argument, NULL, 'r'},
    {"timeout", required_argument, NULL, 't'},
    {"id", required_argument, NULL, OPTION_ID},
    {"notice", no_argument, NULL, OPTION_NOTICE},
    {"each-line", no_argument, NULL, OPTION_EACH_LINE},
    {NULL, 0, NULL, 0},
};

/* 0, or an exit code after a message. */
static int take_option(int option, struct send_options *options)
{
    switch (option) {
    case 'r':
        options->room = optarg;
        return 0;
    case 't':
        options->timeout = parse_seconds(optarg);
        return options->timeout < 0 ? verb_usage("send", "-t takes seconds, not \"%s\"", optarg)
                                    : 0;
    case OPTION_ID:
        options->id = optarg;
        return 0;
    case OPTION_NOTICE:
        options->notice = true;
        return 0;
    case OPTION_EACH_LINE:
        options->each_line = true;
        return 0;
    }
    return verb_usage("send", "unknown option");
}

static int parse_options(int argc, char **argv, struct send_options *ret)
{
    int option, result = 0;

    *ret = (struct send_options){.timeout = -1};
    while (result == 0 && (option = getopt_long(argc, argv, "+r:t:", long_options, NULL)) >= 0)
        result = take_option(option, ret);
    if (result == 0 && ret->each_line && ret->id)
        return verb_usage("send", "--id is for one message, not for --each-line");
    return result;
}

/* Writes an id of the message's own, so that it is sent once however often it is tried. */
static const char *new_id(char text[ID_TEXT_MAX])
{
    struct id_source ids = {0};
    struct timespec now;
    uint8_t id[16];

    clock_gettime(CLOCK_REALTIME, &now);
    id_make(&ids, (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000, id);
    id_format(id, text);
    return text;
}

struct json_object *send_parameters(const struct send_options *options, const char *text,
                                    size_t size)
{
    struct json_object *object = json_object_new_object();

    json_object_object_add(object, "text", json_object_new_string_len(text, (int)size));
    if (options->room)
        json_object_object_add(object, "room", json_object_new_string(options->room));
    if (options->notice)
        json_object_object_add(object, "kind", json_object_new_string("notice"));
    if (options->id)
        json_object_object_add(object, "id", json_object_new_string(options->id));
    if (options->timeout >= 0)
        json_object_object_add(object, "timeout_usec", json_object_new_int64(options->timeout));
    return object;
}

int send_check_text(const char *text, size_t size)
{
    if (size == 0)
        return verb_usage("send", "the text is empty");
    if (memchr(text, '\0', size))
        return verb_usage("send", "the text has a NUL byte; send text, not binary data");
    if (!text_is_utf8(text, size))
        return verb_usage("send", "the text is not UTF-8; convert it with iconv(1)");
    return 0;
}

static void print_delivered(const struct context *context, struct json_object *reply)
{
    uint64_t members = field_number(reply, "members");
    char elapsed[TIME_TEXT_MAX];

    if (context->json) {
        print_json(context, reply);
        return;
    }
    if (context->quiet || !context->terminal)
        return;
    if (*field_text(reply, "warning")) {
        print_visible(field_text(reply, "warning"));
        putchar('\n');
        return;
    }
    time_format_span(field_number(reply, "elapsed_usec"), elapsed);
    printf("%sdelivered to %llu member%s in %s%s\n", dim(context), (unsigned long long)members,
           members == 1 ? "" : "s", elapsed, plain(context));
}

static int send_one(const struct context *context, const struct send_options *options,
                    const char *text, size_t size)
{
    struct send_options with_id = *options;
    struct varlink_reply reply;
    char id[ID_TEXT_MAX];
    int result = send_check_text(text, size);

    if (!with_id.id)
        with_id.id = new_id(id);
    if (result == 0)
        result = context_call(context, VARLINK_INTERFACE ".Send",
                              send_parameters(&with_id, text, size), &reply);
    if (result != 0)
        return result;
    print_delivered(context, reply.parameters);
    varlink_reply_done(&reply);
    return EXIT_DONE;
}

/* ---- where the text comes from ---- */

/* The words with a blank between them, to be freed. */
static char *join_words(int count, char **words)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    for (int i = 0; i < count; i++)
        fprintf(out, "%s%s", i ? " " : "", words[i]);
    fclose(out);
    return text;
}

static int send_input(const struct context *context, const struct send_options *options)
{
    _cleanup_free_ char *text = malloc(INPUT_BYTES_MAX + 1);
    size_t size;

    if (!text)
        return complain(EXIT_FAILED, "out of memory");
    size = fread(text, 1, INPUT_BYTES_MAX + 1, stdin);
    if (ferror(stdin))
        return complain(EXIT_FAILED, "standard input cannot be read: %s", strerror(errno));
    if (size > INPUT_BYTES_MAX)
        return complain(EXIT_FAILED, "standard input is longer than any message; send a part of "
                                     "it, or a line at a time with --each-line");
    if (size > 0 && text[size - 1] == '\n')
        size--;
    return send_one(context, options, text, size);
}

int verb_send(struct context *context, int argc, char **argv)
{
    _cleanup_free_ char *text = NULL;
    struct send_options send;
    bool words, dash;
    int result = parse_options(argc, argv, &send);

    if (result != 0)
        return result;
    words = optind < argc;
    dash = words && optind + 1 == argc && strcmp(argv[optind], "-") == 0;
    if (send.each_line)
        return words && !dash ? verb_usage("send", "--each-line reads standard input, not words")
                              : send_lines(context, &send);
    if (dash || (!words && !isatty(STDIN_FILENO)))
        return send_input(context, &send);
    if (!words)
        return verb_usage("send", "no text");
    text = join_words(argc - optind, argv + optind);
    if (!text)
        return complain(EXIT_FAILED, "out of memory");
    return send_one(context, &send, text, strlen(text));
}
