---@meta
--- What policies are made of, for editors that know LuaCATS. Never loaded.

--- A record under a key. In a hook it shows what the host holds: its fields are
--- read when they are asked for, it cannot be changed, and it ends with the
--- hook; `copy` gives a table to keep or change.
---@class kadenza.Record
---@field key string  binary, of the overlay's width
---@field type string
---@field value string  at most 1000 bytes
---@field seq? integer
---@field salt? string
---@field publisher? string  Ed25519 public key, 32 bytes, verified
---@field signature? string  64 bytes
---@field ttl integer  seconds left to live; 0 leaves it to the type
---@field age integer  seconds since it was stored here
---@field copy fun(self: kadenza.Record): table

--- A query that another node sends.
---@class kadenza.Request
---@field method string  "ping", "store", or a custom name
---@field args table  decoded anew each time it is read

--- Who asks.
---@class kadenza.From: kadenza.Contact
---@field proven boolean  it has answered us at this address

--- The circumstances of a hook.
---@class kadenza.Context
---@field node kadenza.Node  the node that runs the policy
---@field now number  seconds of the node's clock
---@field reason "store"|"republish"|"handoff"|"cache"|"get"
---@field from? kadenza.From  nil when it is the node itself

--- What a filter returns: true; or nil, a reason and a code (201 without one).
---@alias kadenza.Filter async fun(record: kadenza.Record,
---  ctx: kadenza.Context): true?, string?, integer?

--- The rules of one type of records. What is left out is the core's.
---@class kadenza.Type
---@field max_size? integer  bytes of a value, 1 to 1000
---@field max_values? integer  values a key, 1 to 1024
---@field ttl? integer  seconds
---@field signed_only? boolean
---@field validate? kadenza.Filter
---@field merge? async fun(held: kadenza.Record[], record: kadenza.Record,
---  ctx: kadenza.Context): (kadenza.Record|table)[]?, string?, integer?
---@field select? async fun(records: kadenza.Record[],
---  ctx: kadenza.Context): kadenza.Record|table|(kadenza.Record|table)[]
---@field expire? async fun(record: kadenza.Record,
---  ctx: kadenza.Context): number
---@field republish? integer|false|async fun(record: kadenza.Record,
---  ctx: kadenza.Context): number|false

---@class kadenza.Every
---@field seconds number
---@field run async fun(node: kadenza.Node)

--- What a policy file returns, or a function of the node that returns it.
---@class kadenza.Policy
---@field name? string
---@field version? number
---@field deadline? number  seconds that a hook may wait, 2 without one
---@field requires? table<integer|string, string|number>  policies that must be
---  loaded as well: names, or name = least version
---@field types? table<string, kadenza.Type>
---@field rpc? table<string, async fun(request: kadenza.Request,
---  ctx: kadenza.Context): table?, string?, integer?>
---@field every? kadenza.Every[]
---@field on_start? async fun(node: kadenza.Node)
---@field on_stop? fun(node: kadenza.Node)
---@field on_request? async fun(request: kadenza.Request,
---  ctx: kadenza.Context): boolean?, string?, integer?
---@field on_contact? async fun(contact: kadenza.Contact,
---  ctx: kadenza.Context): boolean
---@field on_store? async fun(record: kadenza.Record, ctx: kadenza.Context)
---@field on_expire? async fun(record: kadenza.Record, ctx: kadenza.Context)
---@field save? fun(node: kadenza.Node): any  at a reload: plain values
---@field restore? fun(state: any, version: number?,
---  node: kadenza.Node): any, string?  what the version before has saved
