#include "lua/link.h"

#include <string.h>

/* Every number of kad_config that a table may set, under its name in C. */
struct number_field {
  const char *name;
  size_t offset;
  lua_Integer min; /* the ranges of the core, so that a mistake is named */
  lua_Integer max;
  bool wide;
};

#define NUMBER32(name, min, max) \
  { #name, offsetof(struct kad_config, name), min, max, false }
#define NUMBER64(name, min) \
  { #name, offsetof(struct kad_config, name), min, LUA_MAXINTEGER, true }

static const struct number_field numbers[] = {
    NUMBER32(k, 1, 64),
    NUMBER32(alpha, 1, 32),
    NUMBER32(beta, 1, 32),
    NUMBER32(paths, 1, 16),
    NUMBER32(far_contacts, 0, 128),
    NUMBER32(lookup_ms, 1, UINT32_MAX),
    NUMBER32(query_ms, 1, 60000),
    NUMBER32(refresh_s, 1, UINT32_MAX),
    NUMBER32(ping_s, 1, UINT32_MAX),
    NUMBER32(neighbour_s, 0, UINT32_MAX),
    NUMBER32(token_s, 1, UINT32_MAX),
    NUMBER32(max_reply, 512, 1452),
    NUMBER32(max_lookups, 1, UINT32_MAX),
    NUMBER32(max_waiting, 0, UINT32_MAX),
    NUMBER32(queries_per_s, 1, UINT32_MAX),
    NUMBER32(queries_per_s_address, 1, UINT32_MAX),
    NUMBER32(queries_per_s_subnet, 1, UINT32_MAX),
    NUMBER64(bytes_per_s, 1),
    NUMBER64(max_bytes, 0),
    NUMBER32(max_records, 0, UINT32_MAX),
    NUMBER32(max_records_address, 0, UINT32_MAX),
    NUMBER32(max_publications, 0, UINT32_MAX),
    NUMBER32(stores_per_s, 0, UINT32_MAX),
};

enum {
  NUMBER_COUNT = sizeof numbers / sizeof numbers[0]
};

static const char *const other_fields[] = {
    "id",     "id_bits", "allow_local", "read_only",
    "limits", "cache",   "repair",      "version",
};

enum {
  OTHER_COUNT = sizeof other_fields / sizeof other_fields[0]
};

static void check_names(lua_State *L, int arg) {
  const char *names[NUMBER_COUNT + OTHER_COUNT + 1] = {NULL};
  for (size_t i = 0; i < NUMBER_COUNT; i++) {
    names[i] = numbers[i].name;
  }
  for (size_t i = 0; i < OTHER_COUNT; i++) {
    names[NUMBER_COUNT + i] = other_fields[i];
  }
  kad_lua_check_options(L, arg, names);
}

static void read_numbers(lua_State *L, int arg, struct kad_config *config) {
  for (size_t i = 0; i < NUMBER_COUNT; i++) {
    lua_Integer value = 0;
    if (!kad_lua_field_integer(L, arg, numbers[i].name, numbers[i].min,
                               numbers[i].max, &value)) {
      continue;
    }
    unsigned char *const field = (unsigned char *)config + numbers[i].offset;
    if (numbers[i].wide) {
      const uint64_t wide = (uint64_t)value;
      memcpy(field, &wide, sizeof wide);
    } else {
      const uint32_t narrow = (uint32_t)value;
      memcpy(field, &narrow, sizeof narrow);
    }
  }
}

static void read_id(lua_State *L, int arg, struct kad_config *config) {
  lua_Integer bits = config->id_bits;
  struct kad_slice id;
  if (kad_lua_field_integer(L, arg, "id_bits", 160, 256, &bits)) {
    if (bits != 160 && bits != 256) {
      luaL_error(L, "field 'id_bits' must be 160 or 256");
    }
    config->id_bits = (unsigned)bits;
  }
  const size_t len = config->id_bits / 8;
  if (kad_lua_field_string(L, arg, "id", len, len, &id)) {
    config->has_id = true;
    memcpy(config->id.bytes, id.data, len);
  }
}

void kad_lua_check_config(lua_State *L, int arg, struct kad_config *config) {
  struct kad_slice version;
  kad_config_default(config);
  check_names(L, arg);
  if (lua_isnoneornil(L, arg)) {
    return;
  }
  read_numbers(L, arg, config);
  read_id(L, arg, config);
  (void)kad_lua_field_boolean(L, arg, "allow_local", &config->allow_local);
  (void)kad_lua_field_boolean(L, arg, "read_only", &config->read_only);
  (void)kad_lua_field_boolean(L, arg, "limits", &config->limits);
  (void)kad_lua_field_boolean(L, arg, "cache", &config->cache);
  (void)kad_lua_field_boolean(L, arg, "repair", &config->repair);
  if (kad_lua_field_string(L, arg, "version", sizeof config->version,
                           sizeof config->version, &version)) {
    memcpy(config->version, version.data, sizeof config->version);
  }
}
