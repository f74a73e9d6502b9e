#pragma once

/* A table on the terminal: columns as wide as their widest cell. */

#include "context.h"

/* Rows and columns of a table are few; cells are short. */
#define TABLE_COLUMNS_MAX 10

struct table;

/* `headings` stay the caller's. NULL: out of memory. */
struct table *table_new(size_t columns, const char *const *headings);

/* Takes copies of the cells; what could drive a terminal is made visible. */
void table_add(struct table *table, const char *const *cells);

void table_print(const struct context *context, const struct table *table);
void table_free(struct table *table); /* NULL is allowed */

DEFINE_CLEANUP(struct table *, table_free);
