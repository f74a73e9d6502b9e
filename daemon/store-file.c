#include "store-file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* Nothing but the identity is asked for: a file whose times somebody has seen gets a new one with
 * the next write, where it would else get one every few ms, and some file systems write that to the
 * disk whenever the file is synced. */
int store_file_identify(const char *path, struct store_file *ret)
{
    struct statx status;

    if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_INO, &status) < 0)
        return -errno;
    *ret = (struct store_file){status.stx_dev_major, status.stx_dev_minor, status.stx_ino};
    return 0;
}

bool store_file_is_same(const char *path, const struct store_file *noted)
{
    struct store_file now;

    return store_file_identify(path, &now) == 0 && now.inode == noted->inode &&
           now.major == noted->major && now.minor == noted->minor;
}
