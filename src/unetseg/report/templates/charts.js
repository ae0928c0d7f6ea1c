"use strict";

const SVG = "http://www.w3.org/2000/svg";
const CHART = { width: 420, height: 210, left: 42, right: 74, top: 12, bottom: 30 };

/** Make an SVG element; text is never parsed as markup. */
function svg(parent, name, attributes = {}, text = "") {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text) element.textContent = text;
  parent.append(element);
  return element;
}

/** Choose at most `most` round values that span low to high. */
function ticks(low, high, most = 5) {
  const rough = (high - low || 1) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough);
  const found = [];
  for (let index = Math.ceil(low / step - 1e-9); index * step <= high + step * 1e-9; index += 1) found.push(Number((index * step).toPrecision(12)));
  return found;
}

/** Map low..high to from..to. */
function scale(low, high, from, to) {
  return (value) => from + ((value - low) / (high - low || 1)) * (to - from);
}

function frame(caption, description, right, height = CHART.height) {
  const figure = document.createElement("figure");
  figure.className = "chart";
  const heading = document.createElement("figcaption");
  heading.textContent = caption;
  make(heading, "small", description);
  figure.append(heading);
  const box = svg(figure, "svg", { viewBox: `0 0 ${CHART.width} ${height}`, role: "img", "aria-label": `${caption}. ${description}` });
  document.getElementById("charts").append(figure);
  return { box, left: CHART.left, right: CHART.width - right, top: CHART.top, bottom: height - CHART.bottom };
}

/** Draw training and validation over the epochs, and mark the epoch whose weights were kept. */
function drawCurve(caption, history, name, kept) {
  const epochs = history.map((row) => row.epoch);
  const lines = [["train", "training", name], ["validation", "validation", `val_${name}`]]
    .map(([kind, word, key]) => ({ kind, word, points: history.filter((row) => Number.isFinite(row[key])).map((row) => [row.epoch, row[key]]) }))
    .filter(({ points }) => points.length);
  if (!lines.length) return;
  const values = lines.flatMap(({ points }) => points.map(([, value]) => value));
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const summary = `validation ${number(kept[`val_${name}`])} in epoch ${kept.epoch}, which was kept`;
  const { box, left, right, top, bottom } = frame(caption, summary, CHART.right);
  const x = scale(Math.min(...epochs), Math.max(...epochs), left + 4, right - 4);
  const y = scale(low, high, bottom - 4, top + 4);
  for (const tick of ticks(low, high)) {
    svg(box, "line", { class: "grid", x1: left, x2: right, y1: y(tick), y2: y(tick) });
    svg(box, "text", { x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, String(tick));
  }
  for (const tick of ticks(Math.min(...epochs), Math.max(...epochs), 6).filter(Number.isInteger)) {
    svg(box, "text", { x: x(tick), y: bottom + 14, "text-anchor": "middle" }, String(tick));
  }
  svg(box, "text", { x: right, y: bottom + 28, "text-anchor": "end" }, "epoch");
  const ends = labelHeights(lines.map(({ points }) => y(points.at(-1)[1])));
  lines.forEach(({ kind, word, points }, index) => {
    svg(box, "path", { class: kind, d: `M${points.map(([epoch, value]) => `${x(epoch)} ${y(value)}`).join("L")}` });
    svg(box, "text", { class: kind, x: right + 4, y: ends[index] + 4 }, word);
    for (const [epoch, value] of points) {
      const hit = svg(box, "circle", { class: "hit", cx: x(epoch), cy: y(value), r: 6 });
      svg(hit, "title", {}, `epoch ${epoch}: ${word} ${number(value)}`);
    }
  });
  if (Number.isFinite(kept[`val_${name}`])) svg(box, "circle", { class: "validation", cx: x(kept.epoch), cy: y(kept[`val_${name}`]), r: 4 });
}

/** Keep two labels at least a line apart; there may be one only. */
function labelHeights([first, second]) {
  const near = 13 - Math.abs(first - second);
  if (!(near > 0)) return [first, second];
  return first < second ? [first - near / 2, second + near / 2] : [first + near / 2, second - near / 2];
}

/** Draw a dot for each image on the scale of one score, a row for each kind, and a tick at the kind's mean. */
function drawStrip(caption, entries, key, open, meaning) {
  const shown = entries.filter((entry) => Number.isFinite(entry.scores[key]));
  const kinds = [...new Set(shown.map((entry) => entry.scores.modality ?? ""))].sort();
  const values = shown.map((entry) => entry.scores[key]);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const range = `${number(low)} to ${number(high)}; click a dot to open its image`;
  const { box, left, right, top, bottom } = frame(caption, meaning ? `${meaning}; ${range}` : range, 14, Math.max(CHART.height, 52 * kinds.length));
  const x = scale(low, high, left - 20, right - 6);
  for (const tick of ticks(low, high, 6)) {
    svg(box, "line", { class: "grid", x1: x(tick), x2: x(tick), y1: top, y2: bottom });
    svg(box, "text", { x: x(tick), y: bottom + 14, "text-anchor": "middle" }, String(tick));
  }
  const band = (bottom - top) / kinds.length;
  kinds.forEach((kind, index) => {
    const rows = shown.filter((entry) => (entry.scores.modality ?? "") === kind);
    const start = top + band * index;
    const inner = start + 24;  // below the line of words
    rows.forEach((entry, place) => {
      const spread = ((place * 0.618034) % 1) * (start + band - 8 - inner);
      const dot = svg(box, "circle", { class: "image", cx: x(entry.scores[key]), cy: inner + spread, r: shown.length > 200 ? 2.5 : 4 });
      svg(dot, "title", {}, `${entry.id}: ${number(entry.scores[key])}`);
      dot.addEventListener("click", () => open(entry));
    });
    const mean = rows.reduce((sum, entry) => sum + entry.scores[key], 0) / rows.length;
    svg(box, "line", { class: "mean", x1: x(mean), x2: x(mean), y1: inner - 4, y2: start + band - 4 });
    const words = `${words_of(kind) || "all"}: mean ${number(mean)} of ${rows.length}`;
    svg(box, "text", { x: left - 20, y: start + 12 }, words);
  });
}
