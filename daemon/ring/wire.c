#include "wire.h"

#include <errno.h>
#include <string.h>

#include "common/byteorder.h"
#include "common/check.h"
#include "common/util.h"

#define TYPE_OFFSET 4
#define VERSION_OFFSET 5
#define TAG_OFFSET 8

static bool writer_reserve(struct writer *writer, size_t size)
{
    size_t needed = writer->packet ? writer->packet->size + size : 0;
    struct packet *grown;

    if (writer->failed)
        return false;
    if (needed > FRAME_BYTES_MAX) {
        writer->failed = true;
        return false;
    }
    if (needed <= writer->allocated)
        return true;
    needed = MAX(needed, 2 * writer->allocated);
    grown = realloc(writer->packet, sizeof(*grown) + needed);
    if (!grown) {
        writer->failed = true;
        return false;
    }
    writer->packet = grown;
    writer->allocated = needed;
    return true;
}

void writer_begin(struct writer *writer, enum frame_type type, uint64_t tag)
{
    *writer = (struct writer){.allocated = 128};
    writer->packet = packet_new(writer->allocated);
    if (!writer->packet) {
        writer->failed = true;
        return;
    }
    writer->packet->size = 0;
    write_u32(writer, 0);
    write_u8(writer, (uint8_t)type);
    write_u8(writer, 0);
    write_u16(writer, 0);
    write_u64(writer, tag);
}

struct packet *writer_end(struct writer *writer)
{
    struct packet *packet = writer->packet;

    writer->packet = NULL;
    if (writer->failed) {
        packet_unref(packet);
        return NULL;
    }
    put_le32(packet->data, (uint32_t)packet->size);
    return packet;
}

void write_raw(struct writer *writer, const void *data, size_t size)
{
    if (size == 0 || !writer_reserve(writer, size))
        return;
    memcpy(writer->packet->data + writer->packet->size, data, size);
    writer->packet->size += size;
}

void write_u8(struct writer *writer, uint8_t value)
{
    write_raw(writer, &value, 1);
}

void write_u16(struct writer *writer, uint16_t value)
{
    uint8_t bytes[2];

    put_le16(bytes, value);
    write_raw(writer, bytes, sizeof(bytes));
}

void write_u32(struct writer *writer, uint32_t value)
{
    uint8_t bytes[4];

    put_le32(bytes, value);
    write_raw(writer, bytes, sizeof(bytes));
}

void write_u64(struct writer *writer, uint64_t value)
{
    uint8_t bytes[8];

    put_le64(bytes, value);
    write_raw(writer, bytes, sizeof(bytes));
}

void write_id(struct writer *writer, const struct ring_id *id)
{
    write_raw(writer, id->bytes, sizeof(id->bytes));
}

void write_name(struct writer *writer, struct bytes name)
{
    check(name.size <= UINT8_MAX);
    write_u8(writer, (uint8_t)name.size);
    write_raw(writer, name.data, name.size);
}

void write_addresses(struct writer *writer, const struct ring_addresses *addresses)
{
    check(addresses->count <= ADDRESSES_MAX);
    write_u8(writer, addresses->count);
    for (unsigned i = 0; i < addresses->count; i++) {
        const struct ring_address *address = &addresses->list[i];

        write_u8(writer, address->family);
        write_u16(writer, address->port);
        write_raw(writer, address->ip, sizeof(address->ip));
    }
}

void write_formation_id(struct writer *writer, const struct ring_formation_id *id)
{
    write_u64(writer, id->epoch);
    write_id(writer, &id->initiator);
    write_u64(writer, id->tag);
}

void reader_begin(struct reader *reader, const uint8_t *data, size_t size)
{
    *reader = (struct reader){.at = data + MIN(size, RING_FRAME_HEADER_BYTES), .end = data + size};
    reader->failed = size < RING_FRAME_HEADER_BYTES;
}

struct bytes read_raw(struct reader *reader, size_t size)
{
    struct bytes bytes = {.data = (const char *)reader->at, .size = size};

    if (reader->failed || size > (size_t)(reader->end - reader->at)) {
        reader->failed = true;
        return (struct bytes){.data = "", .size = 0};
    }
    reader->at += size;
    return bytes;
}

uint8_t read_u8(struct reader *reader)
{
    struct bytes bytes = read_raw(reader, 1);

    return bytes.size ? (uint8_t)bytes.data[0] : 0;
}

uint16_t read_u16(struct reader *reader)
{
    struct bytes bytes = read_raw(reader, 2);

    return bytes.size ? get_le16((const uint8_t *)bytes.data) : 0;
}

uint32_t read_u32(struct reader *reader)
{
    struct bytes bytes = read_raw(reader, 4);

    return bytes.size ? get_le32((const uint8_t *)bytes.data) : 0;
}

uint64_t read_u64(struct reader *reader)
{
    struct bytes bytes = read_raw(reader, 8);

    return bytes.size ? get_le64((const uint8_t *)bytes.data) : 0;
}

struct ring_id read_id(struct reader *reader)
{
    struct ring_id id = {0};
    struct bytes bytes = read_raw(reader, sizeof(id.bytes));

    if (bytes.size)
        memcpy(id.bytes, bytes.data, sizeof(id.bytes));
    return id;
}

struct bytes read_name(struct reader *reader, size_t longest)
{
    size_t size = read_u8(reader);

    if (size > longest)
        reader->failed = true;
    return read_raw(reader, size);
}

struct ring_addresses read_addresses(struct reader *reader)
{
    struct ring_addresses addresses = {.count = read_u8(reader)};

    if (addresses.count > ADDRESSES_MAX) {
        reader->failed = true;
        addresses.count = 0;
    }
    for (unsigned i = 0; i < addresses.count; i++) {
        struct ring_address *address = &addresses.list[i];
        struct bytes ip;

        address->family = read_u8(reader);
        address->port = read_u16(reader);
        ip = read_raw(reader, sizeof(address->ip));
        if (ip.size)
            memcpy(address->ip, ip.data, sizeof(address->ip));
        if (address->family != 4 && address->family != 6)
            reader->failed = true;
    }
    return addresses;
}

struct ring_formation_id read_formation_id(struct reader *reader)
{
    struct ring_formation_id id;

    id.epoch = read_u64(reader);
    id.initiator = read_id(reader);
    id.tag = read_u64(reader);
    return id;
}

uint32_t read_count(struct reader *reader, uint32_t most, size_t item_size)
{
    uint32_t count = read_u32(reader);

    if (reader->failed || count > most || count > (size_t)(reader->end - reader->at) / item_size) {
        reader->failed = true;
        return 0;
    }
    return count;
}

enum frame_type frame_type(const uint8_t *data)
{
    return (enum frame_type)data[TYPE_OFFSET];
}

uint64_t frame_tag(const uint8_t *data)
{
    return get_le64(data + TAG_OFFSET);
}

uint8_t frame_version(const uint8_t *data)
{
    return data[VERSION_OFFSET];
}

void frame_set_version(struct packet *packet, uint8_t version)
{
    packet->data[VERSION_OFFSET] = version;
}

bool frame_has_version(enum frame_scope scope)
{
    return scope == SCOPE_FORWARD || scope == SCOPE_BACKWARD;
}

int frame_scope(uint8_t type)
{
    switch (type) {
#define FRAME(name, number, scope)                                                                 \
    case number:                                                                                   \
        return SCOPE_##scope;
#include "wire.def"
#undef FRAME
    }
    return -EBADMSG;
}

struct packet *frame_retag(const struct packet *packet, enum frame_type type, uint64_t tag)
{
    struct packet *copy = packet_new(packet->size);

    if (!copy)
        return NULL;
    memcpy(copy->data, packet->data, packet->size);
    copy->data[TYPE_OFFSET] = (uint8_t)type;
    put_le64(copy->data + TAG_OFFSET, tag);
    return copy;
}

void bytes_to_text(struct bytes bytes, char *ret, size_t capacity)
{
    size_t size = MIN(bytes.size, capacity - 1);

    if (size)
        memcpy(ret, bytes.data, size);
    ret[size] = '\0';
}

int64_t ring_frame_size(const uint8_t *header)
{
    uint32_t size = get_le32(header);
    int scope = frame_scope(header[TYPE_OFFSET]);

    if (size < RING_FRAME_HEADER_BYTES || size > FRAME_BYTES_MAX || scope < 0 ||
        scope == SCOPE_DATAGRAM)
        return -EBADMSG;
    return size;
}

const char *ring_frame_name(const uint8_t *data, size_t size)
{
    if (size < RING_FRAME_HEADER_BYTES)
        return "?";
    switch (data[TYPE_OFFSET]) {
#define FRAME(name, number, scope)                                                                 \
    case number:                                                                                   \
        return #name;
#include "wire.def"
#undef FRAME
    }
    return "?";
}
