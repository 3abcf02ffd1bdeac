-- Checks in which unit each file of the engine compares addresses. An IPv6 /64
-- has more addresses than anyone can count, and one machine has all of them; so
-- what an address may have or do is counted by host (IPv4 address or IPv6 /64)
-- or by subnet (/24 or /64). A file that compares ips or sockets, or compares
-- in a unit that is not listed, is a problem: think of a neighbour with 64
-- addresses, then list it, with what the comparison decides.
--
-- core/base/address.h explains the units.

local tree = require("tests.check.tree")

-- By function, the files that call it.
local PLACES <const> = {
  -- Who holds how much, and whose records a store replaces.
  kad_address_same_host = {
    ["core/rpc/talkers.c"] = "the counts of a host",
    ["core/records/quota.c"] = "whose record is replaced",
    ["core/replication/commit.c"] = "whose record is replaced or confirmed",
  },
  kad_address_host_size = {
    ["core/rpc/talkers.c"] = "the counts of a host",
    ["core/base/address_filter.c"] = "hosts that we have sent to",
    ["core/records/memory/accounts.c"] = "the accounts of a store, its victim",
    ["core/records/peers/peers.c"] = "how many peers a host has, the victim",
  },
  -- Who counts how often.
  kad_address_same_subnet = {
    ["core/replication/commit.c"] = "whose value a full key loses",
    ["core/routing/table.c"] = "contacts of a bucket, table, cache",
    ["core/lookup/paths.c"] = "the closest contacts of a lookup",
    ["core/membership/verification.c"] = "contacts being pinged",
    ["core/membership/observed_address.c"] = "reports of our address",
    ["core/operations/sybil_search.c"] = "holders beside a dense key",
    ["core/rpc/sealing.c"] = "one notice for the log",
  },
  kad_address_subnet_size = {
    ["core/rpc/limiter.c"] = "queries and their cost a second",
    ["core/rpc/backlog.c"] = "turns of what waits",
    ["core/membership/address_vote.c"] = "votes on our address",
    ["core/membership/reachability.c"] = "votes on our port, and answers",
  },
  -- One interface: what a token proves, and where a datagram goes.
  kad_address_same_ip = {
    ["core/membership/observed_address.c"] = "we are in another network",
    ["core/membership/address_vote.c"] = "another address has won",
    ["core/records/memory/memory_store.c"] = "the bytes of an entry change",
    ["core/records/peers/swarm.c"] = "the row of a peer says its origin, too",
    ["core/node/reply_store.c"] = "a peer announces itself only",
    ["core/records/type.c"] = "which peer of a torrent an announce replaces",
    ["core/net/udp/udp_route.c"] = "routes",
    ["core/net/udp/udp_socket.c"] = "wildcard sockets",
    ["core/net/udp/udp_interface.c"] = "interfaces",
    ["core/sim/nat.c"] = "addresses behind a NAT",
    ["core/rpc/sealing.c"] = "one notice for the log, of a local address",
  },
  kad_address_ip_size = {
    ["core/base/address_range.c"] = "ranges that the operator wrote",
    ["core/base/address_set.c"] = "ranges that the operator wrote",
    ["core/records/token.c"] = "what a token proves",
    ["core/membership/address_vote.c"] = "the address that is voted for",
    ["core/records/filter.c"] = "what a filter counts (BEP 33)",
    ["core/rpc/limiter.c"] = "queries a second; the subnet counts beside it",
    ["core/rpc/backlog.c"] = "turns of what waits, within the subnet",
    ["core/rpc/proven_addresses.c"] = "where a large reply may go: a neighbour "
      .. "in its /64 is another victim",
    ["core/sim/hostile_lie.c"] = "invented contacts",
  },
  -- One socket: the same contact, or a reply to what was sent there.
  kad_address_equal = {
    ["core/node/reply_store.c"] = "the same store sent again",
    ["core/net/network_names.c"] = "our own sockets",
    ["core/routing/table_view.c"] = "is this contact in the table?",
    ["core/routing/replacement_cache.c"] = "a contact that is there already",
    ["core/routing/table.c"] = "a contact that is there already",
    ["core/rpc/rpc.c"] = "a reply comes from where the query went",
    ["core/rpc/pacer.c"] = "the pace of our own queries",
    ["core/membership/rejoin.c"] = "addresses that the user gave",
    ["core/membership/observed_address.c"] = "votes, with the subnet",
    ["core/membership/verification.c"] = "pings, with the subnet",
    ["core/membership/recovery.c"] = "a contact that is there already",
    ["core/routing/hidden_contacts.c"] = "a suspect that asks",
    ["core/membership/names.c"] = "addresses of a name",
    ["core/membership/contact_admission.c"] = "a contact that has moved",
    ["core/sim/sim_sockets.c"] = "sockets",
    ["core/sim/nat.c"] = "flows",
    ["core/lookup/candidates.c"] = "a candidate that is known",
    ["core/lookup/paths.c"] = "candidates that one answer decides about",
    ["core/operations/get_peers.c"] = "a peer that was found already",
    ["core/operations/join.c"] = "addresses that the user gave",
  },
}

local OWN <const> = {
  ["core/base/address.c"] = true, ["core/base/address.h"] = true,
  ["core/base/address_text.c"] = true, ["core/kadenza.h"] = true,
}

-- Compare an ip with no other address: an interface, or a block of addresses.
local BYTES <const> = {
  ["core/net/udp/udp_address.c"] = true, ["core/net/udp/udp_source.c"] = true,
  ["core/net/udp/udp_interface.c"] = true, ["core/net/network_names.c"] = true,
  ["core/base/address_range.c"] = true, ["core/base/address_set.c"] = true,
}

local problems = {}
local seen = {}

local function visit(path)
  for number, line in ipairs(tree.code(path)) do
    for name in line:gmatch("kad_address_[%w_]+") do
      local files = PLACES[name]
      if files and files[path] then
        seen[name .. path] = true
      elseif files then
        problems[#problems + 1] = ("%s:%d: %s: list what it decides in "
          .. "tests/check/address_units.lua"):format(path, number, name)
      end
    end
    if not BYTES[path] and line:find("memcmp.*[>.]ip[,%s)]") then
      problems[#problems + 1] = ("%s:%d: compare addresses with a function of "
        .. "core/base/address.h"):format(path, number)
    end
  end
end

for _, path in ipairs(tree.files({ "core" }, "[ch]")) do
  if not OWN[path] then
    visit(path)
  end
end

for name, files in pairs(PLACES) do
  for path in pairs(files) do
    if not seen[name .. path] then
      problems[#problems + 1] = ("tests/check/address_units.lua:1: %s does not "
        .. "call %s: remove it"):format(path, name)
    end
  end
end

return problems
