// The card of what is selected. Every text goes in as text, never as HTML.

function element(tag, className = "", ...content) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  e.append(...content.filter(c => c !== null && c !== ""));
  return e;
}

const link = i => {
  const a = element("a", "", labelOf(i));
  a.onclick = () => reveal(i);
  return a;
};
function links(list) {
  const span = element("span");
  list.slice(0, 12).forEach((i, k) => span.append(k ? ", " : "", link(i)));
  if (list.length > 12) span.append(` and ${list.length - 12} more`);
  return span;
}
function facts(rows) {
  const dl = element("dl");
  for (const [name, content] of rows) if (content) dl.append(element("dt", "", name), element("dd", "", content));
  return dl;
}

const FORWARD = ["#6a3d9a", "#0a7d33"], BACKWARD = ["#2b5cc4", "#c2253a"];
const mix = (colour, share) => [1, 3, 5].map(k => Math.round(255 + (parseInt(colour.slice(k, k + 2), 16) - 255) * share));

function picture([rows, columns_, channels, low, high, of, pixels], [negative, positive]) {
  const canvas = element("canvas");
  const bytes = Uint8Array.from(atob(pixels), c => c.charCodeAt(0));
  [canvas.width, canvas.height] = [columns_, rows];
  const context = canvas.getContext("2d"), image = context.createImageData(columns_, rows);
  const most = Math.max(Math.abs(low), Math.abs(high)) || 1;
  for (let p = 0; p < rows * columns_; p++) {
    const x = low + (high - low) * bytes[p] / 255;
    const colour = channels === 3 ? bytes.subarray(3 * p, 3 * p + 3) : mix(x < 0 ? negative : positive, Math.abs(x) / most);
    image.data.set([...colour, 255], 4 * p);
  }
  context.putImageData(image, 0, 0);
  const scale = Math.min(150 / columns_, 130 / rows);
  canvas.style.width = columns_ * scale + "px";
  canvas.style.height = Math.max(rows * scale, 12) + "px";
  canvas.title = `${of || "all of it"}; ${digits(low)} … ${digits(high)}`;
  return canvas;
}

function statistics(title, className, x, colours) {
  if (!x) return [];
  const head = element("h3", className, title);
  if (x.scalar !== null) return [head, element("div", "big " + className, digits(x.scalar))];
  const parts = element("div", "numbers");
  if (x.picture) parts.append(picture(x.picture, colours));
  if (x.histogram.length) {
    const bars = element("div", "bars");
    x.histogram.forEach((n, k) => {
      const bar = element("i");
      const at = x.minimum + (k + 0.5) * (x.maximum - x.minimum) / x.histogram.length;
      bar.style.cssText = `height:${n}%;background:${colours[at < 0 ? 0 : 1]}`;
      bars.append(bar);
    });
    parts.append(element("div", "", bars, element("div", "ends", element("span", "", digits(x.minimum)), element("span", "", digits(x.maximum)))));
  }
  const percent = v => (v > 0 && v < 0.001 ? "< 0.1 %" : +(100 * v).toPrecision(3) + " %");
  const table = element("table");
  const rows = [["mean", digits(x.mean)], ["norm", digits(x.norm)], ["min … max", `${digits(x.minimum)} … ${digits(x.maximum)}`], ["zeros", percent(x.zeros)],
    ["saturated", x.saturated === null ? "" : percent(x.saturated)], ["NaN or ∞", x.nonfinite ? percent(x.nonfinite) : ""]];
  for (const [name, content] of rows) if (content) table.append(element("tr", "", element("td", "", name), element("td", "", content)));
  return [head, parts, table];
}

function gateCard(i) {
  const g = gateOf(i);
  const formula = (name, content) => (content ? [element("div", "formula", element("small", "", name), content)] : []);
  const numbers = g.localValues && g.localValues.length ? element("small", "", "here: " + g.localValues.map(digits).join(", ")) : null;
  const local = g.local ? element("span", "", g.local, ...(numbers ? [numbers] : [])) : null;
  const times = [g.forward >= 0 ? `forward ${micro(g.forward)}` : "", g.backward >= 0 ? `backward ${micro(g.backward)}` : ""].filter(Boolean).join(", ");
  return [
    element("h2", "", g.kind), element("div", "sub", `${g.name} · ${g.operator}`),
    ...formula("forward", g.formula), ...formula("local gradient", local),
    facts([
      ["arguments", columns.arguments(i) ? element("code", "", g.arguments.join(", ")) : null],
      ["comes from", sources(i).length ? links([...new Set(sources(i))]) : null],
      ["goes to", targets(i).length ? links(targets(i)) : null],
      ["shape", `${g.shape || "scalar"} ${g.dtype}`],
      ["module", g.module ? `${g.module} (${g.module_type})` : g.module_type],
      ["phase", g.phase ? `${g.phase}, ${g.role}` : mixed ? g.role : ""],
      ["rule of", g.of >= 0 ? link(g.of) : null],
      ["its rule", rules.has(i) ? links(rules.get(i)) : null],
      ["time", times],
      ["source", g.source ? element("span", "", g.source, element("pre", "", element("code", "", g.code))) : null],
    ]),
    ...statistics("value", "value", g.value, FORWARD), ...statistics("gradient", "gradient", g.gradient, BACKWARD),
  ];
}

function inputCard(i) {
  const x = inputOf(i);
  return [
    element("h2", "", x.label), element("div", "sub", x.kind),
    facts([["shape", `${x.shape || "scalar"} ${x.dtype}`], ["goes to", links(targets(i))]]),
    ...statistics("value", "value", x.value, FORWARD), ...statistics("gradient", "gradient", x.gradient, BACKWARD),
  ];
}

function groupCard(group) {
  const kinds = new Map();
  const walk = g => g.items.forEach(item => {
    if (item < 0) walk(groups[-1 - item]);
    else { const kind = raw.kinds[columns.kind(item)][0]; kinds.set(kind, (kinds.get(kind) || 0) + 1); }
  });
  walk(group);
  const most = [...kinds].sort((a, b) => b[1] - a[1]).slice(0, 10);
  const button = element("button", "", open.has(group.index) ? "fold" : "open");
  button.onclick = () => { fold(group); show(); };
  return [
    element("h2", "", group.label), element("div", "sub", [group.type, group.path].filter(Boolean).join(" · ")),
    group.index ? button : null,
    facts([
      ["gates", group.gates.toLocaleString("en")],
      ["parameters", group.parameters ? group.parameters.toLocaleString("en") : ""],
      ["repeats", group.repeats > 1 ? `${group.repeats} equal blocks` : ""],
      ["time", total > 0 ? `${micro(group.time)}, ${(100 * group.time / total).toFixed(1)} %` : ""],
      ["gradient", group.norm === null ? "" : `‖${digits(group.norm)}‖ at its end`],
      ["made of", most.map(([kind, n]) => `${n} ${kind}`).join(", ")],
    ]),
  ];
}

function show() {
  const item = selected === null ? -1 : selected;
  const content = item < 0 ? groupCard(groups[-1 - item]) : isGate(item) ? gateCard(item) : inputCard(item);
  byId("card").replaceChildren(...content.filter(Boolean));
}
