/* A doubly linked list whose links live inside the members; a zeroed head must be initialised with list_init(). */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *prev, *next;
};

#define LIST_ENTRY(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

static inline void list_init(struct list *head)
{
	head->prev = head->next = head;
}
static inline bool list_is_empty(const struct list *head)
{
	return head->next == head;
}
static inline void list_insert_before(struct list *position, struct list *link)
{
	link->prev = position->prev;
	link->next = position;
	position->prev->next = link;
	position->prev = link;
}
static inline void list_append(struct list *head, struct list *link)
{
	list_insert_before(head, link);
}
static inline void list_prepend(struct list *head, struct list *link)
{
	list_insert_before(head->next, link);
}
/* Safe on a link that was removed or list_init()ed before; not on a zeroed one that was never in a list. */
static inline void list_remove(struct list *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	list_init(link);
}
/* The first member taken off the list, or NULL. */
static inline struct list *list_take_first(struct list *head)
{
	struct list *first = head->next;
	if (first == head)
		return NULL;
	list_remove(first);
	return first;
}

#endif
