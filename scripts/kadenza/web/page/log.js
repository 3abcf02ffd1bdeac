// The live log: server-sent events of /v1/log.

const LOG_LINES = 300;
const LOG_RETRY_MS = 3000;
const RANKS = { error: 0, warn: 1, info: 2, debug: 3 };
let isPaused = false;
const waiting = []; // lines that came while the log was paused

const isShown = (item) =>
  (RANKS[item.dataset.level] ?? 0) <= RANKS[byId("level").value]
  && item.textContent.includes(byId("filter").value);

function append(level, text) {
  const list = byId("log");
  const isAtEnd =
    list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  const item = make("p", text);
  if (level === null) item.className = "notice";
  else item.dataset.level = level;
  item.hidden = level !== null && !isShown(item);
  list.append(item);
  while (list.children.length > LOG_LINES) list.firstChild.remove();
  if (isAtEnd) list.scrollTop = list.scrollHeight;
}

const notice = (text) => append(null, text);

function addLine(line) {
  if (!isPaused) {
    append(line.level, line.text);
    return;
  }
  waiting.push(line);
  if (waiting.length > LOG_LINES) waiting.shift();
  setText(byId("log-state"), `${waiting.length} lines wait`);
}

byId("pause").addEventListener("click", () => {
  isPaused = !isPaused;
  byId("pause").setAttribute("aria-pressed", String(isPaused));
  setText(byId("pause"), isPaused ? "Continue" : "Pause");
  setText(byId("log-state"), isPaused ? "paused" : "");
  if (!isPaused) waiting.splice(0).forEach(addLine);
});

for (const [id, kind] of [["level", "change"], ["filter", "input"]]) {
  byId(id).addEventListener(kind, () => {
    for (const item of byId("log").children) {
      item.hidden = Boolean(item.dataset.level) && !isShown(item);
    }
    byId("log").scrollTop = byId("log").scrollHeight;
  });
}

// Reads server-sent events. EventSource cannot send a token.
let lastLine = "";
let isFollowing = false;

async function readEvents(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream())
    .getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) {
      let data = null;
      for (const field of event.split("\n")) {
        if (field.startsWith("id: ")) lastLine = field.slice(4);
        if (field.startsWith("data: ")) data = field.slice(6);
      }
      if (data !== null) addLine(JSON.parse(data));
    }
  }
}

async function follow() {
  if (isFollowing) return;
  isFollowing = true;
  try {
    const after = encodeURIComponent(lastLine);
    const response = await request(`/v1/log?after=${after}`);
    setText(byId("log-state"), isPaused ? "paused" : "live");
    await readEvents(response);
    setText(byId("log-state"), "The log ended; it is asked for again.");
  } catch (error) {
    setText(byId("log-state"), error instanceof NeedsToken ? ""
      : "The log is not reachable; it is asked for again.");
  }
  isFollowing = false;
  setTimeout(follow, LOG_RETRY_MS);
  if (!failures) poll(); // the node may have gone
}
