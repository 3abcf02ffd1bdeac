rockspec_format = "3.0"
package = "kadenza"
version = "scm-1"

source = {
  -- `make rock` writes this archive of the tree and packs it. `luarocks make`
  -- builds the tree that this file lies in.
  url = "kadenza-scm-1.tar.gz",
  dir = "kadenza-scm-1",
}

description = {
  summary = "A Kademlia DHT node with Lua policies",
  detailed = [[
    A node of a distributed hash table: the mainline DHT of BitTorrent or an
    overlay of your own. What to accept, how to merge it, how long it lives and
    what new messages mean are Lua functions, reloadable while the node runs.
  ]],
  license = "MIT",
  labels = { "dht", "kademlia", "p2p", "network" },
}

supported_platforms = { "unix" }

dependencies = {
  "lua >= 5.4, < 5.6",
  "argparse >= 0.7",
  "dkjson >= 2.5",
}

external_dependencies = {
  LIBUV = { header = "uv.h", library = "uv" },
  SODIUM = { header = "sodium.h", library = "sodium" },
  MD = { header = "sha1.h", library = "md" },
  LMDB = { header = "lmdb.h", library = "lmdb" },
}

-- `luarocks test` runs the tests of the tree with make.
test = {
  type = "command",
  command = "make test",
}

build = {
  type = "builtin",
  install = {
    bin = { kadenza = "scripts/bin/kadenza" },
  },
  -- tests/check/rockspec.lua compares both lists with the tree.
  modules = {
    ["kadenza.core"] = {
      sources = {
        "bindings/lua/argument.c",
        "bindings/lua/base64.c",
        "bindings/lua/bencode.c",
        "bindings/lua/blocklist.c",
        "bindings/lua/boot.c",
        "bindings/lua/box.c",
        "bindings/lua/callback.c",
        "bindings/lua/config.c",
        "bindings/lua/context.c",
        "bindings/lua/counters.c",
        "bindings/lua/durable.c",
        "bindings/lua/error.c",
        "bindings/lua/field.c",
        "bindings/lua/file.c",
        "bindings/lua/handle.c",
        "bindings/lua/held.c",
        "bindings/lua/hidden_input.c",
        "bindings/lua/histogram.c",
        "bindings/lua/inherited.c",
        "bindings/lua/interrupt.c",
        "bindings/lua/item.c",
        "bindings/lua/journal.c",
        "bindings/lua/loader.c",
        "bindings/lua/local_socket.c",
        "bindings/lua/lock.c",
        "bindings/lua/module.c",
        "bindings/lua/names.c",
        "bindings/lua/network.c",
        "bindings/lua/network_events.c",
        "bindings/lua/network_key.c",
        "bindings/lua/node.c",
        "bindings/lua/operation.c",
        "bindings/lua/passphrase.c",
        "bindings/lua/plain.c",
        "bindings/lua/process.c",
        "bindings/lua/publication.c",
        "bindings/lua/reachability.c",
        "bindings/lua/record.c",
        "bindings/lua/result.c",
        "bindings/lua/safe_module.c",
        "bindings/lua/saved_file.c",
        "bindings/lua/service_manager.c",
        "bindings/lua/shown.c",
        "bindings/lua/sim.c",
        "bindings/lua/sim_config.c",
        "bindings/lua/spawn.c",
        "bindings/lua/store.c",
        "bindings/lua/store_record.c",
        "bindings/lua/talkers.c",
        "bindings/lua/tally.c",
        "bindings/lua/tap.c",
        "bindings/lua/terminal.c",
        "bindings/lua/usage.c",
        "bindings/lua/value.c",
        "bindings/lua/watch.c",
        "bindings/lua/watchdog.c",
        "bindings/policy/codec.c",
        "bindings/policy/coroutine.c",
        "bindings/policy/handle.c",
        "bindings/policy/hook.c",
        "bindings/policy/hook_failure.c",
        "bindings/policy/hook_pending.c",
        "bindings/policy/hook_probe.c",
        "bindings/policy/hook_run.c",
        "bindings/policy/hook_serve.c",
        "bindings/policy/host.c",
        "bindings/policy/install.c",
        "bindings/policy/matcher.c",
        "bindings/policy/message.c",
        "bindings/policy/meter.c",
        "bindings/policy/metered.c",
        "bindings/policy/pattern.c",
        "bindings/policy/registry.c",
        "bindings/policy/resumption.c",
        "bindings/policy/runner.c",
        "bindings/policy/verdict.c",
        "bindings/policy/view.c",
        "bindings/policy/vm.c",
        "bindings/policy/vm_heap.c",
        "bindings/policy/vm_module.c",
        "core/base/address.c",
        "core/base/address_filter.c",
        "core/base/address_range.c",
        "core/base/address_set.c",
        "core/base/address_text.c",
        "core/base/allocator.c",
        "core/base/array.c",
        "core/base/error.c",
        "core/base/heap.c",
        "core/base/id.c",
        "core/base/item_heap.c",
        "core/base/item_map.c",
        "core/base/map.c",
        "core/base/secure_id.c",
        "core/base/slice.c",
        "core/base/version.c",
        "core/base/wheel.c",
        "core/engine/clock.c",
        "core/engine/durability.c",
        "core/engine/histogram.c",
        "core/engine/hook_call.c",
        "core/engine/rng.c",
        "core/engine/ruleset.c",
        "core/engine/tally.c",
        "core/engine/tap.c",
        "core/engine/timer.c",
        "core/lookup/candidates.c",
        "core/lookup/dense_key.c",
        "core/lookup/lookup.c",
        "core/lookup/network_size.c",
        "core/lookup/paths.c",
        "core/membership/address_vote.c",
        "core/membership/check_interval.c",
        "core/membership/contact_admission.c",
        "core/membership/liveness.c",
        "core/membership/maintenance.c",
        "core/membership/names.c",
        "core/membership/neighbours.c",
        "core/membership/observed_address.c",
        "core/membership/own_id.c",
        "core/membership/reachability.c",
        "core/membership/recovery.c",
        "core/membership/refresh.c",
        "core/membership/rejoin.c",
        "core/membership/verification.c",
        "core/net/disk/change.c",
        "core/net/disk/change_list.c",
        "core/net/disk/database.c",
        "core/net/disk/database_call.c",
        "core/net/disk/database_compact.c",
        "core/net/disk/database_write.c",
        "core/net/disk/image.c",
        "core/net/disk/reading.c",
        "core/net/disk/segment.c",
        "core/net/durable/durable_files.c",
        "core/net/durable/durable_journal.c",
        "core/net/durable/durable_load.c",
        "core/net/durable/durable_open.c",
        "core/net/durable/durable_store.c",
        "core/net/durable/durable_work.c",
        "core/net/network.c",
        "core/net/network_member.c",
        "core/net/network_names.c",
        "core/net/network_resolve.c",
        "core/net/network_turn.c",
        "core/net/random.c",
        "core/net/transport.c",
        "core/net/udp/late_lookups.c",
        "core/net/udp/name_lookup.c",
        "core/net/udp/udp_address.c",
        "core/net/udp/udp_failure.c",
        "core/net/udp/udp_incoming.c",
        "core/net/udp/udp_inherited.c",
        "core/net/udp/udp_interface.c",
        "core/net/udp/udp_network.c",
        "core/net/udp/udp_outgoing.c",
        "core/net/udp/udp_resolve.c",
        "core/net/udp/udp_route.c",
        "core/net/udp/udp_signal.c",
        "core/net/udp/udp_socket.c",
        "core/net/udp/udp_source.c",
        "core/net/udp/udp_watch.c",
        "core/net/udp/udp_work.c",
        "core/net/user_timers.c",
        "core/node/blocklist.c",
        "core/node/config.c",
        "core/node/configure.c",
        "core/node/events.c",
        "core/node/hasten.c",
        "core/node/network_key.c",
        "core/node/node.c",
        "core/node/node_view.c",
        "core/node/reply.c",
        "core/node/reply_bound.c",
        "core/node/reply_store.c",
        "core/node/sample.c",
        "core/node/serve.c",
        "core/operations/find_node.c",
        "core/operations/get.c",
        "core/operations/get_peers.c",
        "core/operations/item_versions.c",
        "core/operations/join.c",
        "core/operations/leave.c",
        "core/operations/operation.c",
        "core/operations/ping_call.c",
        "core/operations/publish.c",
        "core/operations/put.c",
        "core/operations/query.c",
        "core/operations/read.c",
        "core/operations/sample.c",
        "core/operations/sybil_search.c",
        "core/records/backed/backed_store.c",
        "core/records/backed/reads.c",
        "core/records/backed/retries.c",
        "core/records/bundle.c",
        "core/records/filter.c",
        "core/records/item.c",
        "core/records/load.c",
        "core/records/memory/accounts.c",
        "core/records/memory/entry.c",
        "core/records/memory/key_index.c",
        "core/records/memory/memory_load.c",
        "core/records/memory/memory_store.c",
        "core/records/memory/slots.c",
        "core/records/memory/type_list.c",
        "core/records/peers/hosts.c",
        "core/records/peers/peers.c",
        "core/records/peers/swarm.c",
        "core/records/peers/swarms.c",
        "core/records/quota.c",
        "core/records/record.c",
        "core/records/record_sign.c",
        "core/records/token.c",
        "core/records/type.c",
        "core/records/verified.c",
        "core/replication/admission.c",
        "core/replication/commit.c",
        "core/replication/fanout.c",
        "core/replication/found_records.c",
        "core/replication/handoff.c",
        "core/replication/held.c",
        "core/replication/publications.c",
        "core/replication/read_repair.c",
        "core/replication/record_check.c",
        "core/replication/republish.c",
        "core/replication/transfer.c",
        "core/routing/hidden_contacts.c",
        "core/routing/replacement_cache.c",
        "core/routing/table.c",
        "core/routing/table_buckets.c",
        "core/routing/table_move.c",
        "core/routing/table_view.c",
        "core/rpc/backlog.c",
        "core/rpc/datagram.c",
        "core/rpc/limiter.c",
        "core/rpc/pacer.c",
        "core/rpc/proven_addresses.c",
        "core/rpc/record_query.c",
        "core/rpc/record_size.c",
        "core/rpc/replay_filter.c",
        "core/rpc/rpc.c",
        "core/rpc/sealing.c",
        "core/rpc/store_budget.c",
        "core/rpc/talkers.c",
        "core/rpc/turn.c",
        "core/sim/control.c",
        "core/sim/curve.c",
        "core/sim/hostile.c",
        "core/sim/hostile_behaviour.c",
        "core/sim/hostile_liar.c",
        "core/sim/hostile_lie.c",
        "core/sim/hostile_sender.c",
        "core/sim/nat.c",
        "core/sim/sim_arrival.c",
        "core/sim/sim_clock.c",
        "core/sim/sim_flight.c",
        "core/sim/sim_link.c",
        "core/sim/sim_member.c",
        "core/sim/sim_network.c",
        "core/sim/sim_sockets.c",
        "core/sim/trace.c",
        "core/wire/bencode.c",
        "core/wire/codec.c",
        "core/wire/krpc.c",
        "core/wire/krpc_decode.c",
        "core/wire/krpc_encode.c",
        "core/wire/krpc_fields.c",
        "core/wire/krpc_item.c",
        "core/wire/message.c",
        "core/wire/message_check.c",
        "core/wire/seal.c",
      },
      libraries = { "uv", "sodium", "md", "lmdb", "m" },
      incdirs = { "core", "bindings", "$(LIBUV_INCDIR)", "$(SODIUM_INCDIR)",
        "$(MD_INCDIR)", "$(LMDB_INCDIR)" },
      libdirs = { "$(LIBUV_LIBDIR)", "$(SODIUM_LIBDIR)", "$(MD_LIBDIR)",
        "$(LMDB_LIBDIR)" },
    },
    ["kadenza.address_list"] =
      "scripts/kadenza/address_list.lua",
    ["kadenza.aside"] =
      "scripts/kadenza/aside.lua",
    ["kadenza.blob"] =
      "scripts/kadenza/blob.lua",
    ["kadenza.blob.reader"] =
      "scripts/kadenza/blob/reader.lua",
    ["kadenza.blob.tree"] =
      "scripts/kadenza/blob/tree.lua",
    ["kadenza.bootstrap"] =
      "scripts/kadenza/bootstrap.lua",
    ["kadenza.box"] =
      "scripts/kadenza/box.lua",
    ["kadenza.check"] =
      "scripts/kadenza/check.lua",
    ["kadenza.chunk"] =
      "scripts/kadenza/chunk.lua",
    ["kadenza.chunk_text"] =
      "scripts/kadenza/chunk_text.lua",
    ["kadenza.cli.address_lists"] =
      "scripts/kadenza/cli/address_lists.lua",
    ["kadenza.cli.announce"] =
      "scripts/kadenza/cli/announce.lua",
    ["kadenza.cli.attach"] =
      "scripts/kadenza/cli/attach.lua",
    ["kadenza.cli.check"] =
      "scripts/kadenza/cli/check.lua",
    ["kadenza.cli.client"] =
      "scripts/kadenza/cli/client.lua",
    ["kadenza.cli.config"] =
      "scripts/kadenza/cli/config.lua",
    ["kadenza.cli.console"] =
      "scripts/kadenza/cli/console.lua",
    ["kadenza.cli.contacts"] =
      "scripts/kadenza/cli/contacts.lua",
    ["kadenza.cli.crawl"] =
      "scripts/kadenza/cli/crawl.lua",
    ["kadenza.cli.dump"] =
      "scripts/kadenza/cli/dump.lua",
    ["kadenza.cli.fault"] =
      "scripts/kadenza/cli/fault.lua",
    ["kadenza.cli.figures"] =
      "scripts/kadenza/cli/figures.lua",
    ["kadenza.cli.file"] =
      "scripts/kadenza/cli/file.lua",
    ["kadenza.cli.get"] =
      "scripts/kadenza/cli/get.lua",
    ["kadenza.cli.help"] =
      "scripts/kadenza/cli/help.lua",
    ["kadenza.cli.history"] =
      "scripts/kadenza/cli/history.lua",
    ["kadenza.cli.http"] =
      "scripts/kadenza/cli/http.lua",
    ["kadenza.cli.id"] =
      "scripts/kadenza/cli/id.lua",
    ["kadenza.cli.inherited"] =
      "scripts/kadenza/cli/inherited.lua",
    ["kadenza.cli"] =
      "scripts/kadenza/cli/init.lua",
    ["kadenza.cli.input"] =
      "scripts/kadenza/cli/input.lua",
    ["kadenza.cli.item"] =
      "scripts/kadenza/cli/item.lua",
    ["kadenza.cli.keygen"] =
      "scripts/kadenza/cli/keygen.lua",
    ["kadenza.cli.layout"] =
      "scripts/kadenza/cli/layout.lua",
    ["kadenza.cli.load"] =
      "scripts/kadenza/cli/load.lua",
    ["kadenza.cli.log"] =
      "scripts/kadenza/cli/log.lua",
    ["kadenza.cli.lookup"] =
      "scripts/kadenza/cli/lookup.lua",
    ["kadenza.cli.lookup_tree"] =
      "scripts/kadenza/cli/lookup_tree.lua",
    ["kadenza.cli.network_keys"] =
      "scripts/kadenza/cli/network_keys.lua",
    ["kadenza.cli.new"] =
      "scripts/kadenza/cli/new.lua",
    ["kadenza.cli.output"] =
      "scripts/kadenza/cli/output.lua",
    ["kadenza.cli.passphrase"] =
      "scripts/kadenza/cli/passphrase.lua",
    ["kadenza.cli.peers"] =
      "scripts/kadenza/cli/peers.lua",
    ["kadenza.cli.ping"] =
      "scripts/kadenza/cli/ping.lua",
    ["kadenza.cli.policy_files"] =
      "scripts/kadenza/cli/policy_files.lua",
    ["kadenza.cli.progress"] =
      "scripts/kadenza/cli/progress.lua",
    ["kadenza.cli.put"] =
      "scripts/kadenza/cli/put.lua",
    ["kadenza.cli.reachability"] =
      "scripts/kadenza/cli/reachability.lua",
    ["kadenza.cli.records"] =
      "scripts/kadenza/cli/records.lua",
    ["kadenza.cli.reload"] =
      "scripts/kadenza/cli/reload.lua",
    ["kadenza.cli.reloading"] =
      "scripts/kadenza/cli/reloading.lua",
    ["kadenza.cli.remote"] =
      "scripts/kadenza/cli/remote.lua",
    ["kadenza.cli.repl"] =
      "scripts/kadenza/cli/repl.lua",
    ["kadenza.cli.report"] =
      "scripts/kadenza/cli/report.lua",
    ["kadenza.cli.run"] =
      "scripts/kadenza/cli/run.lua",
    ["kadenza.cli.schema"] =
      "scripts/kadenza/cli/schema.lua",
    ["kadenza.cli.secret"] =
      "scripts/kadenza/cli/secret.lua",
    ["kadenza.cli.sending"] =
      "scripts/kadenza/cli/sending.lua",
    ["kadenza.cli.service_manager"] =
      "scripts/kadenza/cli/service_manager.lua",
    ["kadenza.cli.services"] =
      "scripts/kadenza/cli/services.lua",
    ["kadenza.cli.session"] =
      "scripts/kadenza/cli/session.lua",
    ["kadenza.cli.sim"] =
      "scripts/kadenza/cli/sim.lua",
    ["kadenza.cli.state_folder"] =
      "scripts/kadenza/cli/state_folder.lua",
    ["kadenza.cli.status"] =
      "scripts/kadenza/cli/status.lua",
    ["kadenza.cli.status_screen"] =
      "scripts/kadenza/cli/status_screen.lua",
    ["kadenza.cli.tail"] =
      "scripts/kadenza/cli/tail.lua",
    ["kadenza.cli.template"] =
      "scripts/kadenza/cli/template.lua",
    ["kadenza.cli.terminal"] =
      "scripts/kadenza/cli/terminal.lua",
    ["kadenza.cli.variables"] =
      "scripts/kadenza/cli/variables.lua",
    ["kadenza.cli.version"] =
      "scripts/kadenza/cli/version.lua",
    ["kadenza.cli.watch"] =
      "scripts/kadenza/cli/watch.lua",
    ["kadenza.cli.watcher"] =
      "scripts/kadenza/cli/watcher.lua",
    ["kadenza.clock"] =
      "scripts/kadenza/clock.lua",
    ["kadenza.console.client"] =
      "scripts/kadenza/console/client.lua",
    ["kadenza.console.console"] =
      "scripts/kadenza/console/console.lua",
    ["kadenza.console.listing"] =
      "scripts/kadenza/console/listing.lua",
    ["kadenza.console.protocol"] =
      "scripts/kadenza/console/protocol.lua",
    ["kadenza.console.requests"] =
      "scripts/kadenza/console/requests.lua",
    ["kadenza.console.server"] =
      "scripts/kadenza/console/server.lua",
    ["kadenza.console.status"] =
      "scripts/kadenza/console/status.lua",
    ["kadenza.console.tail"] =
      "scripts/kadenza/console/tail.lua",
    ["kadenza.console.trace"] =
      "scripts/kadenza/console/trace.lua",
    ["kadenza.contact_query"] =
      "scripts/kadenza/contact_query.lua",
    ["kadenza.coroutine"] =
      "scripts/kadenza/coroutine.lua",
    ["kadenza.crawl"] =
      "scripts/kadenza/crawl.lua",
    ["kadenza.crawl.frontier"] =
      "scripts/kadenza/crawl/frontier.lua",
    ["kadenza.crawl.saved"] =
      "scripts/kadenza/crawl/saved.lua",
    ["kadenza.crawl.target"] =
      "scripts/kadenza/crawl/target.lua",
    ["kadenza.crdt"] =
      "scripts/kadenza/crdt.lua",
    ["kadenza.crdt.kind"] =
      "scripts/kadenza/crdt/kind.lua",
    ["kadenza.dump"] =
      "scripts/kadenza/dump.lua",
    ["kadenza.durable"] =
      "scripts/kadenza/durable.lua",
    ["kadenza.errors"] =
      "scripts/kadenza/errors.lua",
    ["kadenza.failure"] =
      "scripts/kadenza/failure.lua",
    ["kadenza.figures"] =
      "scripts/kadenza/figures.lua",
    ["kadenza.group"] =
      "scripts/kadenza/group.lua",
    ["kadenza.held"] =
      "scripts/kadenza/held.lua",
    ["kadenza.host"] =
      "scripts/kadenza/host.lua",
    ["kadenza"] =
      "scripts/kadenza/init.lua",
    ["kadenza.item"] =
      "scripts/kadenza/item.lua",
    ["kadenza.items"] =
      "scripts/kadenza/items.lua",
    ["kadenza.joining"] =
      "scripts/kadenza/joining.lua",
    ["kadenza.json"] =
      "scripts/kadenza/json.lua",
    ["kadenza.json_reader"] =
      "scripts/kadenza/json_reader.lua",
    ["kadenza.key"] =
      "scripts/kadenza/key.lua",
    ["kadenza.key_file"] =
      "scripts/kadenza/key_file.lua",
    ["kadenza.lease"] =
      "scripts/kadenza/lease.lua",
    ["kadenza.lexer"] =
      "scripts/kadenza/lexer.lua",
    ["kadenza.limit"] =
      "scripts/kadenza/limit.lua",
    ["kadenza.line_reader"] =
      "scripts/kadenza/line_reader.lua",
    ["kadenza.literal"] =
      "scripts/kadenza/literal.lua",
    ["kadenza.log"] =
      "scripts/kadenza/log.lua",
    ["kadenza.log_line"] =
      "scripts/kadenza/log_line.lua",
    ["kadenza.logfmt"] =
      "scripts/kadenza/logfmt.lua",
    ["kadenza.lookup_options"] =
      "scripts/kadenza/lookup_options.lua",
    ["kadenza.lookups"] =
      "scripts/kadenza/lookups.lua",
    ["kadenza.loop"] =
      "scripts/kadenza/loop.lua",
    ["kadenza.metrics"] =
      "scripts/kadenza/metrics.lua",
    ["kadenza.metrics.families"] =
      "scripts/kadenza/metrics/families.lua",
    ["kadenza.metrics.text"] =
      "scripts/kadenza/metrics/text.lua",
    ["kadenza.network_key"] =
      "scripts/kadenza/network_key.lua",
    ["kadenza.node"] =
      "scripts/kadenza/node.lua",
    ["kadenza.node_options"] =
      "scripts/kadenza/node_options.lua",
    ["kadenza.number_text"] =
      "scripts/kadenza/number_text.lua",
    ["kadenza.operation"] =
      "scripts/kadenza/operation.lua",
    ["kadenza.plain_json"] =
      "scripts/kadenza/plain_json.lua",
    ["kadenza.policy"] =
      "scripts/kadenza/policy.lua",
    ["kadenza.policy.answers"] =
      "scripts/kadenza/policy/answers.lua",
    ["kadenza.policy.completion"] =
      "scripts/kadenza/policy/completion.lua",
    ["kadenza.policy.compose"] =
      "scripts/kadenza/policy/compose.lua",
    ["kadenza.policy.console"] =
      "scripts/kadenza/policy/console.lua",
    ["kadenza.policy.describe"] =
      "scripts/kadenza/policy/describe.lua",
    ["kadenza.policy.display"] =
      "scripts/kadenza/policy/display.lua",
    ["kadenza.policy.facade"] =
      "scripts/kadenza/policy/facade.lua",
    ["kadenza.policy.host"] =
      "scripts/kadenza/policy/host.lua",
    ["kadenza.policy.http_hook"] =
      "scripts/kadenza/policy/http_hook.lua",
    ["kadenza.policy.lint"] =
      "scripts/kadenza/policy/lint.lua",
    ["kadenza.policy.metrics"] =
      "scripts/kadenza/policy/metrics.lua",
    ["kadenza.policy.pattern"] =
      "scripts/kadenza/policy/pattern.lua",
    ["kadenza.policy.prompt"] =
      "scripts/kadenza/policy/prompt.lua",
    ["kadenza.policy.route"] =
      "scripts/kadenza/policy/route.lua",
    ["kadenza.policy.serving"] =
      "scripts/kadenza/policy/serving.lua",
    ["kadenza.policy.shape"] =
      "scripts/kadenza/policy/shape.lua",
    ["kadenza.policy.stats"] =
      "scripts/kadenza/policy/stats.lua",
    ["kadenza.policy.trial"] =
      "scripts/kadenza/policy/trial.lua",
    ["kadenza.policy.trusted"] =
      "scripts/kadenza/policy/trusted.lua",
    ["kadenza.policy.types"] =
      "scripts/kadenza/policy/types.lua",
    ["kadenza.publication"] =
      "scripts/kadenza/publication.lua",
    ["kadenza.publication_journal"] =
      "scripts/kadenza/publication_journal.lua",
    ["kadenza.pubsub"] =
      "scripts/kadenza/pubsub.lua",
    ["kadenza.pubsub.board"] =
      "scripts/kadenza/pubsub/board.lua",
    ["kadenza.pubsub.event"] =
      "scripts/kadenza/pubsub/event.lua",
    ["kadenza.pubsub.feed"] =
      "scripts/kadenza/pubsub/feed.lua",
    ["kadenza.pubsub.lives"] =
      "scripts/kadenza/pubsub/lives.lua",
    ["kadenza.queries"] =
      "scripts/kadenza/queries.lua",
    ["kadenza.rates"] =
      "scripts/kadenza/rates.lua",
    ["kadenza.reach"] =
      "scripts/kadenza/reach.lua",
    ["kadenza.resolver"] =
      "scripts/kadenza/resolver.lua",
    ["kadenza.run"] =
      "scripts/kadenza/run.lua",
    ["kadenza.safe"] =
      "scripts/kadenza/safe.lua",
    ["kadenza.sandbox"] =
      "scripts/kadenza/sandbox.lua",
    ["kadenza.sandbox.library"] =
      "scripts/kadenza/sandbox/library.lua",
    ["kadenza.saved"] =
      "scripts/kadenza/saved.lua",
    ["kadenza.scheduler"] =
      "scripts/kadenza/scheduler.lua",
    ["kadenza.sealed_lines"] =
      "scripts/kadenza/sealed_lines.lua",
    ["kadenza.sealing"] =
      "scripts/kadenza/sealing.lua",
    ["kadenza.shown"] =
      "scripts/kadenza/shown.lua",
    ["kadenza.signed"] =
      "scripts/kadenza/signed.lua",
    ["kadenza.sim"] =
      "scripts/kadenza/sim.lua",
    ["kadenza.sim.charts"] =
      "scripts/kadenza/sim/charts.lua",
    ["kadenza.sim.churn"] =
      "scripts/kadenza/sim/churn.lua",
    ["kadenza.sim.faults"] =
      "scripts/kadenza/sim/faults.lua",
    ["kadenza.sim.holders"] =
      "scripts/kadenza/sim/holders.lua",
    ["kadenza.sim.hostility"] =
      "scripts/kadenza/sim/hostility.lua",
    ["kadenza.sim.measure"] =
      "scripts/kadenza/sim/measure.lua",
    ["kadenza.sim.nat"] =
      "scripts/kadenza/sim/nat.lua",
    ["kadenza.sim.page"] =
      "scripts/kadenza/sim/page.lua",
    ["kadenza.sim.plot"] =
      "scripts/kadenza/sim/plot.lua",
    ["kadenza.sim.population"] =
      "scripts/kadenza/sim/population.lua",
    ["kadenza.sim.quote"] =
      "scripts/kadenza/sim/quote.lua",
    ["kadenza.sim.random"] =
      "scripts/kadenza/sim/random.lua",
    ["kadenza.sim.recorder"] =
      "scripts/kadenza/sim/recorder.lua",
    ["kadenza.sim.report"] =
      "scripts/kadenza/sim/report.lua",
    ["kadenza.sim.run"] =
      "scripts/kadenza/sim/run.lua",
    ["kadenza.sim.run_report"] =
      "scripts/kadenza/sim/run_report.lua",
    ["kadenza.sim.sampler"] =
      "scripts/kadenza/sim/sampler.lua",
    ["kadenza.sim.scenario"] =
      "scripts/kadenza/sim/scenario.lua",
    ["kadenza.sim.schedule"] =
      "scripts/kadenza/sim/schedule.lua",
    ["kadenza.sim.sessions"] =
      "scripts/kadenza/sim/sessions.lua",
    ["kadenza.sim.statistics"] =
      "scripts/kadenza/sim/statistics.lua",
    ["kadenza.sim.timer_queue"] =
      "scripts/kadenza/sim/timer_queue.lua",
    ["kadenza.sim.trace"] =
      "scripts/kadenza/sim/trace.lua",
    ["kadenza.size_limit"] =
      "scripts/kadenza/size_limit.lua",
    ["kadenza.sorted"] =
      "scripts/kadenza/sorted.lua",
    ["kadenza.state"] =
      "scripts/kadenza/state.lua",
    ["kadenza.store"] =
      "scripts/kadenza/store.lua",
    ["kadenza.store.conformance"] =
      "scripts/kadenza/store/conformance.lua",
    ["kadenza.storing"] =
      "scripts/kadenza/storing.lua",
    ["kadenza.suggest"] =
      "scripts/kadenza/suggest.lua",
    ["kadenza.talkers"] =
      "scripts/kadenza/talkers.lua",
    ["kadenza.task"] =
      "scripts/kadenza/task.lua",
    ["kadenza.testing"] =
      "scripts/kadenza/testing.lua",
    ["kadenza.testing.assertions"] =
      "scripts/kadenza/testing/assertions.lua",
    ["kadenza.testing.http"] =
      "scripts/kadenza/testing/http.lua",
    ["kadenza.testing.literals"] =
      "scripts/kadenza/testing/literals.lua",
    ["kadenza.testing.overlay"] =
      "scripts/kadenza/testing/overlay.lua",
    ["kadenza.testing.policy"] =
      "scripts/kadenza/testing/policy.lua",
    ["kadenza.throttle"] =
      "scripts/kadenza/throttle.lua",
    ["kadenza.unwind"] =
      "scripts/kadenza/unwind.lua",
    ["kadenza.value_size"] =
      "scripts/kadenza/value_size.lua",
    ["kadenza.web.api"] =
      "scripts/kadenza/web/api.lua",
    ["kadenza.web.api.answer"] =
      "scripts/kadenza/web/api/answer.lua",
    ["kadenza.web.api.cache"] =
      "scripts/kadenza/web/api/cache.lua",
    ["kadenza.web.api.feed"] =
      "scripts/kadenza/web/api/feed.lua",
    ["kadenza.web.api.gateway"] =
      "scripts/kadenza/web/api/gateway.lua",
    ["kadenza.web.api.lookup"] =
      "scripts/kadenza/web/api/lookup.lua",
    ["kadenza.web.api.openapi"] =
      "scripts/kadenza/web/api/openapi.lua",
    ["kadenza.web.api.parameters"] =
      "scripts/kadenza/web/api/parameters.lua",
    ["kadenza.web.api.peers"] =
      "scripts/kadenza/web/api/peers.lua",
    ["kadenza.web.api.query"] =
      "scripts/kadenza/web/api/query.lua",
    ["kadenza.web.api.record_text"] =
      "scripts/kadenza/web/api/record_text.lua",
    ["kadenza.web.api.records"] =
      "scripts/kadenza/web/api/records.lua",
    ["kadenza.web.api.reply"] =
      "scripts/kadenza/web/api/reply.lua",
    ["kadenza.web.api.schemas"] =
      "scripts/kadenza/web/api/schemas.lua",
    ["kadenza.web.api.storing"] =
      "scripts/kadenza/web/api/storing.lua",
    ["kadenza.web.api.watches"] =
      "scripts/kadenza/web/api/watches.lua",
    ["kadenza.web.client"] =
      "scripts/kadenza/web/client.lua",
    ["kadenza.web.dashboard"] =
      "scripts/kadenza/web/dashboard.lua",
    ["kadenza.web.guard"] =
      "scripts/kadenza/web/guard.lua",
    ["kadenza.web.health"] =
      "scripts/kadenza/web/health.lua",
    ["kadenza.web.history"] =
      "scripts/kadenza/web/history.lua",
    ["kadenza.web"] =
      "scripts/kadenza/web/init.lua",
    ["kadenza.web.listener"] =
      "scripts/kadenza/web/listener.lua",
    ["kadenza.web.log_ring"] =
      "scripts/kadenza/web/log_ring.lua",
    ["kadenza.web.metrics"] =
      "scripts/kadenza/web/metrics.lua",
    ["kadenza.web.overview"] =
      "scripts/kadenza/web/overview.lua",
    ["kadenza.web.policies"] =
      "scripts/kadenza/web/policies.lua",
    ["kadenza.web.response"] =
      "scripts/kadenza/web/response.lua",
    ["kadenza.web.router"] =
      "scripts/kadenza/web/router.lua",
    ["kadenza.web.series"] =
      "scripts/kadenza/web/series.lua",
    ["kadenza.web.server"] =
      "scripts/kadenza/web/server.lua",
    ["kadenza.web.target"] =
      "scripts/kadenza/web/target.lua",
    ["kadenza.zbase32"] =
      "scripts/kadenza/zbase32.lua",
    ["kadenza.policies.blob"] =
      "scripts/policies/blob.lua",
    ["kadenza.policies.chat"] =
      "scripts/policies/chat.lua",
    ["kadenza.policies.counter"] =
      "scripts/policies/counter.lua",
    ["kadenza.policies.pkarr"] =
      "scripts/policies/pkarr.lua",
    ["kadenza.policies.pubsub"] =
      "scripts/policies/pubsub.lua",
    ["kadenza.policies.registry"] =
      "scripts/policies/registry.lua",
    ["kadenza.scenarios.churn"] =
      "scripts/scenarios/churn.lua",
    ["kadenza.scenarios.flash_crowd"] =
      "scripts/scenarios/flash_crowd.lua",
    ["kadenza.scenarios.lossy"] =
      "scripts/scenarios/lossy.lua",
    ["kadenza.scenarios.mobile"] =
      "scripts/scenarios/mobile.lua",
    ["kadenza.scenarios.nats"] =
      "scripts/scenarios/nats.lua",
    ["kadenza.scenarios.partition"] =
      "scripts/scenarios/partition.lua",
    ["kadenza.scenarios.restart"] =
      "scripts/scenarios/restart.lua",
    ["kadenza.scenarios.steady"] =
      "scripts/scenarios/steady.lua",
    ["kadenza.scenarios.sybil"] =
      "scripts/scenarios/sybil.lua",
  },
}
