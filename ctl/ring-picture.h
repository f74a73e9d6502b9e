#pragma once

/* The ring as a picture. */

#include "output.h"

/* Draws what Members answered, at most `columns` wide, on stdout. */
void ring_draw(const struct context *context, struct json_object *reply, size_t columns);
