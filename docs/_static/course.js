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
