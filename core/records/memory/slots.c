#include "records/memory/slots.h"

#include "base/array.h"
#include "records/peers/swarms.h"

#include <assert.h>

enum {
  SERIAL_SHIFT = 32
};

void kad_slots_init(struct kad_slots *slots) {
  *slots = (struct kad_slots){.free = KAD_NO_ITEM};
}

int kad_slots_reserve(struct kad_slots *slots,
                      const struct kad_allocator *allocator) {
  return slots->free != KAD_NO_ITEM || slots->used < slots->cap
             ? 0
             : KAD_ARRAY_RESERVE(allocator, &slots->items, &slots->cap,
                                 kad_item_grown_cap(slots->cap));
}

void kad_slots_clear(struct kad_slots *slots,
                     const struct kad_allocator *allocator) {
  uint32_t serial = slots->serial;
  KAD_ARRAY_FREE(allocator, &slots->items, &slots->cap);
  kad_slots_init(slots);
  slots->serial = serial;
}

uint32_t kad_slots_add(struct kad_slots *slots,
                       struct kad_memory_entry *entry) {
  uint32_t number = slots->free;
  if (number != KAD_NO_ITEM) {
    slots->free = slots->items[number].next_free;
  } else {
    assert(slots->used < slots->cap);
    number = (uint32_t)slots->used;
    slots->used++;
  }
  slots->serial++;
  if (slots->serial == 0) {
    slots->serial++;
  }
  slots->items[number] =
      (struct kad_slot){.entry = entry, .serial = slots->serial};
  slots->count++;
  return number;
}

void kad_slots_remove(struct kad_slots *slots, uint32_t number) {
  slots->items[number] = (struct kad_slot){.next_free = slots->free};
  slots->free = number;
  slots->count--;
}

void kad_slots_rename(const struct kad_slots *slots, uint32_t number,
                      kad_record_handle handle) {
  struct kad_memory_entry *entry = kad_slots_at(slots, number);
  entry->older = (uint32_t)handle;
  entry->newer = (uint32_t)(handle >> SERIAL_SHIFT);
}

bool kad_slots_is_renamed(const struct kad_slots *slots, uint32_t number) {
  return kad_swarms_is_handle(kad_slots_at(slots, number)->older);
}

kad_record_handle kad_slots_handle(const struct kad_slots *slots,
                                   uint32_t number) {
  const struct kad_memory_entry *entry = kad_slots_at(slots, number);
  return kad_slots_is_renamed(slots, number)
             ? (uint64_t)entry->newer << SERIAL_SHIFT | entry->older
             : (uint64_t)slots->items[number].serial << SERIAL_SHIFT | number;
}

uint32_t kad_slots_find(const struct kad_slots *slots,
                        kad_record_handle handle) {
  uint32_t number = (uint32_t)(handle & UINT32_MAX);
  uint32_t serial = (uint32_t)(handle >> SERIAL_SHIFT);
  if (number >= slots->used || slots->items[number].entry == NULL ||
      slots->items[number].serial != serial ||
      kad_slots_is_renamed(slots, number)) {
    return KAD_NO_ITEM;
  }
  return number;
}
