/* What GATHER and INSTALL carry, and their form on the wire. */

#include "ring-internal.h"

#include <errno.h>
#include <string.h>

#include "common/util.h"

/* The least that one of each takes on the wire: keeps a hostile count from costing memory. */
#define CANDIDATE_BYTES_MIN (16 + 8 + 1 + 1 + 8)
#define ENTRY_BYTES_MIN (16 + 8 + 1 + 1 + 2 + 8 + 8 + 8 + 32 + 32)
#define MEMBER_BYTES_MIN (16 + 8 + 1 + 1 + 2 + 8 + 8 + 8 + 8)
#define RANGE_BYTES 32
#define FORMATION_ID_BYTES 32
#define ID_BYTES 16

#define CANDIDATE_NEWCOMER 1
#define CANDIDATE_FAILED 2

/* Unsettled ranges: one an origin and run, and more only after repeated failures. */
#define RANGES_MAX 16384

/* ---- ranges ---- */

void ranges_done(struct ranges *ranges)
{
    free(ranges->list);
    *ranges = (struct ranges){0};
}

int ranges_add(struct ranges *ranges, const struct ring_id *origin, uint64_t from, uint64_t to)
{
    if (ranges->count == ranges->allocated) {
        size_t allocated = ranges->allocated ? 2 * ranges->allocated : 16;
        struct range *list = realloc(ranges->list, allocated * sizeof(*list));

        if (!list)
            return -ENOMEM;
        ranges->list = list;
        ranges->allocated = allocated;
    }
    ranges->list[ranges->count++] = (struct range){.origin = *origin, .interval = {from, to}};
    return 0;
}

void ranges_write(struct writer *writer, const struct ranges *ranges)
{
    write_u32(writer, (uint32_t)ranges->count);
    for (size_t i = 0; i < ranges->count; i++) {
        write_id(writer, &ranges->list[i].origin);
        write_u64(writer, ranges->list[i].interval.from);
        write_u64(writer, ranges->list[i].interval.to);
    }
}

int ranges_read(struct reader *reader, struct ranges *ret)
{
    uint32_t count = read_count(reader, RANGES_MAX, RANGE_BYTES);

    for (uint32_t i = 0; i < count; i++) {
        struct ring_id origin = read_id(reader);
        uint64_t from = read_u64(reader), to = read_u64(reader);

        if (from == 0 || from > to || to > INT64_MAX)
            return -EBADMSG;
        if (ranges_add(ret, &origin, from, to) < 0)
            return -ENOMEM;
    }
    return reader->failed ? -EBADMSG : 0;
}

/* ---- parts ---- */

void candidate_write(struct writer *writer, const struct candidate *candidate)
{
    write_id(writer, &candidate->id);
    write_u64(writer, candidate->instance);
    write_u8(writer, (uint8_t)((candidate->newcomer ? CANDIDATE_NEWCOMER : 0) |
                               (candidate->failed ? CANDIDATE_FAILED : 0)));
    write_addresses(writer, &candidate->addresses);
    write_u64(writer, candidate->held);
}

struct candidate candidate_read(struct reader *reader)
{
    struct candidate candidate = {.id = read_id(reader), .instance = read_u64(reader)};
    uint8_t flags = read_u8(reader);

    candidate.newcomer = flags & CANDIDATE_NEWCOMER;
    candidate.failed = flags & CANDIDATE_FAILED;
    candidate.addresses = read_addresses(reader);
    candidate.held = read_u64(reader);
    return candidate;
}

static void member_write(struct writer *writer, const struct ring_member *member)
{
    write_id(writer, &member->id);
    write_u64(writer, member->instance);
    write_name(writer, (struct bytes){member->name, strlen(member->name)});
    write_addresses(writer, &member->addresses);
    write_u16(writer, member->version);
    write_u64(writer, member->joined);
    write_u64(writer, member->since);
    write_u64(writer, (uint64_t)member->clock_offset);
}

static struct ring_member member_read(struct reader *reader)
{
    struct ring_member member = {.id = read_id(reader), .instance = read_u64(reader)};

    bytes_to_text(read_name(reader, NAME_BYTES_MAX), member.name, sizeof(member.name));
    member.addresses = read_addresses(reader);
    member.version = read_u16(reader);
    reader->failed |= member.version < RING_WIRE_VERSION_MIN;
    member.joined = read_u64(reader);
    member.since = read_u64(reader);
    member.clock_offset = (int64_t)read_u64(reader);
    return member;
}

static void ids_write(struct writer *writer, const struct ring_id *ids, size_t count)
{
    write_u32(writer, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        write_id(writer, &ids[i]);
}

/* An array for `count` elements; NULL only when there is no memory. */
static void *array(size_t count, size_t size)
{
    return calloc(MAX(count, 1), size);
}

static int ids_read(struct reader *reader, struct ring_id **ret_ids, size_t *ret_count)
{
    uint32_t count = read_count(reader, MEMBERS_MAX, ID_BYTES);

    *ret_ids = array(count, sizeof(struct ring_id));
    if (!*ret_ids)
        return -ENOMEM;
    *ret_count = count;
    for (uint32_t i = 0; i < count; i++)
        (*ret_ids)[i] = read_id(reader);
    return reader->failed ? -EBADMSG : 0;
}

/* ---- GATHER ---- */

void token_done(struct token *token)
{
    free(token->leavers);
    free(token->bases);
    free(token->candidates);
    free(token->entries);
    ranges_done(&token->unsettled);
    *token = (struct token){0};
}

struct packet *token_write(const struct token *token)
{
    struct writer writer;

    writer_begin(&writer, FRAME_GATHER, token->id.tag);
    write_formation_id(&writer, &token->id);
    write_u8(&writer, token->merge);
    write_id(&writer, &token->incumbent);
    write_id(&writer, &token->elect);
    ids_write(&writer, token->leavers, token->leavers_count);
    write_u32(&writer, (uint32_t)token->bases_count);
    for (size_t i = 0; i < token->bases_count; i++)
        write_formation_id(&writer, &token->bases[i]);
    write_u32(&writer, (uint32_t)token->candidates_count);
    for (size_t i = 0; i < token->candidates_count; i++)
        candidate_write(&writer, &token->candidates[i]);
    write_u32(&writer, (uint32_t)token->entries_count);
    for (size_t i = 0; i < token->entries_count; i++) {
        const struct entry *entry = &token->entries[i];

        member_write(&writer, &entry->member);
        write_formation_id(&writer, &entry->view);
        write_u64(&writer, entry->seq);
        write_u64(&writer, entry->epoch);
        write_u64(&writer, entry->hlc);
        write_u32(&writer, (uint32_t)(entry->heartbeat_interval / USEC_PER_MSEC));
        write_u32(&writer, (uint32_t)(entry->heartbeat_timeout / USEC_PER_MSEC));
    }
    ranges_write(&writer, &token->unsettled);
    return writer_end(&writer);
}

static int bases_read(struct reader *reader, struct token *ret)
{
    uint32_t count = read_count(reader, BASES_MAX, FORMATION_ID_BYTES);

    ret->bases = array(count, sizeof(*ret->bases));
    if (!ret->bases)
        return -ENOMEM;
    ret->bases_count = count;
    for (uint32_t i = 0; i < count; i++)
        ret->bases[i] = read_formation_id(reader);
    return reader->failed ? -EBADMSG : 0;
}

static int candidates_read(struct reader *reader, struct token *ret)
{
    uint32_t count = read_count(reader, MEMBERS_MAX, CANDIDATE_BYTES_MIN);

    ret->candidates = array(count, sizeof(*ret->candidates));
    if (!ret->candidates)
        return -ENOMEM;
    ret->candidates_count = count;
    for (uint32_t i = 0; i < count; i++) {
        ret->candidates[i] = candidate_read(reader);
        if (ret->candidates[i].held > INT64_MAX)
            return -EBADMSG;
    }
    return reader->failed ? -EBADMSG : 0;
}

static int entries_read(struct reader *reader, struct token *ret)
{
    uint32_t count = read_count(reader, MEMBERS_MAX, ENTRY_BYTES_MIN);

    /* Room for the entry that the reader of the token adds. */
    ret->entries = array((size_t)count + 1, sizeof(*ret->entries));
    if (!ret->entries)
        return -ENOMEM;
    ret->entries_count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct entry *entry = &ret->entries[i];

        entry->member = member_read(reader);
        entry->view = read_formation_id(reader);
        entry->seq = read_u64(reader);
        entry->epoch = read_u64(reader);
        entry->hlc = read_u64(reader);
        entry->heartbeat_interval = read_u32(reader) * USEC_PER_MSEC;
        entry->heartbeat_timeout = read_u32(reader) * USEC_PER_MSEC;
        if (entry->hlc > INT64_MAX || entry->seq > INT64_MAX)
            return -EBADMSG;
    }
    return reader->failed ? -EBADMSG : 0;
}

int token_read(struct packet *packet, struct token *ret)
{
    struct reader reader;
    int result;

    reader_begin(&reader, packet->data, packet->size);
    ret->id = read_formation_id(&reader);
    ret->merge = read_u8(&reader);
    ret->incumbent = read_id(&reader);
    ret->elect = read_id(&reader);
    result = ids_read(&reader, &ret->leavers, &ret->leavers_count);
    if (result == 0)
        result = bases_read(&reader, ret);
    if (result == 0)
        result = candidates_read(&reader, ret);
    if (result == 0)
        result = entries_read(&reader, ret);
    if (result == 0)
        result = ranges_read(&reader, &ret->unsettled);
    if (result == 0 && (ret->id.tag != frame_tag(packet->data) || ret->id.tag == 0 ||
                        ret->id.epoch > INT64_MAX || ret->entries_count == 0))
        return -EBADMSG;
    return result;
}

struct candidate *token_candidate(const struct token *token, const struct ring_id *id)
{
    for (size_t i = 0; i < token->candidates_count; i++) {
        if (ring_id_equal(&token->candidates[i].id, id))
            return &token->candidates[i];
    }
    return NULL;
}

struct entry *token_entry(const struct token *token, const struct ring_id *id)
{
    for (size_t i = 0; i < token->entries_count; i++) {
        if (ring_id_equal(&token->entries[i].member.id, id))
            return &token->entries[i];
    }
    return NULL;
}

static bool formation_id_equal(const struct ring_formation_id *a, const struct ring_formation_id *b)
{
    return a->epoch == b->epoch && a->tag == b->tag && ring_id_equal(&a->initiator, &b->initiator);
}

bool token_has_base(const struct token *token, const struct ring_formation_id *id)
{
    for (size_t i = 0; i < token->bases_count; i++) {
        if (formation_id_equal(&token->bases[i], id))
            return true;
    }
    return false;
}

/* ---- INSTALL ---- */

void install_done(struct install *install)
{
    free(install->members);
    free(install->cuts);
    free(install->leavers);
    ranges_done(&install->unsettled);
    *install = (struct install){0};
}

struct packet *install_write(const struct install *install, uint64_t tag)
{
    struct writer writer;

    writer_begin(&writer, FRAME_INSTALL, tag);
    write_id(&writer, &install->leader);
    write_u32(&writer, (uint32_t)(install->heartbeat_interval / USEC_PER_MSEC));
    write_u32(&writer, (uint32_t)(install->heartbeat_timeout / USEC_PER_MSEC));
    write_u64(&writer, install->hlc);
    write_u64(&writer, install->wall);
    ids_write(&writer, install->leavers, install->leavers_count);
    write_u32(&writer, (uint32_t)install->count);
    for (size_t i = 0; i < install->count; i++) {
        member_write(&writer, &install->members[i]);
        write_u64(&writer, install->cuts[i]);
    }
    ranges_write(&writer, &install->unsettled);
    return writer_end(&writer);
}

static int members_read(struct reader *reader, struct install *ret)
{
    uint32_t count = read_count(reader, MEMBERS_MAX, MEMBER_BYTES_MIN);

    ret->members = array(count, sizeof(*ret->members));
    ret->cuts = array(count, sizeof(*ret->cuts));
    if (!ret->members || !ret->cuts)
        return -ENOMEM;
    ret->count = count;
    for (uint32_t i = 0; i < count; i++) {
        ret->members[i] = member_read(reader);
        ret->cuts[i] = read_u64(reader);
        if (ret->cuts[i] == 0 || ret->cuts[i] > INT64_MAX)
            return -EBADMSG;
    }
    return reader->failed ? -EBADMSG : 0;
}

int install_read(struct packet *packet, struct install *ret)
{
    struct reader reader;
    int result;

    reader_begin(&reader, packet->data, packet->size);
    ret->leader = read_id(&reader);
    ret->heartbeat_interval = read_u32(&reader) * USEC_PER_MSEC;
    ret->heartbeat_timeout = read_u32(&reader) * USEC_PER_MSEC;
    ret->hlc = read_u64(&reader);
    ret->wall = read_u64(&reader);
    result = ids_read(&reader, &ret->leavers, &ret->leavers_count);
    if (result == 0)
        result = members_read(&reader, ret);
    if (result == 0)
        result = ranges_read(&reader, &ret->unsettled);
    if (result == 0 && (ret->heartbeat_interval == 0 || ret->hlc > INT64_MAX))
        return -EBADMSG;
    return result;
}
