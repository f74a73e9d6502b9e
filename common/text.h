#pragma once

/* Text from people and peers: is it UTF-8, and how is it shown so that it cannot drive a terminal.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Bytes that belong to somebody else; not ended by NUL. */
struct span {
    const char *data;
    size_t size;
};

/* The span of a C string. */
struct span span_of(const char *text);
bool span_equal(struct span a, struct span b);

/* Whether the bytes are UTF-8 as RFC 3629 has it: shortest forms only, no surrogates, nothing above
 * U+10FFFF. U+0000 is allowed. */
bool text_is_utf8(const char *data, size_t size);

/* Whether all bytes are ASCII. */
bool text_is_ascii(const char *data, size_t size);

/* How many bytes from the first one on stand in a string of JSON as they are: no quotation mark,
 * backslash or control character of C0 (RFC 8259, section 7). Perhaps fewer than there are, but
 * some where the first one does. */
size_t text_plain_size(const char *data, size_t size);

/* A copy of UTF-8 text in which every character outside ASCII is written as JSON's \uXXXX (RFC
 * 8259, section 7). To be freed; NULL: out of memory. */
char *text_escape(const char *data, size_t size, size_t *ret_size);

/* Writes JSON's text, in which what text_visible() makes visible is written as JSON's \uXXXX: the
 * same value, that drives no terminal. Control characters of C0 must be escaped in it already,
 * where they are no blanks between the tokens. Broken UTF-8 becomes U+FFFD. */
void text_put_json(FILE *to, const char *data, size_t size);

/* How many of the first `limit` bytes of UTF-8 text may be kept without cutting a character. */
size_t text_cut(const char *data, size_t size, size_t limit);

/* A copy in which U+0000 and every byte of broken UTF-8 is U+FFFD: text that JSON and C may carry.
 * To be freed; NULL: out of memory. `ret_size` may be NULL. */
char *text_repair(const char *data, size_t size, size_t *ret_size);

/* A copy for the eye, to be freed; NULL: out of memory. What could drive a terminal or change the
 * order of what is read is written as an escape: control characters of C0 and DEL (\x1b), of C1
 * (\u{9b}), line and paragraph separators, bidirectional embeddings, overrides, isolates and marks
 * (\u{202e}), tag characters and other invisible format characters (joiners excepted, which scripts
 * and emoji need), and broken UTF-8 (the bytes, \xff). A tab becomes a space. A newline becomes
 * `newline`, such as "\n    "; NULL: it is written as \n. A backslash stays itself. */
char *text_visible(const char *data, size_t size, const char *newline);

/* Columns on a terminal that the text takes, as wcwidth(3) of the current locale sees it. */
size_t text_columns(const char *text);
