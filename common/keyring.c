#include "common/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/check.h"
#include "common/cleanup.h"
#include "common/util.h"

#define KEY_PREFIX "rck1_"
#define KEY_ID_DIGITS 8
#define KEY_SECRET_DIGITS (2 * KEY_SECRET_BYTES)

/* What the checksum is of: prefix, id, "_", secret. */
#define KEY_SUMMED_CHARACTERS (sizeof(KEY_PREFIX) - 1 + KEY_ID_DIGITS + 1 + KEY_SECRET_DIGITS)
#define KEY_CHARACTERS (KEY_SUMMED_CHARACTERS + 1 + KEY_ID_DIGITS)

/* Blanks around words and lines, also those of other systems. */
#define BLANKS " \t\r\n"

void keyring_done(struct keyring *ring)
{
    explicit_bzero(ring, sizeof(*ring));
}

/* ---- keys as text ---- */

void key_generate(struct ring_key *ret)
{
    check(getrandom(ret->secret, sizeof(ret->secret), 0) == (ssize_t)sizeof(ret->secret));
    check(getrandom(&ret->id, sizeof(ret->id), 0) == (ssize_t)sizeof(ret->id));
}

/* CRC-32 of IEEE 802.3: finds slips of the hand, not forgeries. */
static uint32_t checksum(const char *text, size_t size)
{
    uint32_t sum = UINT32_MAX;

    for (size_t i = 0; i < size; i++) {
        sum ^= (unsigned char)text[i];
        for (unsigned bit = 0; bit < 8; bit++)
            sum = sum >> 1 ^ (sum & 1 ? 0xedb88320U : 0);
    }
    return ~sum;
}

static int parse_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return -1;
}

static int parse_digits(const char *text, uint8_t *ret, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        int high = parse_digit(text[2 * i]), low = high < 0 ? -1 : parse_digit(text[2 * i + 1]);

        if (low < 0)
            return -EINVAL;
        ret[i] = (uint8_t)(high << 4 | low);
    }
    return 0;
}

void key_format_id(uint32_t id, char ret[KEY_ID_TEXT_MAX])
{
    snprintf(ret, KEY_ID_TEXT_MAX, "%08x", id);
}

int key_parse_id(const char *text, uint32_t *ret)
{
    uint8_t bytes[4];

    if (strlen(text) != KEY_ID_DIGITS || parse_digits(text, bytes, sizeof(bytes)) < 0)
        return -EINVAL;
    *ret = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
    return 0;
}

void key_format(const struct ring_key *key, char ret[KEY_LINE_MAX])
{
    size_t at = (size_t)sprintf(ret, KEY_PREFIX "%08x_", key->id);

    for (size_t i = 0; i < sizeof(key->secret); i++)
        at += (size_t)sprintf(ret + at, "%02x", key->secret[i]);
    sprintf(ret + at, "_%08x", checksum(ret, at));
}

/* A line without blanks around it. */
static int parse_line(const char *line, size_t size, struct ring_key *ret)
{
    char sum[KEY_ID_DIGITS + 1], id[KEY_ID_DIGITS + 1];
    uint32_t expected;
    struct ring_key key;

    if (size < sizeof(KEY_PREFIX) - 1 || memcmp(line, KEY_PREFIX, sizeof(KEY_PREFIX) - 1) != 0)
        return -EINVAL;
    if (size != KEY_CHARACTERS || line[sizeof(KEY_PREFIX) - 1 + KEY_ID_DIGITS] != '_' ||
        line[KEY_SUMMED_CHARACTERS] != '_')
        return -EBADMSG;
    snprintf(id, sizeof(id), "%.8s", line + sizeof(KEY_PREFIX) - 1);
    snprintf(sum, sizeof(sum), "%.8s", line + KEY_SUMMED_CHARACTERS + 1);
    if (key_parse_id(id, &key.id) < 0 || key_parse_id(sum, &expected) < 0 ||
        expected != checksum(line, KEY_SUMMED_CHARACTERS) ||
        parse_digits(line + KEY_SUMMED_CHARACTERS - KEY_SECRET_DIGITS, key.secret,
                     sizeof(key.secret)) < 0)
        return -EBADMSG;
    *ret = key;
    explicit_bzero(&key, sizeof(key));
    return 0;
}

int key_parse(const char *line, struct ring_key *ret)
{
    const char *begin = line + strspn(line, BLANKS);
    size_t size = strlen(begin);

    while (size > 0 && strchr(BLANKS, begin[size - 1]))
        size--;
    return parse_line(begin, size, ret);
}

/* ---- keyrings ---- */

static struct ring_key *find(struct keyring *ring, uint32_t id)
{
    for (size_t i = 0; i < ring->count; i++) {
        if (ring->keys[i].id == id)
            return &ring->keys[i];
    }
    return NULL;
}

const struct ring_key *keyring_find(const struct keyring *ring, uint32_t id)
{
    return find((struct keyring *)ring, id);
}

const struct ring_key *keyring_used(const struct keyring *ring)
{
    return ring->count > 0 ? &ring->keys[ring->used] : NULL;
}

int keyring_add(struct keyring *ring, const struct ring_key *key)
{
    const struct ring_key *same = find(ring, key->id);

    if (same)
        return memcmp(same->secret, key->secret, sizeof(key->secret)) == 0 ? 0 : -EEXIST;
    if (ring->count == KEYS_MAX)
        return -ENOSPC;
    ring->keys[ring->count++] = *key;
    return 0;
}

int keyring_use(struct keyring *ring, uint32_t id)
{
    const struct ring_key *key = find(ring, id);

    if (!key)
        return -ENOENT;
    ring->used = (size_t)(key - ring->keys);
    return 0;
}

int keyring_remove(struct keyring *ring, uint32_t id)
{
    struct ring_key *key = find(ring, id);
    size_t at;

    if (!key)
        return -ENOENT;
    at = (size_t)(key - ring->keys);
    if (at == ring->used)
        return -EBUSY;
    ring->count--;
    memmove(key, key + 1, (ring->count - at) * sizeof(*key));
    explicit_bzero(&ring->keys[ring->count], sizeof(*key));
    if (at < ring->used)
        ring->used--;
    return 0;
}

/* ---- keyrings as text ---- */

static int parse_rotation(const char *word, struct keyring *ring)
{
    char *end;

    errno = 0;
    ring->rotation = strtoull(word, &end, 10);
    return *word >= '0' && *word <= '9' && *end == '\0' && errno == 0 ? 0 : -EBADMSG;
}

/* One line: nothing, a comment, "rotation N", "use KEY", "accept KEY", or a key alone. */
static int take_line(char *line, struct keyring *ring)
{
    char *word = strtok_r(line, BLANKS, &line), *value;
    struct ring_key key;
    int result;

    if (!word || *word == '#')
        return 0;
    value = strtok_r(NULL, BLANKS, &line);
    if (strtok_r(NULL, BLANKS, &line))
        return -EBADMSG;
    if (value && strcmp(word, "rotation") == 0)
        return parse_rotation(value, ring);
    if (value && strcmp(word, "use") != 0 && strcmp(word, "accept") != 0)
        return -EBADMSG;
    if (key_parse(value ? value : word, &key) < 0)
        return -EBADMSG;
    result = keyring_add(ring, &key);
    if (result == 0 && value && strcmp(word, "use") == 0)
        result = keyring_use(ring, key.id);
    explicit_bzero(&key, sizeof(key));
    return result == -EEXIST ? -EBADMSG : result;
}

int keyring_parse(const char *text, struct keyring *ret, unsigned *ret_line)
{
    struct keyring ring = {0};
    char line[2 * KEY_LINE_MAX];
    int result = 0;

    *ret_line = 0;
    while (*text && result == 0) {
        size_t size = strcspn(text, "\n");

        ++*ret_line;
        /* A comment may be of any length. */
        snprintf(line, sizeof(line), "%.*s", (int)MIN(size, sizeof(line) - 1), text);
        result = size >= sizeof(line) && *text != '#' ? -EBADMSG : take_line(line, &ring);
        text += size + (text[size] == '\n');
    }
    explicit_bzero(line, sizeof(line));
    if (result == 0)
        *ret = ring;
    keyring_done(&ring);
    return result;
}

void keyring_format(const struct keyring *ring, char ret[KEYRING_TEXT_MAX])
{
    int at = sprintf(ret,
                     "# The keys of a ring: who reads this file gets in. See KEYS in "
                     "ringchatctl(1).\nrotation %llu\n",
                     (unsigned long long)ring->rotation);

    for (size_t i = 0; i < ring->count; i++) {
        char line[KEY_LINE_MAX];

        key_format(&ring->keys[i], line);
        at += sprintf(ret + at, "%s %s\n", i == ring->used ? "use" : "accept", line);
        explicit_bzero(line, sizeof(line));
    }
}

/* ---- files ---- */

__attribute__((format(printf, 3, 4))) static int complain(int error, char **ret_error,
                                                          const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    if (vasprintf(ret_error, format, arguments) < 0)
        *ret_error = NULL;
    va_end(arguments);
    return error;
}

static int read_text(int fd, char text[KEYRING_TEXT_MAX], size_t *ret_size)
{
    size_t size = 0;
    ssize_t count = 1;

    while (count > 0 && size < KEYRING_TEXT_MAX) {
        count = read(fd, text + size, KEYRING_TEXT_MAX - size);
        if (count < 0 && errno == EINTR)
            count = 1;
        else if (count < 0)
            return -errno;
        else
            size += (size_t)count;
    }
    *ret_size = size;
    return 0;
}

/* `others`: the bits of a mode which say that others than its owner may read it. */
static int load(const char *path, mode_t others, struct keyring *ret, char **ret_error)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    char text[KEYRING_TEXT_MAX];
    struct stat status;
    unsigned line = 0;
    size_t size = 0;
    int result;

    if (fd < 0 || fstat(fd, &status) < 0)
        return complain(-errno, ret_error, "%s: %s", path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return complain(-EBADMSG, ret_error, "%s: not a file", path);
    if (status.st_mode & others)
        return complain(-EPERM, ret_error,
                        "%s: others than its owner may read these keys; run: chmod 0600 %s", path,
                        path);
    result = read_text(fd, text, &size);
    if (result < 0)
        return complain(result, ret_error, "%s: %s", path, strerror(-result));
    if (size == sizeof(text) || memchr(text, '\0', size))
        return complain(-EBADMSG, ret_error, "%s: this is no keyring", path);
    text[size] = '\0';
    result = keyring_parse(text, ret, &line);
    explicit_bzero(text, sizeof(text));
    if (result < 0)
        return complain(result, ret_error, "%s:%u: %s", path, line,
                        result == -ENOSPC ? "too many keys"
                                          : "not a key, or a damaged one; copy its line again");
    return 0;
}

int keyring_load(const char *path, struct keyring *ret, char **ret_error)
{
    return load(path, S_IRWXG | S_IRWXO, ret, ret_error);
}

int keyring_load_credential(const char *path, struct keyring *ret, char **ret_error)
{
    return load(path, S_IRWXO, ret, ret_error);
}

static int write_text(int fd, const char *text)
{
    for (size_t size = strlen(text); size > 0;) {
        ssize_t count = write(fd, text, size);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        text += count;
        size -= (size_t)count;
    }
    return fsync(fd) < 0 ? -errno : 0;
}

static int open_directory(const char *path)
{
    _cleanup_free_ char *directory = strdup(path);
    char *slash = directory ? strrchr(directory, '/') : NULL;
    int fd;

    if (!directory)
        return -ENOMEM;
    if (slash)
        slash[slash == directory] = '\0';
    fd = open(slash ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* What root makes belongs to whom the old file, or the directory, belongs: the daemon must be able
 * to read it. */
static void give_away(int fd, const char *path, int directory)
{
    struct stat status;

    if (geteuid() == 0 && (stat(path, &status) == 0 || fstat(directory, &status) == 0) &&
        fchown(fd, status.st_uid, status.st_gid) < 0)
        return;
}

/* A rename is on disk when its directory is. */
static int replace(const char *draft, const char *path, int directory)
{
    return rename(draft, path) < 0 || fsync(directory) < 0 ? -errno : 0;
}

static int save(const char *path, const struct keyring *ring)
{
    _cleanup_free_ char *draft = NULL;
    _cleanup_close_ int fd = -1, directory = open_directory(path);
    char text[KEYRING_TEXT_MAX];
    int result;

    if (directory < 0)
        return directory;
    if (asprintf(&draft, "%s.XXXXXX", path) < 0) {
        draft = NULL;
        return -ENOMEM;
    }
    fd = mkostemp(draft, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    give_away(fd, path, directory);
    keyring_format(ring, text);
    result = write_text(fd, text);
    explicit_bzero(text, sizeof(text));
    if (result == 0)
        result = replace(draft, path, directory);
    if (result < 0)
        unlink(draft);
    return result;
}

int keyring_save(const char *path, const struct keyring *ring, char **ret_error)
{
    int result = save(path, ring);

    return result < 0 ? complain(result, ret_error, "cannot write %s: %s", path, strerror(-result))
                      : 0;
}
