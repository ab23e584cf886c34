/* Intrusive doubly linked list with a sentinel head. Thread: the owner's locking rules apply. */
#ifndef PIERRE_LIST_H
#define PIERRE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

#define list_entry(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))
#define list_for_each(node, head)                                                                  \
	for (struct list *node = (head)->next; node != (head); node = node->next)
#define list_for_each_safe(node, head)                                                             \
	for (struct list *node = (head)->next, *node##_next = node->next; node != (head);          \
		node = node##_next, node##_next = node->next)

static inline void list_init(struct list *head)
{
	head->next = head->prev = head;
}
static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

static inline void list_append(struct list *head, struct list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

/* Unlinks and leaves the node empty; a second removal has no effect. */
static inline void list_remove(struct list *node)
{
	/* The analyzer cannot see that a freed node was unlinked before. */
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

static inline struct list *list_first(struct list *head)
{
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): as in list_remove() */
	return head->next;
}

/* Moves all of `from` to the end of `to`; `from` is empty afterwards. */
static inline void list_splice(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

/* The same, to the beginning of `to`. */
static inline void list_splice_front(struct list *to, struct list *from)
{
	list_splice(from, to);
	list_splice(to, from);
}

static inline unsigned list_length(const struct list *head)
{
	unsigned count = 0;

	list_for_each (node, head)
		count++;
	return count;
}

#endif
