#include "lua/result.h"

#include "lua/bencode.h"
#include "lua/error.h"
#include "lua/field.h"
#include "lua/record.h"
#include "lua/value.h"

#include <lauxlib.h>

static void push_contacts(lua_State *L, const struct kad_contact *contacts,
                          size_t count, unsigned bits) {
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    kad_lua_push_contact(L, &contacts[i], bits);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

/* Pushes one query of a lookup: its contact, with more fields. [-0, +1, m] */
static void push_step(lua_State *L, const struct kad_step *step,
                      unsigned bits) {
  kad_lua_push_contact(L, &step->contact, bits);
  if (step->heard_from.address.family != 0) {
    kad_lua_push_address(L, &step->heard_from.address);
    lua_setfield(L, -2, "heard_from");
  }
  kad_lua_set_integer(L, "hop", step->hop);
  kad_lua_set_integer(L, "path", (lua_Integer)step->path + 1);
  kad_lua_set_number(L, "asked", step->asked_ms / 1000.0);
  kad_lua_set_boolean(L, "answered", step->answered);
  kad_lua_set_boolean(L, "had_value", step->had_value);
  if (step->answered) {
    kad_lua_set_number(L, "rtt", step->rtt_ms / 1000.0);
  }
}

static void push_path(lua_State *L, const struct kad_step *path, size_t count,
                      unsigned bits) {
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    push_step(L, &path[i], bits);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

static void set_counts(lua_State *L, const struct kad_result *result) {
  kad_lua_set_integer(L, "hops", result->hops);
  kad_lua_set_integer(L, "messages", result->messages);
  kad_lua_set_integer(L, "stored", result->stored);
  kad_lua_set_integer(L, "asked", result->asked);
  kad_lua_set_integer(L, "holders", result->holders);
  if (result->ttl > 0) {
    kad_lua_set_integer(L, "ttl", result->ttl);
  }
  if (result->has_seq) {
    kad_lua_set_integer(L, "seq", result->seq);
  }
  kad_lua_set_number(L, "took", result->took_ms / 1000.0);
  kad_lua_set_boolean(L, "dense_key", result->dense_key);
}

/* Sets what another node has replied, or its error. [-0, +0, m] */
static void set_reply(lua_State *L, const struct kad_result *result,
                      unsigned bits) {
  if (result->from.address.family != 0) {
    kad_lua_push_contact(L, &result->from, bits);
    lua_setfield(L, -2, "from");
  }
  if (result->reply.len > 0 && kad_lua_bencode_decode(L, result->reply) == 0) {
    lua_setfield(L, -2, "reply");
  }
  if (result->code != 0) {
    kad_lua_set_integer(L, "krpc", result->code);
  }
  if (result->reason.len > 0) {
    kad_lua_set_slice(L, "reason", result->reason);
  }
}

/* Sets `scrape` of the table at the top. [-0, +0, m] */
static void set_scrape(lua_State *L, const struct kad_scrape *scrape) {
  lua_createtable(L, 0, 4);
  kad_lua_set_integer(L, "seeds", scrape->seeds);
  kad_lua_set_integer(L, "peers", scrape->peers);
  kad_lua_set_slice(L, "seed_filter",
                    (struct kad_slice){scrape->seed_filter, KAD_FILTER_SIZE});
  kad_lua_set_slice(L, "peer_filter",
                    (struct kad_slice){scrape->peer_filter, KAD_FILTER_SIZE});
  lua_setfield(L, -2, "scrape");
}

/* Sets `samples`, `num`, `interval` and `contacts` of the table at the top.
 * [-0, +0, m] */
static void set_sampled(lua_State *L, const struct kad_sampled *sampled,
                        unsigned bits) {
  lua_createtable(L, (int)sampled->count, 0);
  for (size_t i = 0; i < sampled->count; i++) {
    kad_lua_push_id(L, &sampled->ids[i], bits);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, "samples");
  kad_lua_set_integer(L, "num", sampled->num);
  kad_lua_set_integer(L, "interval", sampled->interval_s);
  push_contacts(L, sampled->contacts, sampled->contact_count, bits);
  lua_setfield(L, -2, "contacts");
}

static void push_table(lua_State *L, const struct kad_result *result,
                       unsigned bits) {
  lua_createtable(L, 0, 12);
  set_counts(L, result);
  set_reply(L, result, bits);
  push_contacts(L, result->closest, result->closest_count, bits);
  lua_setfield(L, -2, "closest");
  kad_lua_push_records(L, result->records, result->record_count, bits);
  lua_setfield(L, -2, "records");
  kad_lua_push_addresses(L, result->peers, result->peer_count);
  lua_setfield(L, -2, "peers");
  push_path(L, result->path, result->path_count, bits);
  lua_setfield(L, -2, "path");
  if (result->scrape != NULL) {
    set_scrape(L, result->scrape);
  }
  if (result->sampled != NULL) {
    set_sampled(L, result->sampled, bits);
  }
}

/* Pushes the failure, with code and reason of the other node. [-0, +1, m] */
static void push_message(lua_State *L, const struct kad_result *result) {
  lua_pushstring(L, kad_error_text(result->status));
  if (result->code != 0) {
    lua_pushfstring(L, ": %d", result->code);
    lua_concat(L, 2);
  }
  if (result->reason.len > 0) {
    lua_pushstring(L, result->code != 0 ? " " : ": ");
    kad_lua_push_slice(L, result->reason);
    lua_concat(L, 3);
  }
}

int kad_lua_push_result(lua_State *L, const struct kad_result *result,
                        unsigned bits) {
  luaL_checkstack(L, 10, NULL);
  if (result->status == 0) {
    push_table(L, result, bits);
    return 1;
  }
  push_message(L, result);
  const int count = kad_lua_push_error_message(L, result->status);
  push_table(L, result, bits);
  return count + 1;
}
