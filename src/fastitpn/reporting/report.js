
for (const image of document.querySelectorAll("main img")) {
  image.classList.add("enlarge");
  image.tabIndex = 0;
  const enlarge = () => {
    const dialog = document.createElement("dialog"), large = document.createElement("img");
    [large.src, large.alt] = [image.src, image.alt];
    dialog.append(large);
    dialog.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => { dialog.remove(); image.focus(); });
    document.body.append(dialog);
    dialog.showModal();
  };
  image.addEventListener("click", enlarge);
  image.addEventListener("keydown", event => { if (event.key === "Enter") enlarge(); });
}

for (const head of document.querySelectorAll("th button")) {
  head.addEventListener("click", () => {
    const cell = head.parentElement, body = cell.closest("table").tBodies[0];
    const numeric = cell.classList.contains("number");
    const before = cell.getAttribute("aria-sort");
    const ascending = before ? before === "descending" : !numeric;
    for (const other of cell.parentElement.children) other.removeAttribute("aria-sort");
    cell.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const key = row => row.cells[cell.cellIndex].dataset.key;
    const compare = numeric ? (a, b) => a - b : (a, b) => a.localeCompare(b, undefined, {numeric: true});
    // Cells without a value stay at the end in both directions.
    const empty = value => value === "–" || value === "nan";
    body.append(...[...body.rows].sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      return empty(x) - empty(y) || (empty(x) ? 0 : compare(x, y) * (ascending ? 1 : -1));
    }));
  });
}
