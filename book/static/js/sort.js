// A click on a heading sorts a table of results by that column: numbers by their value, words by the alphabet; again, the other way.
const number = (text) => {
  const found = text.replace(/[\u202f\s]/g, "").replace("−", "-").match(/^[-+]?\d*\.?\d+(e[-+]?\d+)?/);
  return found ? parseFloat(found[0]) : NaN;
};

function order(a, b) {
  const [x, y] = [number(a), number(b)];
  if (isNaN(x) && isNaN(y)) return a.localeCompare(b);
  return isNaN(x) ? 1 : isNaN(y) ? -1 : x - y; // what has no number comes last
}

for (const table of document.querySelectorAll("table.results")) {
  const body = table.tBodies[0];
  table.querySelectorAll("thead th").forEach((heading, column) => {
    const button = document.createElement("button");
    button.append(...heading.querySelector("p")?.childNodes ?? heading.childNodes);
    if (!button.textContent) button.setAttribute("aria-label", "sort by name");
    heading.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = heading.getAttribute("aria-sort") !== "ascending";
      table.querySelectorAll("th").forEach((th) => th.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", up ? "ascending" : "descending");
      const text = (row) => row.cells[column].textContent;
      body.append(...[...body.rows].sort((a, b) => (up ? 1 : -1) * order(text(a), text(b))));
    });
  });
}
