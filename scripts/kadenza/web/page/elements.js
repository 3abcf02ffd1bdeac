// Elements of the page. Texts of the node, such as lines of its log, become text
// nodes only: they are never parsed as HTML.

const byId = (id) => document.getElementById(id);

// Sets a text, and leaves the element alone if it has it already.
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function make(tag, text) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  return element;
}

// Keeps `parent` with `wanted` children of a kind.
function resize(parent, wanted, tag) {
  while (parent.children.length > wanted) parent.lastChild.remove();
  while (parent.children.length < wanted) parent.append(make(tag));
}

// Shows rows of cells. A cell is a text, or { share, label } for a bar. The
// first cell of a row is its header.
function fillTable(id, rows, waiting, isAlert) {
  const body = byId(id).tBodies[0];
  if (rows.length === 0) {
    const cell = make("td", waiting);
    cell.className = "waiting";
    cell.colSpan = byId(id).tHead.rows[0].cells.length;
    const row = make("tr");
    row.append(cell);
    body.replaceChildren(row);
    return;
  }
  if (body.querySelector(".waiting")) body.replaceChildren();
  resize(body, rows.length, "tr");
  rows.forEach((cells, i) => {
    const row = body.rows[i];
    row.className = isAlert && isAlert(i) ? "alert" : "";
    cells.forEach((cell, k) => {
      if (!row.cells[k]) {
        const made = make(k === 0 ? "th" : "td");
        if (k === 0) made.scope = "row";
        row.append(made);
      }
      if (typeof cell === "string") setText(row.cells[k], cell);
      else fillBar(row.cells[k], cell);
    });
  });
}

function fillBar(cell, { share, label }) {
  let meter = cell.querySelector("meter");
  if (!meter) {
    meter = make("meter");
    cell.replaceChildren(meter);
  }
  meter.value = Math.min(1, share);
  meter.setAttribute("aria-label", label);
  meter.title = label;
}

function fillList(id, pairs) {
  const list = byId(id);
  const names = list.querySelectorAll("dt");
  if (names.length !== pairs.length) {
    list.replaceChildren(...pairs.map(([name]) => {
      const item = make("div");
      item.append(make("dt", name), make("dd"));
      return item;
    }));
    list.classList.add("pairs");
  }
  [...list.children].forEach((item, i) => {
    setText(item.children[0], pairs[i][0]);
    setText(item.children[1], pairs[i][1]);
  });
}
