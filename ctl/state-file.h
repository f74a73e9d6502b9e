#pragma once

/* Files in which ringchatctl remembers something of its user between two sessions. */

/* The path of such a file in $XDG_STATE_HOME/ringchat, whose directories are made; to be freed.
 * NULL: there is no place for it. */
char *state_file(const char *name);
