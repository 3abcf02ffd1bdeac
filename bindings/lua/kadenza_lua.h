/* kadenza_lua.h: what the files of the C module `kadenza.core`, the policy host
 * and the `kadenza` program share.
 *
 * Who owns what. A network and its nodes belong to the Lua state that made
 * them, through *owning* handles. Any other state, such as a policy VM, may
 * have *borrowed* handles of the same objects: they offer fewer methods, they
 * close nothing, and they turn closed by themselves when the owner closes.
 * A node stays open until it is closed or its network is: its network's handle
 * keeps it from the collector.
 *
 * How Lua is called. Only through kad_lua_enter: everything that can raise
 * happens inside it, on the main thread of the state.
 *
 * Notes such as [-0, +1, m] say what a function pops and pushes and whether it
 * may raise (`-` never, `m` only for memory, `v` or `e` a described or any
 * error), as in the Lua manual. */
#ifndef KAD_LUA_H
#define KAD_LUA_H

#include "kadenza.h"

#include <lauxlib.h>
#include <lua.h>

/* ------------------------------------------------------------- context -- */

/* Told of an error that escaped from a callback. The message, a string with a
 * traceback, is at the top of the stack of `L` and stays there. Must not raise.
 * `status` is the LUA_ERR… that the call ended with. */
typedef void kad_lua_report_fn(lua_State *L, int status);

/* What there is once in every Lua state. */
struct kad_lua_context {
  lua_State *main;           /* callbacks run here, never on a coroutine */
  kad_lua_report_fn *report; /* what becomes of errors; never NULL */
  /* Runs `body`, by default kad_lua_protect. A policy VM puts its own here, to
   * meter what timers and operations run. Same contract as kad_lua_enter. */
  int (*enter)(struct kad_lua_context *context, lua_CFunction body,
               void *argument);
  struct kad_network *running; /* which an error is to stop; NULL for none */
  void *host;                  /* of the policy host; NULL in other states */
};

/* Returns the context of the state of `L`, made at the first call. Valid as
 * long as the state. [-0, +0, m] */
struct kad_lua_context *kad_lua_context(lua_State *L);

/* Runs `body` on the main thread of the state, with `argument` as its one
 * argument, a light userdata, by way of `context->enter`. Returns a LUA_…
 * status; a failure has been reported. [-0, +0, -] */
int kad_lua_enter(struct kad_lua_context *context, lua_CFunction body,
                  void *argument);

/* Pushes the handle whose memory is `handle`; nil if it has been collected.
 * [-0, +1, m] */
void kad_lua_push_handle(lua_State *L, const void *handle);

/* Makes the handle at the top known to kad_lua_push_handle. [-0, +0, m] */
void kad_lua_register_handle(lua_State *L);

/* Runs `body` protected, on `L`, with `argument` as its one argument, a light
 * userdata. Returns a LUA_… status; a failure has been given to `report`.
 * [-0, +0, -] */
int kad_lua_protect(lua_State *L, lua_CFunction body, void *argument,
                    kad_lua_report_fn *report);

/* A message handler: turns any error value to a string with a traceback.
 * [-1, +1, m] */
int kad_lua_traceback(lua_State *L);

/* The report of ordinary states: keeps the first error for kad_lua_rethrow and
 * stops the network that is being run. [-0, +0, -] */
void kad_lua_keep_error(lua_State *L, int status);

/* Raises the error that a callback left behind, if there is one, and forgets
 * it. What runs a network calls this afterwards. [-0, +0, v] */
void kad_lua_rethrow(lua_State *L);

/* --------------------------------------------------- arguments, results -- */

/* Pushes nil, the text and the name of the KAD_E… code `error`, and returns 3.
 * [-0, +3, m] */
int kad_lua_push_error(lua_State *L, int error);

/* Raises unless argument `arg` is nil or a table that has only keys of `names`
 * (ends with NULL); the error names the key. [-0, +0, v] */
void kad_lua_check_options(lua_State *L, int arg, const char *const *names);

/* Reads the integer field `name` of the table at `index`, which must be in
 * `min` … `max`. Returns false, with `*value` untouched, if it is nil. Raises
 * naming the field. Metamethods are not used. [-0, +0, v] */
bool kad_lua_field_integer(lua_State *L, int index, const char *name,
                           lua_Integer min, lua_Integer max,
                           lua_Integer *value);

/* The same for a boolean. [-0, +0, v] */
bool kad_lua_field_boolean(lua_State *L, int index, const char *name,
                           bool *value);

/* The same for a string of `min` … `max` bytes. Borrows: the string, for as
 * long as the field keeps it. [-0, +0, v] */
bool kad_lua_field_string(lua_State *L, int index, const char *name, size_t min,
                          size_t max, struct kad_slice *value);

/* Reads argument `arg`, an integer in `min` … `max`. [-0, +0, v] */
lua_Integer kad_lua_check_integer(lua_State *L, int arg, lua_Integer min,
                                  lua_Integer max);

/* Reads argument `arg`, a string. Borrows it. [-0, +0, v] */
struct kad_slice kad_lua_check_slice(lua_State *L, int arg);

/* Reads argument `arg`, a binary id of `bits` (160 or 256). [-0, +0, v] */
void kad_lua_check_id(lua_State *L, int arg, unsigned bits, struct kad_id *id);

/* Reads argument `arg`, an address like "192.0.2.1:6881". [-0, +0, v] */
void kad_lua_check_address(lua_State *L, int arg, struct kad_address *address);

/* Pushes bytes as a string. [-0, +1, m] */
void kad_lua_push_slice(lua_State *L, struct kad_slice slice);

/* Pushes an id of `bits` as a binary string. [-0, +1, m] */
void kad_lua_push_id(lua_State *L, const struct kad_id *id, unsigned bits);

/* Pushes an address as text, or nil if its family is 0. [-0, +1, m] */
void kad_lua_push_address(lua_State *L, const struct kad_address *address);

/* Pushes a contact as a table: id (nil when all zero), address ("ip:port"),
 * host and port. [-0, +1, m] */
void kad_lua_push_contact(lua_State *L, const struct kad_contact *contact,
                          unsigned bits);

/* ------------------------------------------------------------- records -- */

/* Pushes a record as a table: key, type, value and, where it has them, salt,
 * publisher, signature, seq, ttl and age (seconds). [-0, +1, m] */
void kad_lua_push_record(lua_State *L, const struct kad_record *record,
                         unsigned bits);

/* Reads the record table at `index`: value is needed, key, type, salt,
 * publisher, signature, seq and ttl are optional, age and unknown fields are
 * ignored; raises naming the field. Borrows: the strings, for as long as the
 * table keeps them. Metamethods are not used. [-0, +0, v] */
void kad_lua_check_record(lua_State *L, int index, unsigned bits,
                          struct kad_record *record);

/* Pushes what came of an operation: `result` as a table if it went well,
 * otherwise nil, message, name of the code and the table, whose `krpc` is the
 * KRPC code of the other node. Returns how many. [-0, +1|4, m] */
int kad_lua_push_result(lua_State *L, const struct kad_result *result,
                        unsigned bits);

/* ------------------------------------------------------------- bencode -- */

/* Encodes the value at `index` and pushes the encoding, a string. With
 * `dictionary` it must be a table of string keys that a message can hold, which
 * takes one level of the depth, and an empty table is a dictionary; otherwise
 * an empty table is a list. `root` is what errors call the value: they name the
 * place, like `args.list[3]`. [-0, +1, v] */
void kad_lua_bencode_encode(lua_State *L, int index, const char *root,
                            bool dictionary);

/* Pushes the value that `in` encodes and returns 0, or pushes nothing and
 * returns KAD_EMALFORMED. [-0, +0|1, m] */
int kad_lua_bencode_decode(lua_State *L, struct kad_slice in);

/* Pushes a value that is parsed already. [-0, +1, m] */
void kad_lua_push_bencode(lua_State *L, const struct kad_bencode *value);

/* ------------------------------------------------------------- handles -- */

/* A callback that the core will make, or has to be kept from making. */
struct kad_lua_pending;

/* What the handles of one network, or of one node, have in common: the object
 * itself until its owner closes it. Counted, for the states do not know when
 * the others end. */
struct kad_lua_link {
  struct kad_network *network; /* NULL once closed */
  struct kad_node *node;       /* of a node's link; NULL once closed */
  /* Of a network's link: callbacks whose handle is gone, freed with it. */
  struct kad_lua_pending *orphans;
  unsigned handles;
};

enum {
  KAD_LUA_SIGNALS = 4
}; /* signals that on_signal knows */

/* The memory of a network's handle. */
struct kad_lua_network {
  struct kad_lua_link *link; /* NULL when closed */
  struct kad_lua_context *context;
  struct kad_lua_pending *pending; /* timers, names being resolved, signals */
  lua_Integer serial;              /* of the last pending callback */
  lua_Integer signals[KAD_LUA_SIGNALS]; /* serials of theirs; 0 for none */
  lua_Integer trace;                    /* likewise, of the trace */
  bool borrowed;
  bool simulated;
  bool running; /* callbacks may be called: it cannot be run or freed */
  bool closing; /* no node can be opened any more */
};

/* The memory of a node's handle. */
struct kad_lua_node {
  struct kad_lua_link *link; /* NULL when closed */
  struct kad_lua_context *context;
  struct kad_lua_pending *pending; /* operations */
  lua_Integer serial;              /* of the last operation */
  unsigned bits;                   /* width of the overlay's ids */
  bool borrowed;
};

/* The user values of a handle. */
enum {
  KAD_LUA_NETWORK_CALLBACKS = 1, /* table: serial → function */
  KAD_LUA_NETWORK_NODES = 2,     /* table: node handle → true; owner only */
  KAD_LUA_NETWORK_VALUES = 2,
  KAD_LUA_NODE_CALLBACKS = 1, /* table: serial → function */
  KAD_LUA_NODE_NETWORK = 2,   /* the network's handle; owner only */
  KAD_LUA_NODE_POLICY = 3,    /* for the policy host */
  KAD_LUA_NODE_SEND = 4,      /* function of a transport; owner only */
  KAD_LUA_NODE_VALUES = 4
};

/* Pushes a borrowed handle of the network of `owner` in the state of `L`. It
 * has now, random, start_timer, stop_timer and resolve. When it is collected,
 * its timers are stopped. [-0, +1, m] */
struct kad_lua_network *kad_lua_borrow_network(
    lua_State *L, const struct kad_lua_network *owner);

/* Pushes a borrowed handle of the node of `owner` in the state of `L`. It has
 * all methods but close. When it is collected, operations begun through it are
 * cancelled, and their callbacks not called. [-0, +1, m] */
struct kad_lua_node *kad_lua_borrow_node(lua_State *L,
                                         const struct kad_lua_node *owner);

/* Returns the handle at argument `arg`, owned or borrowed; raises "closed
 * network" when it is closed. [-0, +0, v] */
struct kad_lua_network *kad_lua_check_network(lua_State *L, int arg);

/* Returns the handle at argument `arg`, owned or borrowed; raises "closed node"
 * when it is closed. [-0, +0, v] */
struct kad_lua_node *kad_lua_check_node(lua_State *L, int arg);

/* Opens a node: the method open_node of networks. [-0, +1, v] */
int kad_lua_network_open_node(lua_State *L);

/* -------------------------------------------------------------- module -- */

/* Pushes a new table with the functions that are safe in a sandbox: key, hex,
 * unhex, distance, compare, keypair, sign, address, encode, decode and the
 * texts of errors. A policy VM has it as `kadenza.core`; it gives its borrowed
 * network to `use` of the module kadenza.loop, so that tasks find it, and calls
 * `finish` of kadenza.task before it is closed. [-0, +1, m] */
void kad_lua_push_safe_module(lua_State *L);

/* Opens `require "kadenza.core"`. [-1, +1, m] */
KAD_API int luaopen_kadenza_core(lua_State *L);

#endif
