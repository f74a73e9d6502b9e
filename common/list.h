#pragma once

/* A doubly linked list through a `struct list` inside each element. An empty list points to itself.
 */

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *previous;
};

#define list_entry(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

#define list_for_each(position, head)                                                              \
    for (struct list *position = (head)->next; position != (head); position = position->next)

/* The same where the body may remove `position`. */
#define list_for_each_safe(position, head)                                                         \
    for (struct list *position = (head)->next, *next_ = position->next; position != (head);        \
         position = next_, next_ = position->next)

static inline void list_init(struct list *head)
{
    head->next = head->previous = head;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

/* Appends at the end of the list. */
static inline void list_append(struct list *head, struct list *element)
{
    element->previous = head->previous;
    element->next = head;
    head->previous->next = element;
    head->previous = element;
}

/* Takes the element out and leaves it an empty list, so that removing it twice is harmless. */
static inline void list_remove(struct list *element)
{
    element->previous->next = element->next;
    element->next->previous = element->previous;
    list_init(element);
}
