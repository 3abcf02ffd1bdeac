#include "lua/config.h"

#include "lua/argument.h"
#include "lua/durable.h"
#include "lua/field.h"

#include <lauxlib.h>

#include <string.h>

enum {
  OTHERS = 5, /* fields that are not rows of KAD_CONFIG_MAP */
  NAMES_MAX = 64
};

/* Raises if the table at `arg` has a field that is not an option. Returns
 * whether there is a table. [-0, +0, v] */
static bool check_names(lua_State *L, int arg) {
  const char *names[NAMES_MAX + 1] = {"id", "id_bits", "version",
                                      "network_keys", "durable"};
  size_t count;
  const struct kad_option *const options = kad_config_options(&count);
  for (size_t i = 0; i < count && OTHERS + i < NAMES_MAX; i++) {
    names[OTHERS + i] = options[i].name;
  }
  return kad_lua_check_options(L, arg, names);
}

/* Returns the greatest value of `option` that a Lua integer can have. */
static lua_Integer greatest(const struct kad_option *option) {
  return option->max < LUA_MAXINTEGER ? (lua_Integer)option->max
                                      : LUA_MAXINTEGER;
}

/* Returns the place of `name` among the names of a choice, or -1. */
static lua_Integer find_choice(const struct kad_option *option,
                               struct kad_slice name) {
  for (uint64_t i = 0; i <= option->max; i++) {
    if (kad_slice_equal(name, kad_config_choice(option, i))) {
      return (lua_Integer)i;
    }
  }
  return -1;
}

/* Reads a choice: one of its names; a boolean is "on" or "off". Returns false
 * if the table at `arg` does not have it. [-0, +0, v] */
static bool read_choice(lua_State *L, int arg, const struct kad_option *option,
                        lua_Integer *number) {
  if (!kad_lua_push_field(L, arg, option->name)) {
    return false;
  }
  size_t len = 0;
  const char *name = NULL;
  if (lua_isboolean(L, -1)) {
    name = lua_toboolean(L, -1) ? "on" : "off";
    len = strlen(name);
  } else if (lua_type(L, -1) == LUA_TSTRING) {
    name = lua_tolstring(L, -1, &len);
  }
  *number = find_choice(
      option, (struct kad_slice){.data = (const uint8_t *)name, .len = len});
  if (*number < 0) {
    luaL_error(L, "field '%s' must be one of: %s", option->name,
               option->choices);
  }
  lua_pop(L, 1);
  return true;
}

/* Reads `option` from the table at `arg`, if it has it. [-0, +0, v] */
static void read_option(lua_State *L, int arg, const struct kad_option *option,
                        struct kad_config *config) {
  bool is_on = false;
  lua_Integer number = 0;
  if (option->type == KAD_OPTION_TYPE_CHOICE) {
    if (!read_choice(L, arg, option, &number)) {
      return;
    }
  } else if (option->type == KAD_OPTION_TYPE_BOOL) {
    if (!kad_lua_field_boolean(L, arg, option->name, &is_on)) {
      return;
    }
    number = is_on;
  } else if (!kad_lua_field_integer(L, arg, option->name,
                                    (lua_Integer)option->min, greatest(option),
                                    &number)) {
    return;
  }
  luaL_argcheck(L, kad_config_set(config, option, (uint64_t)number) == 0, arg,
                option->name);
}

static void read_id(lua_State *L, int arg, struct kad_config *config) {
  lua_Integer bits = config->id_bits;
  if (kad_lua_field_integer(L, arg, "id_bits", 160, 256, &bits)) {
    if (bits != 160 && bits != 256) {
      luaL_error(L, "field 'id_bits' must be 160 or 256");
    }
    config->id_bits = (unsigned)bits;
  }
  if (kad_lua_field_id(L, arg, "id", config->id_bits, &config->id)) {
    config->has_id = true;
  }
}

void kad_lua_config_check(lua_State *L, int arg, struct kad_config *config) {
  struct kad_slice version;
  size_t count;
  const struct kad_option *const options = kad_config_options(&count);
  kad_config_default(config);
  if (!check_names(L, arg)) {
    return;
  }
  for (size_t i = 0; i < count; i++) {
    read_option(L, arg, &options[i], config);
  }
  read_id(L, arg, config);
  kad_lua_durable_field(L, arg, config);
  if (kad_lua_field_string(L, arg, "version", sizeof config->version,
                           sizeof config->version, &version)) {
    memcpy(config->version, version.data, sizeof config->version);
  }
}

/* Sets the fields of a choice in the row at the top. [-0, +0, m] */
static void push_choices(lua_State *L, const struct kad_option *option) {
  kad_lua_set_string(L, "type", "choice");
  kad_lua_set_slice(L, "default", kad_config_choice(option, option->initial));
  lua_createtable(L, (int)option->max + 1, 0);
  for (uint64_t i = 0; i <= option->max; i++) {
    const struct kad_slice name = kad_config_choice(option, i);
    lua_pushlstring(L, (const char *)name.data, name.len);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, "choices");
}

/* Pushes a row of the list that config_options returns. [-0, +1, m] */
static void push_option(lua_State *L, const struct kad_option *option) {
  lua_createtable(L, 0, 8);
  kad_lua_set_string(L, "name", option->name);
  kad_lua_set_boolean(L, "live", kad_config_is_live(option));
  kad_lua_set_string(L, "unit", option->unit);
  kad_lua_set_string(L, "text", option->text);
  if (option->type == KAD_OPTION_TYPE_BOOL) {
    kad_lua_set_string(L, "type", "boolean");
    kad_lua_set_boolean(L, "default", option->initial != 0);
    return;
  }
  if (option->type == KAD_OPTION_TYPE_CHOICE) {
    push_choices(L, option);
    return;
  }
  kad_lua_set_string(L, "type", "integer");
  kad_lua_set_integer(L, "default", (lua_Integer)option->initial);
  kad_lua_set_integer(L, "min", (lua_Integer)option->min);
  kad_lua_set_integer(L, "max", greatest(option));
}

int kad_lua_config_options(lua_State *L) {
  size_t count;
  const struct kad_option *const options = kad_config_options(&count);
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    push_option(L, &options[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}
