#include "records/type.h"

#include "base/address.h"
#include "records/item.h"

#include <assert.h>
#include <string.h>

enum {
  DAY_S = 86400,
  HOUR_S = 3600,
  /* Clients announce themselves every 15 to 30 minutes. The slowest get half a
   * period more, so that they do not expire just before they announce again. */
  PEER_TTL_S = 2700,
  /* A sample of a popular swarm, several datagrams long. One info hash takes at
   * most about 70 kB. */
  PEER_MAX_VALUES = 500,
  DEFAULT_MAX_VALUES = 64,
  ITEM_TTL_S = 7200 /* BEP 44 "Expiration" */
};

/* Peers announce themselves, so that their records are not republished. The
 * limits of `value` are also the defaults of other types. */
static const struct kad_type built_in[] = {
    {
        .name = "peers",
        .max_size = KAD_COMPACT_IP6,
        .max_values = PEER_MAX_VALUES,
        .ttl = PEER_TTL_S,
        .republish = UINT32_MAX,
    },
    {
        .name = "value",
        .max_size = KAD_ITEM_VALUE_MAX,
        .max_values = DEFAULT_MAX_VALUES,
        .ttl = DAY_S,
        .republish = HOUR_S,
    },
    {
        .name = "immutable",
        .max_size = KAD_ITEM_VALUE_MAX,
        .max_values = 1,
        .ttl = ITEM_TTL_S,
        .republish = HOUR_S,
    },
    {
        .name = "mutable",
        .max_size = KAD_ITEM_VALUE_MAX,
        .max_values = 1,
        .ttl = ITEM_TTL_S,
        .republish = HOUR_S,
        .signed_only = true,
    },
};

static_assert(sizeof built_in / sizeof built_in[0] == KAD_TYPES_BUILT_IN,
              "number of built-in types");

static bool is_name_byte(char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') ||
         byte == '_' || byte == '-' || byte == '.';
}

static bool is_name(const char *name) {
  size_t len = 0;
  while (name[len] != '\0') {
    if (len == KAD_TYPE_NAME_MAX || !is_name_byte(name[len])) {
      return false;
    }
    len++;
  }
  return len > 0;
}

int kad_type_check(const struct kad_type *type) {
  if (type->name == NULL || !is_name(type->name) ||
      type->max_size > KAD_VALUE_MAX || type->max_values > KAD_VALUES_MAX) {
    return KAD_EINVAL;
  }
  const enum kad_item_kind kind = kad_item_kind_of(kad_slice_of(type->name));
  if (kind != KAD_ITEM_NONE &&
      (type->max_values > 1 || type->max_size > KAD_ITEM_VALUE_MAX)) {
    return KAD_EINVAL;
  }
  /* These have no publisher: such a type would reject them all. */
  const bool is_unsigned =
      kind == KAD_ITEM_IMMUTABLE || strcmp(type->name, "peers") == 0;
  return type->signed_only && is_unsigned ? KAD_EINVAL : 0;
}

static uint32_t given_or(uint32_t given, uint32_t otherwise) {
  return given == 0 ? otherwise : given;
}

static void set_rules(struct kad_rules *out, const struct kad_type *type,
                      const struct kad_type *defaults) {
  size_t size = strlen(type->name) + 1;
  assert(size <= sizeof out->name);
  memcpy(out->name, type->name, size);
  out->rules = *type;
  out->rules.name = out->name;
  out->rules.max_size = given_or(type->max_size, defaults->max_size);
  out->rules.max_values = given_or(type->max_values, defaults->max_values);
  out->rules.ttl = given_or(type->ttl, defaults->ttl);
  out->rules.republish = given_or(type->republish, defaults->republish);
}

/* Returns the built-in type with this name, or NULL. */
static const struct kad_type *find_built_in(const char *name) {
  for (size_t i = 0; i < KAD_TYPES_BUILT_IN; i++) {
    if (strcmp(built_in[i].name, name) == 0) {
      return &built_in[i];
    }
  }
  return NULL;
}

/* Returns the first error of `types`; see kad_types_build. */
static int check_types(const struct kad_type *types, size_t type_count) {
  for (size_t i = 0; i < type_count; i++) {
    if (kad_type_check(&types[i]) != 0) {
      return KAD_EINVAL;
    }
  }
  size_t added = 0;
  for (size_t i = 0; i < type_count; i++) {
    for (size_t j = 0; j < i; j++) {
      if (strcmp(types[i].name, types[j].name) == 0) {
        return KAD_ECONFLICT;
      }
    }
    added += find_built_in(types[i].name) == NULL ? 1 : 0;
  }
  return added > KAD_TYPES_MAX - KAD_TYPES_BUILT_IN ? KAD_EFULL : 0;
}

int kad_types_build(const struct kad_type *types, size_t type_count,
                    struct kad_rules *out, size_t *count) {
  int status = check_types(types, type_count);
  if (status != 0) {
    return status;
  }
  const struct kad_type *defaults = find_built_in("value");
  size_t filled = KAD_TYPES_BUILT_IN;
  for (size_t i = 0; i < KAD_TYPES_BUILT_IN; i++) {
    set_rules(&out[i], &built_in[i], defaults);
  }
  for (size_t i = 0; i < type_count; i++) {
    const struct kad_type *refined = find_built_in(types[i].name);
    if (refined != NULL) {
      set_rules(&out[refined - built_in], &types[i], refined);
    } else {
      set_rules(&out[filled], &types[i], defaults);
      filled++;
    }
  }
  *count = filled;
  return 0;
}

const struct kad_rules *kad_types_find(const struct kad_rules *types,
                                       size_t count, struct kad_slice name) {
  for (size_t i = 0; i < count; i++) {
    if (strlen(types[i].name) == name.len &&
        memcmp(types[i].name, name.data, name.len) == 0) {
      return &types[i];
    }
  }
  return NULL;
}

int kad_type_check_peer(const struct kad_record *record) {
  struct kad_address peer;
  const bool is_plain = record->publisher == NULL &&
                        record->signature == NULL && record->salt.len == 0 &&
                        !record->has_seq;
  return is_plain && kad_address_unpack(record->value, &peer) == 0 &&
                 peer.port != 0
             ? 0
             : KAD_EINVAL;
}

bool kad_type_replaces_peer(const struct kad_record *incoming,
                            const struct kad_record *held) {
  struct kad_address peer;
  struct kad_address other;
  return kad_slice_equal(incoming->type, kad_slice_of("peers")) &&
         kad_address_unpack(incoming->value, &peer) == 0 &&
         kad_address_unpack(held->value, &other) == 0 &&
         kad_address_same_ip(&peer, &other) &&
         !kad_address_is_martian(&peer, false);
}
