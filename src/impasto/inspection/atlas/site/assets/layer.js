// A layer's grid: how large the units are, in which order, whose they are; arrow keys move about in it.
"use strict";

{
  const grid = document.getElementById("units");
  const size = document.getElementById("size");
  const order = document.getElementById("order");
  const other = document.getElementById("other");
  const items = [...grid.children];

  function remember(name, value) {
    try {
      localStorage.setItem(`impasto-${name}`, value);
    } catch {
      // Storage is forbidden: it holds for this page.
    }
  }

  function remembered(name) {
    try {
      return localStorage.getItem(`impasto-${name}`);
    } catch {
      return null;
    }
  }

  function resize() {
    grid.style.setProperty("--size", `${size.value}px`);
    grid.classList.toggle("small", size.value < 72);
  }

  function sort() {
    const by = order.value;
    const number = (item) => Number(item.dataset.n);
    const value = (item) => Number(item.dataset[by] ?? -1);
    const compare = {
      n: () => 0,
      t: (one, two) => (one.dataset.t ?? "\uffff").localeCompare(two.dataset.t ?? "\uffff"),
    }[by] ?? ((one, two) => value(two) - value(one));
    grid.append(...items.sort((one, two) => compare(one, two) || number(one) - number(two)));
  }

  size.addEventListener("input", () => {
    resize();
    remember("size", size.value);
  });
  order.addEventListener("change", () => {
    sort();
    remember("order", order.value);
  });
  other?.addEventListener("change", () => {
    for (const picture of grid.querySelectorAll("img[data-other]")) {
      const shown = picture.getAttribute("src");
      picture.src = picture.dataset.other;
      picture.dataset.other = shown;
    }
  });

  grid.addEventListener("keydown", (event) => {
    const here = event.target.closest("li");
    if (!here || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    const shown = [...grid.children];
    const place = shown.indexOf(here);
    const across = shown.findIndex((item) => item.offsetTop > shown[0].offsetTop);
    const row = across < 0 ? shown.length : across;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -row, ArrowDown: row }[event.key];
    if (!step) return;
    shown[place + step]?.querySelector("a").focus();
    event.preventDefault();
  });

  const wanted = remembered("size");
  if (wanted) size.value = wanted;
  const first = remembered("order");
  if (first && [...order.options].some((option) => option.value === first)) {
    order.value = first;
    sort();
  }
  resize();
}
