#include "items.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  OF_A_PUBLISHER = 1000,
  HEAD_MAX = 8, /* bytes of the length of a value */
  SEED_BYTES = 32
};

/* A key pair, of OF_A_PUBLISHER items. */
struct items_publisher {
  uint8_t key[KAD_PUBLISHER_SIZE];
  uint8_t secret[KAD_SECRET_SIZE];
};

struct item {
  uint8_t target[KRPC_ID_BYTES];
  uint8_t salt[KRPC_SALT_BYTES];
  uint8_t signature[KAD_SIGNATURE_SIZE];
  int64_t seq;
};

/* Returns the value of an item. Its first bytes are the number of its key. */
static struct kad_slice value_of(struct items *items, size_t key) {
  const uint32_t mark = (uint32_t)key;
  uint8_t *colon = memchr(items->value, ':', HEAD_MAX);
  memcpy(colon + 1, &mark, sizeof mark);
  return (struct kad_slice){items->value, items->value_len};
}

static struct kad_slice salt_of(const struct item *item) {
  return (struct kad_slice){item->salt, sizeof item->salt};
}

static int sign(struct items *items, size_t key) {
  struct item *item = &items->list[key];
  return kad_item_sign(value_of(items, key), salt_of(item), item->seq,
                       items->publishers[key / OF_A_PUBLISHER].secret,
                       item->signature);
}

static int make_item(struct items *items, size_t key) {
  struct item *item = &items->list[key];
  const uint32_t number = (uint32_t)key;
  struct kad_id target;
  int error = 0;
  memcpy(item->salt, &number, sizeof item->salt);
  item->seq = 1;
  if (items->is_mutable) {
    error = kad_item_target_mutable(items->publishers[key / OF_A_PUBLISHER].key,
                                    salt_of(item), &target);
    error = error != 0 ? error : sign(items, key);
  } else {
    error = kad_item_target_immutable(value_of(items, key), &target);
  }
  if (error == 0) {
    memcpy(item->target, target.bytes, sizeof item->target);
  }
  return error;
}

static void make_publishers(struct items *items, size_t count) {
  for (size_t i = 0; i < count; i++) {
    uint8_t seed[SEED_BYTES] = {1};
    const uint32_t number = (uint32_t)i;
    memcpy(seed + 1, &number, sizeof number);
    kad_keypair(seed, items->publishers[i].key, items->publishers[i].secret);
  }
}

int items_init(struct items *items, size_t count, size_t value_size,
               int is_mutable) {
  const size_t publishers = (count + OF_A_PUBLISHER - 1) / OF_A_PUBLISHER;
  *items = (struct items){.count = count, .is_mutable = is_mutable};
  items->value = calloc(1, value_size + HEAD_MAX);
  items->list = calloc(count, sizeof *items->list);
  items->publishers = calloc(publishers, sizeof *items->publishers);
  if (items->value == NULL || items->list == NULL ||
      items->publishers == NULL) {
    return -1;
  }
  const int head = snprintf((char *)items->value, HEAD_MAX, "%zu:", value_size);
  items->value_len = (size_t)head + value_size;
  make_publishers(items, publishers);
  for (size_t i = 0; i < count; i++) {
    if (make_item(items, i) != 0) {
      return -1;
    }
  }
  return 0;
}

void items_deinit(struct items *items) {
  free(items->value);
  free(items->list);
  free(items->publishers);
  *items = (struct items){.count = 0};
}

void items_target(const struct items *items, size_t key, uint8_t *target) {
  memcpy(target, items->list[key].target, KRPC_ID_BYTES);
}

int items_update(struct items *items, size_t key) {
  items->list[key].seq++;
  return sign(items, key);
}

void items_fill(struct items *items, size_t key, struct krpc_query *query) {
  const struct item *item = &items->list[key];
  const struct kad_slice value = value_of(items, key);
  query->item = value.data;
  query->item_len = value.len;
  if (items->is_mutable) {
    query->publisher = items->publishers[key / OF_A_PUBLISHER].key;
    query->signature = item->signature;
    query->salt = item->salt;
    query->seq = (uint64_t)item->seq;
  }
}
