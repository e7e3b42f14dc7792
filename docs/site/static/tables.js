// Tables of results can be sorted by a click or a key on a head; without this script they are as they were written.
document.querySelectorAll(".sortable table, table.sortable").forEach((table) => {
  const body = table.tBodies[0];
  if (!body || !table.tHead || body.rows.length < 4) return;
  const number = (text) => parseFloat(text.replace(/[*,%+]/g, "").replace("\u2212", "-"));
  Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      Array.from(table.tHead.rows[0].cells).forEach((cell) => cell.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => row.cells[column].textContent.trim();
      const rows = Array.from(body.rows).sort((a, b) => {
        const [x, y] = [key(a), key(b)], [p, q] = [number(x), number(y)];
        return isNaN(p) || isNaN(q) ? x.localeCompare(y) : p - q;
      });
      body.append(...(down ? rows.reverse() : rows));
    });
  });
});
