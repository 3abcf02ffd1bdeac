/* Memory from the allocator of the environment. */
#ifndef KAD_BASE_ALLOCATOR_H
#define KAD_BASE_ALLOCATOR_H

#include "kadenza.h"

/* Allocates `size` bytes (more than 0), uninitialised. NULL: out of memory. */
void *kad_alloc(const struct kad_allocator *allocator, size_t size);

/* Allocates `size` bytes, all zero. NULL when out of memory. */
void *kad_alloc_zero(const struct kad_allocator *allocator, size_t size);

/* Resizes a block. Allocates if `old` is NULL and `old_size` 0. Returns NULL,
 * with `old` unchanged, when out of memory. */
void *kad_resize(const struct kad_allocator *allocator, void *old,
                 size_t old_size, size_t new_size);

/* Frees a block of `size` bytes. NULL is ignored. */
void kad_release(const struct kad_allocator *allocator, void *block,
                 size_t size);

#endif
