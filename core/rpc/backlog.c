#include "rpc/backlog.h"

#include "base/address.h"
#include "base/allocator.h"
#include "base/heap.h"

#include <assert.h>
#include <string.h>

enum {
  UNIT_SIZE = 2 + sizeof(((struct kad_address *)0)->ip)
};

/* What a party is: a kind, a family, and the bytes of an address or a subnet.
 */
struct unit {
  uint8_t bytes[UNIT_SIZE];
};

enum kind {
  KIND_ADDRESS,
  KIND_SUBNET
};

/* A subnet, with the addresses of which something waits, or an address, with
 * what waits. It exists while something does. */
struct kad_backlog_party {
  struct kad_map_entry entry;
  struct unit unit;
  struct kad_backlog_party *next;   /* in the turns */
  struct kad_backlog_party *subnet; /* of an address */
  struct kad_backlog_turns addresses;
  struct kad_backlog_item *first;
  struct kad_backlog_item *last;
  size_t count; /* items of it, or of its addresses */
};

void kad_backlog_init(struct kad_backlog *backlog,
                      const struct kad_allocator *allocator,
                      const uint8_t *secret, bool allow_local) {
  *backlog = (struct kad_backlog){
      .allocator = *allocator,
      .allow_local = allow_local,
  };
  kad_map_init(&backlog->parties, allocator, secret);
}

void kad_backlog_deinit(struct kad_backlog *backlog) {
  assert(backlog->count == 0);
  kad_map_deinit(&backlog->parties);
}

/* --------------------------------------------------------------- turns -- */

static void append_party(struct kad_backlog_turns *turns,
                         struct kad_backlog_party *party) {
  party->next = NULL;
  *(turns->first == NULL ? &turns->first : &turns->last->next) = party;
  turns->last = party;
}

static struct kad_backlog_party *pop_party(struct kad_backlog_turns *turns) {
  struct kad_backlog_party *party = turns->first;
  turns->first = party->next;
  return party;
}

static void remove_party(struct kad_backlog_turns *turns,
                         struct kad_backlog_party *party) {
  struct kad_backlog_party *before = NULL;
  struct kad_backlog_party *at = turns->first;
  while (at != NULL && at != party) {
    before = at;
    at = at->next;
  }
  assert(at != NULL);
  *(before == NULL ? &turns->first : &before->next) = party->next;
  turns->last = turns->last == party ? before : turns->last;
}

/* Returns the party with the most items, `more` counted with one item more; the
 * first one of several, but `more` before all. */
static struct kad_backlog_party *find_largest(
    const struct kad_backlog_turns *turns, struct kad_backlog_party *more) {
  struct kad_backlog_party *largest = more;
  size_t most = more != NULL ? more->count + 1 : 1;
  for (struct kad_backlog_party *at = turns->first; at != NULL; at = at->next) {
    if (at->count > most || largest == NULL) {
      largest = at;
      most = at->count;
    }
  }
  return largest;
}

/* ------------------------------------------------------------- parties -- */

static struct unit unit_of(const struct kad_backlog *backlog, enum kind kind,
                           const struct kad_address *address) {
  struct unit unit = {{(uint8_t)kind, address->family}};
  const bool whole = kind == KIND_ADDRESS ||
                     (backlog->allow_local && kad_address_is_local(address));
  memcpy(&unit.bytes[2], address->ip,
         whole ? kad_address_ip_size(address)
               : kad_address_subnet_size(address));
  return unit;
}

static struct kad_backlog_party *find_party(const struct kad_backlog *backlog,
                                            const struct unit *unit) {
  const uint64_t hash =
      kad_map_hash(&backlog->parties, unit->bytes, sizeof unit->bytes);
  struct kad_map_entry *entry = kad_map_first(&backlog->parties, hash);
  for (; entry != NULL; entry = kad_map_after(entry)) {
    struct kad_backlog_party *party =
        kad_container_of(entry, struct kad_backlog_party, entry);
    if (memcmp(party->unit.bytes, unit->bytes, sizeof unit->bytes) == 0) {
      return party;
    }
  }
  return NULL;
}

static void free_party(struct kad_backlog *backlog,
                       struct kad_backlog_party *party) {
  kad_map_remove(&backlog->parties, &party->entry);
  kad_release(&backlog->allocator, party, sizeof *party);
}

/* Makes a party, the last of `turns`. Returns NULL when out of memory. */
static struct kad_backlog_party *make_party(struct kad_backlog *backlog,
                                            struct kad_backlog_turns *turns,
                                            const struct unit *unit) {
  struct kad_backlog_party *party =
      kad_alloc_zero(&backlog->allocator, sizeof *party);
  if (party == NULL) {
    return NULL;
  }
  party->unit = *unit;
  if (kad_map_add(&backlog->parties, &party->entry,
                  kad_map_hash(&backlog->parties, unit->bytes,
                               sizeof unit->bytes)) != 0) {
    kad_release(&backlog->allocator, party, sizeof *party);
    return NULL;
  }
  append_party(turns, party);
  return party;
}

/* Frees an address that nothing waits for, and then its subnet. */
static void free_if_empty(struct kad_backlog *backlog,
                          struct kad_backlog_party *address) {
  struct kad_backlog_party *subnet = address->subnet;
  if (address->count == 0) {
    remove_party(&subnet->addresses, address);
    free_party(backlog, address);
  }
  if (subnet->count == 0) {
    remove_party(&backlog->subnets, subnet);
    free_party(backlog, subnet);
  }
}

/* Returns the party of the address `from`. Makes it, and its subnet, if need
 * be. Returns NULL when out of memory. */
static struct kad_backlog_party *get_address(struct kad_backlog *backlog,
                                             const struct kad_address *from) {
  const struct unit own = unit_of(backlog, KIND_ADDRESS, from);
  struct kad_backlog_party *address = find_party(backlog, &own);
  if (address != NULL) {
    return address;
  }
  const struct unit shared = unit_of(backlog, KIND_SUBNET, from);
  struct kad_backlog_party *subnet = find_party(backlog, &shared);
  subnet =
      subnet != NULL ? subnet : make_party(backlog, &backlog->subnets, &shared);
  if (subnet == NULL) {
    return NULL;
  }
  address = make_party(backlog, &subnet->addresses, &own);
  if (address != NULL) {
    address->subnet = subnet;
  } else if (subnet->count == 0) {
    remove_party(&backlog->subnets, subnet);
    free_party(backlog, subnet);
  }
  return address;
}

/* --------------------------------------------------------------- items -- */

static void count_item(struct kad_backlog *backlog,
                       struct kad_backlog_party *address, int change) {
  address->count += (size_t)change;
  address->subnet->count += (size_t)change;
  backlog->count += (size_t)change;
}

static struct kad_backlog_item *pop_last(struct kad_backlog *backlog,
                                         struct kad_backlog_party *address) {
  struct kad_backlog_item *before = NULL;
  struct kad_backlog_item *item = address->first;
  while (item->next != NULL) {
    before = item;
    item = item->next;
  }
  *(before == NULL ? &address->first : &before->next) = NULL;
  address->last = before;
  count_item(backlog, address, -1);
  return item;
}

/* Makes room for an item of `address`. Returns the item that leaves, or NULL if
 * no other address has more. */
static struct kad_backlog_item *make_room(struct kad_backlog *backlog,
                                          struct kad_backlog_party *address) {
  struct kad_backlog_party *subnet =
      find_largest(&backlog->subnets, address->subnet);
  struct kad_backlog_party *largest = find_largest(
      &subnet->addresses, subnet == address->subnet ? address : NULL);
  if (largest == address) {
    return NULL;
  }
  struct kad_backlog_item *item = pop_last(backlog, largest);
  free_if_empty(backlog, largest);
  return item;
}

static void insert(struct kad_backlog *backlog,
                   struct kad_backlog_party *address,
                   struct kad_backlog_item *item,
                   enum kad_backlog_place place) {
  if (place == KAD_BACKLOG_BEGUN || address->first == NULL) {
    item->next = address->first;
    address->first = item;
    address->last = item->next == NULL ? item : address->last;
  } else {
    item->next = NULL;
    address->last->next = item;
    address->last = item;
  }
  count_item(backlog, address, 1);
}

int kad_backlog_add(struct kad_backlog *backlog, const struct kad_address *from,
                    struct kad_backlog_item *item, enum kad_backlog_place place,
                    struct kad_backlog_item **refused) {
  struct kad_backlog_party *address = get_address(backlog, from);
  *refused = NULL;
  if (address == NULL) {
    return KAD_ENOMEM;
  }
  if (backlog->count >= KAD_BACKLOG_MAX) {
    *refused = make_room(backlog, address);
    if (*refused == NULL) {
      free_if_empty(backlog, address);
      return KAD_EFULL;
    }
  }
  insert(backlog, address, item, place);
  return 0;
}

struct kad_backlog_item *kad_backlog_take(struct kad_backlog *backlog) {
  if (backlog->count == 0) {
    return NULL;
  }
  struct kad_backlog_party *subnet = pop_party(&backlog->subnets);
  append_party(&backlog->subnets, subnet);
  struct kad_backlog_party *address = pop_party(&subnet->addresses);
  append_party(&subnet->addresses, address);
  struct kad_backlog_item *item = address->first;
  address->first = item->next;
  count_item(backlog, address, -1);
  free_if_empty(backlog, address);
  return item;
}
