// Colour over depth: the gradient's size at the end of each module, in the order of the forward
// pass; one row for each phase of a step. Of a very deep network, the most extreme of neighbours.

const WIDEST = 160;
const extreme = cell => (cell[5] === null ? Infinity : Math.abs(cell[5] + 1));
function thinned(cells) {
  if (cells.length <= WIDEST) return cells;
  const size = Math.ceil(cells.length / WIDEST), kept_ = [];
  for (let k = 0; k < cells.length; k += size) kept_.push(cells.slice(k, k + size).reduce((a, b) => (extreme(b) > extreme(a) ? b : a)));
  return kept_;
}

function strips() {
  const rows = new Map();
  for (const cell of raw.depth) push(rows, cell[0], cell);
  const strip = byId("strip");
  for (const [name, all] of rows) {
    if (all.length < 2) continue;
    const cells = thinned(all);
    const line = element("div", "cells");
    for (const [, label_, , gate, norm, log] of cells) {
      const cell = element("b", "", cells.length <= 40 && norm !== null ? (norm ? norm.toExponential(0) : "0") : "");
      cell.style.background = heat(norm);
      if (log !== null && (log < -5 || log > 3.5)) cell.style.color = "#fff";
      cell.title = `${label_}: gradient ‖${digits(norm)}‖`;
      cell.onclick = () => reveal(gate);
      line.append(cell);
    }
    strip.append(element("div", "row", element("div", "label", rows.size > 1 ? name : "gradient over depth"), line));
  }
}

function legend() {
  const bar = byId("legend");
  const swatch = (colour, label_) => { const i = element("i"); i.style.background = colour; return element("span", "", i, label_); };
  if (raw.watched) {
    bar.append(element("span", "v", "value above the wire"), element("span", "g", "gradient below the wire"));
    if (raw.depth.some(cell => columns.gradient(cell[3])[1] === null)) bar.append(element("span", "", "‖ ‖ Euclidean norm of an array"));
  }
  if (raw.depth.length > 1) {
    const scale = element("i", "scale");
    scale.style.background = `linear-gradient(90deg,${Array.from({ length: 15 }, (_, k) => heat(10 ** (k - 9))).join(",")})`;
    bar.append(element("span", "", "gradient 1e-9 ", scale, "1e5: blue vanishes, red explodes"));
  }
  if (mixed) bar.append(swatch("#e8f3ec", "forward"), swatch("#fbecee", "backward"), swatch("#fbf4e0", "update"));
  if (raw.inputs.some(row => row[1] === "parameter")) bar.append(swatch("#fff6e5", "parameter"));
  if (total > 0) bar.append(swatch("#9aa7bd", "share of time"));
  bar.append(element("span", "", "click: card · double click or +: open · drag, wheel: move, zoom · / find · 0 fit"));
}
