#pragma once

#include <stdint.h>
#include <stdio.h>

/* "[######........................] ". `total` is not 0. */
void progress_bar_print(FILE *file, uint64_t part, uint64_t total);
