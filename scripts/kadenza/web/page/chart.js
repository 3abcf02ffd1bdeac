// Charts over time, by dygraphs. What they show is in the tables, too.

// Lines differ in their dashes, too: colours alone do not tell them apart.
const DASHES = [null, [7, 3], [2, 2], [9, 3, 2, 3], [4, 4]];
const BORDERS = ["solid", "dashed", "dotted", "dashed", "dotted"];

const sum = (prefix) => (row, series) => {
  let total = null;
  series.forEach((name, i) => {
    if (name.startsWith(prefix) && row[i + 1] !== null) {
      total += row[i + 1];
    }
  });
  return total;
};

// A line is the name of a figure, or a function of a row; and its label.
const CHARTS = {
  traffic: { unit: rate, title: "Messages a second", lines: [
    [sum("served_"), "queries answered"], ["queries", "queries sent"],
    ["replies", "replies received"], ["timeouts", "without an answer"]] },
  bytes: { unit: byteRate, title: "Bytes a second", lines: [
    ["bytes_in", "received"], ["bytes_out", "sent"]] },
  contacts: { unit: short, title: "Contacts", lines: [
    ["contacts", "contacts"], ["contacts_good", "good ones"]] },
  size: { unit: short, title: "Nodes in the overlay", lines: [
    ["network_size", "nodes, estimated"]] },
  times: { unit: seconds, title: "Mean times",
    empty: "No lookup has ended in this time.", lines: [
    ["lookup_s", "lookups"], ["store_s", "stores"],
    ["reply_s", "replies of contacts"]] },
  hooks: { unit: seconds, title: "Mean time of a hook call",
    empty: "No hook was called in this time.", lines: [
    ["hook_s", "hook calls"]] },
  records: { unit: short, title: "Records held", lines: [
    ["records", "records"], ["publications", "own publications"]] },
  drops: { unit: rate, title: "Drops a second", lines: [
    [sum("dropped_"), "datagrams dropped"],
    ["refused", "queries refused"]] },
};

// Its legend needs style attributes, which the page does not allow.
Dygraph.PLUGINS = Dygraph.PLUGINS.filter((plugin) =>
  plugin !== Dygraph.Plugins.Legend);

class Chart {
  constructor(figure, options) {
    this.options = options;
    this.rows = [];
    this.selected = null; // a row of them, or null: the present is shown
    this.figure = figure;
    this.empty = make("p", "Waiting for the first figures.");
    this.empty.className = "empty";
    this.plot = make("div");
    this.plot.className = "plot";
    this.plot.hidden = true;
    this.plot.setAttribute("role", "img");
    this.plot.tabIndex = 0;
    this.plot.addEventListener("keydown", (event) => this.onKey(event));
    this.plot.addEventListener("blur", () => this.deselect());
    this.legend = make("ul");
    this.legend.className = "legend";
    this.legend.setAttribute("aria-live", "off");
    this.when = make("li", "now");
    this.when.className = "when";
    this.legend.append(this.when);
    this.values = options.lines.map(([, label], i) => {
      const item = make("li");
      const line = make("i");
      line.style.borderTopStyle = BORDERS[i];
      line.style.borderTopColor = `var(--line-${i + 1})`;
      const value = make("b", NONE);
      item.append(line, make("span", label), value);
      this.legend.append(item);
      return value;
    });
    figure.append(this.empty, this.plot, this.legend);
  }

  colours() {
    const style = getComputedStyle(document.documentElement);
    return { lines: this.options.lines.map((_, i) =>
      style.getPropertyValue(`--line-${i + 1}`).trim()),
      grid: style.getPropertyValue("--grid").trim() };
  }

  // Shows below the chart what was at a time; without one, what is now.
  show(values, time) {
    setText(this.when, time ? clock(time) : "now");
    values.forEach((value, i) =>
      setText(this.values[i], this.options.unit(value)));
  }

  last() {
    return this.rows.length ? this.rows[this.rows.length - 1].slice(1)
      : this.options.lines.map(() => null);
  }

  // Shows the row that the mouse or the keys have chosen.
  select(row) {
    this.selected = Math.max(0, Math.min(this.rows.length - 1, row));
    const [time, ...values] = this.rows[this.selected];
    this.show(values, time);
  }

  deselect() {
    this.selected = null;
    this.legend.setAttribute("aria-live", "off");
    if (this.dygraph) this.dygraph.clearSelection();
    this.show(this.last());
  }

  // Arrow keys go through the rows, and a screen reader hears them.
  onKey(event) {
    const end = this.rows.length - 1;
    const from = this.selected ?? end + 1;
    const step = event.shiftKey ? 12 : 1;
    const to = { ArrowLeft: from - step, ArrowRight: from + step, Home: 0,
      End: end }[event.key];
    if (event.key === "Escape") this.deselect();
    if (to === undefined || !this.dygraph) return;
    event.preventDefault();
    this.legend.setAttribute("aria-live", "polite");
    this.select(to);
    this.dygraph.setSelection(this.selected);
  }

  draw(series, rows, window) {
    const at = this.options.lines.map(([line]) =>
      typeof line === "string" ? series.indexOf(line) + 1 : line);
    this.rows = rows.map((row) => [new Date(row[0] * 1000),
      ...at.map((it) => row.length === 1 ? null
        : typeof it === "number" ? row[it] ?? null : it(row, series))]);
    const isEmpty = !this.rows.some((row) =>
      row.slice(1).some((value) => value !== null));
    this.empty.hidden = !isEmpty;
    this.plot.hidden = isEmpty;
    if (isEmpty && rows.length && this.options.empty) {
      setText(this.empty, this.options.empty);
    }
    if (!isEmpty) this.redraw(window);
    if (this.selected === null) this.show(this.last());
    this.plot.setAttribute("aria-label", `Chart: ${this.options.title}. Now: ${
      this.options.lines.map(([, label], i) =>
        `${label} ${this.options.unit(this.last()[i])}`).join(", ")}.`);
  }

  redraw(window) {
    const colours = this.colours();
    const changes = { file: this.rows, dateWindow: window,
      colors: colours.lines, gridLineColor: colours.grid,
      axisLineColor: colours.grid };
    if (this.dygraph) {
      this.dygraph.updateOptions(changes);
      return;
    }
    this.dygraph = new Dygraph(this.plot, this.rows, { ...changes,
      labels: ["time", ...this.options.lines.map(([, label]) => label)],
      includeZero: true, strokeWidth: 1.8,
      highlightCircleSize: 3, pointSize: 2, interactionModel: {}, labelsUTC: false,
      series: Object.fromEntries(this.options.lines.map(([, label], i) =>
        [label, { strokePattern: DASHES[i] }])),
      axes: {
        x: { drawGrid: false, axisLabelWidth: 60 },
        y: { axisLabelWidth: 62, pixelsPerLabel: 36,
          axisLabelFormatter: (value) => this.options.unit(value) },
      },
      highlightCallback: (_, time, points, row) => this.select(row),
      unhighlightCallback: () => {
        this.selected = null;
        this.show(this.last());
      },
    });
  }
}

const charts = new Map();
document.querySelectorAll("figure[data-chart]").forEach((figure) => {
  charts.set(figure.dataset.chart,
    new Chart(figure, CHARTS[figure.dataset.chart]));
});
