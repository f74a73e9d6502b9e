#include "paths.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"

/* Makes the directory and those above it. 0 or a negative errno. */
static int make_directory(const char *path, mode_t mode)
{
    _cleanup_free_ char *copy = strdup(path);

    if (!copy)
        return -ENOMEM;
    for (char *at = copy + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (mkdir(copy, 0755) < 0 && errno != EEXIST)
            return -errno;
        *at = '/';
    }
    if (mkdir(copy, mode) < 0 && errno != EEXIST)
        return -errno;
    return 0;
}

static int format(char **ret, const char *directory, const char *rest)
{
    return asprintf(ret, "%s%s", directory, rest) < 0 ? -ENOMEM : 0;
}

/* systemd may give several directories, separated by colons; ours is the first. */
static int from_systemd(const char *variable, const char *rest, char **ret)
{
    const char *value = getenv(variable);

    if (!value || !*value)
        return -ENOENT;
    return asprintf(ret, "%.*s%s", (int)strcspn(value, ":"), value, rest) < 0 ? -ENOMEM : 0;
}

static int usual_state(char **ret)
{
    const char *home;
    int result = from_systemd("STATE_DIRECTORY", "", ret);

    if (result != -ENOENT)
        return result;
    if (geteuid() == 0)
        return format(ret, "/var/lib/ringchat", "");
    home = getenv("XDG_STATE_HOME");
    if (home && *home)
        return format(ret, home, "/ringchat");
    home = getenv("HOME");
    return home && *home ? format(ret, home, "/.local/state/ringchat") : -ENOENT;
}

static int usual_socket(char **ret)
{
    const char *directory;
    int result = from_systemd("RUNTIME_DIRECTORY", "/control", ret);

    if (result != -ENOENT)
        return result;
    if (geteuid() == 0)
        return format(ret, "/run/ringchat/control", "");
    directory = getenv("XDG_RUNTIME_DIR");
    return directory && *directory ? format(ret, directory, "/ringchat/control") : -ENOENT;
}

static int complain(int error, const char *what, const char *path, const char *option,
                    char **ret_error)
{
    int result = path ? asprintf(ret_error, "%s: the %s cannot be made: %s; give another one by %s",
                                 path, what, strerror(-error), option)
                      : asprintf(ret_error, "no place for the %s; give one by %s", what, option);

    if (result < 0)
        *ret_error = NULL;
    return error;
}

int paths_state(const char *given, char **ret, char **ret_error)
{
    _cleanup_free_ char *path = NULL;
    int result = given ? format(&path, given, "") : usual_state(&path);

    if (result == 0)
        result = make_directory(path, 0700);
    if (result < 0)
        return complain(result, "state directory", path, "--state DIRECTORY", ret_error);
    *ret = steal_pointer(path);
    return 0;
}

int paths_socket(const char *given, char **ret, char **ret_error)
{
    _cleanup_free_ char *path = NULL, *directory = NULL;
    int result = given ? format(&path, given, "") : usual_socket(&path);

    if (result == 0) {
        directory = strdup(path);
        result = directory ? 0 : -ENOMEM;
    }
    if (result == 0 && strrchr(directory, '/') > directory) {
        *strrchr(directory, '/') = '\0';
        result = make_directory(directory, 0755);
    }
    if (result < 0)
        return complain(result, "control socket's directory", path, "--socket PATH", ret_error);
    *ret = steal_pointer(path);
    return 0;
}
