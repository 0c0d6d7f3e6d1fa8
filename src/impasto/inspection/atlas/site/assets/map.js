// A map of cells: move and zoom by mouse, touch and keys; what a cell averages is told beside it.
"use strict";

{
  const map = document.getElementById("map");
  const plane = document.getElementById("plane");
  const told = document.getElementById("cell");
  const cells = [...plane.querySelectorAll(".cell")];
  const NEAREST = 12;
  const pointers = new Map();
  let x = 0;
  let y = 0;
  let scale = 1;
  let pinned = null;
  let moved = 0;

  function place() {
    // Some of the map always stays in sight.
    const width = map.clientWidth;
    const height = map.clientHeight;
    const side = plane.offsetWidth * scale;
    x = Math.min(width / 2, Math.max(width / 2 - side, x));
    y = Math.min(height / 2, Math.max(height / 2 - side, y));
    plane.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
  }

  function zoom(times, atX = map.clientWidth / 2, atY = map.clientHeight / 2) {
    const next = Math.min(NEAREST, Math.max(0.5, scale * times));
    x = atX - ((atX - x) * next) / scale;
    y = atY - ((atY - y) * next) / scale;
    scale = next;
    place();
  }

  function whole() {
    scale = 1;
    x = (map.clientWidth - plane.offsetWidth) / 2;
    y = (map.clientHeight - plane.offsetHeight) / 2;
    place();
  }

  function count(cell) {
    return Number(cell.dataset.count.replaceAll(",", ""));
  }

  function line(tag, text, kind) {
    const element = document.createElement(tag);
    element.textContent = text;
    if (kind) element.className = kind;
    return element;
  }

  function tell(cell) {
    const { labels, sources } = cell.dataset;
    const parts = [];
    const picture = cell.querySelector("img");
    if (picture) {
      const large = picture.cloneNode();
      large.loading = "eager";
      parts.push(large);
    }
    parts.push(line("p", `${cell.dataset.count} activations`, "count"));
    const names = JSON.parse(labels);
    if (names.length) {
      const list = document.createElement("ol");
      list.append(...names.map((name) => line("li", name)));
      parts.push(line("h2", "Classes"), list);
    }
    const files = JSON.parse(sources);
    if (files.length) {
      const list = document.createElement("ul");
      list.append(...files.map((name) => line("li", name)));
      parts.push(line("h2", "Pictures"), list);
    }
    told.replaceChildren(...parts);
    for (const one of cells) one.classList.toggle("told", one === cell);
  }

  function focus(cell) {
    for (const one of cells) one.tabIndex = one === cell ? 0 : -1;
    cell.focus({ preventScroll: true });
  }

  function intoSight(cell) {
    const box = cell.getBoundingClientRect();
    const frame = map.getBoundingClientRect();
    x += Math.max(0, frame.left + 8 - box.left) - Math.max(0, box.right - frame.right + 8);
    y += Math.max(0, frame.top + 8 - box.top) - Math.max(0, box.bottom - frame.bottom + 8);
    place();
  }

  // The nearest cell in a direction; sideways counts twice.
  function next(cell, across, down) {
    const row = Number(cell.dataset.row);
    const column = Number(cell.dataset.column);
    let best = null;
    let least = Infinity;
    for (const other of cells) {
      const right = Number(other.dataset.column) - column;
      const below = Number(other.dataset.row) - row;
      const along = right * across + below * down;
      const aside = Math.abs(right * down) + Math.abs(below * across);
      if (along > 0 && along >= aside / 2 && along + 2 * aside < least) [best, least] = [other, along + 2 * aside];
    }
    return best;
  }

  map.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const cell = event.target.closest(".cell");
    if (arrow && event.shiftKey) {
      x -= arrow[0] * 80;
      y -= arrow[1] * 80;
      place();
    } else if (arrow && cell) {
      const found = next(cell, ...arrow);
      if (found) focus(found);
    } else if (event.key === "+" || event.key === "=") zoom(1.3);
    else if (event.key === "-") zoom(1 / 1.3);
    else if (event.key === "0") whole();
    else return;
    event.preventDefault();
  });
  plane.addEventListener("focusin", (event) => {
    const cell = event.target.closest(".cell");
    tell(cell);
    intoSight(cell);
  });
  plane.addEventListener("pointerover", (event) => {
    const cell = event.target.closest(".cell");
    if (cell && !pinned && pointers.size === 0) tell(cell);
  });
  plane.addEventListener("click", (event) => {
    const cell = event.target.closest(".cell");
    if (cell && moved < 6) {
      pinned = pinned === cell ? null : cell;
      focus(cell);
      tell(cell);
    }
  });

  map.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = map.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
  map.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.target.closest(".zoom")) return;
    pointers.set(event.pointerId, event);
    if (pointers.size === 1) moved = 0;
  });
  addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const box = map.getBoundingClientRect();
    const rest = [...pointers.values()].find((pointer) => pointer.pointerId !== event.pointerId);
    if (rest) {
      const apart = (one) => Math.hypot(one.clientX - rest.clientX, one.clientY - rest.clientY);
      const middle = [(event.clientX + rest.clientX) / 2 - box.left, (event.clientY + rest.clientY) / 2 - box.top];
      x += (event.clientX - before.clientX) / 2;
      y += (event.clientY - before.clientY) / 2;
      zoom(apart(event) / Math.max(apart(before), 1), ...middle);
      moved = 99;
    } else {
      x += event.clientX - before.clientX;
      y += event.clientY - before.clientY;
      moved += Math.hypot(event.clientX - before.clientX, event.clientY - before.clientY);
      place();
    }
    pointers.set(event.pointerId, event);
    map.classList.toggle("moving", moved >= 6);
  });
  for (const name of ["pointerup", "pointercancel"])
    addEventListener(name, (event) => {
      pointers.delete(event.pointerId);
      if (!pointers.size) map.classList.remove("moving");
    });
  plane.addEventListener("dragstart", (event) => event.preventDefault());

  document.getElementById("nearer").addEventListener("click", () => zoom(1.4));
  document.getElementById("farther").addEventListener("click", () => zoom(1 / 1.4));
  document.getElementById("whole").addEventListener("click", whole);
  document.getElementById("by-count").addEventListener("change", (event) => {
    plane.classList.toggle("by-count", event.target.checked);
  });
  new ResizeObserver(whole).observe(map);
  const densest = cells.reduce((one, other) => (count(other) > count(one) ? other : one), cells[0]);
  if (densest) tell(densest);
}
