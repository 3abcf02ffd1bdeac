/* Tested by tests/unit/node/serve_test.c. The length of this file: all methods
 * share how contacts, tokens and bounds enter a reply. */
#include "node/reply.h"

#include "base/address.h"
#include "engine/node.h"
#include "engine/rng.h"
#include "kadenza_scrape.h"
#include "membership/verification.h"
#include "node/sample.h"
#include "records/item.h"
#include "replication/admission.h"
#include "replication/held.h"
#include "rpc/datagram.h"
#include "rpc/record_size.h"
#include "wire/krpc.h"

#include <stdio.h>
#include <string.h>

enum {
  OVERHEAD = 110,      /* bytes besides the lists, our id and the transaction,
                          with the token, at most */
  PAGE_OVERHEAD = 210, /* bytes besides a page of records, at most */
  PING_MAX = 200,      /* at least the bytes of a reply to a ping */
  NARROW_ID_SIZE = 20, /* bytes of an id of 160 bits */
  FILTERS_SIZE = 2 * (KAD_FILTER_SIZE + 10), /* bytes, with their keys */
  ERROR_TEXT_MAX = 200                       /* bytes */
};

static const struct kad_slice peers_type = {
    .data = (const uint8_t *)"peers",
    .len = sizeof "peers" - 1,
};

/* Initialises the reply to `incoming`. */
static void init_reply(const struct kad_node *node,
                       const struct kad_incoming *incoming,
                       struct kad_message *reply) {
  kad_message_init(reply, KAD_MESSAGE_REPLY);
  reply->transaction = incoming->message->transaction;
  reply->has_id = true;
  reply->id = node->config.id;
  reply->observed = incoming->from.address;
}

/* Returns the bytes of a reply with contacts or peers: there is room for
 * KAD_K_MAX contacts of IPv6. */
static size_t lists_max(const struct kad_node *node) {
  return node->id_size > NARROW_ID_SIZE ? KAD_REPLY_MAX_WIDE : KAD_REPLY_MAX;
}

/* Returns the bytes that a reply of at most `limit` bytes has for lists. */
static size_t lists_room(const struct kad_node *node,
                         const struct kad_message *reply, size_t limit) {
  const size_t rest = OVERHEAD + node->id_size + reply->transaction.len;
  return limit > rest ? limit - rest : 0;
}

/* Adds contacts of one family, and subtracts their bytes from `*room`. */
static void add_family(const struct kad_node *node, const struct kad_id *target,
                       unsigned family, struct kad_message *reply,
                       size_t *room) {
  const struct kad_table *table = kad_node_table(node, family);
  size_t size = node->id_size + kad_compact_size(family);
  if (table == NULL) {
    return;
  }
  size_t cap = *room / size;
  size_t left = KAD_MESSAGE_CONTACTS - reply->contact_count;
  cap = cap < node->config.k ? cap : node->config.k;
  cap = cap < left ? cap : left;
  size_t count = kad_table_closest(table, target, kad_node_now(node),
                                   reply->contacts + reply->contact_count, cap);
  reply->contact_count += count;
  *room -= count * size;
}

/* Adds the contacts closest to the target, of the wanted families: IPv6 gets
 * half of the room if it needs that. Returns the bytes that are left for other
 * lists. */
static size_t add_contacts(const struct kad_node *node,
                           const struct kad_incoming *incoming, size_t limit,
                           struct kad_message *reply) {
  const struct kad_message *query = incoming->message;
  size_t room = lists_room(node, reply, limit);
  bool has_no_want = !query->want4 && !query->want6;
  reply->has_nodes =
      query->want4 || (has_no_want && incoming->from.address.family == 4);
  reply->has_nodes6 =
      query->want6 || (has_no_want && incoming->from.address.family == 6);
  const size_t half = reply->has_nodes6 ? room / 2 : 0;
  const size_t most = node->config.k * (node->id_size + kad_compact_size(6));
  const size_t kept = half < most ? half : most;
  room -= kept;
  if (reply->has_nodes) {
    add_family(node, &query->target, 4, reply, &room);
  }
  room += kept;
  if (reply->has_nodes6) {
    add_family(node, &query->target, 6, reply, &room);
  }
  return room;
}

/* Returns whether records of any type are held under `key`. */
static bool is_held(const struct kad_node *node, const struct kad_id *key) {
  bool found = false;
  for (size_t i = 0; i < node->ruleset->type_count && !found; i++) {
    const struct kad_slice type = kad_slice_of(node->ruleset->types[i].name);
    found = kad_store_find(node->store, key, type, 0, NULL, 0) > 0;
  }
  return found;
}

/* Adds a write token if the store has room. An address that has reached its
 * limit of records gets one where there is something to refresh or replace. */
static void add_token(const struct kad_node *node,
                      const struct kad_incoming *incoming,
                      struct kad_message *reply, uint8_t *token) {
  const struct kad_address *from = &incoming->from.address;
  const struct kad_id *target = &incoming->message->target;
  if (kad_quota_check_room(&node->quota, node->store, 0) != 0 ||
      (kad_quota_is_used_up(&node->quota, node->store, from) &&
       !is_held(node, target))) {
    return;
  }
  kad_token_make(&node->tokens, from, target, kad_node_now(node), token);
  reply->token = (struct kad_slice){.data = token, .len = KAD_TOKEN_SIZE};
}

/* Removes contacts from the end of the list until there is `needed` room. */
static void make_room(const struct kad_node *node, size_t needed,
                      struct kad_message *reply, size_t *room) {
  while (*room < needed && reply->contact_count > 0) {
    const struct kad_contact *last = &reply->contacts[--reply->contact_count];
    *room += node->id_size + kad_compact_size(last->address.family);
  }
}

/* Removes the second half of each list. Returns false if all are empty. */
static bool halve_lists(struct kad_message *reply) {
  if (reply->contact_count + reply->peer_count + reply->record_count == 0) {
    return false;
  }
  bool keeps_record = reply->record_count == 1 && reply->contact_count > 0;
  reply->contact_count /= 2;
  reply->peer_count /= 2;
  reply->has_next =
      reply->has_next && (keeps_record || reply->record_count == 0);
  reply->record_count = keeps_record ? 1 : reply->record_count / 2;
  reply->has_item = reply->has_item && reply->record_count > 0;
  return true;
}

/* Sends a reply. Its size is computed for KRPC; shortens its lists if another
 * codec needs more bytes. */
static void send_reply(struct kad_node *node,
                       const struct kad_reply_bound *bound,
                       struct kad_message *reply, uint64_t *counter) {
  const size_t most = reply->record_count > 0 ? kad_datagram_room(node)
                                              : kad_datagram_page_room(node);
  int error = kad_reply_bound_send(node, bound, reply, most);
  while (error == KAD_ETOOBIG && halve_lists(reply)) {
    error = kad_reply_bound_send(node, bound, reply, most);
  }
  *(error == 0 ? counter : &node->stats.unsent) += 1;
}

/* Returns true if the table may have more contacts than `reply`, which has
 * fewer than k. */
static bool lacks_contacts(const struct kad_node *node,
                           const struct kad_message *reply) {
  size_t counts[KAD_FAMILIES] = {0};
  for (size_t i = 0; i < reply->contact_count; i++) {
    counts[kad_family_index(reply->contacts[i].address.family)]++;
  }
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    const bool is_wanted = i == 0 ? reply->has_nodes : reply->has_nodes6;
    if (is_wanted && node->tables[i] != NULL && counts[i] < node->config.k &&
        counts[i] < kad_table_count(node->tables[i])) {
      return true;
    }
  }
  return false;
}

/* Pings the sender of `incoming` if its reply had no room for all that it could
 * have: its answer proves its address, and its next query gets all. Read-only
 * nodes answer no ping. */
static void ping_if_cut(struct kad_node *node,
                        const struct kad_incoming *incoming,
                        const struct kad_reply_bound *bound,
                        const struct kad_message *reply, bool lacks_values) {
  if (bound->is_cut && !incoming->message->read_only &&
      (lacks_values || lacks_contacts(node, reply))) {
    kad_verification_ping_cut(node, &incoming->from);
  }
}

void kad_reply_ping(struct kad_node *node,
                    const struct kad_incoming *incoming) {
  const struct kad_reply_bound bound =
      kad_reply_bound_of(node, incoming, PING_MAX);
  struct kad_message reply;
  init_reply(node, incoming, &reply);
  send_reply(node, &bound, &reply, &node->stats.served_ping);
}

void kad_reply_find_node(struct kad_node *node,
                         const struct kad_incoming *incoming) {
  const struct kad_reply_bound bound =
      kad_reply_bound_of(node, incoming, lists_max(node));
  struct kad_message reply;
  init_reply(node, incoming, &reply);
  (void)add_contacts(node, incoming, bound.max, &reply);
  send_reply(node, &bound, &reply, &node->stats.served_find_node);
  ping_if_cut(node, incoming, &bound, &reply, false);
}

/* Adds up to `cap` peers that `handles` name and that the sender wants. */
static void read_peers(const struct kad_node *node,
                       const struct kad_incoming *incoming,
                       const kad_record_handle *handles, size_t count,
                       size_t cap, struct kad_message *reply) {
  const bool takes_seeds = !incoming->message->noseed;
  for (size_t i = 0; i < count && reply->peer_count < cap; i++) {
    struct kad_held held;
    struct kad_address *peer = &reply->peers[reply->peer_count];
    if (kad_store_read(node->store, handles[i], &held) &&
        held.meta.is_seed <= takes_seeds &&
        kad_address_unpack(held.record.value, peer) == 0 &&
        peer->family == incoming->from.address.family) {
      reply->peer_count++;
    }
  }
}

/* Adds up to `cap` peers of the sender's family, from a random position on if
 * there are more. Source: BEP 5 "get_peers", BEP 33 "noseed". */
static void choose_peers(struct kad_node *node,
                         const struct kad_incoming *incoming, size_t there,
                         size_t cap, struct kad_message *reply) {
  const struct kad_message *query = incoming->message;
  kad_record_handle handles[KAD_MESSAGE_PEERS];
  size_t skip = there > cap ? kad_rng_below(node, (uint32_t)there) : 0;
  for (size_t left = there; left > 0 && reply->peer_count < cap;) {
    size_t page = there - skip < left ? there - skip : left;
    page = page < KAD_MESSAGE_PEERS ? page : KAD_MESSAGE_PEERS;
    (void)kad_store_find(node->store, &query->target, peers_type, skip, handles,
                         page);
    read_peers(node, incoming, handles, page, cap, reply);
    left -= page;
    skip = skip + page < there ? skip + page : 0;
  }
}

/* Adds peers within `room` bytes. They get at least half of the limit, at the
 * cost of contacts, unless there are filters: a scrape needs the contacts.
 * Returns true if there are more. */
static bool add_peers(struct kad_node *node,
                      const struct kad_incoming *incoming, size_t limit,
                      size_t room, struct kad_message *reply) {
  const bool six = incoming->from.address.family == 6;
  const size_t size = six ? KAD_COMPACT_IP6 + 3 : KAD_COMPACT_IP4 + 2;
  const size_t there = kad_store_find(node->store, &incoming->message->target,
                                      peers_type, 0, NULL, 0);
  if (reply->seed_filter.len == 0) {
    const size_t half = lists_room(node, reply, limit) / 2;
    make_room(node, there * size < half ? there * size : half, reply, &room);
  }
  const size_t cap = room / size;
  choose_peers(node, incoming, there,
               cap < KAD_MESSAGE_PEERS ? cap : KAD_MESSAGE_PEERS, reply);
  return there > cap;
}

/* Adds the peers that `handles` name to the filters of a scrape. */
static void count_peers(const struct kad_node *node,
                        const kad_record_handle *handles, size_t count,
                        struct kad_scrape *scrape) {
  for (size_t i = 0; i < count; i++) {
    struct kad_held held;
    struct kad_address peer;
    if (kad_store_read(node->store, handles[i], &held) &&
        kad_address_unpack(held.record.value, &peer) == 0) {
      kad_filter_add(
          held.meta.is_seed ? scrape->seed_filter : scrape->peer_filter, &peer);
    }
  }
}

/* Adds the Bloom filters of the peers held, if the query asks for them and the
 * reply has room. Subtracts their bytes from `*room`. Source: BEP 33 "scrape".
 */
static void add_filters(struct kad_node *node,
                        const struct kad_incoming *incoming,
                        struct kad_scrape *scrape, size_t *room,
                        struct kad_message *reply) {
  const struct kad_id *key = &incoming->message->target;
  kad_record_handle handles[KAD_MESSAGE_PEERS];
  const size_t there = kad_store_find(node->store, key, peers_type, 0, NULL, 0);
  if (!incoming->message->scrape || there == 0) {
    return;
  }
  make_room(node, FILTERS_SIZE, reply, room);
  if (*room < FILTERS_SIZE) {
    return;
  }
  *room -= FILTERS_SIZE;
  for (size_t skip = 0; skip < there; skip += KAD_MESSAGE_PEERS) {
    const size_t left = there - skip;
    const size_t page = left < KAD_MESSAGE_PEERS ? left : KAD_MESSAGE_PEERS;
    (void)kad_store_find(node->store, key, peers_type, skip, handles, page);
    count_peers(node, handles, page, scrape);
  }
  reply->seed_filter = (struct kad_slice){scrape->seed_filter, KAD_FILTER_SIZE};
  reply->peer_filter = (struct kad_slice){scrape->peer_filter, KAD_FILTER_SIZE};
}

void kad_reply_get_peers(struct kad_node *node,
                         const struct kad_incoming *incoming) {
  const struct kad_reply_bound bound =
      kad_reply_bound_of(node, incoming, lists_max(node));
  struct kad_message reply;
  uint8_t token[KAD_TOKEN_SIZE];
  struct kad_scrape scrape = {.seeds = 0};
  init_reply(node, incoming, &reply);
  size_t room = add_contacts(node, incoming, bound.max, &reply);
  add_filters(node, incoming, &scrape, &room, &reply);
  const bool has_more = add_peers(node, incoming, bound.max, room, &reply);
  add_token(node, incoming, &reply, token);
  send_reply(node, &bound, &reply, &node->stats.served_get_peers);
  ping_if_cut(node, incoming, &bound, &reply,
              has_more ||
                  (incoming->message->scrape && reply.seed_filter.len == 0));
}

void kad_reply_sample(struct kad_node *node,
                      const struct kad_incoming *incoming) {
  const struct kad_reply_bound bound =
      kad_reply_bound_of(node, incoming, lists_max(node));
  struct kad_message reply;
  uint8_t bytes[KAD_SAMPLE_MAX * KAD_ID_SIZE];
  init_reply(node, incoming, &reply);
  const size_t room = add_contacts(node, incoming, bound.max, &reply);
  const struct kad_sample_draw *sample = kad_sample_take(node, &reply.interval);
  size_t count = room / node->id_size;
  count = count < sample->count ? count : sample->count;
  for (size_t i = 0; i < count; i++) {
    memcpy(bytes + i * node->id_size, sample->ids[i].bytes, node->id_size);
  }
  reply.has_interval = true;
  reply.has_num = true;
  reply.num = sample->num;
  reply.has_samples = true;
  reply.samples = (struct kad_slice){bytes, count * node->id_size};
  send_reply(node, &bound, &reply, &node->stats.served_sample);
  ping_if_cut(node, incoming, &bound, &reply, count < sample->count);
}

/* A page of records that is being filled. */
struct page {
  size_t limit;     /* bytes that the reply may have */
  size_t room;      /* bytes that are left for records, or fewer than are left
                       before `is_measured` */
  size_t extra;     /* bytes of these that only a record alone may use */
  bool is_measured; /* `room` is exact, if the codec is KRPC */
};

/* Returns the room of a reply without large records. */
static size_t page_room(const struct kad_node *node,
                        const struct kad_reply_bound *bound) {
  const size_t usual = kad_datagram_page_room(node);
  return bound->max < usual ? bound->max : usual;
}

/* Returns the bytes of the contacts in a reply. */
static size_t contacts_size(const struct kad_node *node,
                            const struct kad_message *reply) {
  size_t size = 0;
  for (size_t i = 0; i < reply->contact_count; i++) {
    size += node->id_size + kad_compact_size(reply->contacts[i].address.family);
  }
  return size;
}

/* Begins the page of a reply that has all but its records. */
static void begin_page(const struct kad_node *node, size_t limit,
                       struct kad_message *reply, struct page *page) {
  const size_t size = PAGE_OVERHEAD + contacts_size(node, reply);
  const size_t usual = kad_datagram_page_room(node);
  *page = (struct page){
      .limit = limit,
      .room = limit > size ? limit - size : 0,
      .extra = limit > usual ? limit - usual : 0,
  };
  reply->has_next = true;
  reply->next = UINT32_MAX; /* the longest */
}

/* Computes the room exactly. send_reply shortens what does not fit if another
 * codec needs more bytes than KRPC. */
static void measure_page(struct kad_node *node, struct kad_message *reply,
                         struct page *page) {
  size_t size = 0;
  page->is_measured = true;
  if (kad_datagram_measure(node, reply, &size) == 0) {
    size += reply->record_count == 0 ? KAD_KRPC_VALUES_SIZE : 0;
    page->room = page->limit > size ? page->limit - size : 0;
  }
}

/* Adds a record if there is room. The first one may take the room of contacts,
 * so that a reader always gets the next record. Only a record that is too large
 * otherwise makes the datagram larger than KAD_DATAGRAM_PAGE_MAX. */
static bool add_record(struct kad_node *node, const struct kad_record *record,
                       struct page *page, struct kad_message *reply) {
  const size_t size = kad_krpc_record_size(record);
  const bool is_first = reply->record_count == 0;
  if (size + page->extra > page->room && !page->is_measured) {
    measure_page(node, reply, page);
  }
  if (is_first && size <= page->room + contacts_size(node, reply)) {
    make_room(node, size + page->extra, reply, &page->room);
  }
  if (size + (is_first ? 0 : page->extra) > page->room) {
    return false;
  }
  page->room -= size;
  reply->records[reply->record_count++] = *record;
  return true;
}

/* Adds the records that the query asks for, as many as fit. Leaves out records
 * that no reply has room for, which were stored when max_reply was larger:
 * they must not hide those behind them. */
static void add_records(struct kad_node *node,
                        const struct kad_incoming *incoming,
                        const kad_record_handle *handles, size_t count,
                        struct page *page, struct kad_message *reply) {
  size_t i = 0;
  for (; i < count; i++) {
    struct kad_held held;
    if (!kad_store_read(node->store, handles[i], &held)) {
      continue;
    }
    kad_held_age(&held.meta, kad_node_now(node), &held.record);
    if (!add_record(node, &held.record, page, reply) &&
        kad_record_is_readable(node, &held.record)) {
      break;
    }
  }
  reply->next = incoming->message->skip + (uint32_t)i;
  reply->has_next = i != reply->record_count;
}

/* Adds a page of records. */
static void add_page(struct kad_node *node, const struct kad_incoming *incoming,
                     size_t limit, struct kad_message *reply) {
  const struct kad_message *query = incoming->message;
  kad_record_handle handles[KAD_RECORDS_PER_MESSAGE];
  struct page page;
  size_t there = kad_store_find(node->store, &query->target, query->type,
                                query->skip, handles, KAD_RECORDS_PER_MESSAGE);
  size_t left = there > query->skip ? there - query->skip : 0;
  left = left < KAD_RECORDS_PER_MESSAGE ? left : KAD_RECORDS_PER_MESSAGE;
  reply->has_total = there > 0;
  reply->total = (uint32_t)there;
  if (left > 0) {
    begin_page(node, limit, reply, &page);
    add_records(node, incoming, handles, left, &page, reply);
  }
}

void kad_reply_find_value(struct kad_node *node,
                          const struct kad_incoming *incoming) {
  const struct kad_reply_bound bound =
      kad_reply_bound_of(node, incoming, KAD_DATAGRAM_MAX);
  struct kad_message reply;
  uint8_t token[KAD_TOKEN_SIZE];
  if (kad_item_kind_of(incoming->message->type) != KAD_ITEM_NONE) {
    const struct kad_reply_bound error =
        kad_reply_bound_of_error(node, incoming);
    kad_reply_error(node, &error, incoming->message->transaction,
                    KAD_CODE_PROTOCOL, kad_slice_of("items are read with get"));
    return;
  }
  init_reply(node, incoming, &reply);
  (void)add_contacts(node, incoming, page_room(node, &bound), &reply);
  add_token(node, incoming, &reply, token);
  add_page(node, incoming, bound.max, &reply);
  const bool has_more =
      reply.has_total && incoming->message->skip < reply.total &&
      reply.record_count < reply.total - incoming->message->skip;
  send_reply(node, &bound, &reply, &node->stats.served_find_value);
  ping_if_cut(node, incoming, &bound, &reply, has_more);
}

/* Reads the item that is held under `target`. Returns false if none is. */
static bool read_item(const struct kad_node *node, const struct kad_id *target,
                      struct kad_record *item) {
  static const enum kad_item_kind kinds[] = {KAD_ITEM_MUTABLE,
                                             KAD_ITEM_IMMUTABLE};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    kad_record_handle handle;
    struct kad_held held;
    if (kad_store_find(node->store, target, kad_item_type(kinds[i]), 0, &handle,
                       1) > 0 &&
        kad_store_read(node->store, handle, &held)) {
      kad_held_age(&held.meta, kad_node_now(node), &held.record);
      *item = held.record;
      return true;
    }
  }
  return false;
}

/* Adds `item` within `limit` bytes, at the cost of contacts. Leaves it out if
 * there is no room even so. */
static void add_item(struct kad_node *node, const struct kad_record *item,
                     size_t limit, struct kad_message *reply) {
  enum {
    LENGTHS = 8 /* digits of the lengths of both lists of contacts */
  };
  const size_t contacts = reply->contact_count;
  size_t size = 0;
  reply->has_item = true;
  reply->records[0] = *item;
  reply->record_count = 1;
  reply->contact_count = 0;
  const int error = kad_datagram_measure(node, reply, &size);
  reply->contact_count = contacts;
  if (error != 0 || size > limit) {
    reply->has_item = false;
    reply->record_count = 0;
    return;
  }
  const size_t used = size + LENGTHS + contacts_size(node, reply);
  size_t room = 0;
  make_room(node, used > limit ? used - limit : 0, reply, &room);
}

/* `total` tells our own nodes that there is an item for which the query has no
 * room, and that we know `ttl` in a put. Source: BEP 44 "get message". */
void kad_reply_get(struct kad_node *node, const struct kad_incoming *incoming) {
  const struct kad_message *query = incoming->message;
  struct kad_message reply;
  struct kad_record item;
  uint8_t token[KAD_TOKEN_SIZE];
  const struct kad_reply_bound bound =
      kad_reply_bound_of(node, incoming, KAD_DATAGRAM_MAX);
  init_reply(node, incoming, &reply);
  (void)add_contacts(node, incoming, page_room(node, &bound), &reply);
  add_token(node, incoming, &reply, token);
  reply.has_total = true;
  if (read_item(node, &query->target, &item)) {
    reply.has_seq = item.has_seq;
    reply.seq = item.seq;
    if (!query->has_seq || !item.has_seq || item.seq > query->seq) {
      reply.total = 1;
      add_item(node, &item, bound.max, &reply);
    }
  }
  send_reply(node, &bound, &reply, &node->stats.served_get);
  ping_if_cut(node, incoming, &bound, &reply, reply.total > reply.record_count);
}

/* Returns true if the reply of the policy has contacts, or is malformed. */
static bool has_contacts(struct kad_slice body) {
  struct kad_bencode dict;
  struct kad_bencode value;
  return body.len > 0 && (kad_bencode_parse(body, &dict) != 0 ||
                          kad_bencode_find(&dict, "nodes", &value) ||
                          kad_bencode_find(&dict, "nodes6", &value));
}

/* Adds the contacts closest to the target of a custom query, so that a lookup
 * can continue from here: as many as fit into `limit` and lists_max() beside
 * `body`. If none fits, omits the keys, so that the sender knows that there is
 * no list. */
static void add_custom_contacts(const struct kad_node *node,
                                const struct kad_incoming *incoming,
                                struct kad_slice body, size_t limit,
                                struct kad_message *reply) {
  const size_t most = lists_max(node);
  if (!incoming->message->has_target || has_contacts(body)) {
    return;
  }
  limit = limit < most ? limit : most;
  limit = limit > body.len ? limit - body.len : 0;
  (void)add_contacts(node, incoming, limit, reply);
  if (reply->contact_count == 0) {
    reply->has_nodes = false;
    reply->has_nodes6 = false;
  }
}

/* Sends the reply to a custom query; without its contacts if they do not fit.
 * Returns as kad_datagram_send_within does. */
static int send_custom(struct kad_node *node,
                       const struct kad_reply_bound *bound,
                       struct kad_message *reply) {
  int error = kad_reply_bound_send(node, bound, reply, SIZE_MAX);
  if (error == KAD_ETOOBIG) {
    reply->has_nodes = false;
    reply->has_nodes6 = false;
    reply->contact_count = 0;
    error = kad_reply_bound_send(node, bound, reply, SIZE_MAX);
  }
  return error;
}

/* Tells the sender of a custom query that there is no reply to it. */
static void reply_failed(struct kad_node *node,
                         const struct kad_incoming *incoming, int error) {
  const struct kad_reply_bound bound = kad_reply_bound_of_error(node, incoming);
  char text[ERROR_TEXT_MAX] = "the policy failed";
  if (error == KAD_ETOOBIG) {
    (void)snprintf(text, sizeof text,
                   "the reply is too large: with what the node adds it can "
                   "have %zu bytes (max_reply)",
                   kad_datagram_room(node));
  }
  node->stats.unsent++;
  node->stats.hook_failures++;
  kad_reply_error(node, &bound, incoming->message->transaction, KAD_CODE_FAILED,
                  kad_slice_of(text));
}

void kad_reply_custom(struct kad_node *node,
                      const struct kad_incoming *incoming,
                      struct kad_slice body) {
  const struct kad_reply_bound bound =
      kad_reply_bound_of(node, incoming, KAD_DATAGRAM_MAX);
  struct kad_message reply;
  init_reply(node, incoming, &reply);
  reply.reply = body;
  add_custom_contacts(node, incoming, body, bound.max, &reply);
  const int error = send_custom(node, &bound, &reply);
  size_t size = 0;
  if (error == 0) {
    node->stats.served_custom++;
  } else if (error == KAD_ETOOBIG && bound.is_cut &&
             kad_datagram_measure(node, &reply, &size) == 0) {
    kad_reply_challenge(node, incoming);
  } else {
    reply_failed(node, incoming, error);
  }
}
