// A picture scatter: every thumbnail at its place on a plane, to look through by mouse, touch and keyboard.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const plot = $("plot"), pen = plot.getContext("2d"), large = $("large"), sheet = $("sheet");
  const n = data.names.length, { side, columns, sizes, ink } = data.sprites;
  const still = matchMedia("(prefers-reduced-motion: reduce)"), dark = matchMedia("(prefers-color-scheme: dark)");

  let layout = data.start, places = data.layouts[layout].points.slice(); // x0, y0, x1, y1, …
  let view = { x: 0, y: 0, scale: 1 }; // the plane's point in the middle, and pixels to one unit
  let chosen = -1, only = -1, coloured = true, found = null, factor = 1;
  let levels = [], moving = null, asked = false;
  const labels = data.labels.length ? data.labels : null;

  // Colours that are told apart: Tableau's ten; for more labels, hues a golden angle apart.
  const TEN = ["#4e79a7", "#f28e2b", "#e15759", "#3fa89f", "#59a14f", "#c9a227", "#b07aa1", "#ff7f9a", "#9c755f", "#7f8790"];
  const colour = (label) => data.classes.length <= 10 ? TEN[label]
    : `hsl(${(label * 137.508) % 360} 62% ${dark.matches ? 62 : 46}%)`;

  // The sheet in the colours that are drawn, and its halves: drawing small from large is slow and flickers.
  function prepare() {
    const whole = document.createElement("canvas");
    whole.width = sheet.naturalWidth;
    whole.height = sheet.naturalHeight;
    const brush = whole.getContext("2d");
    brush.drawImage(sheet, 0, 0);
    if (ink) {
      brush.globalCompositeOperation = "source-atop";
      for (let i = 0; i < n; i++) {
        brush.fillStyle = labels && coloured ? colour(labels[i]) : dark.matches ? "#e4e6e9" : "#1f2328";
        brush.fillRect((i % columns) * side, Math.floor(i / columns) * side, side, side);
      }
    }
    levels = [{ image: whole, part: 1 }];
    for (let part = 2; side / part >= 6; part *= 2) {
      const last = levels[levels.length - 1].image, half = document.createElement("canvas");
      half.width = Math.ceil(whole.width / part);
      half.height = Math.ceil(whole.height / part);
      const small = half.getContext("2d");
      small.imageSmoothingQuality = "high";
      small.drawImage(last, 0, 0, last.width / 2, last.height / 2);
      levels.push({ image: half, part });
    }
  }

  const width = () => plot.clientWidth, height = () => plot.clientHeight;
  const fitScale = () => Math.min(width(), height()) / 2.16;
  const toX = (x) => (x - view.x) * view.scale + width() / 2;
  const toY = (y) => (y - view.y) * view.scale + height() / 2;

  // A thumbnail's side on the screen: as much as its share of the plane, and larger, more slowly, the nearer one is.
  function drawnSide() {
    const share = Math.sqrt((4 * fitScale() * fitScale()) / n) * 0.85;
    const zoom = view.scale / fitScale();
    return Math.max(4, Math.min(256, Math.max(width() < 500 ? 6 : 9, Math.min(44, share)) * Math.pow(zoom, 0.8) * Math.pow(2, factor - 1)));
  }

  function visible(i) {
    return (only < 0 || labels[i] === only) && (!found || found[i]);
  }

  function draw() {
    asked = false;
    const ratio = window.devicePixelRatio || 1;
    if (plot.width !== Math.round(width() * ratio) || plot.height !== Math.round(height() * ratio)) {
      plot.width = Math.round(width() * ratio);
      plot.height = Math.round(height() * ratio);
    }
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width(), height());
    const d = drawnSide(), level = [...levels].reverse().find((one) => side / one.part >= d * ratio) || levels[0];
    const image = level.image, s = side / level.part, picky = only >= 0 || found;
    pen.imageSmoothingEnabled = d * ratio < 3 * s || !ink;
    for (const pass of picky ? [false, true] : [true]) {
      pen.globalAlpha = pass ? 1 : 0.08;
      for (let i = 0; i < n; i++) {
        if (picky && visible(i) !== pass) continue;
        one(i, d, image, s, level.part);
      }
    }
    pen.globalAlpha = 1;
    if (chosen >= 0) one(chosen, Math.max(d * 1.35, 30), levels[0].image, side, 1, true);
  }

  function one(i, d, image, s, part, marked = false) {
    const x = toX(places[2 * i]), y = toY(places[2 * i + 1]);
    if (x < -d || y < -d || x > width() + d || y > height() + d) return;
    const w = (d * sizes[i][0]) / side, h = (d * sizes[i][1]) / side;
    const edge = labels && coloured && !ink ? Math.max(1, Math.min(4, d / 14)) : 0;
    if (marked) {
      pen.fillStyle = dark.matches ? "#0d0f12" : "#ffffff";
      pen.fillRect(x - w / 2 - 3, y - h / 2 - 3, w + 6, h + 6);
      pen.strokeStyle = dark.matches ? "#ffffff" : "#000000";
      pen.lineWidth = 2;
      pen.strokeRect(x - w / 2 - 4, y - h / 2 - 4, w + 8, h + 8);
    }
    if (edge) {
      pen.fillStyle = colour(labels[i]);
      pen.fillRect(x - w / 2 - edge, y - h / 2 - edge, w + 2 * edge, h + 2 * edge);
    }
    pen.drawImage(image, (i % columns) * s, Math.floor(i / columns) * s, sizes[i][0] / part, sizes[i][1] / part,
      x - w / 2, y - h / 2, w, h);
  }

  function ask() {
    if (!asked && levels.length) {
      asked = true;
      requestAnimationFrame(draw);
    }
  }

  function showAll() {
    view = { x: 0, y: 0, scale: fitScale() };
    ask();
  }

  function zoomAt(x, y, by) {
    const scale = Math.max(fitScale() * 0.5, Math.min(fitScale() * 400, view.scale * by));
    const px = (x - width() / 2) / view.scale + view.x, py = (y - height() / 2) / view.scale + view.y;
    view = { x: px - (x - width() / 2) / scale, y: py - (y - height() / 2) / scale, scale };
    ask();
  }

  function choose(i) {
    if (i === chosen) return;
    chosen = i;
    const brush = large.getContext("2d");
    brush.clearRect(0, 0, large.width, large.height);
    if (i >= 0) {
      const [w, h] = sizes[i], by = (large.width * 0.94) / Math.max(w, h);
      brush.imageSmoothingEnabled = by < 6;
      brush.drawImage(levels[0].image, (i % columns) * side, Math.floor(i / columns) * side, w, h,
        (large.width - w * by) / 2, (large.height - h * by) / 2, w * by, h * by);
    }
    $("name").textContent = i < 0 ? "Point at a picture" : data.names[i];
    $("label").textContent = i < 0 || !labels ? "" : `label ${data.classes[labels[i]]}`;
    large.setAttribute("aria-label", i < 0 ? "No picture chosen"
      : `Picture ${data.names[i]}` + (labels ? `, label ${data.classes[labels[i]]}` : ""));
    ask();
  }

  // The picture under a point of the screen; the last drawn lies on top.
  function at(x, y, reach) {
    let best = -1, least = Infinity;
    const far = Math.max(drawnSide() / 2, reach);
    for (let i = n - 1; i >= 0; i--) {
      if (!visible(i)) continue;
      const dx = Math.abs(toX(places[2 * i]) - x), dy = Math.abs(toY(places[2 * i + 1]) - y);
      if (dx <= far && dy <= far && dx * dx + dy * dy < least) {
        least = dx * dx + dy * dy;
        best = i;
      }
    }
    return best;
  }

  // The nearest picture in a direction; what lies aside counts double.
  function step(dx, dy) {
    const from = chosen < 0 ? at(width() / 2, height() / 2, Infinity) : chosen;
    if (chosen < 0) return choose(from);
    let best = -1, least = Infinity;
    for (let i = 0; i < n; i++) {
      if (i === from || !visible(i)) continue;
      const x = places[2 * i] - places[2 * from], y = places[2 * i + 1] - places[2 * from + 1];
      const along = x * dx + y * dy, aside = Math.abs(x * dy - y * dx);
      if (along > 0 && along + 2 * aside < least) {
        least = along + 2 * aside;
        best = i;
      }
    }
    if (best >= 0) {
      choose(best);
      reveal();
    }
  }

  function reveal() {
    const x = toX(places[2 * chosen]), y = toY(places[2 * chosen + 1]), margin = 40;
    if (x < margin || y < margin || x > width() - margin || y > height() - margin) {
      view.x = places[2 * chosen];
      view.y = places[2 * chosen + 1];
      ask();
    }
  }

  function goTo(number) {
    layout = number;
    const from = places.slice(), to = data.layouts[number].points, began = performance.now();
    document.querySelectorAll("button.layout").forEach((button) =>
      button.setAttribute("aria-pressed", String(Number(button.dataset.layout) === number)));
    describe();
    cancelAnimationFrame(moving);
    const frame = (now) => {
      const t = still.matches ? 1 : Math.min(1, (now - began) / 900), eased = t * t * (3 - 2 * t);
      for (let k = 0; k < 2 * n; k++) places[k] = from[k] + (to[k] - from[k]) * eased;
      draw();
      if (t < 1) moving = requestAnimationFrame(frame);
      plot.dataset.moving = String(t < 1);
    };
    moving = requestAnimationFrame(frame);
  }

  function describe() {
    const now = data.layouts[layout];
    $("method").textContent = now.title;
    $("made").textContent = now.about;
    const figures = $("figures");
    figures.textContent = "";
    for (const [name, value] of now.figures) {
      const term = document.createElement("dt"), figure = document.createElement("dd");
      term.textContent = name;
      figure.textContent = value;
      figures.append(term, figure);
    }
  }

  function search() {
    const words = $("search").value.trim().toLowerCase();
    found = null;
    let count = 0;
    if (words) {
      found = new Uint8Array(n);
      for (let i = 0; i < n; i++) {
        const label = labels ? data.classes[labels[i]].toLowerCase() : "";
        if (data.names[i].toLowerCase().includes(words) || label === words || (words.length > 1 && label.includes(words))) {
          found[i] = 1;
          count++;
        }
      }
    }
    $("count").textContent = words ? `${count} found` : "";
    if (chosen >= 0 && !visible(chosen)) choose(-1);
    ask();
  }

  // Fingers and the mouse: one drags, two pinch.
  const down = new Map();
  let pinched = 0, wandered = 0;
  plot.addEventListener("pointerdown", (event) => {
    try { plot.setPointerCapture(event.pointerId); } catch { /* a pointer that is gone already */ }
    down.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    wandered = 0;
    pinched = 0;
  });
  plot.addEventListener("pointermove", (event) => {
    const before = down.get(event.pointerId), x = event.offsetX, y = event.offsetY;
    if (!before) {
      if (event.pointerType === "mouse") choose(at(x, y, 0));
      return;
    }
    down.set(event.pointerId, { x, y });
    wandered += Math.hypot(x - before.x, y - before.y);
    if (down.size === 1) {
      view.x -= (x - before.x) / view.scale;
      view.y -= (y - before.y) / view.scale;
    } else {
      const [a, b] = [...down.values()], apart = Math.hypot(a.x - b.x, a.y - b.y);
      if (pinched) zoomAt((a.x + b.x) / 2, (a.y + b.y) / 2, apart / pinched);
      pinched = apart;
    }
    ask();
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    plot.addEventListener(kind, (event) => {
      if (kind === "pointerup" && wandered < 6 && down.size === 1) {
        choose(at(event.offsetX, event.offsetY, event.pointerType === "mouse" ? 0 : 14));
      }
      down.delete(event.pointerId);
      pinched = 0;
    });
  }
  plot.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomAt(event.offsetX, event.offsetY, Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0018)));
  }, { passive: false });

  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  plot.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const arrow = ARROWS[event.key];
    if (arrow && event.shiftKey) {
      view.x += (arrow[0] * 60) / view.scale;
      view.y += (arrow[1] * 60) / view.scale;
      ask();
    } else if (arrow) step(...arrow);
    else if (event.key === "+" || event.key === "=") zoomAt(width() / 2, height() / 2, 1.3);
    else if (event.key === "-") zoomAt(width() / 2, height() / 2, 1 / 1.3);
    else if (event.key === "0") showAll();
    else if (event.key === "Escape") choose(-1);
    else return;
    event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== $("search")) {
      event.preventDefault();
      $("search").focus();
    }
  });
  $("search").addEventListener("input", search);
  $("search").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && found) {
      const next = [...found.keys()].map((k) => (chosen + 1 + k) % n).find((i) => visible(i));
      if (next !== undefined) {
        choose(next);
        reveal();
      }
    }
  });
  $("in").addEventListener("click", () => zoomAt(width() / 2, height() / 2, 1.5));
  $("out").addEventListener("click", () => zoomAt(width() / 2, height() / 2, 1 / 1.5));
  $("all").addEventListener("click", showAll);
  $("size").addEventListener("input", () => {
    factor = 1 + Number($("size").value);
    ask();
  });
  document.querySelectorAll("button.layout").forEach((button) =>
    button.addEventListener("click", () => goTo(Number(button.dataset.layout))));

  if (labels) {
    const counts = data.classes.map(() => 0);
    labels.forEach((label) => counts[label]++);
    const row = $("labels");
    data.classes.forEach((name, label) => {
      const button = document.createElement("button"), dot = document.createElement("i");
      button.type = "button";
      button.setAttribute("aria-pressed", "false");
      button.setAttribute("aria-label", `Only label ${name || "none"}, ${counts[label]} pictures`);
      button.append(dot, name || "none");
      button.addEventListener("click", () => {
        only = only === label ? -1 : label;
        [...row.children].forEach((other, k) => other.setAttribute("aria-pressed", String(k === only)));
        if (chosen >= 0 && !visible(chosen)) choose(-1);
        ask();
      });
      row.append(button);
    });
    const paint = () => [...row.querySelectorAll("i")].forEach((dot, label) => (dot.style.background = colour(label)));
    paint();
    $("colour").addEventListener("click", () => {
      coloured = !coloured;
      $("colour").setAttribute("aria-pressed", String(coloured));
      prepare();
      ask();
    });
    dark.addEventListener("change", paint);
  }
  dark.addEventListener("change", () => {
    prepare();
    ask();
  });
  let first = true;
  new ResizeObserver(() => (first ? ((first = false), showAll()) : ask())).observe(plot);
  describe();
  sheet.decode().then(() => {
    prepare();
    ask();
    plot.dataset.ready = "true";
  });
})();
