"use strict";
// Without this script everything is there to read. It adds sorting, searching,
// and the choice of a status, and keeps them in the address's fragment, so that
// a view can be passed on: #q=library&status=failed&sort=-size.
(() => {
  // Paper has no folds.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const details of opened) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of opened) details.open = false;
  });

  const table = document.getElementById("images");
  if (!table) return;
  const [tools, query, status, order, turn, long, shown] =
    ["tools", "q", "status", "order", "turn", "long", "shown"].map(id => document.getElementById(id));
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const columns = heads.map(head => head.dataset.sort);
  const states = [...status.options].map(option => option.value);
  const collator = new Intl.Collator("en", {numeric: true});
  const view = {q: "", status: "", sort: ""};
  let texts, sorted = "";

  // What a row is sorted by: a number, or a text.
  const key = (row, column) => {
    const cell = row.cells[columns.indexOf(column)];
    switch (column) {
      case "status": return states.indexOf(row.dataset.s);
      case "size": return Number(cell.dataset.k);
      case "updated": return cell.dataset.k;
      case "image": return cell.firstChild.textContent;
    }
    return /^[-–]$/.test(cell.textContent) ? "" : cell.textContent;
  };

  // Equal rows stay as in the source; those that have nothing to sort by come last.
  const sort = () => {
    if (view.sort === sorted) return;
    sorted = view.sort;
    const down = sorted.startsWith("-"), column = sorted.replace(/^-/, "");
    let list = rows;
    if (column) {
      const compare = (a, b) => typeof a === "number" ? a - b : collator.compare(a, b);
      list = rows.map((row, n) => ({row, n, key: key(row, column)}))
        .sort((a, b) => (a.key === "") - (b.key === "") || (down ? -1 : 1) * compare(a.key, b.key) || a.n - b.n)
        .map(entry => entry.row);
    }
    heads.forEach((head, n) => {
      if (columns[n] === column) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    body.replaceChildren(...list);
  };

  const filter = () => {
    const words = view.q.toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length) texts ??= rows.map(row => row.textContent.toLowerCase());
    let count = 0;
    rows.forEach((row, n) => {
      const fits = (!view.status || row.dataset.s === view.status) && words.every(word => texts[n].includes(word));
      if (row.hidden === fits) row.hidden = !fits;
      count += fits;
    });
    const number = n => n.toLocaleString("en");
    shown.textContent = count === rows.length ? `All ${number(count)} are shown.` : `${number(count)} of ${number(rows.length)} are shown.`;
  };

  const show = () => {
    query.value = view.q;
    status.value = view.status;
    order.value = view.sort.replace(/^-/, "");
    turn.setAttribute("aria-pressed", view.sort.startsWith("-"));
    turn.disabled = !view.sort;
    sort();
    filter();
  };

  // The fragment comes from outside: what is not known in it is passed over.
  const read = () => {
    const said = new URLSearchParams(location.hash.slice(1)), names = [...said.keys()];
    if (names.length && !names.some(name => Object.hasOwn(view, name))) return; // a place in the page
    const pick = (name, known) => known(said.get(name) ?? "") ? said.get(name) ?? "" : "";
    view.q = pick("q", () => true);
    view.status = pick("status", value => states.includes(value));
    view.sort = pick("sort", value => columns.includes(value.replace(/^-/, "")));
    show();
    if (names.length) document.getElementById("all").scrollIntoView();
  };

  const change = what => {
    Object.assign(view, what);
    const said = new URLSearchParams(Object.entries(view).filter(([, value]) => value));
    try {
      history.replaceState(null, "", "#" + (String(said) || "all"));
    } catch { /* some browsers do not let a file do this; the view is the same */ }
    show();
  };

  for (const head of heads) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => {
      const column = head.dataset.sort;
      change({sort: view.sort === column ? "-" + column : column});
    });
    head.append(button);
    order.append(new Option(button.textContent, head.dataset.sort));
  }
  let typing;
  query.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(change, 150, {q: query.value});
  });
  tools.addEventListener("submit", event => {
    event.preventDefault();
    change({q: query.value});
  });
  status.addEventListener("change", () => change({status: status.value}));
  order.addEventListener("change", () => change({sort: order.value}));
  turn.addEventListener("click", () => change({sort: view.sort.startsWith("-") ? view.sort.slice(1) : "-" + view.sort}));
  long.addEventListener("click", () => {
    long.setAttribute("aria-pressed", table.classList.toggle("long"));
  });
  addEventListener("hashchange", read);
  document.documentElement.classList.add("scripted");
  tools.hidden = false;
  show();
  read();
})();
