#include "message.h"

#include <errno.h>
#include <string.h>

#include "common/byteorder.h"
#include "common/check.h"
#include "wire.h"

int ring_id_compare(const struct ring_id *a, const struct ring_id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

bool ring_id_equal(const struct ring_id *a, const struct ring_id *b)
{
    return ring_id_compare(a, b) == 0;
}

uint64_t ring_mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
    return value ^ (value >> 31);
}

uint64_t ring_id_hash(const struct ring_id *id)
{
    return ring_mix(ring_mix(get_le64(id->bytes)) + get_le64(id->bytes + sizeof(uint64_t)));
}

int message_key_compare(const struct message_key *a, const struct message_key *b)
{
    int order;

    if (a->hlc != b->hlc)
        return a->hlc < b->hlc ? -1 : 1;
    order = ring_id_compare(&a->origin, &b->origin);
    if (order != 0)
        return order;
    return a->seq < b->seq ? -1 : a->seq > b->seq;
}

struct packet *message_pack(const struct message *message)
{
    struct writer writer;

    check(message->user.size <= USER_BYTES_MAX && message->node.size <= NAME_BYTES_MAX);
    check(message->room.size <= ROOM_BYTES_MAX && message->text.size <= TEXT_BYTES_MAX);
    writer_begin(&writer, FRAME_DATA, 0);
    write_u64(&writer, message->key.hlc);
    write_id(&writer, &message->key.origin);
    write_u64(&writer, message->key.seq);
    write_id(&writer, &message->id);
    write_u64(&writer, message->sent);
    write_u8(&writer, (uint8_t)message->kind);
    write_u16(&writer, (uint16_t)message->user.size);
    write_u8(&writer, (uint8_t)message->node.size);
    write_u8(&writer, (uint8_t)message->room.size);
    write_u32(&writer, (uint32_t)message->text.size);
    write_raw(&writer, message->user.data, message->user.size);
    write_raw(&writer, message->node.data, message->node.size);
    write_raw(&writer, message->room.data, message->room.size);
    write_raw(&writer, message->text.data, message->text.size);
    return writer_end(&writer);
}

int message_unpack(const struct packet *packet, struct message *ret)
{
    struct message message = {0};
    struct reader reader;
    size_t user, node, room, text;
    uint8_t kind;

    reader_begin(&reader, packet->data, packet->size);
    message.key.hlc = read_u64(&reader);
    message.key.origin = read_id(&reader);
    message.key.seq = read_u64(&reader);
    message.id = read_id(&reader);
    message.sent = read_u64(&reader);
    kind = read_u8(&reader);
    user = read_u16(&reader);
    node = read_u8(&reader);
    room = read_u8(&reader);
    text = read_u32(&reader);
    message.user = read_raw(&reader, user);
    message.node = read_raw(&reader, node);
    message.room = read_raw(&reader, room);
    message.text = read_raw(&reader, text);
    if (reader.failed || kind > MESSAGE_NOTICE || user > USER_BYTES_MAX || node > NAME_BYTES_MAX ||
        room > ROOM_BYTES_MAX || text > TEXT_BYTES_MAX || message.key.hlc > INT64_MAX ||
        message.key.seq > INT64_MAX)
        return -EBADMSG;
    message.kind = kind;
    *ret = message;
    return 0;
}

size_t message_end(const struct packet *packet, const struct message *message)
{
    return (size_t)((const uint8_t *)message->text.data - packet->data) + message->text.size;
}
