"use strict";
document.documentElement.classList.add("js");
document.addEventListener("DOMContentLoaded", () => {
  for (const report of document.querySelectorAll(".report")) {
    const table = report.querySelector(".shapes");
    if (table) prepare(report, table);
  }
});

function prepare(report, table) {
  const shapes = Array.from(table.tBodies);
  const found = new Map(shapes.map((shape) => [shape, shape.textContent.toLowerCase()]));
  const filter = report.querySelector("input[type=search]");
  const ownOnly = report.querySelector("input[type=checkbox]");
  const shown = report.querySelector("output");

  function open(shape, on) {
    shape.querySelector(".open-shape").setAttribute("aria-expanded", String(on));
    shape.querySelector(".detail").classList.toggle("is-open", on);
    const figure = shape.querySelector(".scroll");
    const owner = shape.querySelector(".owner");
    if (on && owner) {
      const [frame, box] = [figure.getBoundingClientRect(), owner.getBoundingClientRect()];
      figure.scrollLeft += box.x + box.width / 2 - frame.x - frame.width / 2;
    }
  }

  function sift() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const shape of shapes) {
      const text = found.get(shape);
      const keep = words.every((word) => text.includes(word))
        && !(ownOnly && ownOnly.checked && "library" in shape.dataset);
      shape.hidden = !keep;
      count += keep;
    }
    shown.textContent = count === shapes.length ? "" : `${count} of ${shapes.length} shown`;
  }

  function sort(heading) {
    const name = heading.dataset.sort;
    const wasDescending = heading.getAttribute("aria-sort") === "descending";
    const isText = name === "path";
    const ascending = heading.hasAttribute("aria-sort") ? wasDescending : isText;
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const sign = ascending ? 1 : -1;
    const compare = isText
      ? (a, b) => (a.dataset.path < b.dataset.path ? -1 : a.dataset.path > b.dataset.path ? 1 : 0)
      : (a, b) => Number(a.dataset[name]) - Number(b.dataset[name]);
    shapes.sort((a, b) => sign * compare(a, b) || a.dataset.number - b.dataset.number);
    table.append(...shapes);
  }

  for (const heading of table.tHead.rows[0].cells) {
    heading.querySelector("button").addEventListener("click", () => sort(heading));
  }
  table.addEventListener("click", (event) => {
    const row = event.target.closest(".row");
    if (!row || String(document.getSelection())) return;
    const shape = row.parentNode;
    open(shape, !shape.querySelector(".detail").classList.contains("is-open"));
  });
  filter.addEventListener("input", sift);
  if (ownOnly) ownOnly.addEventListener("change", sift);
  if (shapes.length) open(shapes[0], true);
  sift();
}
