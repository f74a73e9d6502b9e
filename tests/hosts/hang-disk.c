/* A disk that hangs: preloaded, it makes the flush of a file wait while the file named by HANG_DISK
 * is there. */

#include <dlfcn.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#define LOOK_AGAIN_MSEC 5

static int flush(const char *name, int fd)
{
    int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    const char *path = getenv("HANG_DISK");

    while (path && access(path, F_OK) == 0)
        poll(NULL, 0, LOOK_AGAIN_MSEC);
    return next(fd);
}

int fdatasync(int fd)
{
    return flush("fdatasync", fd);
}

int fsync(int fd)
{
    return flush("fsync", fd);
}
