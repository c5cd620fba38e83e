// The page "Look around": two pictures with controls, drawn from LOOK (look-data.js), which has the sentences in the page's language.
// Controls are the browser's own, with labels; colours are the theme's (course.css).
const SVG = "http://www.w3.org/2000/svg";
const CELL = 30;

function element(name, attributes, parent) {
  const made = ["svg", "rect", "image"].includes(name) ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent?.append(made);
  return made;
}

// A sentence of the page with values in the places of its names.
const say = (text, values = {}) => LOOK.texts[text].replace(/\{(\w+)\}/g, (_, name) => values[name]);

// A list with a label; `draw` is called whenever its value changes.
function control(parent, id, label, values, draw, start = 0) {
  const box = element("span", { class: "look-control" }, parent);
  element("label", { for: id }, box).textContent = say(label);
  const list = element("select", { id }, box);
  values.forEach((value, index) => { element("option", { value: index }, list).textContent = value; });
  list.value = start;
  list.addEventListener("change", draw);
  return list;
}

function board(parent, side, picked) {
  const svg = element("svg", { viewBox: `0 0 ${side * CELL} ${side * CELL}`, role: "img", class: "look-board" }, parent);
  svg.addEventListener("click", (event) => {
    const box = svg.getBoundingClientRect();
    picked(Math.floor(((event.clientY - box.top) / box.height) * side), Math.floor(((event.clientX - box.left) / box.width) * side));
  });
  return svg;
}

function square(svg, row, column, attributes) {
  element("rect", { x: column * CELL, y: row * CELL, width: CELL, height: CELL, ...attributes }, svg);
}

const FRAME = { class: "look-frame" };
const oneTo = (count) => Array.from({ length: count }, (_, index) => index + 1);

function attention() {
  const [depth, images, heads, tokens] = LOOK.shape;
  const bytes = Uint8Array.from(atob(LOOK.weights), (letter) => letter.charCodeAt(0));
  const side = Math.sqrt(tokens - 1);
  const place = document.getElementById("look-attention");
  const row = element("p", { class: "look-controls" }, place);
  const picture = control(row, "look-image", "image", LOOK.names, draw);
  const block = control(row, "look-block", "block", oneTo(depth), draw, depth - 2);
  const head = control(row, "look-head", "head", oneTo(heads), draw);
  const down = control(row, "look-row", "patch row", oneTo(side), draw, 3);
  const right = control(row, "look-column", "column", oneTo(side), draw, 3);
  const boards = element("div", { class: "look-boards" }, place);
  const pick = (y, x) => { down.value = y; right.value = x; draw(); };
  const [left, map] = [board(boards, side, pick), board(boards, side, pick)];
  const said = element("p", { role: "status" }, place);

  function draw() {
    const [i, b, h, y, x] = [picture, block, head, down, right].map((list) => Number(list.value));
    const query = 1 + y * side + x;
    const start = (((b * images + i) * heads + h) * tokens + query) * tokens;
    const weights = Array.from(bytes.subarray(start + 1, start + tokens), (code) => (code / 255) ** 2);
    const most = Math.max(...weights);
    left.replaceChildren();
    element("image", { href: LOOK.pictures[i], width: side * CELL, height: side * CELL, style: "image-rendering: pixelated" }, left);
    map.replaceChildren();
    weights.forEach((weight, key) => {
      square(map, Math.floor(key / side), key % side, { class: "look-weight", "fill-opacity": weight / most });
    });
    for (const svg of [left, map]) square(svg, y, x, FRAME);
    const best = weights.indexOf(most);
    const text = say("attends", {
      block: b + 1, head: h + 1, row: y + 1, column: x + 1, down: Math.floor(best / side) + 1, right: (best % side) + 1, percent: (100 * most).toFixed(0),
    });
    left.setAttribute("aria-label", say("framed", { name: LOOK.names[i] }));
    map.setAttribute("aria-label", text);
    said.textContent = text;
  }
  draw();
}

function mask() {
  const side = 8;
  const place = document.getElementById("look-mask");
  const row = element("p", { class: "look-controls" }, place);
  const shift = control(row, "look-shift", "shift", LOOK.seen.map((_, index) => index), draw, 2);
  const down = control(row, "look-pixel-row", "pixel row", oneTo(side), draw, 6);
  const right = control(row, "look-pixel-column", "column", oneTo(side), draw, 1);
  const boards = element("div", { class: "look-boards" }, place);
  const map = board(boards, side, (y, x) => { down.value = y; right.value = x; draw(); });
  const said = element("p", { role: "status" }, place);

  function draw() {
    const [s, y, x] = [shift, down, right].map((list) => Number(list.value));
    const seen = LOOK.seen[s][y * side + x];
    map.replaceChildren();
    for (let pixel = 0; pixel < side * side; pixel += 1) {
      square(map, Math.floor(pixel / side), pixel % side, { class: seen[pixel] === "1" ? "look-weight look-pixel" : "look-pixel" });
    }
    square(map, y, x, FRAME);
    const count = seen.split("1").length - 1;
    const text = say("sees", { shift: s, row: y + 1, column: x + 1, count, all: side * side });
    map.setAttribute("aria-label", text);
    said.textContent = text;
  }
  draw();
}

attention();
mask();
