---@meta
--- The types of policies, for editors that know LuaCATS. Never loaded.
--- Each type is on one line, however long: language servers read only that.

--- A record under a key. In a hook it is a read-only view of the host's record,
--- valid until the hook returns. `copy` returns a table to keep or change.
---@class kadenza.Record
---@field key string  binary, of the overlay's width
---@field type string
---@field value string  at most 1000 bytes, or the max_size of its type
---@field seq? integer
---@field salt? string
---@field publisher? string  Ed25519 public key, 32 bytes, verified
---@field signature? string  64 bytes
---@field ttl integer  seconds until it expires; 0: the type's ttl
---@field age integer  seconds since it was stored here
---@field seed? boolean  true for a peer that has the whole torrent (BEP 33)
---@field copy fun(self: kadenza.Record): kadenza.RecordTable

--- A record as a table, as `record:copy()` and hooks return it. Records that a
--- merge or select returns need `value`; their key and type are ignored.
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
---@field seed? boolean

--- A query from another node.
---@class kadenza.Request
---@field method string  "ping", "store", or a custom name
---@field args table  decoded each time it is read

--- The node that sent a query.
---@class kadenza.From: kadenza.Contact
---@field proven boolean  it has answered a query at this address

--- The context of a hook call.
---@class kadenza.Context
---@field node kadenza.Node  the node that runs the policy
---@field now number  seconds of the node's clock
---@field reason? "store"|"republish"|"handoff"|"cache"|"get"|"expire"  of
---  hooks about records
---@field from? kadenza.From  nil for the node itself

--- A request over HTTP. Names of headers are in lower case.
---@class kadenza.HttpRequest
---@field method "GET"|"PUT"|"POST"|"DELETE"|"PATCH"
---@field path string  decoded: "/poll/lunch"
---@field params table<string, string>  the parameters of the route
---@field query table<string, string>
---@field headers table<string, string>
---@field body string  at most 65,536 bytes
---@field from string  the client, "ip:port"
---@field json fun(self: kadenza.HttpRequest): any, string?  the body as JSON; or nil and a message

--- A response over HTTP. `json` is encoded; without `body` and `json` the body is empty.
---@class kadenza.HttpAnswer
---@field status? integer  200 to 599; default 200
---@field headers? table<string, string|integer>
---@field body? string  at most 1,000,000 bytes; without a content-type it is text
---@field json? any

--- A record as a view or a table.
---@alias kadenza.AnyRecord kadenza.Record|kadenza.RecordTable

--- Accepts with true; rejects with nil, a reason and a code (default 201).
---@alias kadenza.Filter async fun(record: kadenza.Record, ctx: kadenza.Context): true?, string?, integer?

--- Returns the list of records to hold; or rejects with nil, a reason and a code.
---@alias kadenza.Merge async fun(held: kadenza.RecordTable[], record: kadenza.Record, ctx: kadenza.Context): kadenza.AnyRecord[]?, string?, integer?

--- Returns one record or a list.
---@alias kadenza.Select async fun(records: kadenza.RecordTable[], ctx: kadenza.Context): kadenza.AnyRecord|kadenza.AnyRecord[]

--- Returns the seconds until the record expires.
---@alias kadenza.Expire async fun(record: kadenza.Record, ctx: kadenza.Context): number

--- Returns the seconds until the next republish, or false for never.
---@alias kadenza.Republish async fun(record: kadenza.Record, ctx: kadenza.Context): number|false

--- Returns a reply; or rejects with nil, a reason and a code.
---@alias kadenza.Method async fun(request: kadenza.Request, ctx: kadenza.Context): table?, string?, integer?

--- Returns a response; or refuses with nil, a reason and a status (default 400).
---@alias kadenza.HttpHandler async fun(request: kadenza.HttpRequest, ctx: kadenza.Context): kadenza.HttpAnswer?, string?, integer?

--- A route with its access. `public`: no token is needed; default true for GET, else false.
---@class kadenza.HttpRouteTable
---@field run kadenza.HttpHandler
---@field public? boolean

--- Accepts with true; drops the query without an answer with false; or rejects
--- with nil, a reason and a code.
---@alias kadenza.RequestFilter async fun(request: kadenza.Request, ctx: kadenza.Context): boolean?, string?, integer?

---@alias kadenza.ContactFilter async fun(contact: kadenza.Contact, ctx: kadenza.Context): boolean

---@alias kadenza.Listener async fun(record: kadenza.Record, ctx: kadenza.Context)

--- The rules of one type of records. The core has defaults for absent fields.
---@class kadenza.Type
---@field max_size? integer  bytes of a value, 1 to 8192; 1000 without it.
---  More than 1000 needs a max_reply of 452 bytes more
---@field max_values? integer  values a key, 1 to 1024
---@field ttl? integer  seconds
---@field signed_only? boolean
---@field validate? kadenza.Filter
---@field merge? kadenza.Merge
---@field select? kadenza.Select
---@field expire? kadenza.Expire
---@field republish? integer|false|kadenza.Republish

--- A message as a codec encodes and decodes it. Absent fields are nil, ids and
--- other bytes are binary strings, addresses are texts such as "192.0.2.1:6881".
---@class kadenza.Message
---@field kind "query"|"reply"|"error"
---@field transaction string  1 to 32 bytes, repeated in the reply
---@field id? string  of the sender; in queries and replies
---@field version? string
---@field observed? string  replies, errors: receiver's address as the sender sees it
---@field read_only? boolean  queries (BEP 43)
---@field method? string  queries: the name
---@field target? string  find_node, get_peers, announce_peer, find_value, store
---@field want4? boolean  the families of contacts to send (BEP 32)
---@field want6? boolean
---@field port? integer  announce_peer
---@field implied_port? boolean  announce_peer: use the datagram's source port
---@field seed? boolean  announce_peer: the peer has the whole torrent (BEP 33)
---@field scrape? boolean  get_peers: Bloom filters are wanted (BEP 33)
---@field noseed? boolean  get_peers: peers that are no seeds are wanted (BEP 33)
---@field seq? integer  get, replies of get (BEP 44)
---@field cas? integer  put: the seq to replace (BEP 44)
---@field type? string  find_value, store: name of the record type
---@field skip? integer  find_value: number of values to skip
---@field ttl? integer  store: seconds
---@field why? string  store: "republish", "handoff" or "cache"
---@field args? table  custom queries
---@field token? string  announce_peer, store, put, find_value, get; replies
---@field records? kadenza.RecordTable[]  store, put; replies of find_value, get
---@field item? boolean  replies of get: the record is an item (BEP 44)
---@field nodes? { id: string, address: string }[]  replies: IPv4 contacts
---@field nodes6? { id: string, address: string }[]  replies: IPv6 contacts
---@field peers? string[]  replies of get_peers: addresses
---@field seed_filter? string  replies of get_peers: 256 bytes (BEP 33)
---@field peer_filter? string  replies of get_peers: 256 bytes (BEP 33)
---@field samples? string  replies of sample_infohashes: keys (BEP 51)
---@field num? integer  replies of sample_infohashes: number of keys held
---@field interval? integer  replies of sample_infohashes: seconds
---@field total? integer  replies of find_value: number of values held
---@field next? integer  replies of find_value: number of values to skip next
---@field stored? integer  replies of store: number of records accepted
---@field errors? { index: integer, code: integer, reason: string }[]  replies of store
---@field reply? table  replies of custom queries
---@field code? integer  errors
---@field text? string  errors

--- Encodes and decodes the node's datagrams. Neither function can wait.
---@class kadenza.Codec
---@field encode fun(message: kadenza.Message): string?, string?
---@field decode fun(bytes: string): kadenza.Message?  nil if malformed

---@class kadenza.Every
---@field seconds number
---@field run async fun(node: kadenza.Node)

--- A metric of a policy, for `node:count` and `node:gauge`.
---@class kadenza.MetricDeclaration
---@field type "counter"|"gauge"
---@field help string  one line

--- A record that `kadenza check` stores.
---@class kadenza.Sample
---@field value string
---@field key? string  binary; default: a key of its own
---@field salt? string
---@field seq? integer
---@field ttl? integer
---@field signed? boolean

--- Records that `kadenza check` stores and arguments of the queries it sends.
---@class kadenza.Samples
---@field types? table<string, (string|kadenza.Sample)[]>
---@field rpc? table<string, table[]>
---@field http? table<string, { params?: table<string, string>, query?: table<string, string>, headers?: table<string, string>, body?: string }[]>

--- A policy: the table that a policy file returns. The file may also return a
--- function that takes the node and returns the table.
---@class kadenza.Policy
---@field name? string
---@field version? number
---@field deadline? number  seconds that a hook may wait; default 2
---@field requires? table<integer|string, string|number>  policies that must be loaded too: names, or name = minimum version
---@field types? table<string, kadenza.Type>
---@field rpc? table<string, kadenza.Method>
---@field http? table<string, kadenza.HttpHandler|kadenza.HttpRouteTable>  routes: ["GET /poll/:name"]
---@field every? kadenza.Every[]
---@field metrics? table<string, kadenza.MetricDeclaration>  names of a-z, 0-9 and '_'
---@field codec? kadenza.Codec  replaces KRPC for the whole node
---@field on_start? async fun(node: kadenza.Node)
---@field on_stop? fun(node: kadenza.Node)
---@field on_request? kadenza.RequestFilter
---@field on_contact? kadenza.ContactFilter
---@field on_store? kadenza.Listener
---@field on_expire? kadenza.Listener
---@field save? fun(node: kadenza.Node): any  at a reload: returns plain values to migrate
---@field restore? fun(state: any, version: number?, node: kadenza.Node): any, string?  receives what the previous version saved
---@field samples? kadenza.Samples
