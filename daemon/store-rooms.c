/* The rooms and what each has: `room` in the database.
 *
 * A row in each commit would be one page more that every message waits for. So the sums of what was
 * written are kept here, and go into the database when many have come together, before somebody
 * reads them, with what retention removes, and at the end. `counted` says in the same transaction
 * which messages they have: what a process that was killed had not written yet, the next one
 * counts.
 *
 * A message with several keys counts once, by the one that was stored first. What retention removes
 * is the oldest, so the newest of a room stays known until the room is empty, and goes with it. */

#include "store-rooms.h"

#include <string.h>

#include "common/util.h"
#include "store-write-internal.h"

static int compare(const struct store_room *room, struct bytes name)
{
    int result = memcmp(room->name, name.data, MIN(room->name_size, name.size));

    return result != 0 || room->name_size == name.size ? result
           : room->name_size < name.size               ? -1
                                                       : 1;
}

/* Where the room is in the list, or is to be. */
static size_t position(const struct store_rooms *rooms, struct bytes name)
{
    size_t low = 0, high = rooms->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare(&rooms->list[middle], name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct store_rooms *rooms, size_t at, struct bytes name)
{
    return at < rooms->count && compare(&rooms->list[at], name) == 0;
}

static void insert(struct store_rooms *rooms, size_t at, struct bytes name)
{
    struct store_room *room = &rooms->list[at];

    memmove(room + 1, room, (rooms->count - at) * sizeof(*room));
    *room = (struct store_room){.name_size = name.size};
    if (name.size > 0)
        memcpy(room->name, name.data, name.size);
    rooms->count++;
}

/* ---- the table ---- */

static int write_room(struct store_writer *writer, const struct store_room *room)
{
    sqlite3_stmt *add = writer->statements[STATEMENT_ROOM_ADD];
    sqlite3_stmt *delete = writer->statements[STATEMENT_ROOM_DELETE];
    int result;

    sqlite3_bind_text(add, 1, room->name, (int)room->name_size, SQLITE_STATIC);
    sqlite3_bind_int64(add, 2, room->messages);
    sqlite3_bind_int64(add, 3, (sqlite3_int64)room->hlc);
    sqlite3_bind_int64(add, 4, (sqlite3_int64)room->sent);
    result = store_writer_run(writer, STATEMENT_ROOM_ADD);
    if (result != SQLITE_OK || room->messages > 0)
        return result;
    sqlite3_bind_text(delete, 1, room->name, (int)room->name_size, SQLITE_STATIC);
    return store_writer_run(writer, STATEMENT_ROOM_DELETE);
}

static int write_rows(struct store_writer *writer)
{
    struct store_rooms *rooms = &writer->rooms;
    int result = SQLITE_OK;

    for (size_t i = 0; result == SQLITE_OK && i < rooms->count; i++)
        result = write_room(writer, &rooms->list[i]);
    rooms->count = rooms->last = rooms->messages = 0;
    return result;
}

/* The room's place in the list; where that is full, it is emptied into the transaction. */
static int get(struct store_writer *writer, struct bytes name, struct store_room **ret)
{
    struct store_rooms *rooms = &writer->rooms;
    size_t at = rooms->last;
    int result = SQLITE_OK;

    if (name.size > ROOM_BYTES_MAX)
        return SQLITE_CORRUPT;
    if (!is_at(rooms, at, name))
        at = position(rooms, name);
    if (!is_at(rooms, at, name) && rooms->count == ELEMENTS(rooms->list)) {
        result = write_rows(writer);
        rooms->due = true;
        at = 0;
    }
    if (result != SQLITE_OK)
        return result;
    if (!is_at(rooms, at, name))
        insert(rooms, at, name);
    rooms->last = at;
    *ret = &rooms->list[at];
    return SQLITE_OK;
}

int store_rooms_add(struct store_writer *writer, struct bytes name, uint64_t hlc, uint64_t sent)
{
    struct store_room *room;
    int result = get(writer, name, &room);

    if (result != SQLITE_OK)
        return result;
    room->messages++;
    writer->rooms.messages++;
    if (hlc > room->hlc) {
        room->hlc = hlc;
        room->sent = sent;
    }
    return SQLITE_OK;
}

int store_rooms_subtract(struct store_writer *writer, struct bytes name)
{
    struct store_room *room;
    int result = get(writer, name, &room);

    if (result != SQLITE_OK)
        return result;
    room->messages--;
    writer->rooms.due = true;
    return SQLITE_OK;
}

/* ---- what is counted ---- */

/* The highest messages of an origin that are held and not counted. */
static bool is_missing(const struct store_origin *origin, struct ring_interval *ret)
{
    static const struct ring_interval all = {1, INT64_MAX, 0};

    return intervals_highest_missing(&origin->held, &origin->counted, &all, ret);
}

int store_rooms_write(struct store_writer *writer)
{
    struct ring_interval interval;
    int result = writer->rooms.count > 0 ? store_writer_begin(writer) : SQLITE_OK;

    if (result == SQLITE_OK)
        result = write_rows(writer);
    for (size_t i = 0; result == SQLITE_OK && i < writer->count; i++) {
        while (result == SQLITE_OK && is_missing(writer->origins[i], &interval)) {
            result = store_writer_begin(writer);
            if (result == SQLITE_OK)
                result = store_origin_count(writer, writer->origins[i], interval);
        }
    }
    writer->rooms.due = false;
    return result;
}

int store_rooms_write_many(struct store_writer *writer)
{
    return writer->rooms.messages >= STORE_ROOMS_MESSAGES ? store_rooms_write(writer) : SQLITE_OK;
}

/* Of several keys of a message only the first one counts. */
static int is_counted(struct store_writer *writer, const struct store_origin *origin,
                      const struct message_key *key, bool *ret)
{
    sqlite3_stmt *statement = writer->statements[STATEMENT_IS_TWIN];
    int result;

    sqlite3_bind_int64(statement, 1, (sqlite3_int64)key->hlc);
    sqlite3_bind_int64(statement, 2, origin->number);
    sqlite3_bind_int64(statement, 3, (sqlite3_int64)key->seq);
    result = sqlite3_step(statement);
    *ret = result == SQLITE_ROW && !sqlite3_column_int(statement, 0);
    sqlite3_reset(statement);
    return result == SQLITE_ROW || result == SQLITE_DONE ? SQLITE_OK : result;
}

static int count_packet(struct store_writer *writer, const struct store_origin *origin,
                        const struct packet *packet)
{
    struct message message;
    bool counts;
    int result = message_unpack(packet, &message) == 0 ? SQLITE_OK : SQLITE_CORRUPT;

    if (result == SQLITE_OK)
        result = is_counted(writer, origin, &message.key, &counts);
    if (result == SQLITE_OK && counts)
        result = store_rooms_add(writer, message.room, message.key.hlc, message.sent);
    return result;
}

/* The highest messages of the interval, as many as are read at once. */
static int count_some(struct store_writer *writer, struct store_origin *origin,
                      struct ring_interval interval)
{
    struct ring_output fetch = {.fetch = {.origin = origin->id,
                                          .from = interval.from,
                                          .to = interval.to,
                                          .bytes_max = INDEX_STEP_BYTES}};
    struct packet **packets = NULL;
    struct message lowest;
    size_t count = 0;
    int result = store_writer_begin(writer);

    if (result == SQLITE_OK)
        result = store_writer_fetch(writer, &fetch, &packets, &count);
    /* What is noted as held and is not there shall not be looked for for ever. */
    if (count > 0 && message_unpack(packets[0], &lowest) == 0)
        interval.from = lowest.key.seq;
    for (size_t i = 0; i < count; i++) {
        if (result == SQLITE_OK)
            result = count_packet(writer, origin, packets[i]);
        packet_unref(packets[i]);
    }
    free(packets);
    if (result == SQLITE_OK)
        result = write_rows(writer);
    writer->rooms.due = false;
    return result == SQLITE_OK ? store_origin_count(writer, origin, interval) : result;
}

int store_rooms_catch_up(struct store_writer *writer)
{
    struct ring_interval interval;
    int result = SQLITE_OK;

    for (size_t i = 0; result == SQLITE_OK && i < writer->count; i++) {
        while (result == SQLITE_OK && is_missing(writer->origins[i], &interval)) {
            result = count_some(writer, writer->origins[i], interval);
            if (result == SQLITE_OK)
                result = store_writer_commit(writer);
        }
    }
    return result;
}
