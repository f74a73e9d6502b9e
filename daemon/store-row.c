/* Columns and parameters of the store's statements. */

#include <errno.h>
#include <string.h>

#include "common/util.h"
#include "store-schema.h"

bool store_column_id(sqlite3_stmt *row, int column, struct ring_id *ret)
{
    const void *blob = sqlite3_column_blob(row, column);

    if (!blob || sqlite3_column_bytes(row, column) != sizeof(ret->bytes))
        return false;
    memcpy(ret->bytes, blob, sizeof(ret->bytes));
    return true;
}

bool store_column_key(sqlite3_stmt *row, int column, struct message_key *ret)
{
    ret->hlc = (uint64_t)sqlite3_column_int64(row, column);
    ret->seq = (uint64_t)sqlite3_column_int64(row, column + 2);
    return store_column_id(row, column + 1, &ret->origin) && ret->hlc <= INT64_MAX &&
           ret->seq <= INT64_MAX;
}

void store_bind_id(sqlite3_stmt *statement, int place, const struct ring_id *id)
{
    sqlite3_bind_blob(statement, place, id->bytes, sizeof(id->bytes), SQLITE_STATIC);
}

sqlite3_int64 store_sortable(uint64_t value)
{
    return (sqlite3_int64)MIN(value, (uint64_t)INT64_MAX);
}

struct bytes store_column_text(sqlite3_stmt *row, int column)
{
    const char *text = (const char *)sqlite3_column_text(row, column);

    return (struct bytes){.data = text ? text : "",
                          .size = text ? (size_t)sqlite3_column_bytes(row, column) : 0};
}

int store_row_packet(sqlite3_stmt *row, struct packet **ret)
{
    struct packet *packet;
    bool whole = sqlite3_column_type(row, STORE_ROW_TEXT) != SQLITE_NULL;
    struct message message = {
        .sent = (uint64_t)sqlite3_column_int64(row, 6),
        .kind = sqlite3_column_int(row, 7) ? MESSAGE_NOTICE : MESSAGE_CHAT,
        .user = store_column_text(row, 8),
        .node = store_column_text(row, 9),
        .room = store_column_text(row, 10),
        .text = store_column_text(row, STORE_ROW_TEXT),
    };

    if (!whole || !store_column_key(row, 0, &message.key) ||
        !store_column_id(row, STORE_ROW_ID, &message.id) || message.user.size > USER_BYTES_MAX ||
        message.node.size > NAME_BYTES_MAX || message.room.size > ROOM_BYTES_MAX ||
        message.text.size > TEXT_BYTES_MAX)
        return -EUCLEAN;
    packet = message_pack(&message);
    if (!packet)
        return -ENOMEM;
    *ret = packet;
    return 0;
}
