#include "lua/argument.h"
#include "lua/field.h"
#include "lua/sim.h"

#include <lauxlib.h>

enum {
  OPTIONS = 1, /* the argument */
  MS_MAX = 3600000
};

/* Pops a number in 0 … `max`. Errors call it `what`. [-1, +0, v] */
static double pop_number(lua_State *L, const char *what, int max) {
  const lua_Number value = lua_tonumber(L, -1);
  const bool fits =
      lua_type(L, -1) == LUA_TNUMBER && value >= 0 && value <= max;
  if (!fits) {
    lua_pushfstring(L, "option '%s' must be a number in 0 to %d", what, max);
    luaL_argerror(L, OPTIONS, lua_tostring(L, -1));
  }
  lua_pop(L, 1);
  return value;
}

/* Reads the field `name` of the table at `index`, called `what`, unless it is
 * nil. [-0, +0, v] */
static void read_number(lua_State *L, int index, const char *name,
                        const char *what, int max, double *value) {
  if (kad_lua_push_field(L, index, name)) {
    *value = pop_number(L, what, max);
  }
}

/* ------------------------------------------------------------- latency -- */

/* Returns whole milliseconds at the top; raises `problem`. [-0, +0, v] */
static uint32_t check_ms(lua_State *L, const char *problem) {
  int whole = 0;
  const lua_Integer ms = lua_tointegerx(L, -1, &whole);
  luaL_argcheck(L, whole && ms >= 0 && ms <= MS_MAX, OPTIONS, problem);
  return (uint32_t)ms;
}

/* Reads the table {min, max} at the top. [-0, +0, v] */
static void check_range(lua_State *L, struct kad_sim_config *config) {
  uint32_t bounds[2];
  for (int i = 0; i < 2; i++) {
    lua_rawgeti(L, -1, i + 1);
    bounds[i] =
        check_ms(L, "option 'latency' must hold two integers, milliseconds");
    lua_pop(L, 1);
  }
  luaL_argcheck(L, bounds[0] <= bounds[1], OPTIONS,
                "option 'latency' must hold the smaller one first");
  config->latency_min_ms = bounds[0];
  config->latency_max_ms = bounds[1];
}

/* Returns item `i` of the pair at the top. [-0, +0, v] */
static double item_of_pair(lua_State *L, int i, int max) {
  lua_rawgeti(L, -1, i);
  return pop_number(L, "latency.quantiles", max);
}

/* Reads the list {{share, ms}, …} at the top. [-0, +0, v] */
static void check_quantiles(lua_State *L, struct kad_sim_config *config,
                            struct kad_sim_quantile *quantiles) {
  luaL_argcheck(L, lua_istable(L, -1), OPTIONS,
                "option 'latency.quantiles' must be a table");
  const size_t count = lua_rawlen(L, -1);
  luaL_argcheck(L, count >= 2 && count <= KAD_SIM_QUANTILES_MAX, OPTIONS,
                "option 'latency.quantiles' must hold 2 to 64 pairs");
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, -1, (lua_Integer)i + 1);
    luaL_argcheck(L, lua_istable(L, -1), OPTIONS,
                  "option 'latency.quantiles' must hold pairs {share, ms}");
    quantiles[i].share = item_of_pair(L, 1, 1);
    quantiles[i].rtt_ms = item_of_pair(L, 2, MS_MAX);
    luaL_argcheck(
        L,
        quantiles[i].rtt_ms > 0 &&
            (i == 0 || (quantiles[i].share > quantiles[i - 1].share &&
                        quantiles[i].rtt_ms >= quantiles[i - 1].rtt_ms)),
        OPTIONS, "option 'latency.quantiles' must increase from above 0");
    lua_pop(L, 1);
  }
  config->latency = KAD_SIM_LATENCY_QUANTILES;
  config->quantiles = quantiles;
  config->quantile_count = count;
}

/* Reads {quantiles = …} or {median = …, sigma = …} at the top. [-0, +0, v] */
static void check_distribution(lua_State *L, struct kad_sim_config *config,
                               struct kad_sim_quantile *quantiles) {
  static const char *const with_table[] = {"quantiles", NULL};
  static const char *const log_normal[] = {"median", "sigma", NULL};
  const int top = lua_gettop(L);
  if (lua_getfield(L, top, "quantiles") != LUA_TNIL) {
    (void)kad_lua_check_options(L, top, with_table);
    check_quantiles(L, config, quantiles);
  } else {
    (void)kad_lua_check_options(L, top, log_normal);
    config->latency = KAD_SIM_LATENCY_LOG_NORMAL;
    read_number(L, top, "median", "latency.median", MS_MAX,
                &config->rtt_median_ms);
    read_number(L, top, "sigma", "latency.sigma", 4, &config->rtt_sigma);
    luaL_argcheck(L, config->rtt_median_ms > 0, OPTIONS,
                  "option 'latency.median' must be more than 0");
  }
  lua_settop(L, top);
}

static void check_named(lua_State *L, struct kad_sim_config *config) {
  lua_pushliteral(L, "jimenez2011");
  luaL_argcheck(L, lua_rawequal(L, -1, -2), OPTIONS,
                "option 'latency' must be \"jimenez2011\" if it is a name");
  config->latency = KAD_SIM_LATENCY_JIMENEZ;
  lua_pop(L, 1);
}

/* Reads `latency`. It is milliseconds, {min, max}, {median, sigma}, {quantiles}
 * or a name. [-0, +0, v] */
static void check_latency(lua_State *L, struct kad_sim_config *config,
                          struct kad_sim_quantile *quantiles) {
  switch (lua_getfield(L, OPTIONS, "latency")) {
  case LUA_TNIL:
    break;
  case LUA_TNUMBER:
    config->latency_min_ms = check_ms(
        L, "option 'latency' must be whole milliseconds, an hour at most");
    config->latency_max_ms = config->latency_min_ms;
    break;
  case LUA_TSTRING:
    check_named(L, config);
    break;
  case LUA_TTABLE:
    if (lua_rawlen(L, -1) > 0) {
      check_range(L, config);
    } else {
      check_distribution(L, config, quantiles);
    }
    break;
  default:
    luaL_argerror(L, OPTIONS,
                  "option 'latency' must be a number, a table or a name");
  }
  lua_pop(L, 1);
}

void kad_lua_sim_config_check(lua_State *L, struct kad_sim_config *config,
                              struct kad_sim_quantile *quantiles) {
  static const char *const names[] = {
      "seed",    "latency",    "jitter",    "loss", "duplicate",
      "reorder", "reorder_ms", "bandwidth", NULL,
  };
  lua_Integer seed = 0;
  kad_sim_config_default(config);
  if (!kad_lua_check_options(L, OPTIONS, names)) {
    return;
  }
  if (kad_lua_field_integer(L, OPTIONS, "seed", LUA_MININTEGER, LUA_MAXINTEGER,
                            &seed)) {
    config->seed = (uint64_t)seed;
  }
  check_latency(L, config, quantiles);
  (void)kad_lua_field_uint32(L, OPTIONS, "jitter", 0, MS_MAX,
                             &config->jitter_ms);
  (void)kad_lua_field_uint32(L, OPTIONS, "reorder_ms", 1, MS_MAX,
                             &config->reorder_ms);
  read_number(L, OPTIONS, "loss", "loss", 1, &config->loss);
  read_number(L, OPTIONS, "duplicate", "duplicate", 1, &config->duplicate);
  read_number(L, OPTIONS, "reorder", "reorder", 1, &config->reorder);
  lua_Integer bandwidth = 0;
  (void)kad_lua_field_integer(L, OPTIONS, "bandwidth", 0, LUA_MAXINTEGER,
                              &bandwidth);
  config->bandwidth = (uint64_t)bandwidth;
}
