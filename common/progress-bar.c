#include "progress-bar.h"

#include "util.h"

#define COLUMNS 30

void progress_bar_print(FILE *file, uint64_t part, uint64_t total)
{
    size_t full = (size_t)((double)MIN(part, total) / (double)total * COLUMNS);

    fputc('[', file);
    for (size_t i = 0; i < COLUMNS; i++)
        fputc(i < full ? '#' : '.', file);
    fputs("] ", file);
}
