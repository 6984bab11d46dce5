"use strict";

// What the page shows is the JSON in #data; its parts are listed in capgen/evaluation/report/__init__.py. Texts in
// it come from anywhere: they become text nodes and attributes, never HTML.

const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const SVG = document.querySelector("svg").namespaceURI;

/** Make an element with attributes and children; a child that is not a node becomes text. */
function make(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

function draw(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function show(id, isThere) {
  at(id).hidden = !isThere;
  return isThere;
}

/** The image of a card with an alternative text: a human caption, or else the caption that is scored. */
function imageOf(card) {
  const [width, height] = card.size;
  return make("img", { src: card.image, width, height, alt: card.references[0] || card.caption || card.name, decoding: "async" });
}

const lines = (texts) => texts.map((text) => make("li", {}, text));
const number = (value, digits) => (value === null ? "n/a" : value.toFixed(digits));

// Light and dark

const DARK = matchMedia("(prefers-color-scheme: dark)");

function theme() {
  return document.documentElement.dataset.theme || (DARK.matches ? "dark" : "light");
}

function nameTheme() {
  at("theme-label").textContent = theme() === "dark" ? "Use light colours" : "Use dark colours";
}

function startTheme() {
  let kept = null;
  try {
    kept = localStorage.getItem("theme");
  } catch {
    // some browsers store nothing for pages from disk
  }
  if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
  nameTheme();
  DARK.addEventListener("change", nameTheme);
  at("theme").addEventListener("click", () => {
    const chosen = theme() === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = chosen;
    nameTheme();
    try {
      localStorage.setItem("theme", chosen);
    } catch {
      // as above
    }
  });
}

// Scores

function showScores() {
  if (!show("scores", data.scores)) return;
  // Two columns, and every number that they are a part of, are filled to the last row: of an odd number of cards one is wide.
  const units = data.scores.length + (data.scores.length % 2);
  const tiles = at("scores").querySelector(".tiles");
  tiles.style.setProperty("--columns", [4, 5, 3, 2].find((columns) => units % columns === 0));
  tiles.append(
    ...data.scores.map((score, index) =>
      make("li", index === 0 && data.scores.length % 2 ? { class: "wide" } : {}, score.name, make("strong", {}, number(score.value, 4)), make("span", {}, score.low === null ? "" : `${number(score.low, 4)} to ${number(score.high, 4)}`)),
    ),
  );
  at("scale").textContent = data.scale;
  at("scores").querySelector(".facts").append(...data.facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
}

// Charts

const WIDTH = 480, HEIGHT = 240, RIGHT = 24, TOP = 12, BOTTOM = 28;

/** The widest that a character of a label can be; on narrow screens labels are larger than on wide ones. */
const CHARACTER = 10.5;

/** Round numbers from below the least value to above the greatest. */
function ticks(low, high, whole = false) {
  const rough = (high - low) / 4 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(whole ? 1 : 0, [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough * 0.999));
  const found = [];
  for (let n = Math.floor(low / step + 1e-9); found.length < 2 || found.at(-1) < high - 1e-9 * step; n++) found.push(n * step);
  return found;
}

function chart({ title, unit, axis }, series, summary, ...drawn) {
  const keys = series.length > 1 ? series.map((one, i) => make("span", { class: `key ${"ab"[i]}` }, one.name)) : [];
  const caption = make("figcaption", {}, make("b", {}, title), ...keys);
  const label = `${title} ${summary}.`;
  const drawing = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label }, ...drawn);
  return make("figure", { class: "chart" }, caption, make("p", { class: "upwards" }, unit), drawing, make("p", { class: "across" }, axis));
}

/** The vertical axis for some values: the height of a value, the lines at its numbers, and where the drawing begins. */
function heights(values) {
  const steps = ticks(Math.min(...values), Math.max(...values));
  const y = (value) => HEIGHT - BOTTOM - ((value - steps[0]) / (steps.at(-1) - steps[0])) * (HEIGHT - TOP - BOTTOM);
  const digits = Math.max(0, -Math.floor(Math.log10(steps[1] - steps[0]) + 1e-9));
  const left = 12 + CHARACTER * Math.max(...steps.map((step) => step.toFixed(digits).length));
  const grid = steps.flatMap((step) => [
    draw("line", { class: "axis", x1: left, x2: WIDTH - RIGHT, y1: y(step), y2: y(step) }),
    draw("text", { x: left - 8, y: y(step) + 4, "text-anchor": "end" }, step.toFixed(digits)),
  ]);
  return { y, left, grid };
}

function histogram(shown) {
  const { unit, labels, series } = shown;
  const { y, left, grid } = heights([0, ...series.flatMap((one) => one.values)]);
  const room = (WIDTH - left - RIGHT) / labels.length;
  const thick = (room * 0.8) / series.length;
  const bars = series.flatMap((one, i) =>
    one.values.map((value, index) =>
      draw(
        "rect",
        { class: `bar-of ${"ab"[i]}`, x: left + index * room + room * 0.1 + i * thick, y: y(value), width: thick, height: y(0) - y(value) },
        draw("title", {}, `${labels[index]}: ${value} ${unit}${series.length > 1 ? `, ${one.name}` : ""}`),
      ),
    ),
  );
  const every = Math.ceil(labels.length / 8);
  const below = labels.flatMap((label, index) =>
    index % every ? [] : [draw("text", { x: left + (index + 0.5) * room, y: HEIGHT - BOTTOM + 21, "text-anchor": "middle" }, label)],
  );
  const most = series.map((one) => `${one.name} most often ${labels[one.values.indexOf(Math.max(...one.values))]}`);
  return chart(shown, series, most.join(", "), ...grid, ...bars, ...below);
}

function curve(shown) {
  const { title, series, marks } = shown;
  const known = series.map((one) => ({ ...one, points: one.points.filter(([, value]) => value !== null) })).filter((one) => one.points.length);
  const points = known.flatMap((one) => one.points);
  if (!points.length) return make("figure", { class: "chart" }, make("figcaption", {}, make("b", {}, title)));
  const { y, left, grid } = heights(points.map(([, value]) => value));
  const first = Math.min(...points.map(([epoch]) => epoch)), last = Math.max(...points.map(([epoch]) => epoch));
  const x = (epoch) => left + 10 + ((epoch - first) / Math.max(1, last - first)) * (WIDTH - left - RIGHT - 20);
  const below = ticks(first, last, true)
    .filter((epoch) => epoch >= first && epoch <= last)
    .map((epoch) => draw("text", { x: x(epoch), y: HEIGHT - BOTTOM + 21, "text-anchor": "middle" }, String(epoch)));
  const drawn = known.flatMap((one, i) => [
    draw("polyline", { class: `line-of ${"ab"[i]}`, points: one.points.map(([epoch, value]) => `${x(epoch)},${y(value)}`).join(" ") }),
    ...one.points.map(([epoch, value]) =>
      draw("circle", { class: `dot-of ${"ab"[i]}`, cx: x(epoch), cy: y(value), r: 3.5 }, draw("title", {}, `epoch ${epoch}, ${one.name}: ${value.toFixed(4)}`)),
    ),
  ]);
  // Names of marks stand where the curve does not end: below where it rises, above where it falls.
  const endsHigh = y(known[0].points.at(-1)[1]) < HEIGHT / 2;
  const named = (index) => (endsHigh ? HEIGHT - BOTTOM - 8 - 18 * index : TOP + 12 + 18 * index);
  const marked = marks
    .filter(([epoch]) => epoch >= first && epoch <= last)
    .flatMap(([epoch, text], index) => [
      draw("line", { class: "mark", x1: x(epoch), x2: x(epoch), y1: TOP, y2: HEIGHT - BOTTOM }),
      draw("text", { x: x(epoch) + (x(epoch) > WIDTH / 2 ? -6 : 6), y: named(index), "text-anchor": x(epoch) > WIDTH / 2 ? "end" : "start" }, text),
    ]);
  const ends = known.map((one) => `${one.name} ${one.points.at(-1)[1].toFixed(4)} after epoch ${one.points.at(-1)[0]}`);
  return chart(shown, known, ends.join(", "), ...grid, ...marked, ...drawn, ...below);
}

function showCharts() {
  if (show("histograms", data.histograms)) at("histograms").querySelector(".charts").append(...data.histograms.map(histogram));
  if (show("curves", data.curves)) at("curves").querySelector(".charts").append(...data.curves.map(curve));
}

// Samples and tables

function sample(image) {
  const runs = []; // epochs one after another that said the same
  for (const [epoch, caption] of image.captions) {
    if (runs.length && runs.at(-1).caption === caption) runs.at(-1).last = epoch;
    else runs.push({ first: epoch, last: epoch, caption });
  }
  const captions = runs.map(({ first, last, caption }) =>
    make("li", {}, make("span", {}, first === last ? `epoch ${first}` : `epochs ${first} to ${last}`), caption),
  );
  const box = make("article", { class: "sample" });
  if (image.image) box.append(imageOf(image));
  box.append(make("p", { class: "quiet note" }, image.name));
  box.append(make("ul", { class: "lines" }, ...lines(image.references)), make("ol", { tabindex: 0, "aria-label": `Captions of ${image.name}, epoch by epoch` }, ...captions));
  return box;
}

function table({ title, head, rows, open }) {
  const body = rows.map((row) => make("tr", {}, ...row.map((cell, index) => make(index ? "td" : "th", index ? {} : { scope: "row" }, cell))));
  const top = head.length ? [make("thead", {}, make("tr", {}, ...head.map((cell) => make("th", { scope: "col" }, cell))))] : [];
  const whole = make("table", {}, ...top, make("tbody", {}, ...body));
  return make("details", open ? { open: "" } : {}, make("summary", {}, title), make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": title }, whole));
}

function showRun() {
  if (show("samples", data.samples)) at("samples").querySelector(".samples").append(...data.samples.map(sample));
  for (const list of document.querySelectorAll(".sample ol")) list.scrollTop = list.scrollHeight; // the newest are the last
  if (show("tables", data.tables)) at("tables").append(...data.tables.map(table));
}

// Gallery: all cards are sorted and filtered, a few at a time are put into the page

const FEW = 60;
const cards = data.gallery ? data.gallery.cards : [];
let selected = []; // the cards that pass the filter, in their order
let shown = 0; // how many of them are in the page

const wordsOf = (text) => text.toLowerCase().match(/[\p{L}\p{N}]+(?:['’-][\p{L}\p{N}]+)*/gu) || [];

const ORDERS = {
  worst: (a, b) => a.score - b.score,
  best: (a, b) => b.score - a.score,
  name: (a, b) => a.name.localeCompare(b.name, "en", { numeric: true }),
  given: () => 0,
};

const WHERE = {
  caption: (card, matches) => matches(card.captionWords),
  references: (card, matches) => matches(card.referenceWords),
  both: (card, matches) => matches(card.captionWords) || matches(card.referenceWords),
  missed: (card, matches) => matches(card.referenceWords) && !matches(card.captionWords),
};

/** Return a function that tells whether a set of words has all words typed; of the last word its beginning is enough. */
function matcher(typed) {
  const terms = wordsOf(typed);
  const whole = /\s$/.test(typed) ? terms : terms.slice(0, -1);
  const prefix = /\s$/.test(typed) ? "" : terms.at(-1) || "";
  return (words) => whole.every((term) => words.has(term)) && (!prefix || [...words].some((word) => word.startsWith(prefix)));
}

function update() {
  const typed = at("filter").value;
  const matches = matcher(typed);
  const isMatch = WHERE[at("where").value];
  selected = cards.filter((card) => !wordsOf(typed).length || isMatch(card, matches)).sort(ORDERS[at("order").value]);
  shown = 0;
  at("cards").replaceChildren();
  showMore();
  const all = data.gallery.total.toLocaleString("en");
  const part = cards.length < data.gallery.total ? `, evenly from the worst to the best of ${all}` : "";
  at("count").textContent = `${selected.length.toLocaleString("en")} of ${cards.length.toLocaleString("en")} images${part}`;
}

function showMore() {
  at("cards").append(...selected.slice(shown, shown + FEW).map((card, index) => cardOf(card, shown + index)));
  shown = Math.min(shown + FEW, selected.length);
  at("more").hidden = shown === selected.length;
}

function cardOf(card, index) {
  const open = make("button", { type: "button", "aria-haspopup": "dialog" }, card.caption || "(no words)");
  open.addEventListener("click", () => openView(index));
  const foot = make("p", { class: "foot" }, make("span", { title: card.name }, card.name), make("b", { title: "CIDEr-D of this caption" }, `CIDEr-D ${number(card.score, 2)}`));
  const text = make("div", {}, open, make("ul", { class: "lines" }, ...lines(card.references)), foot);
  return make("li", { class: "card" }, ...(card.image ? [imageOf(card)] : []), text);
}

function startGallery() {
  if (!show("gallery", data.gallery)) return;
  const times = new Map();
  for (const card of cards) {
    card.captionWords = new Set(wordsOf(card.caption));
    card.referenceWords = new Set(card.references.flatMap(wordsOf));
    for (const word of card.captionWords) times.set(word, (times.get(word) || 0) + 1);
  }
  const known = [...times].sort((a, b) => b[1] - a[1]).slice(0, 300);
  at("known").append(...known.map(([word, count]) => make("option", { value: word }, `${count}`)));
  at("order").addEventListener("change", update);
  at("where").addEventListener("change", update);
  at("filter").addEventListener("input", update); // not "change": leaving the field by a click on a card must not replace the card
  document.querySelector(".tools").addEventListener("submit", (event) => event.preventDefault());
  at("more").addEventListener("click", () => {
    const first = shown;
    showMore();
    buttonOf(first)?.focus();
  });
  new IntersectionObserver((entries) => entries.some((one) => one.isIntersecting) && shown < selected.length && showMore(), { rootMargin: "1500px" }).observe(at("more").parentElement);
  update();
}

const buttonOf = (index) => at("cards").children[index]?.querySelector("button");

// The opened view

const view = at("view");
let current = 0;

function openView(index) {
  showCard(index);
  view.showModal();
  (view.querySelector("#words button") || at("next")).focus();
}

function showCard(index) {
  const card = selected[index];
  current = index;
  at("stage").hidden = !card.image;
  hideHeat();
  if (card.image) {
    const image = imageOf(card);
    image.id = "image";
    at("image").replaceWith(image);
    at("stage").style.setProperty("--ratio", card.size[0] / card.size[1]);
  }
  const hasAttention = Boolean(card.image && card.maps && card.maps.length);
  at("words").replaceChildren(...(hasAttention ? card.words.map(wordOf(card)) : [make("span", {}, card.caption || "(no words)")]));
  at("attention-note").hidden = at("word-keys").hidden = !hasAttention;
  at("view-score").textContent = number(card.score, 4);
  at("references").replaceChildren(...lines(card.references));
  at("view-name").textContent = card.name;
  at("position").textContent = `${(index + 1).toLocaleString("en")} of ${selected.length.toLocaleString("en")}`;
  at("previous").disabled = index === 0;
  at("next").disabled = index === selected.length - 1;
}

function goTo(index) {
  if (index < 0 || index >= selected.length) return;
  const inWords = at("words").contains(document.activeElement);
  showCard(index);
  const first = view.querySelector("#words button");
  if (inWords && first) first.focus();
  else if (inWords || document.activeElement.disabled || document.activeElement === document.body) (at("next").disabled ? at("close") : at("next")).focus();
}

/** Words of a caption as buttons; one of them is in the tab order, the arrow keys move between them. */
function wordOf(card) {
  return (word, index) => {
    const button = make("button", { type: "button", tabindex: index ? -1 : 0 }, word);
    button.addEventListener("mouseenter", () => showHeat(card, index));
    button.addEventListener("click", () => button.focus()); // not every browser focuses what is clicked
    button.addEventListener("focus", () => {
      for (const other of at("words").children) other.tabIndex = other === button ? 0 : -1;
      showHeat(card, index);
    });
    button.addEventListener("blur", hideHeat);
    return button;
  };
}

function showHeat(card, index) {
  [...at("words").children].forEach((button, position) => (position === index ? button.setAttribute("aria-current", "true") : button.removeAttribute("aria-current")));
  const canvas = at("heat");
  canvas.setAttribute("aria-label", `The attention of the word “${card.words[index]}”`);
  [canvas.width, canvas.height] = card.size.map((side) => 2 * side);
  const map = Uint8Array.from(atob(card.maps[index]), (mark) => mark.charCodeAt(0));
  paint(canvas, map);
  canvas.hidden = false;
}

function hideHeat() {
  at("heat").hidden = true;
  for (const button of at("words").children) button.removeAttribute("aria-current");
}

/** Colours of attention, from little (dark) to much (warm and clear): share of the greatest, then red, green, blue, alpha. */
const HEAT = [
  [0, 10, 14, 24, 0.68],
  [0.35, 50, 26, 60, 0.5],
  [0.7, 230, 90, 30, 0.34],
  [1, 255, 200, 60, 0.28],
];

function colourOf(share) {
  const above = Math.max(1, HEAT.findIndex(([from]) => share <= from));
  const [low, high] = [HEAT[above - 1], HEAT[above]];
  const part = (share - low[0]) / (high[0] - low[0]);
  const [red, green, blue, alpha] = [1, 2, 3, 4].map((i) => low[i] + part * (high[i] - low[i]));
  return [red, green, blue, 255 * alpha];
}

/** Paint a map of side x side bytes over a canvas, smoothly interpolated between the centres of cells. */
function paint(canvas, map) {
  const side = Math.sqrt(map.length);
  const fine = 8 * side;
  const small = make("canvas", { width: fine, height: fine });
  const pen = small.getContext("2d");
  const pixels = pen.createImageData(fine, fine);
  const cell = (pixel) => Math.min(Math.max((pixel + 0.5) / 8 - 0.5, 0), side - 1);
  for (let row = 0; row < fine; row++) {
    for (let column = 0; column < fine; column++) {
      pixels.data.set(colourOf(between(map, side, cell(row), cell(column)) / 255), 4 * (row * fine + column));
    }
  }
  pen.putImageData(pixels, 0, 0);
  const whole = canvas.getContext("2d");
  whole.imageSmoothingQuality = "high";
  whole.drawImage(small, 0, 0, canvas.width, canvas.height);
}

function between(map, side, row, column) {
  const [up, left] = [Math.floor(row), Math.floor(column)];
  const [down, right] = [Math.min(up + 1, side - 1), Math.min(left + 1, side - 1)];
  const [low, across] = [row - up, column - left];
  const smooth = (x) => x * x * (3 - 2 * x);
  const [v, h] = [smooth(low), smooth(across)];
  return (
    (1 - v) * ((1 - h) * map[up * side + left] + h * map[up * side + right]) +
    v * ((1 - h) * map[down * side + left] + h * map[down * side + right])
  );
}

function moveWord(event) {
  const all = [...at("words").querySelectorAll("button")];
  const here = all.indexOf(document.activeElement);
  const to = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: all.length - 1 }[event.key];
  if (!all.length || to === undefined || (here < 0 && !event.key.startsWith("Arrow"))) return;
  event.preventDefault();
  all[here < 0 ? 0 : Math.min(Math.max(to, 0), all.length - 1)].focus();
}

function startView() {
  at("previous").addEventListener("click", () => goTo(current - 1));
  at("next").addEventListener("click", () => goTo(current + 1));
  at("close").addEventListener("click", () => view.close());
  at("words").addEventListener("mouseleave", () => {
    const focused = [...at("words").children].indexOf(document.activeElement);
    if (focused < 0) hideHeat();
    else showHeat(selected[current], focused);
  });
  view.addEventListener("click", (event) => event.target === view && view.close()); // beside the content: the backdrop
  view.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const hasAttention = at("words").querySelector("button");
    const step = { PageUp: -1, PageDown: 1, ...(hasAttention ? {} : { ArrowLeft: -1, ArrowRight: 1 }) }[event.key];
    if (step) {
      event.preventDefault();
      goTo(current + step);
    } else moveWord(event);
  });
  view.addEventListener("close", () => {
    while (shown <= current && shown < selected.length) showMore();
    const button = buttonOf(current);
    button?.focus({ preventScroll: true });
    button?.closest("li").scrollIntoView({ block: "nearest" });
  });
}

at("title").textContent = data.title;
at("subtitle").textContent = data.subtitle;
startTheme();
showScores();
showCharts();
showRun();
startGallery();
startView();
document.documentElement.dataset.ready = "yes";
performance.mark("ready");
