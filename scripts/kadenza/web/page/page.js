// The dashboard of a node. It reads /v1/overview, /v1/history and /v1/log of the
// node that served this page, and nothing else. The build joins the files of
// this folder: the order is that of bindings/host/page.lua.

const POLL_MS = 5000;
const FIRST_POLL_MS = 1000; // until there is something to draw
const TIMEOUT_MS = 8000;
const RETRY_MOST_MS = 15000;
const STEPS = { 5: 900, 60: 7200, 300: 86400 }; // seconds that each covers

// ------------------------------------------------------------ requests --

let token = sessionStorage.getItem("kadenza-token");

class NeedsToken extends Error {}

async function request(path, signal) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const response = await fetch(path, { headers, signal, cache: "no-store",
    credentials: "omit", redirect: "error" });
  if (response.status === 401 || response.status === 403) {
    throw new NeedsToken();
  } else if (!response.ok) {
    throw new Error(`the node answers with status ${response.status}`);
  }
  return response;
}

const read = async (path) =>
  (await request(path, AbortSignal.timeout(TIMEOUT_MS))).json();

byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  token = byId("token").value.trim();
  sessionStorage.setItem("kadenza-token", token);
  setText(byId("login-problem"), "");
  poll();
  follow();
});

function askForToken() {
  const form = byId("login");
  if (token) setText(byId("login-problem"), "This token is not valid.");
  if (form.hidden) {
    form.hidden = false;
    byId("token").focus();
  }
  setFreshness("This node shows itself only to those who have its token.");
}

// ------------------------------------------------------------- history --

let step = 5;
let series = [];
const rowsOf = { 5: [], 60: [], 300: [] };

// Adds the rows that are new. Those of before a restart of the node stay.
function addRows(document_) {
  if (series.join() !== document_.series.join()) {
    series = document_.series; // the node has another version now
    Object.keys(rowsOf).forEach((key) => { rowsOf[key] = []; });
  }
  const rows = rowsOf[document_.step];
  const last = rows.length ? rows[rows.length - 1][0] : -Infinity;
  for (const row of document_.rows) {
    if (row[0] <= last) continue;
    const before = rows.length ? rows[rows.length - 1][0] : row[0];
    if (row[0] - before > 2.5 * document_.step) {
      rows.push([before + 1]); // a gap: the lines end here
    }
    rows.push(row);
  }
  const first = Date.now() / 1000 - STEPS[document_.step] - 60;
  while (rows.length && rows[0][0] < first) rows.shift();
}

function drawCharts() {
  const now = Date.now();
  // A node that was just started has little to show: two minutes at least.
  const rows = rowsOf[step];
  const first = rows.length ? rows[0][0] * 1000 - 1000 * step : now;
  const window_ = [Math.max(now - STEPS[step] * 1000,
    Math.min(first, now - 120000)), now];
  charts.forEach((chart) => chart.draw(series, rowsOf[step], window_));
}

const sinceOf = () =>
  rowsOf[step].length ? rowsOf[step][rowsOf[step].length - 1][0] : 0;

// -------------------------------------------------------------- polling --

let lostAt = null;
let updatedAt = null;
let failures = 0;
let timer = 0;

function setFreshness(text, isLost) {
  setText(byId("freshness"), text);
  byId("freshness").classList.toggle("lost", Boolean(isLost));
  byId("panels").classList.toggle("stale", Boolean(isLost));
}

function showLost(error) {
  if (!lostAt) setText(byId("announcement"), "The node is not reachable.");
  lostAt = lostAt ?? new Date();
  const state = byId("state");
  setText(state, "not reachable");
  state.dataset.state = "unreachable";
  document.title = "not reachable · kadenza";
  const why = error instanceof TypeError || error.name === "TimeoutError"
    ? "" : ` (${error.message})`;
  setFreshness(`The node is not reachable since ${clock(lostAt)}${why}. ${
    updatedAt ? `The figures are of ${clock(updatedAt)}. ` : ""
  }This page tries again by itself.`, true);
}

// Reads what is new, and does so again later. One at a time.
let isPolling = false;
let isAskedAgain = false;

async function update() {
  const asked = step;
  const [overview, history] = await Promise.all([read("/v1/overview"),
    read(`/v1/history?step=${asked}&since=${sinceOf()}`)]);
  byId("login").hidden = true;
  if (lostAt) {
    setText(byId("announcement"), "The node is reachable again.");
    follow();
  }
  failures = 0;
  lostAt = null;
  updatedAt = new Date();
  if (asked === step && sinceOf() > overview.now + 60) {
    rowsOf[asked] = []; // the clock of the node was set back
  }
  addRows(history);
  show(overview);
  setFreshness(`Updated at ${clock(updatedAt)}.`);
}

function nextPoll() {
  if (failures) return Math.min(RETRY_MOST_MS, 500 * 2 ** failures);
  return rowsOf[5].length || rowsOf[step].length ? POLL_MS : FIRST_POLL_MS;
}

async function poll() {
  isAskedAgain = isPolling;
  if (isPolling) return;
  isPolling = true;
  clearTimeout(timer);
  try {
    await update();
  } catch (error) {
    failures++;
    if (error instanceof NeedsToken) askForToken();
    else showLost(error);
  } finally {
    isPolling = false;
    timer = setTimeout(poll, isAskedAgain ? 0 : nextPoll());
  }
  drawCharts();
}

document.querySelectorAll("button[data-step]").forEach((button) => {
  button.addEventListener("click", () => {
    step = Number(button.dataset.step);
    document.querySelectorAll("button[data-step]").forEach((other) =>
      other.setAttribute("aria-pressed", String(other === button)));
    drawCharts();
    poll();
  });
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) poll();
});
matchMedia("(prefers-color-scheme: dark)")
  .addEventListener("change", drawCharts);

poll();
follow();
