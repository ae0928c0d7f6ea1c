"use strict";

const LABELS = {
  modality: "Kind", dice: "Dice", precision: "Precision", recall: "Recall", f1_50: "Object F1", uncertainty: "Uncertainty", estimated_dice: "Estimated Dice", verdict: "Verdict", zoom: "Zoom", objects: "Objects",
  objects_predicted: "Found", foreground: "Foreground", iou: "IoU", boundary_f1: "Boundary F1", dice_native: "Dice at native size",
  iou_native: "IoU at native size", f1_70: "Object F1 (IoU ≥ 0.7)", map: "Object mean AP", pq: "Panoptic quality",
};
const MEANINGS = {
  uncertainty: "Mean entropy of the pixels: 0 where the model is sure of all, 1 where of none",
  estimated_dice: "How well the mask is likely to agree with one drawn by hand, judged from the prediction alone",
};
const COLUMNS = ["modality", "dice", "precision", "recall", "f1_50", "estimated_dice", "verdict", "uncertainty", "objects", "objects_predicted", "foreground"];  // of the table
const CARDS = [
  ["dice.mean", "Dice", "dice"], ["iou.mean", "IoU", "iou"], ["precision", "Precision"], ["recall", "Recall"], ["native.dice.mean", "Native-size Dice", "native.dice"],
  ["objects.f1_50", "Object F1"], ["images", "Images"],
];
const LAYERS = {
  errors: ["Errors", [["false-positive", "false positive"], ["false-negative", "false negative"], ["true-outline", "true outline"]]],
  outlines: ["Outlines", [["predicted-outline", "predicted outline"], ["doubt", "uncertain"]]],
  prediction: ["Predicted mask", []],
  truth: ["True mask", []],
};

const state = { entries: [], shown: [], fractions: new Set(), sort: "", descending: false, layer: "", current: null };
const $ = (id) => document.getElementById(id);

/** Make an HTML element; text is never parsed as markup. */
function make(parent, name, text = "", className = "") {
  const element = document.createElement(name);
  element.textContent = text;
  if (className) element.className = className;
  parent.append(element);
  return element;
}

const words_of = (value) => String(value).replaceAll("_", " ");

function number(value) {
  if (value === null || value === undefined || value === "") return "–";
  if (typeof value !== "number") return words_of(value);
  if (Number.isInteger(value)) return String(value);
  return Math.abs(value) >= 0.001 && Math.abs(value) < 1e5 ? value.toFixed(Math.abs(value) < 100 ? 3 : 1) : value.toPrecision(3);
}

/** Write a score with as many digits as the others of its name. */
function score(entry, key) {
  const value = entry.scores[key];
  return typeof value === "number" && state.fractions.has(key) ? value.toFixed(3) : number(value);
}

/** Turn {a: {b: 1}} into [["a.b", 1]]. */
function flatten(content, prefix = "") {
  return Object.entries(content).flatMap(([key, value]) =>
    value !== null && typeof value === "object" && !Array.isArray(value) ? flatten(value, `${prefix}${key}.`) : [[prefix + key, value]]);
}

function fillPairs(list, pairs) {
  list.replaceChildren();
  for (const [name, value, meaning] of pairs) {
    const pair = make(list, "div");
    make(pair, "dt", name).title = meaning ?? "";
    make(pair, "dd", value);
  }
}

function drawScores(metrics) {
  const values = new Map(flatten(metrics));
  for (const [key, label, interval] of CARDS) {
    if (!Number.isFinite(values.get(key))) continue;
    const card = make($("scores"), "div");
    make(card, "span", label);
    make(card, "b", number(values.get(key)));
    const ends = [values.get(`${interval}.low`), values.get(`${interval}.high`)];
    make(card, "small", ends.every(Number.isFinite) ? `95 %: ${number(ends[0])}–${number(ends[1])}` : "");
  }
}

function drawDetails(title, content) {
  const pairs = flatten(content);
  if (!pairs.length) return;
  const details = make($("details"), "details");
  make(details, "summary", title);
  fillPairs(make(details, "dl"), pairs.map(([name, value]) => [name, typeof value === "number" ? number(value) : String(value ?? "–") || "–"]));
}

/** Build the picture of an entry: the image, and over it the layer that the slider uncovers. */
function fillPicture(box, entry) {
  box.style.setProperty("--aspect", entry.width / entry.height);
  box.replaceChildren();
  const image = make(box, "img");
  image.src = entry.image;
  image.alt = `Image ${entry.id}`;
  if (!(state.layer in entry.layers)) return;
  const layer = make(box, "img", "", "layer");
  layer.src = entry.layers[state.layer];
  layer.alt = `${LAYERS[state.layer][0]} of ${entry.id}`;
}

const visible = new IntersectionObserver((changes) => {
  for (const change of changes) {
    const box = change.target;
    if (change.isIntersecting) fillPicture(box, box.entry);
    else box.replaceChildren();
  }
}, { rootMargin: "600px" });

function makeRow(entry, columns) {
  const row = document.createElement("tr");
  const button = make(make(row, "td"), "button", "", "thumbnail");
  button.type = "button";
  button.setAttribute("aria-label", `Open ${entry.id}`);
  button.addEventListener("click", () => openViewer(entry));
  const box = make(button, "div", "", "picture");
  const longest = Math.max(entry.height, entry.width);
  box.style.width = `${(100 * entry.width) / longest}%`;
  box.style.height = `${(100 * entry.height) / longest}%`;
  box.entry = entry;
  visible.observe(box);
  make(row, "td", entry.id, "text name").title = entry.id;
  for (const key of columns) make(row, "td", score(entry, key), typeof entry.scores[key] === "string" ? "text" : "");
  entry.row = row;
}

function drawTable(columns) {
  const header = $("images").tHead.rows[0];
  make(make(header, "th"), "span", "Image", "hidden");
  for (const key of ["id", ...columns]) {
    const text = state.entries.some((entry) => typeof value_of(entry, key) === "string");
    const cell = make(header, "th", "", text ? "text" : "");
    cell.scope = "col";
    cell.dataset.key = key;
    const button = make(cell, "button", key === "id" ? "Name" : LABELS[key]);
    button.type = "button";
    button.title = MEANINGS[key] ?? "";
    button.addEventListener("click", () => sortBy(key, state.sort === key ? !state.descending : false));
  }
  for (const entry of state.entries) makeRow(entry, columns);
}

const value_of = (entry, key) => (key === "id" ? entry.id : entry.scores[key]);

function compare(first, second) {
  const [a, b] = [value_of(first, state.sort), value_of(second, state.sort)];
  const [noFirst, noSecond] = [a, b].map((value) => (value ?? "") === "");
  if (noFirst || noSecond) return noFirst - noSecond;  // what has no value comes last in both directions
  const order = typeof a === "number" && typeof b === "number" ? a - b : String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0;
  return state.descending ? -order : order;
}

function sortBy(key, descending) {
  Object.assign(state, { sort: key, descending });
  for (const cell of $("images").tHead.rows[0].cells) {
    if (cell.dataset.key === key) cell.setAttribute("aria-sort", descending ? "descending" : "ascending");
    else cell.removeAttribute("aria-sort");
  }
  state.entries.sort(compare);
  refresh();
}

/** Show the rows that the filter leaves, in the order of the sort. */
function refresh() {
  const wanted = $("filter").value.trim().toLowerCase();
  state.shown = state.entries.filter((entry) => `${entry.id} ${words_of(entry.scores.modality ?? "")}`.toLowerCase().includes(wanted));
  $("images").tBodies[0].replaceChildren(...state.shown.map((entry) => entry.row));
  $("count").textContent = state.shown.length === state.entries.length ? `${state.entries.length} images` : `${state.shown.length} of ${state.entries.length} images`;
}

function openViewer(entry) {
  if (!state.shown.includes(entry)) {
    $("filter").value = "";
    refresh();
  }
  state.current = entry;
  $("viewer-name").textContent = entry.id;
  $("viewer-name").title = entry.id;
  $("viewer-position").textContent = `${state.shown.indexOf(entry) + 1} of ${state.shown.length}`;
  fillPicture($("viewer-picture"), entry);
  fillPairs($("viewer-scores"), Object.keys(entry.scores).map((key) => [LABELS[key] ?? key[0].toUpperCase() + words_of(key.slice(1)), score(entry, key), MEANINGS[key]]));
  if (!$("viewer").open) $("viewer").showModal();
}

function step(by) {
  const place = state.shown.indexOf(state.current) + by;
  if (place >= 0 && place < state.shown.length) openViewer(state.shown[place]);
}

/** Uncover the layer up to `percent` of the width, in every picture and on both sliders. */
function reveal(percent) {
  const value = Math.min(100, Math.max(0, percent));
  document.documentElement.style.setProperty("--reveal", `${value}%`);
  for (const slider of document.querySelectorAll(".reveal")) slider.value = value;
}

function chooseLayer(name) {
  state.layer = name;
  for (const choice of document.querySelectorAll(".layer-choice")) choice.value = name;
  for (const legend of document.querySelectorAll(".legend")) {
    legend.replaceChildren();
    for (const [colour, words] of LAYERS[name][1]) {
      const item = make(legend, "span");
      make(item, "i", "", colour);
      item.append(words);
    }
  }
  for (const box of document.querySelectorAll("tbody .picture:not(:empty)")) fillPicture(box, box.entry);
  if (state.current) fillPicture($("viewer-picture"), state.current);
}

function addControls() {
  const names = Object.keys(LAYERS).filter((name) => state.entries.some((entry) => name in entry.layers));
  for (const place of document.querySelectorAll(".controls")) {
    place.append($("controls").content.cloneNode(true));
    const choice = place.querySelector(".layer-choice");
    for (const name of names) make(choice, "option", LAYERS[name][0]).value = name;
    choice.addEventListener("change", () => chooseLayer(choice.value));
    const slider = place.querySelector(".reveal");
    slider.addEventListener("input", () => reveal(Number(slider.value)));
  }
  chooseLayer(names[0]);
}

function onKey(event) {
  if (!$("viewer").open || event.altKey || event.ctrlKey || event.metaKey) return;
  const slider = $("viewer").querySelector(".reveal");
  const choosing = event.target.tagName === "SELECT";
  if (event.key === "ArrowRight") step(1);
  else if (event.key === "ArrowLeft") step(-1);
  else if (event.key === "ArrowUp" && !choosing) reveal(Number(slider.value) + 5);
  else if (event.key === "ArrowDown" && !choosing) reveal(Number(slider.value) - 5);
  else return;
  event.preventDefault();
}

function dragReveal(event) {
  if (event.buttons !== 1) return;
  const box = $("viewer-picture").getBoundingClientRect();
  reveal((100 * (event.clientX - box.left)) / box.width);
}

function onClose() {
  const { row } = state.current;
  state.current = null;
  row.scrollIntoView({ block: "nearest" });
  row.querySelector("button").focus({ preventScroll: true });
}

function listen() {
  document.addEventListener("keydown", onKey);
  $("filter").addEventListener("input", refresh);
  $("previous").addEventListener("click", () => step(-1));
  $("next").addEventListener("click", () => step(1));
  $("close").addEventListener("click", () => $("viewer").close());
  $("viewer").addEventListener("close", onClose);
  $("viewer-picture").addEventListener("dragstart", (event) => event.preventDefault());
  for (const kind of ["pointerdown", "pointermove"]) $("viewer-picture").addEventListener(kind, dragReveal);
}

function main() {
  const { metrics, params, history, entries } = JSON.parse($("data").textContent);
  state.entries = entries;
  for (const { scores } of entries) for (const key of Object.keys(scores)) if (!Number.isInteger(scores[key] ?? 0)) state.fractions.add(key);
  const quality = ["dice", "estimated_dice", "uncertainty"].find((key) => entries.some((entry) => Number.isFinite(entry.scores[key])));
  drawScores(metrics);
  const kept = history.reduce((best, row) => ((row.val_dice ?? -1) > (best.val_dice ?? -1) ? row : best), history[0]);
  drawCurve("Dice over the epochs", history, "dice", kept);
  drawCurve("Loss over the epochs", history, "loss", kept);
  if (quality) drawStrip(`${LABELS[quality]} of each image`, entries, quality, openViewer, MEANINGS[quality]);
  drawDetails("Parameters", params);
  drawDetails("All metrics", metrics);
  if (!entries.some((entry) => entry.doubt)) LAYERS.outlines[1] = LAYERS.outlines[1].slice(0, 1);
  listen();
  addControls();
  drawTable(COLUMNS.filter((key) => entries.some((entry) => (entry.scores[key] ?? "") !== "")));
  sortBy(quality ?? "id", quality === "uncertainty");  // the worst first
}

main();
