// Draws the scene as SVG. Elements are kept by key between two scenes, so that they glide.

const SVG = "http://www.w3.org/2000/svg";
const byId = id => document.getElementById(id);
function make(parent, tag, attributes = {}, content = null) {
  const element = document.createElementNS(SVG, tag);
  for (const name in attributes) element.setAttribute(name, attributes[name]);
  if (content !== null) element.textContent = content;
  parent.append(element);
  return element;
}

const kept = new Map();
function keep(layer, key, at, build) {
  let element = kept.get(key);
  if (!element) {
    element = make(layer, "g");
    build(element);
    kept.set(key, element);
  }
  element.style.transform = `translate(${at.x}px,${at.y}px)`;
  return element;
}

let selected = null;
let current = null;

function draw() {
  current = scene();
  const used = new Set();
  const [boxes, wires, nodes, numbers] = ["boxes", "wires", "nodes", "numbers"].map(byId);
  for (const box of current.boxes) {
    const key = "open" + box.id;
    used.add(key);
    const element = keep(boxes, key, box, g => buildBox(g, box.group));
    const rect = element.firstChild;
    rect.style.width = box.width + "px";
    rect.style.height = box.height + "px";
  }
  for (const node of current.nodes) {
    const key = typeof node.id === "string" && node.id[0] !== ">" ? node.id + node.group.index : `${node.id}@${node.group.index}`;
    used.add(key);
    keep(nodes, key, node, g => buildNode(g, node));
  }
  for (const [key, element] of kept) if (!used.has(key)) { element.remove(); kept.delete(key); }
  const [lines, labels] = [new Set(), new Set()];
  for (const wire of current.wires) {
    const key = `${wire.from}>${wire.to}@${wire.port ? wire.a.group.index : ""}`;
    lines.add(key);
    const line = keepLine(wires, key, wire);
    line.wire = wire;
    if (wire.port || labels.has(wire.from)) continue;
    labels.add(wire.from);
    label(numbers, wire);
  }
  for (const [key, line] of keptLines) if (!lines.has(key)) { line.remove(); keptLines.delete(key); }
  for (const [from, element] of keptLabels) if (!labels.has(from)) { element.remove(); keptLabels.delete(from); }
  mark();
}

const keptLines = new Map(), keptLabels = new Map();
function keepLine(layer, key, wire) {
  let line = keptLines.get(key);
  if (!line) keptLines.set(key, line = make(layer, "path", { class: "wire" + (wire.port ? " port" : wire.n > 3 ? " many" : "") }));
  const d = path(wire);
  if (line.getAttribute("d") !== d) line.setAttribute("d", d);
  return line;
}

// What is selected, and the wires at it.
function mark() {
  for (const element of kept.values()) element.classList.toggle("on", selected !== null && element.dataset.id === String(selected));
  for (const { wire, classList } of keptLines.values()) classList.toggle("on", !wire.port && selected !== null && (wire.from === selected || wire.to === selected));
}

const across = () => direction === "LR";
function path({ points, port, bent, back }) {
  if (bent) return rounded(points);
  if (back) return "M" + points.join("L");
  const straight = port ? 4 : lead();
  let d = `M${points[0]}`;
  for (let k = 1; k < points.length; k += 2) {
    let [x, y] = points[k];
    if (k === points.length - 1) { d += `L${x} ${y}`; break; }
    const [p, q] = points[k + 1];
    if (k === 1) {
      if (across()) x = Math.min(x + straight, p - 16); else y = Math.min(y + straight, q - 12);
    }
    d += `L${x} ${y}`;
    d += across() ? `C${(x + p) / 2} ${y} ${(x + p) / 2} ${q} ${p} ${q}` : `C${x} ${(y + q) / 2} ${p} ${(y + q) / 2} ${p} ${q}`;
  }
  return d;
}

function rounded(points, r = 9) {
  let d = `M${points[0]}`;
  for (let k = 1; k < points.length - 1; k++) {
    const [p, q, s] = [points[k - 1], points[k], points[k + 1]];
    const towards = other => {
      const length = Math.hypot(other[0] - q[0], other[1] - q[1]) || 1, t = Math.min(r, length / 2) / length;
      return [q[0] + (other[0] - q[0]) * t, q[1] + (other[1] - q[1]) * t];
    };
    d += `L${towards(p)}Q${q} ${towards(s)}`;
  }
  return d + `L${points[points.length - 1]}`;
}

function label(layer, { a, from, source }) {
  let element = keptLabels.get(from);
  if (!element || element.dataset.source !== String(source) || element.dataset.direction !== direction) {
    if (element) element.remove();
    element = make(layer, "g");
    Object.assign(element.dataset, { source, direction });
    const [up, down] = across() ? [-6, 16] : [4, 19];
    numbersOf(source).map(onWire).forEach((what, k) => what && make(element, "text", { y: [up, down][k], class: "num " + ["value", "gradient"][k] }, what));
    keptLabels.set(from, element);
  }
  const stacked = typeof a.id === "number" && a.id < 0 && groups[-1 - a.id].repeats > 1 ? 8 : 0;
  const [x, y] = across() ? [a.x + a.width + 5 + stacked, a.y + a.height / 2] : [a.x + a.width / 2 + 6, a.y + a.height + 10];
  element.style.transform = `translate(${x}px,${y}px)`;
}

function sign(g, x, y, what) {
  make(g, "rect", { x, y, width: 16, height: 16, rx: 4, class: "sign" });
  make(g, "text", { x: x + 8, y: y + 12.5, "text-anchor": "middle", class: "name" }, what);
}

function buildBox(g, group) {
  g.setAttribute("class", "box " + group.kind);
  g.dataset.id = group.item;
  make(g, "rect", { rx: 10 });
  sign(g, 8, 6, "−");
  const name = make(g, "text", { x: 32, y: 19, class: "name" }, elided(group.label, 60));
  const note = [group.type, plural(group.gates)].filter(Boolean).join(" · ");
  make(name, "tspan", { dx: 8, class: "note", "font-weight": 400 }, note);
}

function buildNode(g, node) {
  const { id, width, height } = node;
  const text_ = (y, what, kind) => make(g, "text", { x: width / 2, y, "text-anchor": "middle", class: kind }, what);
  if (id === "in" || id === "out") {
    g.setAttribute("class", "node port");
    make(g, "circle", { cx: 4, cy: 4, r: 4 });
    make(g, "title", {}, id === "in" ? "wires from outside this group" : "wires to the outside");
  } else if (typeof id === "string") {
    g.setAttribute("class", "node input");
    make(g, "rect", { width, height, rx: 6 });
    text_(18, raw.outputs[+id.slice(1)][0], "name");
  } else if (id < 0) {
    buildGroup(g, groups[-1 - id], width, height);
  } else if (isGate(id)) {
    const [symbol, shape] = [text("symbol", id), text("shape", id)];
    g.setAttribute("class", "node gate " + (mixed ? text("role", id) : ""));
    make(g, "rect", { width, height, rx: 20 });
    text_(shape ? 19 : 25, symbol, "name");
    if (shape) text_(34, shape, "note");
    make(g, "title", {}, raw.gates.name[id]);
  } else {
    const kind = raw.inputs[id - count][1];
    g.setAttribute("class", `node input ${kind}`);
    make(g, "rect", { width, height, rx: 13 });
    text_(18, elided(labelOf(id), 30), "name");
    make(g, "title", {}, `${kind} ${labelOf(id)}`);
  }
  g.dataset.id = id;
}

function buildGroup(g, group, width, height) {
  g.setAttribute("class", "node group " + (mixed ? roleOf(group) : ""));
  if (group.repeats > 1) {
    make(g, "rect", { x: 8, y: 8, width, height, rx: 8, class: "back" });
    make(g, "rect", { x: 4, y: 4, width, height, rx: 8, class: "back" });
  }
  make(g, "rect", { width, height, rx: 8 });
  sign(g, width - 22, 6, "+");
  make(g, "text", { x: 12, y: 20, class: "name" }, elided(group.label, 34));
  const note = noteOf(group);
  if (note) make(g, "text", { x: 12, y: 35, class: "note" }, note);
  make(g, "text", { x: 12, y: note ? 49 : 37, class: "note" }, factsOf(group));
  if (group.norm !== null) make(g, "rect", { x: 0.6, y: 8, width: 5, height: height - 16, rx: 2, class: "flow", fill: heat(group.norm), style: `fill:${heat(group.norm)}` });
  if (total > 0 && group.time > 0) make(g, "rect", { x: 12, y: height - 5, width: Math.max((width - 24) * group.time / total, 1), height: 2.5, class: "time" });
  make(g, "title", {}, `${group.path || group.label}${total > 0 ? `, ${(100 * group.time / total).toFixed(1)} % of the time` : ""}`);
}
