// Search by section: `SECTIONS` (sections.js) holds [page, anchor, titles, text] for every section of the site.
const query = new URLSearchParams(location.search).get("q") || "";
const words = query.toLowerCase().split(/[^\p{L}\p{N}_]+/u).filter(Boolean);
const SHOWN = 40;

function count(text, word) {
  return text.toLowerCase().split(word).length - 1;
}

// A section is found if it holds all words; words in its title count most.
function score([, , titles, text]) {
  const title = titles[titles.length - 1];
  let sum = 0;
  for (const word of words) {
    const here = 20 * count(title, word) + Math.min(count(text, word), 10) + (titles.length > 1 ? count(titles[0], word) : 0);
    if (!here) return 0;
    sum += here;
  }
  return sum;
}

function excerpt(text) {
  const first = Math.max(0, Math.min(...words.map((word) => text.toLowerCase().indexOf(word)).filter((at) => at >= 0)));
  const start = Number.isFinite(first) ? text.lastIndexOf(" ", Math.max(0, first - 60)) + 1 : 0;
  const said = text.slice(start, start + 220);
  return (start ? "… " : "") + said + (start + 220 < text.length ? " …" : "");
}

function marked(text) {
  const paragraph = document.createElement("p");
  const pattern = new RegExp(`(${words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|")})`, "giu");
  for (const [index, part] of text.split(pattern).entries()) {
    const node = index % 2 ? document.createElement("mark") : document.createElement("span");
    node.textContent = part;
    paragraph.append(node);
  }
  return paragraph;
}

document.getElementById("section-query").value = query;
if (words.length) {
  const found = SECTIONS.map((section) => [score(section), section]).filter(([points]) => points > 0);
  found.sort((a, b) => b[0] - a[0]);
  const list = document.getElementById("section-results");
  for (const [, [page, anchor, titles, text]] of found.slice(0, SHOWN)) {
    const link = document.createElement("a");
    link.href = `${page}.html#${anchor}`;
    link.textContent = titles.join(" › ");
    const item = document.createElement("li");
    item.append(link, marked(excerpt(text)));
    list.append(item);
  }
  const count = document.getElementById("section-count");
  const said = count.dataset[found.length === 1 ? "one" : found.length > SHOWN ? "cut" : "many"];
  count.textContent = said.replace("{count}", found.length).replace("{shown}", SHOWN);
}
