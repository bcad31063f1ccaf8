"use strict";
(() => {
  const table = document.getElementById("captures");
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const heads = Array.from(table.tHead.rows[0].cells);
  const choice = document.querySelector(".choice");
  const buttons = Array.from(choice.querySelectorAll("button"));
  const search = choice.querySelector("input");
  const shown = document.getElementById("shown");
  let status = "";

  const value = (row, column) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
  function compared(a, b) {
    const [x, y] = [Number(a), Number(b)];
    return a !== "" && b !== "" && !Number.isNaN(x) && !Number.isNaN(y) ? x - y : a.localeCompare(b);
  }

  function sort(column) {
    const down = heads[column].getAttribute("aria-sort") === "ascending";
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[column].setAttribute("aria-sort", down ? "descending" : "ascending");
    const sign = down ? -1 : 1;
    rows.sort((a, b) => sign * compared(value(a, column), value(b, column)) || compared(value(a, 0), value(b, 0)));
    body.append(...rows);
  }

  function filter() {
    const words = search.value.trim().toLowerCase();
    rows.forEach((row) => {
      row.hidden = (status !== "" && row.dataset.status !== status) || !row.textContent.toLowerCase().includes(words);
    });
    const left = rows.filter((row) => !row.hidden).length;
    shown.textContent = left < rows.length ? `${left} of ${rows.length} shown` : "";
    buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.status === status)));
  }

  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => sort(column)));
  buttons.forEach((button) => button.addEventListener("click", () => { status = button.dataset.status; filter(); }));
  search.addEventListener("input", filter);
  choice.hidden = false;
  filter();
})();
