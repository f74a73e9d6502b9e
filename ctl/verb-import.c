/* ringchatctl import: the lines of an export, a batch a call, some calls under way at once. */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/bounds.h"
#include "common/message.h"
#include "common/util.h"
#include "output.h"
#include "progress.h"
#include "verbs.h"

/* A call stays far below JSON_CALL_BYTES_MAX, and takes a few ms. */
#define BATCH_BYTES (128 * 1024)
#define BATCH_MESSAGES 500

/* Calls that wait for their replies: enough that neither side waits for the other. */
#define BATCHES_MAX 4

/* Messages of a call, with their lines. */
struct batch {
    struct json_object *messages;
    size_t count, bytes;
    uint64_t lines[BATCH_MESSAGES];
};

struct importer {
    const struct context *context;
    struct client *client;
    const char *name; /* of the file */
    FILE *file;
    bool check;
    uint64_t line, size, taken; /* bytes; size 0: not known */
    uint64_t imported, known, refused;
    struct batch batches[BATCHES_MAX]; /* a ring: the oldest wait for replies, the last is filled */
    size_t first, waiting;
    struct progress progress;
};

static void refuse(struct importer *importer, uint64_t line, const char *reason)
{
    importer->refused++;
    progress_clear(&importer->progress);
    complain(EXIT_FAILED, "%s, line %" PRIu64 ": %s", importer->name, line, reason);
}

/* ---- calls ---- */

static struct batch *last_batch(struct importer *importer)
{
    return &importer->batches[(importer->first + importer->waiting) % BATCHES_MAX];
}

static void take_refusals(struct importer *importer, const struct batch *batch,
                          struct json_object *refusals)
{
    for (size_t i = 0; i < json_object_array_length(refusals); i++) {
        struct json_object *refusal = json_object_array_get_idx(refusals, i);
        uint64_t index = field_number(refusal, "index");
        char *reason = visible(field_text(refusal, "reason"));

        if (index < batch->count)
            refuse(importer, batch->lines[index], reason ? reason : "refused");
        free(reason);
    }
}

/* Waits for the oldest reply. 0 or an exit code. */
static int take_reply(struct importer *importer)
{
    struct batch *batch = &importer->batches[importer->first];
    struct varlink_reply reply;
    int result = client_reply(importer->client, &reply);

    if (result < 0)
        return context_unreachable(importer->context, -ECONNRESET);
    if (reply.error)
        result = context_error(importer->context, &reply);
    if (!reply.error) {
        importer->imported += field_number(reply.parameters, "imported");
        importer->known += field_number(reply.parameters, "known");
        take_refusals(importer, batch, field(reply.parameters, "refused"));
    }
    varlink_reply_done(&reply);
    batch->count = batch->bytes = 0;
    importer->first = (importer->first + 1) % BATCHES_MAX;
    importer->waiting--;
    return result;
}

/* Sends what has been gathered. */
static int send_batch(struct importer *importer)
{
    struct batch *batch = last_batch(importer);
    struct json_object *parameters;

    if (batch->count == 0)
        return 0;
    parameters = json_object_new_object();
    json_object_object_add(parameters, "messages", steal_pointer(batch->messages));
    if (importer->check)
        json_object_object_add(parameters, "check", json_object_new_boolean(true));
    if (client_call(importer->client, VARLINK_INTERFACE ".Import", parameters, false) < 0)
        return context_unreachable(importer->context, -ECONNRESET);
    importer->waiting++;
    return importer->waiting == BATCHES_MAX ? take_reply(importer) : 0;
}

/* ---- lines ---- */

/* Adds a message, which is taken over. */
static int add(struct importer *importer, struct json_object *message, size_t size)
{
    struct batch *batch = last_batch(importer);
    int result = 0;

    if (batch->count == BATCH_MESSAGES || (batch->count > 0 && batch->bytes + size > BATCH_BYTES)) {
        result = send_batch(importer);
        batch = last_batch(importer);
    }
    if (result != 0) {
        json_object_put(message);
        return result;
    }
    if (!batch->messages)
        batch->messages = json_object_new_array();
    json_object_array_add(batch->messages, message);
    batch->lines[batch->count++] = importer->line;
    batch->bytes += size;
    return 0;
}

/* A line, of which no more than fits is kept; `ret_size` tells how long it is. False: there is
 * none.
 */
static bool read_line(struct importer *importer, char *line, size_t *ret_size)
{
    size_t size = 0;
    int c;

    while ((c = getc_unlocked(importer->file)) != EOF && c != '\n') {
        if (size < IMPORT_LINE_BYTES_MAX)
            line[size] = (char)c;
        size++;
    }
    line[MIN(size, (size_t)IMPORT_LINE_BYTES_MAX)] = '\0';
    importer->taken += size + 1;
    importer->line++;
    *ret_size = size;
    return c != EOF || size > 0;
}

static int take_line(struct importer *importer, const char *line, size_t size)
{
    struct json_object *object;
    struct chat_message chat;
    int result = 0;

    if (size > IMPORT_LINE_BYTES_MAX) {
        refuse(importer, importer->line, "it is too long");
        return 0;
    }
    if (strspn(line, " \t\r") == size)
        return 0;
    object = strlen(line) == size ? json_tokener_parse(line) : NULL;
    if (!object || message_from_json(object, &chat) < 0)
        refuse(importer, importer->line, "this is no message as export writes it");
    else
        /* Only a message's own fields: what a tail adds is left out. */
        result = add(importer, message_to_json(&chat), size);
    json_object_put(object);
    return result;
}

static int take_file(struct importer *importer)
{
    char *line = malloc(IMPORT_LINE_BYTES_MAX + 1);
    size_t size;
    int result = line ? 0 : complain(EXIT_FAILED, "out of memory");

    while (result == 0 && read_line(importer, line, &size)) {
        result = take_line(importer, line, size);
        progress_show(&importer->progress, importer->line, importer->taken, importer->size);
    }
    free(line);
    if (result == 0 && ferror(importer->file))
        return complain(EXIT_FAILED, "%s: %s", importer->name, strerror(errno));
    if (result == 0)
        result = send_batch(importer);
    while (result == 0 && importer->waiting > 0)
        result = take_reply(importer);
    return result;
}

/* ---- the verb ---- */

static void report(struct importer *importer)
{
    struct json_object *object;

    progress_clear(&importer->progress);
    if (!importer->context->json) {
        if (!importer->context->quiet)
            printf("%" PRIu64 " %s, %" PRIu64 " known already, %" PRIu64 " refused\n",
                   importer->imported, importer->check ? "new" : "imported", importer->known,
                   importer->refused);
        return;
    }
    object = json_object_new_object();
    json_object_object_add(object, "imported", json_object_new_int64((int64_t)importer->imported));
    json_object_object_add(object, "known", json_object_new_int64((int64_t)importer->known));
    json_object_object_add(object, "refused", json_object_new_int64((int64_t)importer->refused));
    print_json(importer->context, object);
    json_object_put(object);
}

/* 0, or an exit code after a message. */
static int parse_options(int argc, char **argv, struct importer *importer)
{
    static const struct option long_options[] = {{"check", no_argument, NULL, 'c'}, {0}};
    int option;

    while ((option = getopt_long(argc, argv, "", long_options, NULL)) >= 0) {
        if (option != 'c')
            return verb_usage("import", "unknown option");
        importer->check = true;
    }
    if (optind + 1 != argc)
        return verb_usage("import", "one file is expected (- is standard input)");
    importer->name = argv[optind];
    return 0;
}

static int open_file(struct importer *importer)
{
    struct stat status;

    if (strcmp(importer->name, "-") == 0) {
        importer->file = stdin;
        importer->name = "standard input";
        return 0;
    }
    importer->file = fopen(importer->name, "re");
    if (!importer->file)
        return complain(EXIT_FAILED, "%s: %s", importer->name, strerror(errno));
    if (fstat(fileno(importer->file), &status) == 0 && S_ISREG(status.st_mode))
        importer->size = (uint64_t)status.st_size;
    return 0;
}

int verb_import(struct context *context, int argc, char **argv)
{
    struct importer *importer = calloc(1, sizeof(*importer));
    int result;

    if (!importer)
        return complain(EXIT_FAILED, "out of memory");
    importer->context = context;
    result = parse_options(argc, argv, importer);
    if (result == 0)
        result = open_file(importer);
    if (result == 0)
        result = context_connect(context, &importer->client);
    if (result == 0) {
        progress_begin(&importer->progress, context, "lines");
        result = take_file(importer);
        if (result == 0)
            report(importer);
    }
    if (result == 0 && importer->refused > 0)
        result = EXIT_FAILED;
    for (size_t i = 0; i < BATCHES_MAX; i++)
        json_object_put(importer->batches[i].messages);
    if (importer->file && importer->file != stdin)
        fclose(importer->file);
    client_free(importer->client);
    free(importer);
    return result;
}
