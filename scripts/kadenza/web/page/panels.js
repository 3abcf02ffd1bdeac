// What the panels show of the document /v1/overview.

const perSecond = (row, unit) => [row.text, unit(row.minute),
  unit(row.quarter), unit === byteRate ? bytes(row.total)
    : count(row.total)];

function showNode({ node, contacts, traffic, drops, records, ...rest }) {
  const state = byId("state");
  setText(state, node.state);
  state.dataset.state = node.state;
  setText(byId("version"), node.version);
  document.title = `${node.state} · kadenza`;
  const total = (rows, prefix) => rows
    .filter((row) => row.name.startsWith(prefix))
    .reduce((sum, row) => isNumber(row.minute) ? sum + row.minute : sum, 0);
  const sent = traffic.find((row) => row.name === "queries");
  fillList("tiles", [
    ["Contacts", `${count(contacts.count)} (${count(contacts.good)} good)`],
    ["Network size", node.network_size ? short(node.network_size) : NONE],
    ["Queries answered", rate(total(traffic, "served_"))],
    ["Queries sent", rate(sent && sent.minute)],
    ["Dropped", rate(total(drops, "dropped_"))],
    ["Records", short(records.count)],
    ["Running for", duration(rest.now - rest.started)],
  ]);
  fillList("facts", [
    ["State", node.reason ? `${node.state}: ${node.reason}` : node.state],
    ["Id", node.id],
    ["Addresses", node.addresses.join(", ")],
    ["Answers queries", node.read_only ? "no: it is read-only" : "yes"],
    ["In flight", `${count(node.pending)} queries, ${
      count(node.operations)} operations, ${count(node.backlog)} wait`],
  ]);
}

const BYTE_ROWS = ["bytes_in", "bytes_out"];

function showTraffic({ traffic, drops }) {
  const seen = traffic.filter((row) => row.total > 0
    && !BYTE_ROWS.includes(row.name));
  fillTable("traffic", seen.map((row) => perSecond(row, rate)),
  "No message yet.");
  fillTable("bytes", traffic.filter((row) => BYTE_ROWS.includes(row.name))
    .map((row) => perSecond(row, byteRate)),
  "Nothing yet.");
  const bad = drops.filter((row) => row.total > 0);
  fillTable("drops", bad.map((row) => perSecond(row, rate)),
  "Nothing was dropped or refused.");
}

function showFill({ contacts }) {
  const most = Math.max(contacts.k || 8, ...contacts.fill.map((row) =>
    row.ip4 + row.ip6));
  fillTable("fill", contacts.fill.map((row) => {
    const all = row.ip4 + row.ip6;
    return [count(row.bits), row.ip6 ? `${all} (${row.ip6} IPv6)`
      : String(all), String(row.good), { share: all / most,
      label: `${all} contacts, ${row.good} of them good` }];
  }), "No contact yet.");
}

const WORDS = { operation: "", reply: "reply over ", served: "serving " };

function showTimes({ times, hooks }) {
  fillTable("times", times.map((row) => [
    (WORDS[row.subject] ?? `${row.subject} `) + row.kind.replace(/_/g, " ")
      .replace("ip", "IPv"),
    row.outcome.replace(/_/g, " "), count(row.count), seconds(row.mean),
    isNumber(row.most) ? seconds(row.most) : "over 65 s"]),
  "No lookup has ended yet.");
  fillTable("hooks", hooks.map((row) => [
    row.breaker_open ? `${row.name} (switched off: its breaker is open)`
      : row.name,
    count(row.calls), row.overruns
      ? `${count(row.errors)} (${count(row.overruns)} overruns)`
      : count(row.errors),
    seconds(row.mean), seconds(row.slowest)]),
  "No policy has hooks on this node.", (i) => hooks[i].breaker_open);
}

function showRecords({ records }) {
  const quota = (name, used, most, unit) => [name, unit(used),
    most ? unit(most) : "no limit", { share: most ? used / most : 0,
      label: most ? `${digits(100 * used / most)} % used` : "no limit" }];
  fillTable("quotas", [
    quota("Records", records.count, records.max_count, count),
    quota("Bytes", records.bytes, records.max_bytes, bytes),
    quota("Own publications", records.publications,
      records.max_publications, count),
  ], "");
  const types = (records.types ?? []).map(({ type, count: number }) =>
    `${type} ${count(number)}`).join(", ");
  fillList("records", [
    ["By type", types || NONE],
    ["Refused, over a quota", count(records.over_quota)],
    ["Evicted", count(records.evicted)],
    ["Expired", count(records.expired)],
    ["Not written to the disk", count(records.unstored)],
  ]);
}

function showTalkers({ talkers }) {
  fillTable("talkers", talkers.list.map((row) => [row.host,
    rate(row.datagrams / Math.max(1, talkers.seconds)),
    bytes(row.bytes), count(row.dropped)]),
  "No host has sent anything lately.");
  setText(byId("talkers-note"), `The hosts that sent most in the last ${
    duration(talkers.seconds)}: IPv4 addresses, and the /64 of IPv6.`);
}

let started = null;
let version = null;

function show(document_) {
  if (started !== null && document_.started !== started) {
    notice(`The node was restarted at ${
      clock(new Date(document_.started * 1000))}.`);
  }
  if (version !== null && document_.node.version !== version) {
    notice(`The node is of version ${document_.node.version} now. `
      + "Load this page again.");
  }
  started = document_.started;
  version = document_.node.version;
  for (const panel of [showNode, showTraffic, showFill, showTimes,
    showRecords, showTalkers]) {
    panel(document_);
  }
}
