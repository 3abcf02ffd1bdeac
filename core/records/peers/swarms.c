#include "records/peers/swarms.h"

#include "base/array.h"

#include <assert.h>

enum {
  SERIAL_SHIFT = 32,
  LIST_PAGE = 128, /* serials that are listed at a time */
  /* Bytes that a swarm takes at most besides its rows: its head, a slot, a
   * place in the heap and a bucket, in arrays that grow by an eighth, and room
   * for more rows. */
  SWARM_OVERHEAD = sizeof(struct kad_swarm) + 30 + 88
};

/* The bit of a handle that tells it from that of an entry. */
static const uint32_t swarm_bit = UINT32_C(1) << 31;

/* ------------------------------------------------------------- callbacks -- */

static uint64_t hash_id(const struct kad_swarms *swarms,
                        const struct kad_id *key) {
  return kad_item_map_hash(swarms->secret, key->bytes, sizeof key->bytes);
}

static uint64_t hash_of(void *state, uint32_t number) {
  return hash_id(state, &kad_swarms_at(state, number)->key);
}

static uint32_t *link_of(void *state, uint32_t number) {
  return &kad_swarms_at(state, number)->chain;
}

static bool is_due_before(void *state, uint32_t a, uint32_t b) {
  return kad_swarms_at(state, a)->due < kad_swarms_at(state, b)->due;
}

static uint32_t *place_of(void *state, uint32_t number) {
  return &kad_swarms_at(state, number)->place;
}

void kad_swarms_init(struct kad_swarms *swarms, const uint8_t *secret) {
  *swarms = (struct kad_swarms){
      .secret = secret,
      .free = KAD_NO_ITEM,
      .found = KAD_NO_ITEM,
      .hint = {.number = KAD_NO_ITEM},
      .map = {.state = swarms, .link = link_of, .hash = hash_of},
      .due = {.state = swarms, .before = is_due_before, .place = place_of},
  };
}

void kad_swarms_clear(struct kad_swarms *swarms,
                      const struct kad_allocator *allocator) {
  uint32_t first = swarms->first;
  for (size_t i = 0; i < swarms->used; i++) {
    struct kad_swarm_slot *slot = &swarms->slots[i];
    uint32_t next = slot->first;
    if (slot->swarm != NULL) {
      next += slot->swarm->issued;
      kad_swarm_free(slot->swarm, allocator);
    }
    first = next > first ? next : first;
  }
  KAD_ARRAY_FREE(allocator, &swarms->slots, &swarms->cap);
  kad_item_map_deinit(&swarms->map, allocator);
  kad_item_heap_deinit(&swarms->due, allocator);
  kad_swarms_init(swarms, swarms->secret);
  swarms->first = first;
}

/* ---------------------------------------------------------------- swarms -- */

static uint32_t find_hashed(const struct kad_swarms *swarms,
                            const struct kad_id *key, uint64_t hash) {
  uint32_t number = kad_item_map_first(&swarms->map, hash);
  while (number != KAD_NO_ITEM &&
         !kad_id_equal(&kad_swarms_at(swarms, number)->key, key)) {
    number = kad_swarms_at(swarms, number)->chain;
  }
  return number;
}

/* Returns true if the swarm that was found last has this key. A query asks for
 * one swarm several times, and hashing its key would take most of that. */
static bool is_found(const struct kad_swarms *swarms,
                     const struct kad_id *key) {
  const struct kad_swarm *swarm = swarms->found < swarms->used
                                      ? kad_swarms_at(swarms, swarms->found)
                                      : NULL;
  return swarm != NULL && kad_id_equal(&swarm->key, key);
}

uint32_t kad_swarms_find(struct kad_swarms *swarms, const struct kad_id *key) {
  if (!is_found(swarms, key)) {
    swarms->found = find_hashed(swarms, key, hash_id(swarms, key));
  }
  return swarms->found;
}

/* Makes room for one more swarm. */
static int reserve_slot(struct kad_swarms *swarms,
                        const struct kad_allocator *allocator) {
  if (swarms->free == KAD_NO_ITEM && swarms->used == swarms->cap &&
      KAD_ARRAY_RESERVE(allocator, &swarms->slots, &swarms->cap,
                        kad_item_grown_cap(swarms->cap)) != 0) {
    return KAD_ENOMEM;
  }
  const int status = kad_item_heap_reserve(&swarms->due, allocator);
  return status != 0 ? status : kad_item_map_reserve(&swarms->map, allocator);
}

/* Returns a free slot. */
static uint32_t take_slot(struct kad_swarms *swarms) {
  uint32_t number = swarms->free;
  if (number != KAD_NO_ITEM) {
    swarms->free = swarms->slots[number].next_free;
    return number;
  }
  assert(swarms->used < swarms->cap);
  number = (uint32_t)swarms->used;
  swarms->used++;
  swarms->slots[number] = (struct kad_swarm_slot){.first = swarms->first};
  return number;
}

int kad_swarms_open(struct kad_swarms *swarms,
                    const struct kad_allocator *allocator,
                    const struct kad_id *key, uint32_t *number) {
  *number = kad_swarms_find(swarms, key);
  if (*number != KAD_NO_ITEM) {
    return 0;
  }
  if (reserve_slot(swarms, allocator) != 0) {
    return KAD_ENOMEM;
  }
  struct kad_swarm *swarm = kad_swarm_new(allocator, key);
  if (swarm == NULL) {
    return KAD_ENOMEM;
  }
  *number = take_slot(swarms);
  swarms->slots[*number].swarm = swarm;
  kad_item_map_add(&swarms->map, hash_id(swarms, key), *number);
  kad_item_heap_add(&swarms->due, *number);
  swarms->count++;
  swarms->bytes += SWARM_OVERHEAD;
  return 0;
}

int kad_swarms_reserve(struct kad_swarms *swarms,
                       const struct kad_allocator *allocator, uint32_t number,
                       const struct kad_swarm_row *row,
                       const struct kad_swarm_row *old) {
  struct kad_swarm *swarm = kad_swarms_at(swarms, number);
  kad_swarm_prepare(swarm, row);
  const size_t size = kad_swarm_row_size(swarm, row);
  const size_t freed = old == NULL ? 0 : old->end - old->begin;
  if (size == 0) {
    return KAD_EFULL;
  }
  return size <= freed ? 0
                       : kad_swarm_reserve(&swarms->slots[number].swarm,
                                           allocator, size - freed);
}

void kad_swarms_trim(struct kad_swarms *swarms,
                     const struct kad_allocator *allocator, uint32_t number) {
  struct kad_swarm_slot *slot = &swarms->slots[number];
  if (slot->swarm->count > 0) {
    kad_swarm_shrink(&slot->swarm, allocator);
    return;
  }
  kad_item_map_remove(&swarms->map, hash_of(swarms, number), number);
  kad_item_heap_remove(&swarms->due, number);
  slot->first += slot->swarm->issued;
  kad_swarm_free(slot->swarm, allocator);
  slot->swarm = NULL;
  slot->next_free = swarms->free;
  swarms->free = number;
  swarms->count--;
  swarms->bytes -= SWARM_OVERHEAD;
}

/* ------------------------------------------------------------------ rows -- */

bool kad_swarms_is_handle(kad_record_handle handle) {
  return ((uint32_t)handle & swarm_bit) != 0;
}

kad_record_handle kad_swarms_handle(const struct kad_swarms *swarms,
                                    uint32_t number, uint32_t serial) {
  const uint32_t absolute = swarms->slots[number].first + serial;
  return (uint64_t)absolute << SERIAL_SHIFT | (number | swarm_bit);
}

/* Reads the row with this serial if it is the one that was read last, or the
 * next older one: who has found rows reads them in their order. */
static bool read_hinted(const struct kad_swarms *swarms, uint32_t number,
                        uint32_t serial, struct kad_swarm_row *row) {
  const struct kad_swarm *swarm = kad_swarms_at(swarms, number);
  const struct kad_swarm_hint *hint = &swarms->hint;
  if (hint->number != number) {
    return false;
  }
  kad_swarm_read(swarm, hint->end, row);
  if (row->serial != serial && hint->begin > 0) {
    kad_swarm_read(swarm, hint->begin, row);
  }
  return row->serial == serial;
}

bool kad_swarms_read(struct kad_swarms *swarms, kad_record_handle handle,
                     uint32_t *number, struct kad_swarm_row *row) {
  *number = (uint32_t)handle & ~swarm_bit;
  if (!kad_swarms_is_handle(handle) || *number >= swarms->used ||
      kad_swarms_at(swarms, *number) == NULL) {
    return false;
  }
  const uint32_t serial =
      (uint32_t)(handle >> SERIAL_SHIFT) - swarms->slots[*number].first;
  if (!read_hinted(swarms, *number, serial, row) &&
      !kad_swarm_find(kad_swarms_at(swarms, *number), serial, row)) {
    return false;
  }
  swarms->hint = (struct kad_swarm_hint){*number, row->begin, row->end};
  return true;
}

void kad_swarms_list(const struct kad_swarms *swarms, uint32_t number,
                     size_t skip, kad_record_handle *handles, size_t cap) {
  uint32_t serials[LIST_PAGE];
  size_t copied = LIST_PAGE;
  for (size_t i = 0; i < cap && copied == LIST_PAGE; i += copied) {
    const size_t page = cap - i < LIST_PAGE ? cap - i : LIST_PAGE;
    copied =
        kad_swarm_list(kad_swarms_at(swarms, number), skip + i, serials, page);
    for (size_t j = 0; j < copied; j++) {
      handles[i + j] = kad_swarms_handle(swarms, number, serials[j]);
    }
  }
}

/* Rows have moved. */
static void forget_hint(struct kad_swarms *swarms) {
  swarms->hint.number = KAD_NO_ITEM;
}

/* Counts the bytes of `len` bytes of rows and the room that they may have. */
static size_t cost_of(size_t len) {
  return len + len / 8;
}

static void count_bytes(struct kad_swarms *swarms,
                        const struct kad_swarm *swarm, size_t len_before) {
  swarms->bytes += cost_of(swarm->len);
  swarms->bytes -= cost_of(len_before);
}

void kad_swarms_append(struct kad_swarms *swarms, uint32_t number,
                       const struct kad_swarm_row *row) {
  struct kad_swarm *swarm = kad_swarms_at(swarms, number);
  const kad_time_ms due = swarm->due;
  const size_t len = swarm->len;
  kad_swarm_append(swarm, row);
  swarm->issued++;
  forget_hint(swarms);
  count_bytes(swarms, swarm, len);
  swarms->rows++;
  swarms->peers += row->entry == KAD_NO_ITEM;
  if (swarm->due < due) {
    kad_item_heap_move(&swarms->due, number);
  }
}

void kad_swarms_remove(struct kad_swarms *swarms, uint32_t number,
                       const struct kad_swarm_row *old) {
  struct kad_swarm *swarm = kad_swarms_at(swarms, number);
  const size_t len = swarm->len;
  kad_swarm_remove(swarm, old);
  forget_hint(swarms);
  count_bytes(swarms, swarm, len);
  swarms->rows--;
  swarms->peers -= old->entry == KAD_NO_ITEM;
}

void kad_swarms_replace(struct kad_swarms *swarms, uint32_t number,
                        const struct kad_swarm_row *old,
                        const struct kad_swarm_row *row, bool renews) {
  struct kad_swarm *swarm = kad_swarms_at(swarms, number);
  const kad_time_ms due = swarm->due;
  const size_t len = swarm->len;
  kad_swarm_replace(swarm, old, row, renews);
  forget_hint(swarms);
  count_bytes(swarms, swarm, len);
  swarms->peers -= old->entry == KAD_NO_ITEM;
  swarms->peers += row->entry == KAD_NO_ITEM;
  if (swarm->due < due) {
    kad_item_heap_move(&swarms->due, number);
  }
}

/* A peer that is confirmed only makes the first time of its swarm later. That
 * is computed when the swarm comes first in the heap. */
kad_record_handle kad_swarms_due(struct kad_swarms *swarms, kad_time_ms *at) {
  uint32_t number = kad_item_heap_first(&swarms->due);
  while (number != KAD_NO_ITEM && kad_swarms_at(swarms, number)->is_late) {
    kad_swarm_find_due(kad_swarms_at(swarms, number));
    kad_item_heap_move(&swarms->due, number);
    number = kad_item_heap_first(&swarms->due);
  }
  *at = number == KAD_NO_ITEM ? KAD_TIME_NEVER
                              : kad_swarms_at(swarms, number)->due;
  return *at == KAD_TIME_NEVER
             ? 0
             : kad_swarms_handle(swarms, number,
                                 kad_swarms_at(swarms, number)->due_serial);
}

/* The cursor is the number of a swarm and one more than the rows that are left;
 * 0: all. The oldest row is first, so that the row that was returned last can
 * be removed. */
kad_record_handle kad_swarms_next(const struct kad_swarms *swarms,
                                  uint64_t *cursor) {
  uint32_t number = (uint32_t)(*cursor >> SERIAL_SHIFT);
  uint32_t left = (uint32_t)*cursor - 1;
  for (; number < swarms->used; number++) {
    uint32_t serial = 0;
    if (kad_swarms_at(swarms, number) != NULL &&
        kad_swarm_find_oldest(kad_swarms_at(swarms, number), &left, &serial)) {
      *cursor = (uint64_t)number << SERIAL_SHIFT | (left + 1);
      return kad_swarms_handle(swarms, number, serial);
    }
    left = UINT32_MAX;
  }
  *cursor = (uint64_t)number << SERIAL_SHIFT;
  return 0;
}
