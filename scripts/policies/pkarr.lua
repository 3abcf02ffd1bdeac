--- pkarr: a relay for signed DNS packets over HTTP, as pkarr clients use it.
--
-- A program that cannot send datagrams, such as a page in a browser, publishes
-- and resolves the records of an Ed25519 key through a node: `PUT /KEY` stores
-- a packet as a mutable item (BEP 44), `GET /KEY` looks it up. KEY is the
-- public key in z-base-32. A body is a signature of 64 bytes, a big-endian time
-- of 8 bytes, in microseconds since 1970, which is the sequence number of the
-- item, and a DNS message.
--
-- Rules
--   * Anyone may put: the signature is checked, so a client can only store what
--     the owner of the key has signed.
--   * A packet is at most 996 bytes of DNS: an item has 1,000 bytes, bencoded.
--   * Of two packets the newer one wins. An older one is refused with 409.
--   * `If-Match` with the time of the packet that is to be replaced fails with
--     412 if another one is stored. While another packet of the key is on its
--     way to the overlay, a client needs it (428).
--   * A GET takes a kept packet until its shortest TTL has passed, 5 minutes at
--     least and a day at most; with `?policy=NetworkOnly` it asks the overlay,
--     with `?policy=CacheOnly` it does not.
--   * An address may start 5 operations in the overlay a second, with bursts of
--     60, and gets 429 beyond that.
--
-- From the command line
--
--     kadenza run --policy pkarr.lua --http 127.0.0.1:6882 --http-origin '*'
--
-- Pages of other sites may use the relay with `--http-origin '*'` only. The
-- node needs an overlay with ids of 160 bits; one that joins BitTorrent's DHT
-- serves every pkarr client.
--
-- Limits: the relay does not republish. A packet is forgotten by the overlay
-- after about two hours, and its owner puts it again.

local kad = require("kadenza")
local limit = require("kadenza.limit")
local zbase32 = require("kadenza.zbase32")

local KEY_SIZE <const> = 32
local SIGNATURE_SIZE <const> = 64
local HEAD_SIZE <const> = 72 -- signature and time
local MAX_BODY <const> = 1072
local MIN_TTL <const>, MAX_TTL <const> = 300, 86400
local MICROSECONDS <const> = 1000000

local operations = limit.new({
  per = function(ctx)
    return ctx.from.host
  end,
  rate = 5,
  burst = 60,
})

-------------------------------------------------------------------- dates --

local DAYS <const> = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" }
local MONTHS <const> = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul",
  "Aug", "Sep", "Oct", "Nov", "Dec" }

-- Returns the days from 1970 to a date. Years begin with March here, so that a
-- leap day is the last one.
local function days_of(year, month, day)
  local shifted = (month + 9) % 12
  local years = year - shifted // 10
  return 365 * years + years // 4 - years // 100 + years // 400
    + (153 * shifted + 2) // 5 + day - 1 - 719468
end

-- Returns year, month and day of a number of days since 1970.
local function date_of(days)
  local year = 1970 + days // 366
  while days_of(year + 1, 1, 1) <= days do
    year = year + 1
  end
  local month = 12
  while days_of(year, month, 1) > days do
    month = month - 1
  end
  return year, month, days - days_of(year, month, 1) + 1
end

-- Returns seconds since 1970 as a date of HTTP.
local function format_date(seconds)
  local days, rest = seconds // 86400, seconds % 86400
  local year, month, day = date_of(days)
  return string.format("%s, %02d %s %04d %02d:%02d:%02d GMT",
    DAYS[(days + 4) % 7 + 1], day, MONTHS[month], year, rest // 3600,
    rest // 60 % 60, rest % 60)
end

local month_numbers = {}
for number, name in ipairs(MONTHS) do
  month_numbers[name] = number
end

-- Returns the seconds of a date of HTTP; nil if it is none.
local function read_date(text)
  local day, name, year, hour, minute, second = string.match(text,
    "^%a%a%a, (%d%d) (%a%a%a) (%d%d%d%d) (%d%d):(%d%d):(%d%d) GMT$")
  local month = month_numbers[name]
  if not month then
    return nil
  end
  return days_of(tonumber(year), month, tonumber(day)) * 86400
    + tonumber(hour) * 3600 + tonumber(minute) * 60 + tonumber(second)
end

----------------------------------------------------------------- messages --

local DNS_HEAD <const> = 12
local MAX_LABEL <const> = 63
local LONGEST_NAME <const> = 255

-- Returns the place behind the pointer at the end of a name; nil if it does not
-- point back.
local function skip_pointer(message, at, start)
  local pointer = at < #message and string.unpack(">I2", message, at)
  return pointer and pointer & 0x3FFF < start - 1 and at + 2 or nil
end

-- Returns the place behind a name of a DNS message; nil if it is malformed.
local function skip_name(message, start)
  local at = start
  while true do
    local length = string.byte(message, at)
    if not length or at - start > LONGEST_NAME then
      return nil
    elseif length == 0 then
      return at + 1
    elseif length >= 0xC0 then
      return skip_pointer(message, at, start)
    elseif length > MAX_LABEL then
      return nil
    end
    at = at + 1 + length
  end
end

-- Returns the TTL of the resource record at a place, and the place behind it.
local function read_record(message, at)
  at = skip_name(message, at)
  if not at or at + 10 > #message + 1 then
    return nil
  end
  local _, _, ttl, length, behind = string.unpack(">I2I2I4I2", message, at)
  if behind + length > #message + 1 then
    return nil
  end
  return ttl, behind + length
end

-- Returns the place behind the questions of a message.
local function skip_questions(message, count)
  local at = DNS_HEAD + 1
  for _ = 1, count do
    at = skip_name(message, at)
    if not at or at + 4 > #message + 1 then
      return nil
    end
    at = at + 4
  end
  return at
end

-- Returns the shortest TTL in a DNS message, in the bounds of a relay; nil if
-- it is malformed.
local function ttl_of(message)
  if #message < DNS_HEAD then
    return nil
  end
  local questions, answers, authorities, more =
    string.unpack(">I2I2I2I2", message, 5)
  local at = skip_questions(message, questions)
  local shortest
  for number = 1, answers + authorities + more do
    local ttl
    if at then
      ttl, at = read_record(message, at)
    end
    if not ttl then
      return nil
    elseif number <= answers then
      shortest = math.min(shortest or ttl, ttl)
    end
  end
  if at ~= #message + 1 then
    return nil
  end
  return math.max(MIN_TTL, math.min(shortest or MIN_TTL, MAX_TTL))
end

------------------------------------------------------------------ packets --

-- Returns the public key of a path, or nil.
local function read_key(text)
  local key = #text == 52 and zbase32.decode(text)
  return key and #key == KEY_SIZE and key or nil
end

-- Returns the packet of an item; nil if its value is no DNS message.
local function make_packet(value, seq, signature)
  local ttl = type(value) == "string" and seq >= 0 and ttl_of(value)
  if not ttl then
    return nil
  end
  return { value = value, seq = seq, signature = signature, ttl = ttl,
    seen = kad.time() }
end

-- Returns what a publisher signs (BEP 44).
local function signed_text(packet)
  return string.format("3:seqi%de1:v%d:", packet.seq, #packet.value)
    .. packet.value
end

-- Returns the packet of a body; or nil, a reason and a status.
local function read_packet(key, body)
  if #body > MAX_BODY then
    return nil, "the body has more than 1072 bytes", 413
  elseif #body < HEAD_SIZE then
    return nil, "the body has fewer than 72 bytes", 400
  end
  local seq = string.unpack(">i8", body, SIGNATURE_SIZE + 1)
  local packet = make_packet(string.sub(body, HEAD_SIZE + 1), seq,
    string.sub(body, 1, SIGNATURE_SIZE))
  if not packet then
    return nil, "the packet is no DNS message, or has no valid time", 400
  elseif not kad.verify(key, signed_text(packet), packet.signature) then
    return nil, "the signature is not valid", 400
  end
  return packet
end

-------------------------------------------------------------------- cache --

local MAX_KEPT <const> = 500 -- packets of each half

-- Packets by key: those that were used lately, and others.
local fresh, stale, count = {}, {}, 0

local function keep(key, packet)
  if not fresh[key] then
    if count == MAX_KEPT then
      fresh, stale, count = {}, fresh, 0
    end
    count = count + 1
  end
  fresh[key] = packet
end

-- Returns the packet that is kept of a key, or nil.
local function find_kept(key)
  local packet = fresh[key]
  if not packet and stale[key] then
    packet = stale[key]
    keep(key, packet)
  end
  return packet
end

-- Keeps a packet, unless a newer one is kept.
local function keep_newer(key, packet)
  local kept = find_kept(key)
  if not kept or packet.seq >= kept.seq then
    keep(key, packet)
  end
end

local function is_fresh(packet)
  return kad.time() < packet.seen + packet.ttl
end

---------------------------------------------------------------------- get --

local function refuse(reason, status)
  return { status = status, body = reason .. "\n" }
end

-- Returns the reason of a refusal if an address has started too much, or nil.
local function find_excess(request)
  local host = string.match(request.from, "^%[?(.-)%]?:%d+$") or request.from
  local taken, reason = operations:take({ from = { host = host },
    now = kad.now() })
  return not taken and reason or nil
end

-- Answers with a packet.
local function answer(packet, request)
  local written = packet.seq // MICROSECONDS
  local headers = {
    ["Cache-Control"] = "public, max-age=" .. packet.ttl,
    ["Last-Modified"] = format_date(written),
    ["Memento-Datetime"] = format_date(packet.seen),
  }
  local since = request.headers["if-modified-since"]
  local known = since and read_date(since)
  if known and written <= known then
    return { status = 304, headers = headers }
  end
  headers["Content-Type"] = "application/pkarr.org/relays#payload"
  return { status = 200, headers = headers, body = packet.signature
    .. string.pack(">i8", packet.seq) .. packet.value }
end

-- Answers that there is no packet; `seq` is that of an item that is none.
local function answer_none(seq)
  return { status = 404, body = "no packet\n", headers = {
    ["Pkarr-Invalid-Signed-Packet-Seq"] = seq and string.format("%d", seq) } }
end

-- What a failed operation means for the client; 500 for another code.
local STATUSES <const> = { KAD_ENOTFOUND = 404, KAD_ESEQ = 409, KAD_ECAS = 412,
  KAD_ETOOBIG = 413, KAD_ESIGNATURE = 400, KAD_EBUSY = 503,
  KAD_ENOCONTACTS = 503, KAD_ETIMEOUT = 503, KAD_EREMOTE = 503 }

-- Looks up the packet of a key in the overlay.
local function look_up(key, request, node)
  local excess = find_excess(request)
  if excess then
    return refuse(excess, 429)
  end
  local value, info, code = node:get_mutable(key)
  if value == nil and code == "KAD_ENOTFOUND" then
    return answer_none()
  elseif value == nil then
    return refuse(info, STATUSES[code] or 500)
  end
  local packet = make_packet(value, info.seq, info.signature)
  if not packet then
    return answer_none(info.seq)
  end
  keep_newer(key, packet)
  return answer(packet, request)
end

local POLICIES <const> = { CacheOnly = true, CacheFirst = true,
  NetworkOnly = true }

local function get(request, ctx)
  local key = read_key(request.params.key)
  local policy = request.query.policy or "CacheFirst"
  if not key then
    return refuse("the path is no public key in z-base-32", 400)
  elseif not POLICIES[policy] then
    return refuse("the policy is unknown", 400)
  end
  local kept = policy ~= "NetworkOnly" and find_kept(key)
  if kept and (policy == "CacheOnly" or is_fresh(kept)) then
    return answer(kept, request)
  elseif policy == "CacheOnly" then
    return answer_none()
  end
  return look_up(key, request, ctx.node)
end

---------------------------------------------------------------------- put --

local under_way = {} -- key → { packet, count }

-- Returns the time in If-Match; nil and a problem if it is none.
local function read_match(request)
  local text = request.headers["if-match"]
  if not text then
    return nil
  end
  local digits = string.match(text, '^"?(%d+)"?$')
  local time = digits and math.tointeger(tonumber(digits))
  return time, not time and "If-Match is no time" or nil
end

-- Returns another packet of a key that is under way, or nil.
local function find_other(key, packet)
  local entry = under_way[key]
  if entry and entry.packet.signature ~= packet.signature then
    return entry.packet
  end
end

-- Returns why a packet cannot be put now, and a status; or nil.
local function find_conflict(key, packet, match)
  local kept, other = find_kept(key), find_other(key, packet)
  if kept and packet.seq < kept.seq or other and packet.seq <= other.seq then
    return "a newer packet is stored", 409
  elseif other and not match then
    return "another packet is on its way: If-Match is needed", 428
  elseif other and match ~= other.seq then
    return "another packet is on its way", 412
  end
end

-- Stores a packet in the overlay. Others of its key see that it is under way.
local function store(key, packet, match, node)
  local entry = under_way[key]
  if not entry or entry.packet.signature ~= packet.signature then
    entry = { packet = packet, count = 0 }
    under_way[key] = entry
  end
  entry.count = entry.count + 1
  local _ <close> = setmetatable({}, {
    __close = function()
      entry.count = entry.count - 1
      if entry.count == 0 and under_way[key] == entry then
        under_way[key] = nil
      end
    end,
  })
  return node:put_mutable({ value = packet.value, seq = packet.seq,
    publisher = key, signature = packet.signature, cas = match })
end

local function put(request, ctx)
  local key = read_key(request.params.key)
  local match, problem = read_match(request)
  if not key or problem then
    return refuse(problem or "the path is no public key in z-base-32", 400)
  end
  local packet, reason, status = read_packet(key, request.body)
  if packet then
    reason, status = find_conflict(key, packet, match)
    if not reason then
      reason, status = find_excess(request), 429
    end
  end
  if reason then
    return refuse(reason, status)
  end
  local target, info, code = store(key, packet, match, ctx.node)
  if not target then
    return refuse(info, STATUSES[code] or 500)
  end
  packet.seen = kad.time()
  keep_newer(key, packet)
  return { status = 204, headers = {
    ["Access-Control-Expose-Headers"] = "Pkarr-Dht-Stored-Nodes",
    ["Pkarr-Dht-Stored-Nodes"] = info.stored,
  } }
end

return {
  name = "pkarr",
  version = 1,
  http = {
    ["GET /:key"] = get,
    ["PUT /:key"] = { run = put, public = true },
  },
}
