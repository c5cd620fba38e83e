// What scrolls sideways must be reachable with the keyboard; what does not should not stop the Tab key.
function markScrollable() {
  for (const element of document.querySelectorAll(".course-math-block, .bd-article table, .bd-article pre, .cell_output .output")) {
    if (element.scrollWidth > element.clientWidth) element.tabIndex = 0;
    else element.removeAttribute("tabindex");
  }
}
addEventListener("load", markScrollable);
addEventListener("resize", markScrollable);
for (const fold of document.querySelectorAll("details")) fold.addEventListener("toggle", markScrollable);

// The theme wires the first button of each kind, which is in its own, hidden bar. The ones that readers see pass their clicks on.
for (const name of ["primary", "secondary"]) {
  const [wired, ...seen] = document.querySelectorAll(`.${name}-toggle`);
  for (const button of seen) button.addEventListener("click", () => wired.click());
}

// On paper nothing can be unfolded, and the paper is white.
let before = null;
addEventListener("beforeprint", () => {
  before ??= { theme: document.documentElement.dataset.theme, closed: document.querySelectorAll("details:not([open])") };
  document.documentElement.dataset.theme = "light";
  for (const fold of before.closed) fold.open = true;
  for (const picture of document.querySelectorAll("img[loading=lazy]")) picture.loading = "eager";
});
addEventListener("afterprint", () => {
  if (!before) return;
  document.documentElement.dataset.theme = before.theme;
  for (const fold of before.closed) fold.open = false;
  before = null;
});
