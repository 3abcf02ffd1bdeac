#include "values.h"

#include "calls.h"

#include <stdlib.h>
#include <string.h>

uint64_t kad_values_below(struct kad_calls *it, uint64_t bound) {
  return kad_dice_below(&it->dice, bound);
}

uint64_t kad_values_number(struct kad_calls *it) {
  return kad_dice_number(&it->dice);
}

static bool is_null(struct kad_calls *it) {
  return kad_dice_one_in(&it->dice, 24);
}

void *kad_values_block(struct kad_calls *it, size_t size) {
  struct kad_block *block = calloc(1, sizeof *block + size);
  CHECK(block != NULL);
  block->next = it->blocks;
  it->blocks = block;
  return block + 1;
}

void *kad_values_out(struct kad_calls *it, size_t size) {
  return is_null(it) ? NULL : kad_values_block(it, size);
}

void kad_values_release(struct kad_calls *it) {
  while (it->blocks != NULL) {
    struct kad_block *next = it->blocks->next;
    free(it->blocks);
    it->blocks = next;
  }
}

const uint8_t *kad_values_bytes(struct kad_calls *it, size_t size) {
  uint8_t *bytes = kad_values_block(it, size);
  kad_dice_bytes(&it->dice, bytes, size);
  return is_null(it) ? NULL : bytes;
}

static const char *const texts[] = {
    "",
    "value",
    "song",
    "peers",
    "mutable",
    "immutable",
    "5:hello",
    "hello",
    "ping",
    "de",
    "d1:ai1ee",
    "d2:id3:abce",
    "i1e",
    "li1eli2eee",
    "127.0.0.1:6881",
    "[::1]:7",
    "127.0.0.1:0",
    "no port",
    "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe",
    "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",
    "0123456789012345678901234567890123456789"};

const char *kad_values_text(struct kad_calls *it) {
  return is_null(it)
             ? NULL
             : texts[kad_values_below(it, sizeof texts / sizeof texts[0])];
}

/* A block of its own, so that sanitizers see a read past its end. */
static struct kad_slice copy_text(struct kad_calls *it, const char *text) {
  const struct kad_slice from = kad_slice_of(text);
  uint8_t *bytes = kad_values_block(it, from.len);
  if (from.len > 0) {
    memcpy(bytes, from.data, from.len);
  }
  return (struct kad_slice){bytes, from.len};
}

struct kad_slice kad_values_slice(struct kad_calls *it) {
  static const size_t sizes[] = {1, 32, 33, 64, 65, 1000, 1001, 1500, 70000};
  if (kad_values_below(it, 4) > 0) {
    return copy_text(it, kad_values_text(it));
  }
  if (is_null(it)) {
    return (struct kad_slice){NULL, 0};
  }
  size_t len = sizes[kad_values_below(it, sizeof sizes / sizeof sizes[0])];
  uint8_t *bytes = kad_values_block(it, len);
  kad_dice_bytes(&it->dice, bytes, len < 100 ? len : 100);
  return (struct kad_slice){bytes, len};
}

const struct kad_slice *kad_values_slices(struct kad_calls *it) {
  struct kad_slice *slices =
      kad_values_block(it, KAD_VALUES_ITEMS * sizeof *slices);
  for (size_t i = 0; i < KAD_VALUES_ITEMS; i++) {
    slices[i] = i < 8 ? kad_values_slice(it) : slices[i % 8];
  }
  return is_null(it) ? NULL : slices;
}

struct kad_slice *kad_values_rest(struct kad_calls *it) {
  struct kad_slice *rest = kad_values_block(it, sizeof *rest);
  *rest = kad_values_slice(it);
  return is_null(it) ? NULL : rest;
}

static struct kad_id make_id(struct kad_calls *it) {
  struct kad_id id = {{0}};
  uint64_t kind = kad_values_below(it, 4);
  if (kind == 0) {
    kad_dice_bytes(&it->dice, id.bytes, KAD_ID_SIZE);
  } else if (kind > 1) {
    memset(id.bytes, (int)kind, 20);
  }
  return id;
}

const struct kad_id *kad_values_id(struct kad_calls *it) {
  struct kad_id *id = kad_values_block(it, sizeof *id);
  *id = make_id(it);
  return is_null(it) ? NULL : id;
}

/* Nothing that is sent to these leaves the machine. */
static struct kad_address make_address(struct kad_calls *it) {
  static const uint16_t ports[] = {0, 1, 6881, 6882, 6883, UINT16_MAX};
  struct kad_address address = {
      .port = ports[kad_values_below(it, 6)],
      .family = kad_values_below(it, 3) == 0 ? 6 : 4,
      .via = (uint8_t)(kad_values_below(it, 8) == 0 ? 255 : 0),
  };
  if (kad_values_below(it, 16) == 0) {
    address.family = (uint8_t)kad_values_number(it);
  }
  if (kad_values_below(it, 16) > 0 && address.family == 4) {
    memcpy(address.ip, (uint8_t[]){127, 0, 0, 1}, 4);
  } else if (kad_values_below(it, 16) > 0 && address.family == 6) {
    address.ip[15] = 1;
  }
  return address;
}

const struct kad_address *kad_values_addresses(struct kad_calls *it) {
  struct kad_address *addresses =
      kad_values_block(it, KAD_VALUES_ITEMS * sizeof *addresses);
  for (size_t i = 0; i < KAD_VALUES_ITEMS; i++) {
    addresses[i] = i < 8 ? make_address(it) : addresses[i % 8];
  }
  return is_null(it) ? NULL : addresses;
}

/* Some are wrong: their ends are of two families, or in the other order. */
const struct kad_address_range *kad_values_ranges(struct kad_calls *it) {
  struct kad_address_range *ranges =
      kad_values_block(it, KAD_VALUES_ITEMS * sizeof *ranges);
  const bool single = kad_values_below(it, 4) > 0;
  for (size_t i = 0; i < KAD_VALUES_ITEMS; i++) {
    ranges[i].first = i < 4 ? make_address(it) : ranges[i % 4].first;
    ranges[i].last = i % 4 != i || single ? ranges[i].first : make_address(it);
  }
  return is_null(it) ? NULL : ranges;
}

const struct kad_contact *kad_values_contact(struct kad_calls *it) {
  struct kad_contact *contact = kad_values_block(it, sizeof *contact);
  *contact =
      (struct kad_contact){.id = make_id(it), .address = make_address(it)};
  return is_null(it) ? NULL : contact;
}

const struct kad_record *kad_values_record(struct kad_calls *it) {
  struct kad_record *record = kad_values_block(it, sizeof *record);
  *record = (struct kad_record){
      .key = make_id(it),
      .type = kad_values_slice(it),
      .value = kad_values_slice(it),
      .seq = (int64_t)kad_values_number(it),
      .has_seq = kad_values_below(it, 2) == 0,
      .ttl = (uint32_t)kad_values_number(it),
      .age = (uint32_t)kad_values_number(it),
  };
  if (kad_values_below(it, 3) == 0) {
    record->salt = kad_values_slice(it);
    record->publisher = kad_values_bytes(it, KAD_PUBLISHER_SIZE);
    record->signature = kad_values_bytes(it, KAD_SIGNATURE_SIZE);
  }
  return is_null(it) ? NULL : record;
}

const struct kad_bencode *kad_values_bencode(struct kad_calls *it) {
  struct kad_bencode *value = kad_values_block(it, sizeof *value);
  if (kad_bencode_parse(kad_values_slice(it), value) != 0 || is_null(it)) {
    return NULL;
  }
  return value;
}

struct kad_writer *kad_values_writer(struct kad_calls *it) {
  struct kad_writer *writer = kad_values_block(it, sizeof *writer);
  writer->cap = kad_values_below(it, 40);
  writer->data = kad_values_block(it, writer->cap);
  writer->len = kad_values_below(it, writer->cap + 1);
  return is_null(it) ? NULL : writer;
}

const struct kad_config *kad_values_config(struct kad_calls *it) {
  struct kad_config *config = kad_values_block(it, sizeof *config);
  size_t count = 0;
  const struct kad_option *options = kad_config_options(&count);
  kad_config_default(config);
  config->allow_local = true;
  for (uint64_t i = kad_values_below(it, 4); i > 0; i--) {
    const struct kad_option *option = &options[kad_values_below(it, count)];
    if (kad_config_set(config, option, kad_values_number(it)) != 0) {
      config->k = (uint32_t)kad_values_below(it, 40);
    }
  }
  if (kad_values_below(it, 4) == 0) {
    config->id_bits =
        kad_values_below(it, 2) == 0 ? 256 : (unsigned)kad_values_number(it);
  }
  if (kad_values_below(it, 4) == 0) {
    config->network_keys = kad_values_network_keys(it);
  }
  config->has_id = kad_values_below(it, 8) == 0;
  config->id = make_id(it);
  return is_null(it) ? NULL : config;
}

/* Few different ones, so that nodes understand each other now and then. */
const struct kad_network_keys *kad_values_network_keys(struct kad_calls *it) {
  struct kad_network_keys *keys = kad_values_block(it, sizeof *keys);
  keys->count = kad_values_below(it, KAD_NETWORK_KEYS_MAX + 2);
  for (size_t i = 0; i < KAD_NETWORK_KEYS_MAX; i++) {
    keys->keys[i][0] = (uint8_t)kad_values_below(it, 2);
  }
  return is_null(it) ? NULL : keys;
}

const struct kad_option *kad_values_option(struct kad_calls *it) {
  size_t count = 0;
  const struct kad_option *options = kad_config_options(&count);
  return is_null(it) ? NULL : &options[kad_values_below(it, count)];
}

const struct kad_lookup_options *kad_values_options(struct kad_calls *it) {
  struct kad_lookup_options *options = kad_values_block(it, sizeof *options);
  uint32_t *fields[] = {&options->alpha,     &options->beta,
                        &options->k,         &options->paths,
                        &options->quorum,    &options->deadline_ms,
                        &options->min_stored};
  for (uint64_t i = kad_values_below(it, 3); i > 0; i--) {
    *fields[kad_values_below(it, 7)] = (uint32_t)kad_values_number(it);
  }
  options->publish = kad_values_below(it, 4) == 0;
  options->salt = kad_values_slice(it);
  options->has_cas = kad_values_below(it, 4) == 0;
  options->cas = (int64_t)kad_values_number(it);
  options->has_seq = kad_values_below(it, 4) == 0;
  options->seq = (int64_t)kad_values_number(it);
  options->seed = kad_values_below(it, 4) == 0;
  options->noseed = kad_values_below(it, 4) == 0;
  options->scrape = kad_values_below(it, 4) == 0;
  return kad_values_below(it, 2) == 0 ? NULL : options;
}

const struct kad_sim_nat *kad_values_nat(struct kad_calls *it) {
  struct kad_sim_nat *nat = kad_values_block(it, sizeof *nat);
  nat->kind = (enum kad_sim_nat_kind)kad_values_below(it, 6);
  nat->idle_s = (uint32_t)kad_values_number(it);
  nat->outer = make_address(it);
  return is_null(it) ? NULL : nat;
}

const struct kad_sim_hostility *kad_values_hostility(struct kad_calls *it) {
  struct kad_sim_hostility *hostility = kad_values_block(it, sizeof *hostility);
  hostility->behaviour = (enum kad_sim_behaviour)kad_values_below(it, 9);
  hostility->key = make_id(it);
  hostility->per_s = (uint32_t)kad_values_number(it);
  return is_null(it) ? NULL : hostility;
}

/* A store in a folder that does not exist: the disk has its own tests. */
const struct kad_durable_config *kad_values_durable(struct kad_calls *it) {
  struct kad_durable_config *config = kad_values_block(it, sizeof *config);
  kad_dice_bytes(&it->dice, (uint8_t *)config, sizeof *config);
  config->folder = is_null(it) ? NULL : "missing/folder";
  return is_null(it) ? NULL : config;
}

const struct kad_sim_config *kad_values_sim_config(struct kad_calls *it) {
  static const double shares[] = {0, 0, 0.1, 0.5, 1, -1, 2, 0.0 / 1e300};
  struct kad_sim_config *config = kad_values_block(it, sizeof *config);
  kad_sim_config_default(config);
  if (kad_values_below(it, 2) == 0) {
    config->latency = (enum kad_sim_latency)kad_values_below(it, 5);
    config->latency_min_ms = (uint32_t)kad_values_number(it);
    config->latency_max_ms = (uint32_t)kad_values_number(it);
    config->jitter_ms = (uint32_t)kad_values_number(it);
    config->reorder_ms = (uint32_t)kad_values_number(it);
    config->bandwidth = kad_values_number(it);
    config->loss = shares[kad_values_below(it, 8)];
    config->duplicate = shares[kad_values_below(it, 8)];
    config->reorder = shares[kad_values_below(it, 8)];
    config->rtt_median_ms = (double)kad_values_below(it, 1000);
    config->rtt_sigma = (double)kad_values_below(it, 6);
  }
  return is_null(it) ? NULL : config;
}
