#pragma once

/* Every limit of the project, each with the reason for its value. Sizes are bytes, times µs unless
 * the name says otherwise. */

/* ---- the wire ---- */

/* A peer's frame above this closes the link: room for one message of the largest size and for a
 * formation token of 256 members, small enough that a hostile length costs little memory. */
#define FRAME_BYTES_MAX (1024 * 1024)

/* A datagram travels unfragmented over IPv6's minimum MTU of 1280, with room for a seal. */
#define DATAGRAM_BYTES_MAX 1200

/* The largest text that the wire carries, whatever MaxMessageBytes= says: a frame less its fields.
 */
#define TEXT_BYTES_MAX (FRAME_BYTES_MAX - 4096)

/* The default of MaxMessageBytes=: a long paste, and a thousand of them fit a window. */
#define MESSAGE_BYTES_DEFAULT (16 * 1024)

/* Linux's longest login name is 32; names from a directory service are longer. */
#define USER_BYTES_MAX 256

/* The longest host name (HOST_NAME_MAX). */
#define NAME_BYTES_MAX 64

/* Room and ring names are typed by people. */
#define ROOM_BYTES_MAX 64
#define RING_NAME_BYTES_MAX 64

/* Addresses that a node tells of itself: IPv4 and IPv6 on three interfaces. */
#define ADDRESSES_MAX 6

/* Members of one ring. The token of a formation stays below FRAME_BYTES_MAX. */
#define MEMBERS_MAX 256

/* Formation ids that a token carries as bases: those of one view and of the formations that failed
 * since, and of the rings that merge. */
#define BASES_MAX 512

/* A clock that is more than this off the leader's is warned of, µs. */
#define CLOCK_OFFSET_MAX (60LL * 1000000)

/* ---- flow control ---- */

/* Unstable bytes of one origin: keeps a ring of 8 busy over a 1 ms lap at 1 Gbit/s. */
#define WINDOW_BYTES_MAX (2 * 1024 * 1024)

/* The same, divided by the number of members: what a ring holds in flight in one node's memory. */
#define WINDOW_BYTES_RING (16 * 1024 * 1024)

/* What a message costs beside its payload, in the window's sums. */
#define WINDOW_MESSAGE_COST 256

/* Local messages accepted and not keyed yet; above it senders wait at the control socket. */
#define QUEUE_MESSAGES_MAX 4096
#define QUEUE_BYTES_MAX (8 * 1024 * 1024)

/* What may wait in one link's send queue: all members' windows and control frames. A link over it
 * is closed: its reader hangs. */
#define LINK_QUEUE_BYTES_MAX (2 * WINDOW_BYTES_RING + 4 * FRAME_BYTES_MAX)

/* Repair bytes on a link that the receiver has not yet acknowledged as stored: live chat waits for
 * at most this much. */
#define REPAIR_CREDIT_BYTES (64 * 1024)

/* The same while chat flows: what one message may find before itself in a disk's queue. */
#define REPAIR_CREDIT_CHAT_BYTES (16 * 1024)

/* Chat flows for this long after a message: people pause, and then expect an answer at once. */
#define REPAIR_CHAT_USEC (2 * USEC_PER_SEC)

/* The longest rest of a repair that lets chat pass: it goes on even where a chunk took very long.
 */
#define REPAIR_REST_USEC (500 * USEC_PER_MSEC)

/* ---- keys and strangers ---- */

/* What a member's shell may send round the ring at once: a key, with room to grow. */
#define RELAY_BYTES_MAX 4096

/* Keys of one ring: the one in use, the one before it, and some for hosts that are away long. */
#define KEYS_MAX 8

/* Connections that have not shown yet that they hold a key: as many as a ring of the largest size
 * needs when all dial at once. */
#define HANDSHAKES_MAX MEMBERS_MAX

/* Of them, one address's (an IPv6 network's of 64 bits): the instances that one host may run, and
 * little enough that a flood from one host is felt by that host. */
#define HANDSHAKES_PER_ADDRESS_MAX 64

/* How long one may take: a handshake is two packets each way, and the core gives up sooner. */
#define HANDSHAKE_TIMEOUT_USEC (2 * USEC_PER_SEC)

/* Datagrams are padded to this, and smaller ones are ignored: an answer is never larger than what
 * asked for it, so nobody can use a ring to flood a third. The longest offer has some 300 bytes. */
#define DATAGRAM_BYTES_MIN 384

/* ---- the control socket ---- */

/* A client's call above this is refused. Room for the largest text of a local send even if every
 * byte is escaped. */
#define JSON_CALL_BYTES_MAX (1024 * 1024)

/* A daemon's reply above this is refused by its client: one message of the largest size with every
 * byte escaped, and the rest of a page. */
#define JSON_REPLY_BYTES_MAX (8 * 1024 * 1024)

/* Nesting of an object: the interface needs 4, and a parser's stack stays small. */
#define JSON_DEPTH_MAX 32

/* The same for the types of an interface text. */
#define IDL_DEPTH_MAX 16

/* Clients at once: one a login and a few scripts, on a host where many work; each takes a
 * descriptor of the 1024 that a process has by default. */
#define CLIENTS_MAX 512

/* Of them, one user's: a script that forgets to close locks out nobody else. */
#define CLIENTS_PER_USER_MAX 256

/* One user's sends that are not answered yet: a quarter of what a node accepts. */
#define SENDS_PER_USER_MAX (QUEUE_MESSAGES_MAX / 4)

/* One user's tails, histories and lists of rooms under way: a tail wakes with every message. */
#define TAILS_PER_USER_MAX 128

/* Calls of one client that are under way: 20,000 sends a second of which each takes 12 ms. */
#define CLIENT_CALLS_MAX 256

/* Of them sends, while their user has taken half of its share: 16 further scripts find room. */
#define CLIENT_SENDS_SHARED 32

/* Bytes of those calls; a call of the largest size always fits. */
#define CLIENT_CALL_BYTES_MAX (2 * JSON_CALL_BYTES_MAX)

/* Bytes read and not looked at yet. */
#define CLIENT_INPUT_BYTES_MAX (64 * 1024)

/* Bytes that wait for a client to read them: above this nothing more is answered. One reply of the
 * largest size may come on top. */
#define CLIENT_OUTPUT_BYTES_MAX (256 * 1024)

/* A client that was told off gets this long to read why. */
#define CLIENT_LINGER_USEC (1 * USEC_PER_SEC)

/* How soon the end of a client that had half-closed its connection is noticed. */
#define CLIENT_HANGUP_CHECK_USEC (1 * USEC_PER_SEC)

/* A send that found the inbox full tries again after this. */
#define CLIENT_RETRY_USEC (5 * USEC_PER_MSEC)

/* Connections that the kernel holds until they are accepted. */
#define CONTROL_BACKLOG 128

/* A send's time-out where the caller gives none: as long as a person waits. */
#define SEND_TIMEOUT_USEC_DEFAULT (10 * USEC_PER_SEC)

/* A refresh of the member list takes a lap; the list as it is does after this. */
#define REFRESH_TIMEOUT_USEC (2 * USEC_PER_SEC)

/* An election that other formations overtake is given again for this long: several of them, the
 * slowest included. */
#define ELECT_TIMEOUT_USEC (10 * USEC_PER_SEC)

/* Lines that `tail` shows where the caller says nothing: as tail(1). */
#define TAIL_LINES_DEFAULT 10

/* Messages that a reader takes from the store at once, and bytes of them, of which the last one is
 * over: a page costs no more memory, nor time, where texts are long. */
#define READ_PAGE_MESSAGES 32
#define READ_PAGE_BYTES (128 * 1024)

/* Pages that one reader takes before others have their turn. */
#define READ_PAGES_AT_ONCE 8

/* What is kept of the last deliveries, so that tails that have seen all before read no database: as
 * much as such a one takes in its turn. One message may be longer. */
#define TAIL_RECENT_MESSAGES (READ_PAGES_AT_ONCE * READ_PAGE_MESSAGES)
#define TAIL_RECENT_BYTES (512 * 1024)

/* Rooms in one reply, which are read at once: well below a millisecond. */
#define READ_PAGE_ROOMS 256

/* The sums of rooms are waited for that long where the disk is slow; then they are told as they are
 * in the database. */
#define ROOMS_TIMEOUT_USEC (2 * USEC_PER_SEC)

/* Bytes of messages in one reply of a history. */
#define HISTORY_REPLY_BYTES (128 * 1024)

/* Events kept for a reader who is slow; what comes above is counted and told. */
#define TAIL_EVENTS_MAX 256

/* How long it is remembered that a member failed: what `ring` shows of it. */
#define RECENT_USEC (3600 * USEC_PER_SEC)

/* How long a caller's login name is waited for; then the number stands for it. */
#define USER_LOOKUP_USEC (500 * USEC_PER_MSEC)

/* How long a name that was found is used; a renamed user waits at most this. */
#define USER_CACHE_USEC (60 * USEC_PER_SEC)

/* Users whose names are kept, and lookups that wait. */
#define USER_CACHE_MAX 64

/* Supplementary groups of a caller that are looked at: NGROUPS_MAX of Linux. */
#define USER_GROUPS_MAX 65536

/* Messages of one call of Import, each of which is compared with the others. */
#define IMPORT_MESSAGES_MAX 1000

/* The longest line that is imported: such a message still fits a call. */
#define IMPORT_LINE_BYTES_MAX (JSON_CALL_BYTES_MAX - 4096)

/* A clock in a message that is imported may be at most this (of the year 4199; the upper 48 bits
 * are ms), as the ring's clock is raised to it for ever. */
#define IMPORT_HLC_MAX (1ULL << 62)

/* A run in a message that is imported may be at most this: the seconds from 2020 to 2080, when
 * clocks are believed (daemon/ring/clock.c), and more starts on top than anybody makes. What is
 * held of a node raises the node's own run above it, and that has 31 bits. */
#define IMPORT_RUN_MAX 0x71000000U

/* An import that finds the ring being formed, or a message still on its way, tries again after
 * this, and in all for so long. */
#define IMPORT_RETRY_USEC (50 * USEC_PER_MSEC)
#define IMPORT_RETRIES_MAX 600

/* ---- the store ---- */

/* How far above its landmark's hlc a message may lie (the upper 48 bits of an hlc are ms): at
 * 100,000 messages a second a fetch then looks at 10,000 rows, in a few ms. */
#define LANDMARK_SPAN (100ULL << 16)

/* Rows that a search looks at in one call before others have their turn: some 5 ms with words. */
#define READ_SEARCH_ROWS_MAX 2000

/* What the index of words is asked for at once: asking again costs as much as some 100 of them. */
#define SEARCH_DOCUMENTS 2048

/* Words that are looked for, as many as anybody types, and parts of one ("10.77.0.1" has four);
 * the parts of a word are bits of 32. */
#define SEARCH_WORDS_MAX 16
#define SEARCH_PARTS_MAX 32

/* Digits of an id that tell a node from others. */
#define SEARCH_ID_DIGITS_MIN 4

/* Stretches of the history in which not all is indexed; above it they are taken for one. */
#define UNINDEXED_RANGES_MAX 64

/* Rows that a reader passes over in one call before others have their turn: some 10 ms. */
#define READ_SKIP_ROWS_MAX 5000

/* Fewer late messages in a row are quicker passed over again than remembered. */
#define READ_SKIP_ROWS_MIN 256

/* Runs of late messages that readers remember not to look at again: a long one for every tail that
 * resumes far back. */
#define READ_SKIPS_MAX 8

/* How long a statement waits for a lock of another handle: only while a log is being recovered. */
#define STORE_BUSY_MSEC 2000

/* Bytes for one of the database's files that wait until they are written in one piece: SQLite's own
 * layer cannot do that with 128 KiB or more. And what is read of the log at once to be copied. */
#define STORE_GATHER_BYTES (124 * 1024)
#define STORE_READ_AHEAD_BYTES (64 * 1024)

/* KiB of the database that its writer keeps in memory: the tree's upper pages must not leave while
 * large messages pass, where SQLite's default is 2000. And up to which the pages of one transaction
 * stay there until its commit, as one that goes to the log before is written twice, and the
 * checksums of all after it too: more are only where the index of words merges its parts, whose
 * largest one may be most of it. */
#define STORE_CACHE_KIB 8192
#define STORE_CACHE_KIB_MAX 12288

/* Pages of the log (4 KiB each) from which on it is copied into the database when nothing is asked
 * of the store: as many as SQLite takes by itself. Without such a moment: as many as one part of
 * its index has (4062 in the first), less a large commit, so that a page is found by one look-up.
 * Beyond the limit in bytes a reader held it up: the file is cut to that when it is begun anew. */
#define STORE_LOG_FRAMES_MIN 1000
#define STORE_LOG_FRAMES_MAX 3000
#define STORE_LOG_BYTES_MAX 25000000

/* Bytes of a message's text and names up to which they lie in the row of its key: with the rest of
 * it (70 at most) as much as SQLite keeps of a row in its page (1002 of 4096). */
#define STORE_ROW_BYTES_MAX 930

/* Bytes of long texts in one commit, or in the one before it, from which on they go to a segment:
 * writing them once instead of twice then pays for syncing one file more. */
#define STORE_TEXTS_GROUP_BYTES (32 * 1024)

/* The size at which a segment of texts is followed by the next one (a longer text has one of its
 * own): so much may be kept of what retention has removed. A new file costs some ms. Tests have
 * smaller ones. */
#ifndef STORE_SEGMENT_BYTES
#define STORE_SEGMENT_BYTES (8 * 1024 * 1024)
#endif

/* Segments that a reader keeps open: the history is read in the order of its clocks, which is
 * mostly that in which it was written. */
#define STORE_SEGMENTS_OPEN 4

/* By how much the bounds of an hour's clocks are written wider than they are (the upper 48 bits of
 * an hlc are ms): one write a minute of traffic. */
#define SPAN_MARGIN (60000ULL << 16)

/* What `span` calls an hour, µs. */
#define SPAN_USEC (3600 * USEC_PER_SEC)

/* Hours whose bounds the writer has at hand: the present one, and some that repair is filling. */
#define SPAN_CACHE 8

/* The store does what can wait when nothing was asked of it for this long. */
#define STORE_QUIET_USEC (20 * USEC_PER_MSEC)

/* Under steady traffic it does one step of that this often, so that search has never much to read
 * without its index. */
#define STORE_STEP_USEC (1 * USEC_PER_SEC)

/* Rooms whose sums the store keeps before it writes them: as many as talk within a second. */
#define STORE_ROOMS_MAX 256

/* Messages that are to be in those sums before it writes them by itself: so that a lone one costs
 * no page of the table, and few are counted again after a kill. */
#define STORE_ROOMS_MESSAGES 1000

/* Bytes of messages whose words are indexed in one step, of one origin: some 10 ms, in which the
 * index is written once; while other work waits, and messages that are removed in one: some ms. */
#define INDEX_STEP_BYTES (256 * 1024)
#define INDEX_HURRIED_BYTES (64 * 1024)
#define PRUNE_STEP_ROWS 256

/* By how many messages at most the horizon rises at once where the database is too large. */
#define RETENTION_STEP_MESSAGES 10000

/* Free pages that are given back to the file system in one step, and how many may stay. */
#define SHRINK_STEP_PAGES 64
#define SHRINK_PAGES_MIN 1024

/* Behind the control socket's path: the file that is locked while a daemon starts and takes long;
 * and its one line, always of one length: what is done, and how many percent of it (-1: unknown).
 */
#define STARTING_SUFFIX ".starting"
#define STARTING_LINE_FORMAT "%-7s %3d\n"
#define STARTING_LINE_BYTES 12
#define STARTING_UPGRADE "upgrade"
#define STARTING_CHECK "check"
