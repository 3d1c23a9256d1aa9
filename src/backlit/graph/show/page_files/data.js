// The description as the page reads it: columns in, small objects out on demand.
// Ends: gates 0..n-1, input wires n..n+m-1; items of a group also groups as -1 - index.

const raw = JSON.parse(document.getElementById("graph").textContent);
const count = raw.gates.name.length;
const column = name => {
  const values = raw.gates[name];
  return values.length === 1 && count > 1 ? () => values[0] : i => values[i];
};
const columns = Object.fromEntries(Object.keys(raw.gates).map(name => [name, column(name)]));
const TEXTS = ["symbol", "shape", "dtype", "module", "module_type", "source", "code", "phase", "role"];

function statsOf(row) {
  if (!row) return null;
  const [n, scalar, minimum, maximum, mean, norm, zeros, nonfinite, saturated, histogram, picture] = row;
  return { n, scalar, minimum, maximum, mean, norm, zeros, nonfinite, saturated, histogram, picture };
}

const text = (name, i) => raw.strings[columns[name](i)];

function gateOf(i) {
  const gate = { id: i, name: raw.gates.name[i] };
  for (const name of TEXTS) gate[name] = text(name, i);
  [gate.kind, gate.operator, gate.formula, gate.local] = raw.kinds[columns.kind(i)];
  gate.arguments = columns.arguments(i) || sources(i).map(labelOf);
  gate.localValues = columns.local(i) || null;
  gate.value = statsOf(columns.value(i));
  gate.gradient = statsOf(columns.gradient(i));
  gate.forward = columns.forward_us(i);
  gate.backward = columns.backward_us(i);
  gate.of = columns.of(i);
  return gate;
}

function inputOf(i) {
  const [label, kind, shape, dtype, value, gradient] = raw.inputs[i - count];
  return { id: i, label, kind, shape, dtype, value: statsOf(value), gradient: statsOf(gradient) };
}

const isGate = i => i >= 0 && i < count;
const labelOf = i => (isGate(i) ? raw.gates.name[i] : raw.inputs[i - count][0]);
const numbersOf = i => (isGate(i)
  ? [statsOf(columns.value(i)), statsOf(columns.gradient(i))]
  : [statsOf(raw.inputs[i - count][4]), statsOf(raw.inputs[i - count][5])]);

const groups = raw.groups.map(([label, kind, type, path, items, repeats, gates, parameters], index) =>
  ({ index, item: -1 - index, label, kind, type, path, items, repeats, gates, parameters, parent: null, depth: 0 }));
const parentOf = new Int32Array(count);
for (const group of groups) {
  for (const item of group.items) {
    if (item < 0) Object.assign(groups[-1 - item], { parent: group, depth: group.depth + 1 });
    else parentOf[item] = group.index;
  }
}
const holder = item => (item < 0 ? groups[-1 - item].parent : groups[parentOf[item]]);

// Who reads and who feeds a gate, by gate.
const [readers, feeders] = [new Map(), new Map()];
const push = (map, key, value) => (map.has(key) ? map.get(key).push(value) : map.set(key, [value]));
for (let w = 0; w < raw.wires.length; w += 3) {
  push(readers, raw.wires[w], raw.wires[w + 2]);
  push(feeders, raw.wires[w + 2], raw.wires[w]);
}
const sources = i => feeders.get(i) || [];
const targets = i => [...new Set(readers.get(i) || [])];
const rules = new Map(); // forward gate -> the backward gates its rule made
for (let i = 0; i < count; i++) if (columns.of(i) >= 0) push(rules, columns.of(i), i);

// Time, gradient and role of every group, from the inside out.
let total = 0;
for (let i = groups.length - 1; i >= 0; i--) {
  const group = groups[i];
  Object.assign(group, { time: 0, norm: null, shape: "", roles: {} });
  for (const item of group.items) {
    if (item < 0) {
      const inner = groups[-1 - item];
      group.time += inner.time;
      if (inner.norm !== null) group.norm = inner.norm;
      group.shape = inner.shape || group.shape;
      for (const role in inner.roles) group.roles[role] = (group.roles[role] || 0) + inner.roles[role];
    } else {
      group.time += Math.max(columns.forward_us(item), 0) + Math.max(columns.backward_us(item), 0);
      const role = text("role", item);
      group.roles[role] = (group.roles[role] || 0) + 1;
      const gradient = columns.gradient(item);
      if (gradient && role === "forward") group.norm = gradient[5];
      if (role !== "update") group.shape = text("shape", item) || group.shape;
    }
  }
}
total = groups[0].time;
const mixed = Object.keys(groups[0].roles).length > 1;
const roleOf = group => Object.keys(group.roles).sort((a, b) => group.roles[b] - group.roles[a])[0] || "forward";

const digits = x => {
  if (x === null || x === undefined) return "";
  if (typeof x === "string") return x;
  if (x === 0) return "0";
  const size = Math.abs(x);
  return size >= 1e-3 && size < 1e5 ? String(+x.toPrecision(4)) : x.toExponential(2);
};
const onWire = x => {
  if (!x) return "";
  const two = v => (typeof v === "string" ? v
    : v === 0 || (Math.abs(v) >= 0.01 && Math.abs(v) < 1e4) ? v.toFixed(2) : v.toExponential(1));
  return x.scalar !== null ? two(x.scalar) : `‖${two(x.norm)}‖`;
};
const short = n => (n >= 1e6 ? +(n / 1e6).toPrecision(3) + " M" : n >= 1e4 ? +(n / 1e3).toPrecision(3) + " k" : n.toLocaleString("en"));
const micro = us => (us >= 1e6 ? (us / 1e6).toFixed(2) + " s" : us >= 1e3 ? (us / 1e3).toFixed(2) + " ms" : us.toFixed(1) + " µs");

// Colour of a gradient's size: blue vanishes, red explodes.
const STOPS = [[-9, [38, 70, 160]], [-5.5, [120, 160, 225]], [-3, [222, 232, 240]], [1, [238, 240, 236]], [2.5, [246, 178, 120]], [5, [190, 30, 45]]];
function heat(norm) {
  if (norm === null || !isFinite(norm)) return "rgb(90,0,90)";
  const x = norm > 0 ? Math.log10(norm) : -99;
  if (x <= STOPS[0][0]) return `rgb(${STOPS[0][1]})`;
  for (let k = 1; k < STOPS.length; k++) {
    const [low, from] = STOPS[k - 1], [high, to] = STOPS[k];
    if (x <= high) return `rgb(${from.map((c, j) => Math.round(c + (to[j] - c) * (x - low) / (high - low)))})`;
  }
  return `rgb(${STOPS[STOPS.length - 1][1]})`;
}
