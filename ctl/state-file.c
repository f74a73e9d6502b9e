#include "state-file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"

char *state_file(const char *name)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    _cleanup_free_ char *base = NULL;
    char *path;

    if (state && *state == '/')
        base = strdup(state);
    else if (!home || *home != '/' || asprintf(&base, "%s/.local/state", home) < 0)
        return NULL;
    if (!base || asprintf(&path, "%s/ringchat/%s", base, name) < 0)
        return NULL;
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    return path;
}
