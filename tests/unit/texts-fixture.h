#pragma once

/* Messages with texts that go to segments, and the segments' files. */

#include "store-fixture.h"

#define SEGMENTS "SELECT count(*) FROM segment"
#define TEXT_BYTES_LONGEST (300 * 1024)

/* The n-th message, whose text is made of its number. */
struct message_key key_number(uint64_t n);
struct message message_number(uint64_t n, char text[TEXT_BYTES_LONGEST]);

/* Stores and delivers one of them, or some in turn, and waits for that. */
void say_number(struct fixture *fixture, uint64_t n);
void say_numbers(struct fixture *fixture, uint64_t first, uint64_t last);

void assert_is_number(const struct packet *packet, uint64_t n);
/* By every way to read. */
void assert_all_there(struct fixture *fixture, uint64_t first, uint64_t last);

/* The path of the n-th file (from 0) of the segments of a database in the state directory, in their
 * order; to be freed. NULL: there are not so many. */
char *segment_file(struct fixture *fixture, const char *database, size_t n);

/* Of history.db. */
int count_files(struct fixture *fixture);
