// Moving, opening, finding.

const canvas = byId("canvas");
const view = { x: 0, y: 0, k: 1 };
let moved = false; // a view that was chosen by hand is kept
const settle = () => byId("view").setAttribute("transform", `translate(${view.x},${view.y}) scale(${view.k})`);

function fit() {
  moved = false;
  const { clientWidth: width, clientHeight: height } = canvas;
  view.k = Math.max(Math.min(width / (current.width + 30), height / (current.height + 30), 1.6), 0.05);
  // what is far wider than the window starts readable at its left end
  const small = view.k < 0.4;
  if (small) view.k = 0.4;
  view.x = small && current.width * view.k > width ? 15 : (width - current.width * view.k) / 2;
  view.y = small && current.height * view.k > height ? 15 : (height - current.height * view.k) / 2;
  settle();
}

const find = id => current.boxes.find(b => b.id === id) || current.nodes.find(n => n.id === id);

function fold(group) {
  moved = true;
  const before = find(group.item);
  toggle(group);
  draw();
  const after = find(group.item);
  if (before && after) { // what was clicked stays where it is
    view.x += (before.x - after.x) * view.k;
    view.y += (before.y - after.y) * view.k;
    settle();
  }
}

function select(item) {
  selected = item;
  mark();
  show();
}

function reveal(i) {
  const start = isGate(i) ? i : targets(i)[0];
  for (let group = holder(start); group; group = group.parent) toggle(group, true);
  draw();
  select(i);
  const at = find(i);
  if (!at) return;
  moved = true;
  view.k = Math.max(view.k, 0.8);
  view.x = canvas.clientWidth / 2 - (at.x + at.width / 2) * view.k;
  view.y = canvas.clientHeight / 2 - (at.y + at.height / 2) * view.k;
  settle();
}

function zoom(factor, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
  moved = true;
  const k = Math.min(Math.max(view.k * factor, 0.03), 4);
  Object.assign(view, { x: x - (x - view.x) * k / view.k, y: y - (y - view.y) * k / view.k, k });
  settle();
}

canvas.addEventListener("wheel", event => {
  event.preventDefault();
  const box = canvas.getBoundingClientRect();
  zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)), event.clientX - box.left, event.clientY - box.top);
}, { passive: false });

let drag = null;
canvas.addEventListener("pointerdown", event => { drag = { x: event.clientX - view.x, y: event.clientY - view.y, moved: false, from: event.target }; });
addEventListener("pointermove", event => {
  if (!drag) return;
  const [x, y] = [event.clientX - drag.x, event.clientY - drag.y];
  drag.moved ||= Math.hypot(x - view.x, y - view.y) > 4;
  if (!drag.moved) return;
  moved = true;
  canvas.classList.add("drag");
  Object.assign(view, { x, y });
  settle();
});
addEventListener("pointerup", () => { canvas.classList.remove("drag"); setTimeout(() => { drag = null; }); });

const itemAt = target => {
  const g = target.closest ? target.closest("g[data-id]") : null;
  return g && !isNaN(+g.dataset.id) ? +g.dataset.id : null;
};
canvas.addEventListener("click", event => {
  if (drag && drag.moved) return;
  const item = itemAt(event.target);
  const signed = event.target.classList.contains("sign");
  if (item !== null && item < 0 && signed) fold(groups[-1 - item]);
  if (!(signed && event.detail > 1)) select(item === -1 ? null : item);
});
canvas.addEventListener("dblclick", event => {
  const item = itemAt(event.target);
  if (item !== null && item < 0 && !event.target.classList.contains("sign")) { fold(groups[-1 - item]); show(); }
});

// Search by name, kind, module path and source line.
const search = byId("search"), found = byId("found");
let hits = [], chosen = 0;
function look() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  hits = [];
  for (let i = 0; words.length && i < count && hits.length < 14; i++) {
    const hay = `${raw.gates.name[i]} ${raw.kinds[columns.kind(i)][0]} ${text("module", i)} ${text("source", i)} ${text("phase", i)}`.toLowerCase();
    if (words.every(word => hay.includes(word))) hits.push(i);
  }
  chosen = 0;
  list();
}
function list() {
  found.hidden = !search.value;
  found.replaceChildren(...hits.map((i, k) => {
    const li = element("li", k === chosen ? "on" : "", labelOf(i), " ", element("small", "", [raw.kinds[columns.kind(i)][0], text("phase", i), text("module", i)].filter(Boolean).join(" · ")));
    li.onmousedown = () => pick(i);
    return li;
  }));
  if (!hits.length) found.append(element("li", "", "no such gate"));
}
function pick(i) { found.hidden = true; search.blur(); reveal(i); }
search.addEventListener("input", look);
search.addEventListener("blur", () => { found.hidden = true; });
search.addEventListener("keydown", event => {
  if (event.key === "Enter" && hits.length) pick(hits[chosen]);
  else if (event.key === "Escape") { search.value = ""; search.blur(); }
  else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    chosen = (chosen + (event.key === "ArrowDown" ? 1 : hits.length - 1)) % Math.max(hits.length, 1);
    list();
  }
});

addEventListener("keydown", event => {
  if (event.target.tagName === "INPUT" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") { event.preventDefault(); search.focus(); }
  else if (event.key === "0") fit();
  else if (event.key === "+" || event.key === "=") zoom(1.25);
  else if (event.key === "-") zoom(0.8);
  else if (event.key === "Escape") select(null);
  else if ((event.key === "Enter" || event.key === " ") && selected !== null && selected < 0) { fold(groups[-1 - selected]); show(); }
});

byId("open").onclick = () => {
  const whole = openBelow(+byId("limit").value || 60, 1500);
  byId("open").title = whole ? "" : "the deepest stay folded: more than 1,500 boxes would be open";
  draw();
  fit();
};
byId("fold").onclick = () => { for (const group of groups) toggle(group, false); draw(); fit(); };
byId("fit").onclick = fit;
byId("turn").onclick = () => {
  direction = across() ? "TB" : "LR";
  for (const level of levels) level.placed = null;
  draw();
  fit();
};

raw.watched = raw.depth.length > 0 || numbersOf(0)[0] !== null;
raw.arrays = raw.watched && raw.gates.value.some(row => row && row[1] === null);
byId("title").textContent = raw.title;
byId("facts").textContent = `${count.toLocaleString("en")} gates` + (raw.parameters ? `, ${raw.parameters.toLocaleString("en")} parameters` : "");
const isLeaf = group => group.kind === "repeat" || (group.kind === "phase" && count > 40) || (group.kind === "module" && group.items.every(item => item >= 0));
// open what still fits on one screen
for (const group of [...groups].sort((a, b) => a.depth - b.depth)) {
  if (group.index && shown(group) && (count <= 12 || (!isLeaf(group) && visible() + group.items.length <= 26))) toggle(group, true);
}
strips();
legend();
draw();
show();
fit();
addEventListener("resize", () => { if (!moved) fit(); });
const named = raw.gates.name.indexOf(decodeURIComponent(location.hash.slice(1))); // page.html#relu_2
if (named >= 0) reveal(named);
requestAnimationFrame(() => document.body.classList.add("lively")); // from now on changes glide
document.documentElement.dataset.ready = String(performance.now());
