/* The parts of a memory store (memory_store.c).
 * Tested by tests/unit/records/memory/memory_store_test.c. */
#ifndef KAD_RECORDS_MEMORY_MEMORY_H
#define KAD_RECORDS_MEMORY_MEMORY_H

#include "records/memory/accounts.h"
#include "records/memory/key_index.h"
#include "records/memory/memory_store.h"
#include "records/memory/type_list.h"
#include "records/peers/peers.h"

/* The state of such a store. */
struct kad_memory {
  struct kad_store store;
  struct kad_allocator allocator;
  uint8_t secret[KAD_MEMORY_STORE_SECRET_SIZE];
  struct kad_slots slots;
  struct kad_type_list types;
  struct kad_key_index keys;
  struct kad_item_heap due[KAD_MEMORY_DUE_COUNT];
  struct kad_accounts hosts;
  struct kad_accounts publishers;
  struct kad_peers peers;
  size_t bytes; /* of the entries */
};

#endif
