/* Arrays that grow: a pointer to the items and the number that there is room
 * for, in whatever struct they belong to.
 *
 *     struct list {
 *       struct thing *items;
 *       size_t count;
 *       size_t cap;
 *     };
 *     struct list list = {0};
 *     if (list.count == list.cap &&
 *         KAD_ARRAY_RESERVE(&allocator, &list.items, &list.cap,
 *                           list.cap + 8) != 0) {
 *       return KAD_ENOMEM;
 *     }
 *     list.items[list.count++] = thing;
 *     KAD_ARRAY_FREE(&allocator, &list.items, &list.cap);
 */
#ifndef KAD_BASE_ARRAY_H
#define KAD_BASE_ARRAY_H

#include "kadenza.h"

/* Makes room for `wanted` items in the array `*items`, which has room for
 * `*cap`; a NULL array has room for none. Has no effect if there is enough. New
 * items are uninitialised. Returns 0, or KAD_ENOMEM with nothing changed. */
#define KAD_ARRAY_RESERVE(allocator, items, cap, wanted) \
  kad_array_reserve((allocator), (items), (cap), (wanted), sizeof **(items))

/* Frees the array `*items`: it is NULL then, and `*cap` is 0. */
#define KAD_ARRAY_FREE(allocator, items, cap) \
  kad_array_free((allocator), (items), (cap), sizeof **(items))

/* Behind the macros. `items` points to a pointer to items of `size` bytes. */
KAD_MUST_CHECK int kad_array_reserve(const struct kad_allocator *allocator,
                                     void *items, size_t *cap, size_t wanted,
                                     size_t size);
void kad_array_free(const struct kad_allocator *allocator, void *items,
                    size_t *cap, size_t size);

#endif
