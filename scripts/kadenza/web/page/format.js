// Numbers as texts, with units. A value that is not known is a dash.

const NONE = "–";
const isNumber = (value) => typeof value === "number" && isFinite(value);

// Three digits, with a unit of a thousand or a million.
function short(value) {
  if (!isNumber(value)) return NONE;
  for (const [size, unit] of [[1e9, " G"], [1e6, " M"], [1e4, " k"]]) {
    if (Math.abs(value) >= size) {
      return digits(value / (unit === " k" ? 1e3 : size)) + unit;
    }
  }
  return digits(value);
}

function digits(value) {
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e4) return String(value);
  return String(Number(value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2)));
}

const count = (value) =>
  isNumber(value) ? value.toLocaleString("en") : NONE;
const rate = (value) => isNumber(value) ? `${short(value)}/s` : NONE;

function bytes(value) {
  if (!isNumber(value)) return NONE;
  let unit = 0;
  while (Math.abs(value) >= 999.5 && unit < 4) {
    value /= 1000;
    unit++;
  }
  return `${digits(unit ? value : Math.round(value))} ${
    ["B", "kB", "MB", "GB", "TB"][unit]}`;
}

const byteRate = (value) => isNumber(value) ? `${bytes(value)}/s` : NONE;

function seconds(value) {
  if (!isNumber(value)) return NONE;
  if (value === 0) return "0 s";
  if (value < 1e-3) return `${digits(value * 1e6)} µs`;
  if (value < 1) return `${digits(value * 1e3)} ms`;
  return `${digits(value)} s`;
}

function duration(value) {
  const total = Math.max(0, Math.floor(value));
  const parts = [[Math.floor(total / 86400), "d"],
    [Math.floor(total / 3600) % 24, "h"],
    [Math.floor(total / 60) % 60, "min"], [total % 60, "s"]];
  const first = parts.findIndex(([number]) => number > 0);
  return (first < 0 ? parts.slice(3) : parts.slice(first, first + 2))
    .filter(([number], i) => i === 0 || number > 0).map(([number, unit]) => `${number} ${unit}`).join(" ");
}

const clock = (date) => date.toLocaleTimeString([], { hour12: false });
