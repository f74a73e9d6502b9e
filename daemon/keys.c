#include "keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "common/check.h"
#include "common/cleanup.h"
#include "common/util.h"
#include "engine.h"

/* One line of the log per kind of stranger and this long. */
#define STRANGER_LINE_USEC (60 * USEC_PER_SEC)

/* Peers that use another key than this node: hosts that were away during a change. */
#define PEERS_BEHIND_MAX 64

struct peer_key {
    struct ring_address address; /* family 0: free */
    uint32_t key_id;
};

struct stranger_count {
    uint64_t all, told;       /* how many, and how many of them the log has */
    uint64_t at, told_at;     /* µs; 0: never */
    struct ring_address from; /* the last one */
    uint32_t key_id;
};

struct keys {
    enum keys_mode mode;
    char *path;
    struct journal *journal;
    struct keyring ring;
    struct tls_self self;
    char *ring_name;
    struct tls *tls;
    struct seal *seal;
    size_t next_peer;
    struct peer_key peers[PEERS_BEHIND_MAX];
    bool behind;
    struct stranger_count strangers[STRANGERS];
};

/* ---- opening ---- */

static int find_path(struct keys *keys, const char *setting, const char *state_directory)
{
    if (*setting)
        keys->path = strdup(setting);
    else if (asprintf(&keys->path, "%s/keyring", state_directory) < 0)
        keys->path = NULL;
    return keys->path ? 0 : -ENOMEM;
}

/* The service manager's credential fills an empty keyring, once. */
static int seed(struct keys *keys, char **ret_error)
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    _cleanup_free_ char *path = NULL;
    struct keyring ring;
    int result;

    if (!directory)
        return 0;
    if (asprintf(&path, "%s/" KEYS_CREDENTIAL, directory) < 0) {
        path = NULL;
        return -ENOMEM;
    }
    result = keyring_load_credential(path, &ring, ret_error);
    if (result == -ENOENT) {
        free(*ret_error);
        *ret_error = NULL;
        return 0;
    }
    if (result < 0 || ring.count == 0)
        return result;
    result = keys_store(keys, &ring, ret_error);
    keyring_done(&ring);
    if (result == 0)
        journal_log(keys->journal, LINE_KEY_TAKEN,
                    "took the ring key from the credential " KEYS_CREDENTIAL);
    return result;
}

static int load(struct keys *keys, const char *setting, char **ret_error)
{
    int result = keyring_load(keys->path, &keys->ring, ret_error);

    if (result == -ENOENT && !*setting) {
        free(*ret_error);
        *ret_error = NULL;
        result = 0;
    }
    if (result == 0 && keys->ring.count == 0 && !*setting)
        result = seed(keys, ret_error);
    if (result == 0)
        keys->mode = keys->ring.count > 0 ? KEYS_PRESENT : KEYS_MISSING;
    return result;
}

int keys_open(const char *setting, const char *state_directory, struct journal *journal,
              struct keys **ret, char **ret_error)
{
    struct keys *keys = calloc(1, sizeof(*keys));
    int result;

    if (!keys)
        return -ENOMEM;
    keys->journal = journal;
    if (strcmp(setting, "none") == 0) {
        keys->mode = KEYS_CLEAR;
        *ret = keys;
        return 0;
    }
    result = find_path(keys, setting, state_directory);
    if (result == 0)
        result = load(keys, setting, ret_error);
    if (result < 0) {
        keys_free(keys);
        return result;
    }
    *ret = keys;
    return 0;
}

void keys_free(struct keys *keys)
{
    if (!keys)
        return;
    tls_free(keys->tls);
    seal_free(keys->seal);
    keyring_done(&keys->ring);
    free(keys->ring_name);
    free(keys->path);
    free(keys);
}

/* What is derived from the keys, made when there is the first one. */
static int derive(struct keys *keys)
{
    if (keys->ring.count == 0 || !keys->ring_name)
        return 0;
    if (!keys->tls)
        keys->tls = tls_new(&keys->self, &keys->ring);
    if (!keys->seal)
        keys->seal = seal_new(&keys->ring, keys->ring_name);
    if (!keys->tls || !keys->seal || seal_set_keys(keys->seal, &keys->ring) < 0)
        return -ENOMEM;
    tls_set_keys(keys->tls, &keys->ring);
    return 0;
}

int keys_identify(struct keys *keys, const struct tls_self *self)
{
    keys->self = *self;
    keys->ring_name = strdup(self->ring_name);
    if (!keys->ring_name)
        return -ENOMEM;
    keys->self.ring_name = keys->ring_name;
    return derive(keys);
}

enum keys_mode keys_get_mode(const struct keys *keys)
{
    return keys->mode;
}

const struct keyring *keys_get_ring(const struct keys *keys)
{
    return &keys->ring;
}

const char *keys_get_path(const struct keys *keys)
{
    return keys->path ? keys->path : "";
}

struct tls *keys_get_tls(const struct keys *keys)
{
    return keys->tls;
}

struct seal *keys_get_seal(const struct keys *keys)
{
    return keys->seal;
}

int keys_store(struct keys *keys, const struct keyring *ring, char **ret_error)
{
    int result = keyring_save(keys->path, ring, ret_error);

    if (result < 0)
        return result;
    keys->ring = *ring;
    if (keys->mode == KEYS_MISSING && ring->count > 0)
        keys->mode = KEYS_PRESENT;
    return derive(keys);
}

/* ---- peers ---- */

static struct peer_key *find_peer(struct keys *keys, const struct ring_address *address)
{
    for (size_t i = 0; i < PEERS_BEHIND_MAX; i++) {
        struct peer_key *peer = &keys->peers[i];

        if (peer->address.family && peer->address.port == address->port &&
            address_same_host(&peer->address, address))
            return peer;
    }
    return NULL;
}

uint32_t keys_for(const struct keys *keys, const struct ring_address *address)
{
    const struct peer_key *peer = find_peer((struct keys *)keys, address);
    const struct ring_key *used = keyring_used(&keys->ring);

    if (peer && keyring_find(&keys->ring, peer->key_id))
        return peer->key_id;
    return used ? used->id : 0;
}

void keys_note(struct keys *keys, const struct ring_address *address, uint32_t key_id)
{
    const struct ring_key *used = keyring_used(&keys->ring);
    struct peer_key *peer = find_peer(keys, address);

    if (used && used->id == key_id) {
        if (peer)
            *peer = (struct peer_key){.key_id = 0};
        return;
    }
    keys->behind = true;
    if (!peer)
        peer = &keys->peers[keys->next_peer++ % PEERS_BEHIND_MAX];
    *peer = (struct peer_key){.address = *address, .key_id = key_id};
}

bool keys_take_behind(struct keys *keys)
{
    bool behind = keys->behind;

    keys->behind = false;
    return behind;
}

/* ---- strangers ---- */

static void tell(const struct keys *keys, enum stranger kind, uint64_t count)
{
    const struct stranger_count *stranger = &keys->strangers[kind];
    unsigned long long many = count;
    char from[ADDRESS_TEXT_MAX];

    address_format(&stranger->from, from);
    switch (kind) {
    case STRANGER_LINK:
        journal_log_peer(keys->journal, LINE_STRANGER_LINK, from,
                         "%llu connection%s without a key of this ring refused, the last from %s",
                         many, many == 1 ? "" : "s", from);
        return;
    case STRANGER_OTHER_KEY:
        journal_log_peer(keys->journal, LINE_STRANGER_OTHER_KEY, from,
                         "%s uses key %08x, which this host does not have; if it is of this ring, "
                         "run there: ringchatctl key show, and here: ringchatctl key add",
                         from, stranger->key_id);
        return;
    case STRANGER_FORGED:
        journal_log_peer(keys->journal, LINE_STRANGER_FORGED, from,
                         "%llu datagram%s that do not open ignored, the last from %s: forged, "
                         "damaged, or of a ring of another name",
                         many, many == 1 ? "" : "s", from);
        return;
    case STRANGER_IN_THE_CLEAR:
        journal_log_peer(keys->journal, LINE_STRANGER_IN_THE_CLEAR, from,
                         "%s talks in the clear and is ignored; if it is of this ring, remove "
                         "Key=none there, and give it the key: ringchatctl key add",
                         from);
        return;
    case STRANGERS:
        break;
    }
    check_unreachable();
}

void keys_stranger(struct keys *keys, enum stranger kind, const struct ring_address *from,
                   uint32_t key_id)
{
    struct stranger_count *stranger = &keys->strangers[kind];
    uint64_t now = engine_monotonic();

    stranger->all++;
    stranger->at = now;
    stranger->from = *from;
    stranger->key_id = key_id;
    if (stranger->told_at && now - stranger->told_at < STRANGER_LINE_USEC)
        return;
    tell(keys, kind, stranger->all - stranger->told);
    stranger->told = stranger->all;
    stranger->told_at = now;
}

uint64_t keys_count_strangers(const struct keys *keys, enum stranger kind)
{
    return keys->strangers[kind].all;
}

bool keys_heard_other(const struct keys *keys, uint32_t *ret_key_id, struct ring_address *ret_from)
{
    const struct stranger_count *stranger = &keys->strangers[STRANGER_OTHER_KEY];

    if (!stranger->at || engine_monotonic() - stranger->at > STRANGER_LINE_USEC)
        return false;
    *ret_key_id = stranger->key_id;
    *ret_from = stranger->from;
    return true;
}
