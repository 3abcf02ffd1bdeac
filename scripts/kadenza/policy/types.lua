---@meta
--- What policies are made of, for editors that know LuaCATS. Never loaded.
--- A type stands in one line, however long: language servers read no further.

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
---@field copy fun(self: kadenza.Record): kadenza.RecordTable

--- A record as a table, as `record:copy()` makes it and hooks return it. In what
--- a merge or select returns, `value` is needed, and key and type are not read.
---@class kadenza.RecordTable
---@field key? string
---@field type? string
---@field value string
---@field seq? integer
---@field salt? string
---@field publisher? string
---@field signature? string
---@field ttl? integer
---@field age? integer

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
---@field reason? "store"|"republish"|"handoff"|"cache"|"get"|"expire"  of
---  hooks about records
---@field from? kadenza.From  nil when it is the node itself

--- What a hook takes or gives where a record may be a view or a table.
---@alias kadenza.AnyRecord kadenza.Record|kadenza.RecordTable

--- Returns true; or nil, a reason and a code (201 without one).
---@alias kadenza.Filter async fun(record: kadenza.Record, ctx: kadenza.Context): true?, string?, integer?

--- Returns the list to hold; or nil, a reason and a code.
---@alias kadenza.Merge async fun(held: kadenza.RecordTable[], record: kadenza.Record, ctx: kadenza.Context): kadenza.AnyRecord[]?, string?, integer?

--- Returns one record or a list.
---@alias kadenza.Select async fun(records: kadenza.RecordTable[], ctx: kadenza.Context): kadenza.AnyRecord|kadenza.AnyRecord[]

--- Returns the seconds to live.
---@alias kadenza.Expire async fun(record: kadenza.Record, ctx: kadenza.Context): number

--- Returns the seconds to the next, or false for never.
---@alias kadenza.Republish async fun(record: kadenza.Record, ctx: kadenza.Context): number|false

--- Returns a reply; or nil, a reason and a code.
---@alias kadenza.Method async fun(request: kadenza.Request, ctx: kadenza.Context): table?, string?, integer?

--- Returns true; false for silence; or nil, a reason and a code.
---@alias kadenza.RequestFilter async fun(request: kadenza.Request, ctx: kadenza.Context): boolean?, string?, integer?

---@alias kadenza.ContactFilter async fun(contact: kadenza.Contact, ctx: kadenza.Context): boolean

---@alias kadenza.Listener async fun(record: kadenza.Record, ctx: kadenza.Context)

--- The rules of one type of records. What is left out is the core's.
---@class kadenza.Type
---@field max_size? integer  bytes of a value, 1 to 1000
---@field max_values? integer  values a key, 1 to 1024
---@field ttl? integer  seconds
---@field signed_only? boolean
---@field validate? kadenza.Filter
---@field merge? kadenza.Merge
---@field select? kadenza.Select
---@field expire? kadenza.Expire
---@field republish? integer|false|kadenza.Republish

--- A message as a codec has it: what is absent is nil, ids and other bytes are
--- binary strings, addresses texts such as "192.0.2.1:6881".
---@class kadenza.Message
---@field kind "query"|"reply"|"error"
---@field transaction string  1 to 32 bytes, which a reply repeats
---@field id? string  the sender's; queries and replies have one
---@field version? string
---@field observed? string  replies, errors: how the sender sees the receiver
---@field read_only? boolean  queries (BEP 43)
---@field method? string  of queries: the name
---@field target? string  find_node, get_peers, announce_peer, find_value, store
---@field want4? boolean  the families of contacts to send (BEP 32)
---@field want6? boolean
---@field port? integer  announce_peer
---@field implied_port? boolean  announce_peer: the port that it came from
---@field type? string  find_value, store: name of the record type
---@field skip? integer  find_value: values to pass over
---@field ttl? integer  store: seconds
---@field why? string  store: "republish", "handoff" or "cache"
---@field args? table  custom queries
---@field token? string  announce_peer, store; and replies that give one
---@field records? kadenza.RecordTable[]  store; find_value's replies
---@field nodes? { id: string, address: string }[]  of replies, as are:
---@field nodes6? { id: string, address: string }[]  those of IPv6
---@field peers? string[]  get_peers: addresses
---@field total? integer  find_value: values there are
---@field stored? integer  store: records taken
---@field errors? { index: integer, code: integer, reason: string }[]  store
---@field reply? table  of custom queries
---@field code? integer  of errors, as is:
---@field text? string

--- How a node writes and reads its datagrams. Neither can wait.
---@class kadenza.Codec
---@field encode fun(message: kadenza.Message): string?, string?
---@field decode fun(bytes: string): kadenza.Message?  nil for what is none

---@class kadenza.Every
---@field seconds number
---@field run async fun(node: kadenza.Node)

--- A record that `kadenza check` stores.
---@class kadenza.Sample
---@field value string
---@field key? string  binary; one of its own without
---@field salt? string
---@field seq? integer
---@field ttl? integer
---@field signed? boolean

--- What `kadenza check` stores and asks, by type and by query.
---@class kadenza.Samples
---@field types? table<string, (string|kadenza.Sample)[]>
---@field rpc? table<string, table[]>

--- What a policy file returns, or a function of the node that returns it.
---@class kadenza.Policy
---@field name? string
---@field version? number
---@field deadline? number  seconds that a hook may wait, 2 without one
---@field requires? table<integer|string, string|number>  policies that must be loaded as well: names, or name = least version
---@field types? table<string, kadenza.Type>
---@field rpc? table<string, kadenza.Method>
---@field every? kadenza.Every[]
---@field codec? kadenza.Codec  of the whole node, instead of KRPC
---@field on_start? async fun(node: kadenza.Node)
---@field on_stop? fun(node: kadenza.Node)
---@field on_request? kadenza.RequestFilter
---@field on_contact? kadenza.ContactFilter
---@field on_store? kadenza.Listener
---@field on_expire? kadenza.Listener
---@field save? fun(node: kadenza.Node): any  at a reload: plain values
---@field restore? fun(state: any, version: number?, node: kadenza.Node): any, string?  what the version before has saved
---@field samples? kadenza.Samples
