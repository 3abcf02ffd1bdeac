rockspec_format = "3.0"
package = "kadenza"
version = "scm-1"

source = {
  -- `luarocks make` builds the tree that this file lies in.
  url = ".",
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
  "lua >= 5.4, < 5.5",
  "argparse >= 0.7",
  "dkjson >= 2.5",
}

external_dependencies = {
  LIBUV = { header = "uv.h", library = "uv" },
  SODIUM = { header = "sodium.h", library = "sodium" },
}

build = {
  type = "builtin",
  -- tests/check/rockspec.lua compares both lists with the tree.
  modules = {
    ["kadenza.core"] = {
      sources = {
        "bindings/lua/argument.c",
        "bindings/lua/ask.c",
        "bindings/lua/bencode.c",
        "bindings/lua/codec.c",
        "bindings/lua/config.c",
        "bindings/lua/coroutine.c",
        "bindings/lua/failure.c",
        "bindings/lua/file.c",
        "bindings/lua/hook.c",
        "bindings/lua/install.c",
        "bindings/lua/interrupt.c",
        "bindings/lua/key.c",
        "bindings/lua/link.c",
        "bindings/lua/message.c",
        "bindings/lua/meter.c",
        "bindings/lua/module.c",
        "bindings/lua/network.c",
        "bindings/lua/node.c",
        "bindings/lua/operation.c",
        "bindings/lua/pending.c",
        "bindings/lua/plain.c",
        "bindings/lua/policy.c",
        "bindings/lua/protect.c",
        "bindings/lua/record.c",
        "bindings/lua/result.c",
        "bindings/lua/runner.c",
        "bindings/lua/sim.c",
        "bindings/lua/sim_config.c",
        "bindings/lua/spawn.c",
        "bindings/lua/verdict.c",
        "bindings/lua/view.c",
        "bindings/lua/vm.c",
        "bindings/lua/wait.c",
        "bindings/lua/waiting.c",
        "core/base/address.c",
        "core/base/address_text.c",
        "core/base/allocator.c",
        "core/base/error.c",
        "core/base/heap.c",
        "core/base/id.c",
        "core/base/map.c",
        "core/base/slice.c",
        "core/base/version.c",
        "core/base/wheel.c",
        "core/net/carrier.c",
        "core/net/hostile.c",
        "core/net/hostile_flood.c",
        "core/net/hostile_liar.c",
        "core/net/member.c",
        "core/net/network.c",
        "core/net/random.c",
        "core/net/resolve.c",
        "core/net/sim.c",
        "core/net/sim_arrival.c",
        "core/net/sim_clock.c",
        "core/net/sim_control.c",
        "core/net/sim_curve.c",
        "core/net/sim_link.c",
        "core/net/sim_nat.c",
        "core/net/timers.c",
        "core/net/trace.c",
        "core/net/udp.c",
        "core/net/udp_address.c",
        "core/net/udp_outgoing.c",
        "core/net/udp_resolve.c",
        "core/net/udp_signal.c",
        "core/net/udp_socket.c",
        "core/overlay/admission.c",
        "core/overlay/answer.c",
        "core/overlay/answer_store.c",
        "core/overlay/bucket.c",
        "core/overlay/budget.c",
        "core/overlay/candidates.c",
        "core/overlay/copies.c",
        "core/overlay/direct.c",
        "core/overlay/estimate.c",
        "core/overlay/find_node.c",
        "core/overlay/get.c",
        "core/overlay/get_peers.c",
        "core/overlay/handing.c",
        "core/overlay/handoff.c",
        "core/overlay/holding.c",
        "core/overlay/inspect.c",
        "core/overlay/join.c",
        "core/overlay/judge.c",
        "core/overlay/limiter.c",
        "core/overlay/liveness.c",
        "core/overlay/lookup.c",
        "core/overlay/lost.c",
        "core/overlay/maintenance.c",
        "core/overlay/met.c",
        "core/overlay/neighbours.c",
        "core/overlay/node.c",
        "core/overlay/observed.c",
        "core/overlay/operation.c",
        "core/overlay/own.c",
        "core/overlay/paths.c",
        "core/overlay/placing.c",
        "core/overlay/publishing.c",
        "core/overlay/put.c",
        "core/overlay/query.c",
        "core/overlay/question.c",
        "core/overlay/refresh.c",
        "core/overlay/region.c",
        "core/overlay/rejoin.c",
        "core/overlay/rpc.c",
        "core/overlay/ruleset.c",
        "core/overlay/serve.c",
        "core/overlay/subnets.c",
        "core/overlay/table.c",
        "core/overlay/table_view.c",
        "core/overlay/verify.c",
        "core/overlay/waiting.c",
        "core/overlay/wake.c",
        "core/records/array.c",
        "core/records/bundle.c",
        "core/records/entry.c",
        "core/records/index.c",
        "core/records/keys.c",
        "core/records/memory.c",
        "core/records/names.c",
        "core/records/origins.c",
        "core/records/quota.c",
        "core/records/ranking.c",
        "core/records/record.c",
        "core/records/sign.c",
        "core/records/slots.c",
        "core/records/token.c",
        "core/records/type.c",
        "core/wire/bencode.c",
        "core/wire/krpc.c",
        "core/wire/krpc_decode.c",
        "core/wire/krpc_encode.c",
        "core/wire/krpc_fields.c",
        "core/wire/message.c",
        "core/wire/message_check.c",
      },
      libraries = { "uv", "sodium" },
      incdirs = { "core", "$(LIBUV_INCDIR)", "$(SODIUM_INCDIR)" },
      libdirs = { "$(LIBUV_LIBDIR)", "$(SODIUM_LIBDIR)" },
    },
    ["kadenza.arguments"] =
      "scripts/kadenza/arguments.lua",
    ["kadenza.blob"] =
      "scripts/kadenza/blob.lua",
    ["kadenza.blob.reader"] =
      "scripts/kadenza/blob/reader.lua",
    ["kadenza.blob.tree"] =
      "scripts/kadenza/blob/tree.lua",
    ["kadenza.cli.announce"] =
      "scripts/kadenza/cli/announce.lua",
    ["kadenza.cli.check"] =
      "scripts/kadenza/cli/check.lua",
    ["kadenza.cli.check_policy"] =
      "scripts/kadenza/cli/check_policy.lua",
    ["kadenza.cli.client"] =
      "scripts/kadenza/cli/client.lua",
    ["kadenza.cli.config"] =
      "scripts/kadenza/cli/config.lua",
    ["kadenza.cli.fault"] =
      "scripts/kadenza/cli/fault.lua",
    ["kadenza.cli.get"] =
      "scripts/kadenza/cli/get.lua",
    ["kadenza.cli.id"] =
      "scripts/kadenza/cli/id.lua",
    ["kadenza.cli"] =
      "scripts/kadenza/cli/init.lua",
    ["kadenza.cli.keygen"] =
      "scripts/kadenza/cli/keygen.lua",
    ["kadenza.cli.lookup"] =
      "scripts/kadenza/cli/lookup.lua",
    ["kadenza.cli.new_policy"] =
      "scripts/kadenza/cli/new_policy.lua",
    ["kadenza.cli.output"] =
      "scripts/kadenza/cli/output.lua",
    ["kadenza.cli.peers"] =
      "scripts/kadenza/cli/peers.lua",
    ["kadenza.cli.ping"] =
      "scripts/kadenza/cli/ping.lua",
    ["kadenza.cli.progress"] =
      "scripts/kadenza/cli/progress.lua",
    ["kadenza.cli.put"] =
      "scripts/kadenza/cli/put.lua",
    ["kadenza.cli.record_options"] =
      "scripts/kadenza/cli/record_options.lua",
    ["kadenza.cli.remote"] =
      "scripts/kadenza/cli/remote.lua",
    ["kadenza.cli.run"] =
      "scripts/kadenza/cli/run.lua",
    ["kadenza.cli.schema"] =
      "scripts/kadenza/cli/schema.lua",
    ["kadenza.cli.secret"] =
      "scripts/kadenza/cli/secret.lua",
    ["kadenza.cli.sim"] =
      "scripts/kadenza/cli/sim.lua",
    ["kadenza.cli.source"] =
      "scripts/kadenza/cli/source.lua",
    ["kadenza.cli.status"] =
      "scripts/kadenza/cli/status.lua",
    ["kadenza.cli.suggest"] =
      "scripts/kadenza/cli/suggest.lua",
    ["kadenza.cli.template"] =
      "scripts/kadenza/cli/template.lua",
    ["kadenza.cli.version"] =
      "scripts/kadenza/cli/version.lua",
    ["kadenza.crdt"] =
      "scripts/kadenza/crdt.lua",
    ["kadenza.crdt.kind"] =
      "scripts/kadenza/crdt/kind.lua",
    ["kadenza.failure"] =
      "scripts/kadenza/failure.lua",
    ["kadenza.group"] =
      "scripts/kadenza/group.lua",
    ["kadenza"] =
      "scripts/kadenza/init.lua",
    ["kadenza.key"] =
      "scripts/kadenza/key.lua",
    ["kadenza.lease"] =
      "scripts/kadenza/lease.lua",
    ["kadenza.limit"] =
      "scripts/kadenza/limit.lua",
    ["kadenza.literal"] =
      "scripts/kadenza/literal.lua",
    ["kadenza.log"] =
      "scripts/kadenza/log.lua",
    ["kadenza.loop"] =
      "scripts/kadenza/loop.lua",
    ["kadenza.methods"] =
      "scripts/kadenza/methods.lua",
    ["kadenza.node"] =
      "scripts/kadenza/node.lua",
    ["kadenza.operation"] =
      "scripts/kadenza/operation.lua",
    ["kadenza.options"] =
      "scripts/kadenza/options.lua",
    ["kadenza.policy"] =
      "scripts/kadenza/policy.lua",
    ["kadenza.policy.compose"] =
      "scripts/kadenza/policy/compose.lua",
    ["kadenza.policy.describe"] =
      "scripts/kadenza/policy/describe.lua",
    ["kadenza.policy.facade"] =
      "scripts/kadenza/policy/facade.lua",
    ["kadenza.policy.host"] =
      "scripts/kadenza/policy/host.lua",
    ["kadenza.policy.lint"] =
      "scripts/kadenza/policy/lint.lua",
    ["kadenza.policy.pattern"] =
      "scripts/kadenza/policy/pattern.lua",
    ["kadenza.policy.shape"] =
      "scripts/kadenza/policy/shape.lua",
    ["kadenza.policy.tokens"] =
      "scripts/kadenza/policy/tokens.lua",
    ["kadenza.policy.trial"] =
      "scripts/kadenza/policy/trial.lua",
    ["kadenza.policy.trusted"] =
      "scripts/kadenza/policy/trusted.lua",
    ["kadenza.policy.types"] =
      "scripts/kadenza/policy/types.lua",
    ["kadenza.pubsub"] =
      "scripts/kadenza/pubsub.lua",
    ["kadenza.pubsub.board"] =
      "scripts/kadenza/pubsub/board.lua",
    ["kadenza.pubsub.event"] =
      "scripts/kadenza/pubsub/event.lua",
    ["kadenza.pubsub.feed"] =
      "scripts/kadenza/pubsub/feed.lua",
    ["kadenza.run"] =
      "scripts/kadenza/run.lua",
    ["kadenza.safe"] =
      "scripts/kadenza/safe.lua",
    ["kadenza.sandbox"] =
      "scripts/kadenza/sandbox.lua",
    ["kadenza.scheduler"] =
      "scripts/kadenza/scheduler.lua",
    ["kadenza.signed"] =
      "scripts/kadenza/signed.lua",
    ["kadenza.sim"] =
      "scripts/kadenza/sim.lua",
    ["kadenza.sim.agenda"] =
      "scripts/kadenza/sim/agenda.lua",
    ["kadenza.sim.chance"] =
      "scripts/kadenza/sim/chance.lua",
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
    ["kadenza.sim.outcome"] =
      "scripts/kadenza/sim/outcome.lua",
    ["kadenza.sim.page"] =
      "scripts/kadenza/sim/page.lua",
    ["kadenza.sim.plot"] =
      "scripts/kadenza/sim/plot.lua",
    ["kadenza.sim.population"] =
      "scripts/kadenza/sim/population.lua",
    ["kadenza.sim.quote"] =
      "scripts/kadenza/sim/quote.lua",
    ["kadenza.sim.recorder"] =
      "scripts/kadenza/sim/recorder.lua",
    ["kadenza.sim.report"] =
      "scripts/kadenza/sim/report.lua",
    ["kadenza.sim.run"] =
      "scripts/kadenza/sim/run.lua",
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
    ["kadenza.sim.trace"] =
      "scripts/kadenza/sim/trace.lua",
    ["kadenza.sorted"] =
      "scripts/kadenza/sorted.lua",
    ["kadenza.state"] =
      "scripts/kadenza/state.lua",
    ["kadenza.task"] =
      "scripts/kadenza/task.lua",
    ["kadenza.testing"] =
      "scripts/kadenza/testing.lua",
    ["kadenza.testing.assertions"] =
      "scripts/kadenza/testing/assertions.lua",
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
  },
}
