// Lays out what is open, a level at a time: a group's inside is placed first and then stands as
// one box in its parent. The wires of a level do not depend on what is open, so they are found
// once; a level is laid out again only when something below it was opened or folded.

const HEAD = 26, PAD = 16, MANY_PILLS = 40;
const open = new Set([0]);
let direction = "LR";

// Per group: wires between its items; and which items have wires to the outside.
const levels = groups.map(() => ({ wires: new Map(), in: new Set(), out: new Set(), pills: new Map(), placed: null }));

function join(level, from, to, source) {
  const key = from + ">" + to;
  const wire = level.wires.get(key);
  if (!wire) level.wires.set(key, { from, to, source, n: 1 });
  else wire.n += 1;
}

for (let w = 0; w < raw.wires.length; w += 3) {
  let [source, , target] = [raw.wires[w], 0, raw.wires[w + 2]];
  if (!isGate(source)) continue;
  let [a, b] = [source, target], [ga, gb] = [holder(a), holder(b)];
  while (ga !== gb) {
    if (ga.depth >= gb.depth) { levels[ga.index].out.add(a); a = ga.item; ga = ga.parent; }
    else { levels[gb.index].in.add(b); b = gb.item; gb = gb.parent; }
  }
  if (a !== b) join(levels[ga.index], a, b, source);
}

// Inputs and a few noise wires stand at the top; parameters and state beside the gates they feed.
const noisy = raw.inputs.filter(row => row[1] === "noise").length;
for (let i = count; i < count + raw.inputs.length; i++) {
  const kind = raw.inputs[i - count][1];
  const top = kind === "input" || kind === "wire" || (kind === "noise" && noisy <= 6);
  for (const target of targets(i)) {
    let item = target, group = holder(item);
    while (top && group.parent) { levels[group.index].in.add(item); item = group.item; group = group.parent; }
    push(levels[group.index].pills, i, item);
  }
}
const leaves = k => raw.outputs[k][2] === "output" && isGate(raw.outputs[k][1]);
raw.outputs.forEach(([, source], k) => {
  if (!leaves(k)) return;
  let item = source;
  for (let group = holder(item); group.parent; group = group.parent) { levels[group.index].out.add(item); item = group.item; }
  join(levels[0], item, ">" + k, source);
});

const wide = (label, size) => Math.max(...label.split("\n").map(line => line.length)) * size;
const elided = (label, n) => (label.length > n ? label.slice(0, n - 1) + "…" : label);

const noteOf = group => [group.type, group.shape].filter(Boolean).join(" · ");
const plural = n => `${short(n)} gate${n === 1 ? "" : "s"}`;
const factsOf = group => plural(group.gates) + (group.parameters ? ` · ${short(group.parameters)} parameters` : "");

function sizeOf(id) {
  if (typeof id === "string") return id[0] === ">" ? [wide(raw.outputs[+id.slice(1)][0], 7.5) + 8, 26] : [8, 8];
  if (id < 0) {
    const group = groups[-1 - id];
    if (open.has(group.index)) { const inner = place(group); return [inner.width, inner.height]; }
    return [Math.max(wide(elided(group.label, 34), 8) + 44, wide(noteOf(group), 6) + 24, wide(factsOf(group), 5.9) + 24, 120), 58];
  }
  if (!isGate(id)) return [wide(elided(labelOf(id), 30), 7.4) + 14, 26];
  const symbol = text("symbol", id), shape = text("shape", id);
  return [Math.max(wide(symbol, 9) + 22, shape ? wide(shape, 6.2) + 18 : 0, 40), shape ? 44 : 40];
}

// How far a wire runs straight: as far as the numbers on it reach.
const lead = () => (!raw.watched ? 6 : direction === "TB" ? 26 : raw.arrays ? 60 : 44);

function place(group) {
  const level = levels[group.index];
  if (level.placed) return level.placed;
  const inner = group.index > 0;
  const graph = new dagre.graphlib.Graph();
  const ranksep = lead() + (direction === "LR" ? 34 : 26);
  graph.setGraph({ rankdir: direction, nodesep: raw.watched ? 34 : 26, ranksep, edgesep: 14 });
  const add = id => { const [width, height] = sizeOf(id); graph.setNode(String(id), { width, height, id }); };
  const wires = [...level.wires.values()];
  group.items.forEach(add);
  if (level.pills.size <= MANY_PILLS || group.index === 0) {
    for (const [id, items] of level.pills) {
      add(id);
      for (const to of new Set(items)) wires.push({ from: id, to, source: id, n: 1 });
    }
  }
  if (group.index === 0) raw.outputs.forEach((_, k) => leaves(k) && add(">" + k));
  if (inner && level.in.size) { add("in"); for (const to of level.in) wires.push({ from: "in", to, port: true, n: 1 }); }
  if (inner && level.out.size) { add("out"); for (const from of level.out) wires.push({ from, to: "out", port: true, n: 1 }); }
  for (const wire of wires) graph.setEdge(String(wire.from), String(wire.to), { weight: wire.port ? 1 : 3, wire });
  dagre.layout(graph);
  const nodes = graph.nodes().map(name => { const n = graph.node(name); return { id: n.id, x: n.x - n.width / 2, y: n.y - n.height / 2, width: n.width, height: n.height }; });
  const edges = graph.edges().map(edge => { const e = graph.edge(edge); return { ...e.wire, points: e.points.map(p => [p.x, p.y]) }; });
  route(nodes, edges);
  const frame = wrapped(nodes, edges);
  const [dx, dy] = inner ? [PAD, PAD + HEAD] : [PAD, PAD];
  for (const node of nodes) { node.x += dx; node.y += dy; }
  for (const edge of edges) edge.points = edge.points.map(p => [p[0] + dx, p[1] + dy]);
  level.placed = {
    width: Math.max(frame.width + 2 * PAD, inner ? wide(elided(group.label, 60) + group.type, 7.6) + 110 : 0),
    height: frame.height + PAD + dy,
    nodes,
    wires: edges,
  };
  return level.placed;
}

// A wire runs straight past the boxes of a rank and turns only in the gap between two ranks, so
// that it crosses no box. Points come in pairs: past a rank from its near to its far side.
function route(nodes, edges) {
  const lr = direction === "LR";
  const span = n => (lr ? [n.x, n.x + n.width, n.y + n.height / 2] : [n.y, n.y + n.height, n.x + n.width / 2]);
  const at = new Map(nodes.map(n => [String(n.id), n]));
  const ranks = new Map();
  for (const node of nodes) {
    const [near, far] = span(node), centre = Math.round(near + far);
    const rank = ranks.get(centre) || [near, far];
    ranks.set(centre, [Math.min(rank[0], near), Math.max(rank[1], far)]);
    node.rank = centre;
  }
  const point = (main, cross) => (lr ? [main, cross] : [cross, main]);
  for (const edge of edges) {
    const [a, b] = [at.get(String(edge.from)), at.get(String(edge.to))];
    const [start, end] = [ranks.get(a.rank), ranks.get(b.rank)];
    if (b.rank <= a.rank) { edge.back = true; continue; }
    const line = [point(span(a)[1], span(a)[2]), point(start[1], span(a)[2])];
    for (const [near, far] of [...ranks.values()].sort((p, q) => p[0] - q[0])) {
      if (near <= start[0] || near >= end[0]) continue;
      const bend = edge.points.find(p => { const m = lr ? p[0] : p[1]; return m >= near - 0.5 && m <= far + 0.5; });
      if (bend) line.push(point(near, bend[lr ? 1 : 0]), point(far, bend[lr ? 1 : 0]));
    }
    line.push(point(end[0], span(b)[2]), point(span(b)[0], span(b)[2]));
    edge.points = line;
    edge.edge = [start[1], end[0]];
  }
}

// A chain that is far wider than high goes on in further rows, as text does.
const ROW_GAP = 54, WIDE = 1500;
function wrapped(nodes, edges) {
  const right = Math.max(0, ...nodes.map(n => n.x + n.width));
  const bottom = Math.max(0, ...nodes.map(n => n.y + n.height), ...edges.flatMap(e => e.points.map(p => p[1])));
  const limit = Math.max(Math.sqrt(right * (bottom + ROW_GAP) * 2), 900, ...nodes.map(n => n.width));
  if (direction !== "LR" || right < WIDE || right < limit * 1.2) return { width: right, height: bottom };
  const ordered = [...nodes].sort((a, b) => a.x + a.width / 2 - b.x - b.width / 2);
  const rows = [];
  let row = null, centre = NaN;
  for (const node of ordered) {
    const same = Math.abs(node.x + node.width / 2 - centre) < 1; // one rank stays together
    if (!row || (!same && node.x + node.width - row.left > limit)) rows.push(row = { left: node.x, top: Infinity, bottom: -Infinity, nodes: [] });
    centre = node.x + node.width / 2;
    row.nodes.push(node);
    row.left = Math.min(row.left, node.x);
    row.top = Math.min(row.top, node.y);
    row.bottom = Math.max(row.bottom, node.y + node.height);
  }
  const rowOf = new Map(rows.flatMap(r => r.nodes.map(n => [String(n.id), r])));
  for (const edge of edges) { // bends of a wire inside a row need their height there
    const [a, b] = [rowOf.get(String(edge.from)), rowOf.get(String(edge.to))];
    if (a === b) for (const [, y] of edge.points) { a.top = Math.min(a.top, y); a.bottom = Math.max(a.bottom, y); }
  }
  let y = 0;
  for (const r of rows) { r.shift = [-r.left + 14, y - r.top]; r.end = y + r.bottom - r.top; y = r.end + ROW_GAP; }
  for (const r of rows) for (const n of r.nodes) { n.x += r.shift[0]; n.y += r.shift[1]; }
  const at = new Map(nodes.map(n => [String(n.id), n]));
  let lane = 0;
  for (const edge of edges) {
    const [a, b] = [rowOf.get(String(edge.from)), rowOf.get(String(edge.to))];
    if (a === b) { edge.points = edge.points.map(p => [p[0] + a.shift[0], p[1] + a.shift[1]]); continue; }
    const [from, to] = [at.get(String(edge.from)), at.get(String(edge.to))];
    const start = [from.x + from.width, from.y + from.height / 2], end = [to.x, to.y + to.height / 2];
    const gap = (rows.indexOf(b) > rows.indexOf(a) ? rows[rows.indexOf(b) - 1].end : b.end) + 14 + 7 * (lane++ % 4);
    const [far, near] = edge.edge || [start[0] - a.shift[0], end[0] - b.shift[0]];
    const out = far + a.shift[0] + (edge.port ? 8 : lead() + 8), into = near + b.shift[0] - 14;
    edge.points = [start, [out, start[1]], [out, gap], [into, gap], [into, end[1]], end];
    edge.bent = true;
  }
  return { width: Math.max(...nodes.map(n => n.x + n.width)) + lead() + 16, height: y - ROW_GAP };
}

function stale(group) {
  for (let g = group; g; g = g.parent) levels[g.index].placed = null;
}
function toggle(group, want = !open.has(group.index)) {
  if (group.index === 0 || want === open.has(group.index)) return;
  if (want) open.add(group.index); else open.delete(group.index);
  stale(group);
}
const shown = group => { for (let g = group.parent; g; g = g.parent) if (!open.has(g.index)) return false; return true; };

function visible() {
  let n = 0;
  for (const index of open) if (index === 0 || shown(groups[index])) n += groups[index].items.length - (index > 0);
  return n;
}

function openBelow(limit, cap) {
  // from the top, level by level, so that a cap cuts off the deepest
  for (const group of [...groups].sort((a, b) => a.depth - b.depth)) {
    if (group.gates > limit || open.has(group.index) || !shown(group)) continue;
    if (visible() + group.items.length > cap) return false;
    toggle(group, true);
  }
  return true;
}

// Everything that is seen, in absolute places.
function scene() {
  const boxes = [], nodes = [], wires = [];
  const visit = (group, x, y) => {
    const { nodes: inside, wires: joined } = place(group);
    const at = new Map();
    for (const node of inside) {
      const absolute = { ...node, x: node.x + x, y: node.y + y, group };
      at.set(node.id, absolute);
      const nested = typeof node.id === "number" && node.id < 0 ? groups[-1 - node.id] : null;
      if (nested && open.has(nested.index)) { boxes.push({ ...absolute, group: nested }); visit(nested, absolute.x, absolute.y); }
      else nodes.push(absolute);
    }
    for (const wire of joined) wires.push({ ...wire, a: at.get(wire.from), b: at.get(wire.to), points: wire.points.map(p => [p[0] + x, p[1] + y]) });
  };
  visit(groups[0], 0, 0);
  return { boxes, nodes, wires, width: place(groups[0]).width, height: place(groups[0]).height };
}
