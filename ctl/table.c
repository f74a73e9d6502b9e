#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/check.h"
#include "common/text.h"
#include "common/util.h"
#include "output.h"

struct table {
    size_t columns, rows;
    const char *const *headings;
    char **cells;
};

struct table *table_new(size_t columns, const char *const *headings)
{
    struct table *table = calloc(1, sizeof(*table));

    check(columns <= TABLE_COLUMNS_MAX);
    if (!table)
        return NULL;
    table->columns = columns;
    table->headings = headings;
    return table;
}

void table_free(struct table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->rows * table->columns; i++)
        free(table->cells[i]);
    free(table->cells);
    free(table);
}

void table_add(struct table *table, const char *const *cells)
{
    char **grown = reallocarray(table->cells, (table->rows + 1) * table->columns, sizeof(char *));

    if (!grown)
        return;
    table->cells = grown;
    for (size_t i = 0; i < table->columns; i++)
        table->cells[table->rows * table->columns + i] = visible(cells[i]);
    table->rows++;
}

static size_t width_of(const struct context *context, const struct table *table, size_t column)
{
    size_t width = context->no_legend ? 0 : text_columns(table->headings[column]);

    for (size_t row = 0; row < table->rows; row++)
        width = MAX(width, text_columns(table->cells[row * table->columns + column]));
    return width;
}

/* The last cell is not filled up. */
static void print_row(const struct table *table, const char *const *cells, const size_t *widths)
{
    for (size_t i = 0; i < table->columns; i++) {
        size_t width = text_columns(cells[i]);

        printf("%s", cells[i]);
        if (i + 1 < table->columns)
            printf("%*s", (int)(widths[i] - MIN(width, widths[i]) + 2), "");
    }
    putchar('\n');
}

void table_print(const struct context *context, const struct table *table)
{
    size_t widths[TABLE_COLUMNS_MAX];

    for (size_t i = 0; i < table->columns; i++)
        widths[i] = width_of(context, table, i);
    if (!context->no_legend) {
        fputs(bold(context), stdout);
        print_row(table, table->headings, widths);
        fputs(plain(context), stdout);
    }
    for (size_t row = 0; row < table->rows; row++)
        print_row(table, (const char *const *)&table->cells[row * table->columns], widths);
}
