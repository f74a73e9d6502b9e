#pragma once

/* What to say of an option that getopt_long(3) does not take, in words of our own: its message
 * would repeat to the terminal whatever bytes were typed. */

struct option;

/* To be called where getopt_long() has returned '?', and opterr is 0. `known` are the options that
 * it was given, whose values are no characters. The text has the word as it was typed, to be made
 * visible; to be freed. NULL: out of memory. */
char *option_trouble(char *const argv[], const struct option *known);
