#include "items.h"

#include "attack.h"
#include "engine/node.h"
#include "records/item.h"

#include <string.h>

enum {
  LARGE = 900, /* bytes of a string that few replies have room for */
  PREFIX = 4
};

static void make_mutable(int64_t seq, struct kad_record *item) {
  static const uint8_t seed[32] = {44};
  static uint8_t publisher[KAD_PUBLISHER_SIZE];
  static uint8_t secret[KAD_SECRET_SIZE];
  static uint8_t signature[KAD_SIGNATURE_SIZE];
  kad_keypair(seed, publisher, secret);
  item->type = kad_slice_of("mutable");
  item->value = kad_slice_of("d1:ai1ee");
  item->publisher = publisher;
  item->signature = signature;
  item->has_seq = true;
  item->seq = seq & INT64_MAX;
  CHECK(kad_item_sign(item->value, item->salt, item->seq, secret, signature) ==
        0);
  CHECK(kad_item_target_mutable(publisher, item->salt, &item->key) == 0);
}

void kad_items_make(unsigned which, int64_t seq, struct kad_record *item) {
  static uint8_t large[PREFIX + LARGE] = {'9', '0', '0', ':'};
  *item = (struct kad_record){.type = kad_slice_of("immutable")};
  if (which == 2) {
    make_mutable(seq, item);
    return;
  }
  item->value = which == 0 ? kad_slice_of("5:hello")
                           : (struct kad_slice){large, sizeof large};
  CHECK(kad_item_target_immutable(item->value, &item->key) == 0);
}

static void check_item(enum kad_item_kind kind, const struct kad_record *item,
                       bool is_final) {
  const char *reason = NULL;
  bool is_mutable = kind == KAD_ITEM_MUTABLE;
  CHECK(kad_item_check(kind, item, &reason) == 0);
  CHECK((item->publisher != NULL) == is_mutable);
  if (is_final && is_mutable) {
    CHECK(kad_item_verify(item->value, item->salt, item->seq, item->publisher,
                          item->signature));
  }
}

static void check_held(const struct kad_node *node, kad_record_handle handle,
                       bool is_final) {
  struct kad_held held;
  CHECK(kad_store_read(node->store, handle, &held));
  const enum kad_item_kind kind = kad_item_kind_of(held.record.type);
  if (kind != KAD_ITEM_NONE) {
    CHECK(node->config.id_bits == KAD_ITEM_ID_BITS);
    check_item(kind, &held.record, is_final);
  }
}

void kad_items_check(const struct kad_node *node, bool is_final) {
  uint64_t cursor = 0;
  uint64_t count = 0;
  struct kad_stats stats;
  kad_record_handle handle = kad_store_next(node->store, &cursor);
  while (handle != 0) {
    check_held(node, handle, is_final);
    count++;
    handle = kad_store_next(node->store, &cursor);
  }
  kad_node_stats(node, &stats);
  CHECK(count == stats.records);
}
