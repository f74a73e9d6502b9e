#pragma once

/* The wire format, field by field, little-endian. Every frame and datagram begins with a header:
 *
 *   u32 size of the whole, header included
 *   u8  type (wire.def)
 *   u8  version of the wire format that it is written in: the view's, for frames that carry a
 *       view's tag; 0 for all others, which every version reads
 *   u16 0: room to grow, ignored
 *   u64 tag of the formation it belongs to, or 0
 *
 * Bytes behind the fields that a version knows are ignored, so that later ones can add some. */

#include "ring.h"

enum frame_type {
#define FRAME(name, number, scope) FRAME_##name = number,
#include "wire.def"
#undef FRAME
};

enum frame_scope {
    SCOPE_LINK,
    SCOPE_FREE,
    SCOPE_FORMATION,
    SCOPE_FORWARD,
    SCOPE_BACKWARD,
    SCOPE_DATAGRAM,
};

/* ---- writing ---- */

/* Builds a packet that grows as needed; after a failed allocation it stays failed. */
struct writer {
    struct packet *packet;
    size_t allocated;
    bool failed;
};

void writer_begin(struct writer *writer, enum frame_type type, uint64_t tag);

/* Sets the size field and gives the packet to the caller; NULL: out of memory, or over
 * FRAME_BYTES_MAX. */
struct packet *writer_end(struct writer *writer);

void write_u8(struct writer *writer, uint8_t value);
void write_u16(struct writer *writer, uint16_t value);
void write_u32(struct writer *writer, uint32_t value);
void write_u64(struct writer *writer, uint64_t value);
void write_raw(struct writer *writer, const void *data, size_t size);
void write_id(struct writer *writer, const struct ring_id *id);
void write_name(struct writer *writer, struct bytes name); /* u8 length, at most 255 bytes */
void write_addresses(struct writer *writer, const struct ring_addresses *addresses);
void write_formation_id(struct writer *writer, const struct ring_formation_id *id);

/* ---- reading ---- */

/* Reads from bytes that stay where they are; past the end, every read gives zeros and `failed`. */
struct reader {
    const uint8_t *at, *end;
    bool failed;
};

/* Begins behind the header of a frame or datagram. */
void reader_begin(struct reader *reader, const uint8_t *data, size_t size);

uint8_t read_u8(struct reader *reader);
uint16_t read_u16(struct reader *reader);
uint32_t read_u32(struct reader *reader);
uint64_t read_u64(struct reader *reader);
struct bytes read_raw(struct reader *reader, size_t size);
struct ring_id read_id(struct reader *reader);
struct bytes read_name(struct reader *reader, size_t longest);
struct ring_addresses read_addresses(struct reader *reader);
struct ring_formation_id read_formation_id(struct reader *reader);

/* A count of items of at least `item_size` bytes each, refused when they cannot be there. */
uint32_t read_count(struct reader *reader, uint32_t most, size_t item_size);

/* ---- headers ---- */

enum frame_type frame_type(const uint8_t *data);
uint64_t frame_tag(const uint8_t *data);

/* The version that a frame is written in, and marking it. */
uint8_t frame_version(const uint8_t *data);
void frame_set_version(struct packet *packet, uint8_t version);

/* Whether frames of this scope are written in the version of their view. */
bool frame_has_version(enum frame_scope scope);

/* The scope of a type; -EBADMSG: no such type. */
int frame_scope(uint8_t type);

/* A copy of a DATA, FILL or REPAIR frame with another type and tag; NULL: out of memory. */
struct packet *frame_retag(const struct packet *packet, enum frame_type type, uint64_t tag);

/* Copies at most `capacity` - 1 bytes and ends them with NUL. */
void bytes_to_text(struct bytes bytes, char *ret, size_t capacity);
