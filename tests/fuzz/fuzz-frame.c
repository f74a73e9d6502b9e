/* What a member's link may carry: the frames that hold lists of things, of any length. What is read
 * can be written again, and is then the same. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "daemon/ring/ring-internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_same(struct packet *first, struct packet *second)
{
    if (!first || !second || first->size != second->size ||
        memcmp(first->data, second->data, first->size) != 0)
        abort();
    packet_unref(first);
    packet_unref(second);
}

static void try_token(struct packet *packet)
{
    struct token token = {0}, again = {0};

    if (token_read(packet, &token) == 0) {
        struct packet *written = token_write(&token);

        /* What is too long for a frame cannot be written. */
        if (written && token_read(written, &again) == 0)
            expect_same(packet_ref(written), token_write(&again));
        else if (written)
            abort();
        packet_unref(written);
    }
    token_done(&token);
    token_done(&again);
}

static void try_install(struct packet *packet)
{
    struct install install = {0}, again = {0};

    if (install_read(packet, &install) == 0) {
        struct packet *written = install_write(&install, 1);

        if (written && install_read(written, &again) == 0)
            expect_same(packet_ref(written), install_write(&again, 1));
        else if (written)
            abort();
        packet_unref(written);
    }
    install_done(&install);
    install_done(&again);
}

static void try_message(struct packet *packet)
{
    struct message message;

    if (message_unpack(packet, &message) == 0)
        packet_unref(message_pack(&message));
}

static void try_ranges(struct packet *packet)
{
    struct ranges ranges = {0};
    struct reader reader;

    reader_begin(&reader, packet->data, packet->size);
    ranges_read(&reader, &ranges);
    ranges_done(&ranges);
}

/* The first byte is the frame's type, the rest what follows its header. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct writer writer;
    struct packet *packet;

    if (size < 1)
        return 0;
    writer_begin(&writer, (enum frame_type)data[0], 1);
    write_raw(&writer, data + 1, size - 1);
    packet = writer_end(&writer);
    if (!packet)
        return 0;
    ring_frame_size(packet->data);
    ring_frame_name(packet->data, packet->size);
    try_token(packet);
    try_install(packet);
    try_message(packet);
    try_ranges(packet);
    packet_unref(packet);
    return 0;
}
