// Surfaces to turn, zoom and read, and curves to read, on canvases; nothing is fetched, nothing is kept.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const HOME = { yaw: -0.9, pitch: 0.62, zoom: 1 };
  const TALL = 0.9; // height of a surface, where its longer side is 2
  const FAR = 5.5; // of the eye
  const MOST = 90; // lines of the mesh along a side, so that turning stays smooth
  // viridis at nine places (matplotlib, CC0)
  const COLOURS = ["440154", "472d7b", "3b528b", "2c728e", "21918c", "28ae80", "5ec962", "addc30", "fde725"].map((hex) =>
    [0, 2, 4].map((place) => parseInt(hex.slice(place, place + 2), 16)));

  const theme = at("theme");
  const paint = () => requestAnimationFrame(() => views.forEach((view) => view.draw()));
  function dark(on) {
    document.documentElement.dataset.theme = on ? "dark" : "light";
    theme.setAttribute("aria-pressed", String(on));
    paint();
  }

  const number = (value) => {
    if (value === null) return "no number";
    const digits = Number(value.toPrecision(3));
    return Math.abs(digits) >= 1e5 ? digits.toExponential().replace("e+", "e") : String(digits);
  };
  const read = (name, value) => name === "accuracy" && value !== null ? `${name} ${(100 * value).toFixed(1)} %` : `${name} ${number(value)}`;
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

  function colour(part, light) {
    const place = clamp(part, 0, 1) * (COLOURS.length - 1), first = Math.min(Math.floor(place), COLOURS.length - 2);
    const mix = COLOURS[first].map((one, k) => light * (one + (COLOURS[first + 1][k] - one) * (place - first)));
    return `rgb(${mix.map((one) => Math.round(clamp(one, 0, 255))).join(",")})`;
  }

  // One scale for all charts, of the value that is shown.
  function scale() {
    const name = at("value").value, logarithmic = at("log").checked;
    let found = data.charts.flatMap((chart) => chart.values[name].flat()).filter((one) => one !== null);
    if (logarithmic) found = found.filter((one) => one > 0);
    const bend = logarithmic ? (one) => Math.log10(one) : (one) => one;
    const low = found.reduce((a, b) => Math.min(a, b), Infinity), high = found.reduce((a, b) => Math.max(a, b), -Infinity);
    if (!found.length) return { name, low: 0, high: 1, part: () => 0 };
    const span = bend(high) - bend(low) || 1;
    // what has no logarithm lies on the floor
    return { name, low, high, part: (one) => logarithmic && one <= 0 ? 0 : (bend(one) - bend(low)) / span };
  }

  class View {
    constructor(canvas, chart, index) {
      Object.assign(this, { canvas, chart, index, camera: { ...HOME }, probe: null, pointers: new Map() });
      this.flat = chart.y.length === 1;
      this.output = at(`read-${index}`);
      this.context = canvas.getContext("2d");
      canvas.addEventListener("pointerdown", (event) => this.down(event));
      canvas.addEventListener("pointermove", (event) => this.move(event));
      for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
      canvas.addEventListener("pointerleave", () => { if (document.activeElement !== canvas) this.select(null); });
      canvas.addEventListener("wheel", (event) => {
        if (this.flat) return;
        event.preventDefault();
        this.turn(0, 0, Math.exp(-event.deltaY / 600));
      }, { passive: false });
      canvas.addEventListener("keydown", (event) => this.key(event));
      new ResizeObserver(paint).observe(canvas);
    }

    // Every view that is turned with this one.
    peers() { return at("linked") && at("linked").checked ? views : [this]; }

    turn(yaw, pitch, zoom) {
      for (const view of this.peers()) {
        const camera = view.camera;
        camera.yaw += yaw;
        camera.pitch = clamp(camera.pitch + pitch, 0.02, Math.PI / 2);
        camera.zoom = clamp(camera.zoom * zoom, 0.3, 12);
      }
      paint();
    }

    reset() { this.peers().forEach((view) => { view.camera = { ...HOME }; }); paint(); }

    act(name) {
      const acts = {
        left: () => this.turn(-0.15, 0, 1), right: () => this.turn(0.15, 0, 1), up: () => this.turn(0, 0.1, 1),
        down: () => this.turn(0, -0.1, 1), in: () => this.turn(0, 0, 1.2), out: () => this.turn(0, 0, 1 / 1.2), reset: () => this.reset(),
      };
      acts[name]();
    }

    key(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const arrows = { ArrowLeft: [-1, 0, "left"], ArrowRight: [1, 0, "right"], ArrowUp: [0, 1, "up"], ArrowDown: [0, -1, "down"] };
      const others = { "+": "in", "=": "in", "-": "out", 0: "reset" };
      if (arrows[event.key]) {
        const [dx, dy, name] = arrows[event.key];
        if (this.flat || event.shiftKey) this.step(dx, this.flat ? 0 : dy);
        else this.act(name);
      } else if (!this.flat && others[event.key]) this.act(others[event.key]);
      else if (event.key.toLowerCase() === "l") { at("log").checked = !at("log").checked; paint(); }
      else if (event.key === "Escape") this.select(null);
      else return;
      event.preventDefault();
    }

    step(dx, dy) {
      const from = this.probe && this.probe.column !== undefined ? this.probe : { column: this.chart.x.length >> 1, row: this.chart.y.length >> 1 };
      const there = this.probe ? { column: from.column + dx, row: from.row + dy } : from;
      this.select({ column: clamp(there.column, 0, this.chart.x.length - 1), row: clamp(there.row, 0, this.chart.y.length - 1) });
    }

    down(event) {
      this.canvas.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    }

    move(event) {
      const before = this.pointers.get(event.pointerId);
      if (!before) {
        const box = this.canvas.getBoundingClientRect();
        return this.select(this.nearest(event.clientX - box.left, event.clientY - box.top));
      }
      const now = [event.clientX, event.clientY];
      if (this.pointers.size > 1) {
        const [other] = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
        const apart = (one) => Math.hypot(one[0] - other[0], one[1] - other[1]) || 1;
        if (!this.flat) this.turn(0, 0, apart(now) / apart(before));
      } else if (!this.flat) this.turn((now[0] - before[0]) / 160, (now[1] - before[1]) / 200, 1);
      this.pointers.set(event.pointerId, now);
    }

    // The same point is shown on every chart of the same grid.
    select(probe) {
      for (const view of views) {
        const same = view === this || (probe && probe.column < view.chart.x.length && probe.row < view.chart.y.length);
        view.probe = same ? probe : null;
        if (probe && probe.label !== undefined && view !== this) view.probe = null;
        view.tell();
      }
      paint();
    }

    tell() {
      const { chart, probe } = this;
      if (!probe) { this.output.textContent = "\u00a0"; return; }
      if (probe.label !== undefined) {
        const way = chart.way, share = way.held[probe.label];
        this.output.textContent = `${way.labels[probe.label]}: the weights themselves have loss ${number(way.losses[probe.label])}, ` +
          `${(100 * share).toFixed(0)} % of their squared distance lies in the plane`;
        return;
      }
      const place = this.flat ? number(chart.x[probe.column]) : `(${number(chart.x[probe.column])}, ${number(chart.y[probe.row])})`;
      const values = Object.entries(chart.values).map(([name, one]) => read(name, one[probe.row][probe.column]));
      this.output.textContent = `at ${place}: ${values.join(", ")}`;
    }

    nearest(x, y) {
      let best = null;
      for (const spot of this.spots || []) {
        const away = Math.hypot(spot.x - x, spot.y - y);
        if (away > 16) continue;
        // of those near the pointer the one in front, unless a snapshot is right under it
        const rank = (spot.probe.label !== undefined && away < 9 ? -100 : 0) + spot.depth * 4 + away / 16;
        if (!best || rank < best.rank) best = { rank, probe: spot.probe };
      }
      return best && best.probe;
    }

    draw() {
      const { canvas, context } = this, ratio = window.devicePixelRatio || 1;
      const width = canvas.clientWidth, height = canvas.clientHeight;
      if (!width || !height) return;
      if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
        canvas.width = Math.round(width * ratio);
        canvas.height = Math.round(height * ratio);
      }
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, width, height);
      const style = getComputedStyle(document.documentElement);
      this.ink = Object.fromEntries(["ink", "faint", "line", "mesh", "way", "card"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
      context.font = `12px ${style.getPropertyValue("--font")}`;
      this.spots = [];
      const to = scale();
      if (this.flat) this.curve(to, width, height); else this.relief(to, width, height);
      const { yaw, pitch, zoom } = this.camera;
      canvas.dataset.view = [yaw, pitch, zoom].map((one) => one.toFixed(4)).join(" ");
    }

    relief(to, width, height) {
      const { chart, context, camera, ink } = this, { x, y } = chart, values = chart.values[to.name];
      const span = [x, y].map((one) => one[one.length - 1] - one[0] || 1), longer = Math.max(...span);
      const flatten = (one, axis, k) => 2 * (one - axis[0] - span[k] / 2) / longer;
      const sine = [Math.sin(camera.yaw), Math.sin(camera.pitch)], cosine = [Math.cos(camera.yaw), Math.cos(camera.pitch)];
      const size = Math.min(width, height * 1.25) * 0.33 * camera.zoom;
      const project = (u, v, part) => {
        const w = (part - 0.5) * TALL, across = u * cosine[0] - v * sine[0], along = u * sine[0] + v * cosine[0];
        const depth = along * cosine[1] - w * sine[1], up = w * cosine[1] + along * sine[1], near = FAR / (FAR + depth);
        return { x: width / 2 + size * across * near, y: height / 2 - size * up * near, depth };
      };
      const edge = [span[0] / longer, span[1] / longer];
      this.floor(project, edge, width, height, to);

      const stride = [x, y].map((one) => Math.max(1, Math.ceil(one.length / MOST)));
      const steps = [x, y].map((one, k) => one.map((_, n) => n).filter((n) => n % stride[k] === 0 || n === one.length - 1));
      const grid = steps[1].map((row) => steps[0].map((column) => {
        const value = values[row][column];
        if (value === null) return null;
        const u = flatten(x[column], x, 0), v = flatten(y[row], y, 1), part = to.part(value);
        const spot = { ...project(u, v, part), u, v, part, probe: { column, row } };
        this.spots.push(spot);
        return spot;
      }));
      const items = [];
      for (let row = 0; row + 1 < grid.length; row++) for (let column = 0; column + 1 < grid[0].length; column++) {
        const corners = [grid[row][column], grid[row][column + 1], grid[row + 1][column + 1], grid[row + 1][column]];
        if (corners.some((one) => one === null)) continue;
        items.push({ corners, depth: corners.reduce((sum, one) => sum + one.depth, 0) / 4 });
      }
      if (chart.way && at("way").checked) this.way(items, project, flatten, to, values);
      items.sort((one, two) => two.depth - one.depth);
      context.lineJoin = "round";
      context.lineWidth = 0.6;
      for (const item of items) {
        if (item.paint) { item.paint(); continue; }
        const [a, b, c, d] = item.corners, part = (a.part + b.part + c.part + d.part) / 4;
        const slope = [(b.part + c.part - a.part - d.part) / 2 / (b.u - a.u), (c.part + d.part - a.part - b.part) / 2 / (d.v - a.v)];
        // light from the upper left
        const light = (1 + 0.45 * TALL * slope[0] + 0.3 * TALL * slope[1]) / Math.hypot(1, TALL * slope[0], TALL * slope[1]);
        context.beginPath();
        item.corners.forEach((one, k) => k ? context.lineTo(one.x, one.y) : context.moveTo(one.x, one.y));
        context.closePath();
        context.fillStyle = colour(part, 0.72 + 0.28 * clamp(light, -0.6, 1.25));
        context.fill();
        context.strokeStyle = ink.mesh;
        context.stroke();
      }
      const { probe } = this;
      if (probe && probe.column !== undefined && values[probe.row][probe.column] !== null) {
        const spot = project(flatten(x[probe.column], x, 0), flatten(y[probe.row], y, 1), to.part(values[probe.row][probe.column]));
        this.dot(spot, 5, ink.card, ink.ink);
      }
      this.legend(to, width, height);
    }

    // The way lies on the surface between the snapshots, and hides behind it.
    way(items, project, flatten, to, values) {
      const { chart, context, ink } = this, { x, y } = chart, points = chart.way.points;
      const between = (place, axis) => {
        const k = clamp((place - axis[0]) / (axis[axis.length - 1] - axis[0]) * (axis.length - 1), 0, axis.length - 1.000001);
        return [Math.floor(k), k - Math.floor(k)];
      };
      const lift = (px, py) => {
        const [i, a] = between(px, x), [j, b] = between(py, y), four = [values[j][i], values[j][i + 1], values[j + 1][i], values[j + 1][i + 1]];
        const parts = four.map((one) => one === null ? 0 : to.part(one));
        const part = (parts[0] * (1 - a) + parts[1] * a) * (1 - b) + (parts[2] * (1 - a) + parts[3] * a) * b;
        return project(flatten(px, x, 0), flatten(py, y, 1), part + 0.012);
      };
      points.forEach(([px, py], k) => {
        const here = lift(px, py);
        this.spots.push({ ...here, depth: here.depth - 0.1, probe: { label: k } });
        items.push({ depth: here.depth - 0.09, paint: () => this.dot(here, k ? 3.6 : 5, k ? ink.way : ink.card, k ? ink.card : ink.way) });
        if (!k) return;
        const [qx, qy] = points[k - 1], pieces = 10;
        for (let piece = 0; piece < pieces; piece++) {
          const ends = [piece / pieces, (piece + 1) / pieces].map((t) => lift(qx + (px - qx) * t, qy + (py - qy) * t));
          items.push({ depth: (ends[0].depth + ends[1].depth) / 2 - 0.08, paint: () => {
            context.beginPath();
            context.moveTo(ends[0].x, ends[0].y);
            context.lineTo(ends[1].x, ends[1].y);
            context.strokeStyle = ink.way;
            context.lineWidth = 2.4;
            context.stroke();
            context.lineWidth = 0.6;
          } });
        }
      });
    }

    dot(spot, radius, fill, line) {
      const { context } = this;
      context.beginPath();
      context.arc(spot.x, spot.y, radius, 0, 7);
      context.fillStyle = fill;
      context.fill();
      context.strokeStyle = line;
      context.lineWidth = 1.4;
      context.stroke();
      context.lineWidth = 0.6;
    }

    floor(project, edge, width, height, to) {
      const { context, chart, ink } = this, [e, f] = edge;
      const corners = [[-e, -f], [e, -f], [e, f], [-e, f]].map(([u, v]) => project(u, v, 0));
      context.beginPath();
      corners.forEach((one, k) => k ? context.lineTo(one.x, one.y) : context.moveTo(one.x, one.y));
      context.closePath();
      context.strokeStyle = ink.line;
      context.lineWidth = 1;
      context.stroke();
      const label = (u, v, words, colour = ink.faint) => {
        const spot = project(u, v, 0), left = spot.x < width / 2 - 4;
        context.fillStyle = colour;
        context.textAlign = left ? "right" : spot.x > width / 2 + 4 ? "left" : "center";
        const reach = context.measureText(words).width;
        context.fillText(words, left ? Math.max(spot.x, reach + 2) : Math.min(spot.x, width - (context.textAlign === "left" ? reach + 2 : 0)), spot.y + 10);
      };
      // names and ends stand along the two sides in front
      const front = (one, two) => project(...one, 0).depth < project(...two, 0).depth ? 1 : -1;
      const sideX = -front([0, -f], [0, f]) * -1 > 0 ? -1 : 1, sideY = front([-e, 0], [e, 0]) > 0 ? -1 : 1;
      const out = 1.1;
      label(0, sideX * f * (out + 0.1), chart.axes[0], ink.ink);
      label(-e, sideX * f * out, number(chart.x[0]));
      label(e, sideX * f * out, number(chart.x[chart.x.length - 1]));
      label(sideY * e * (out + 0.1), 0, chart.axes[1], ink.ink);
      label(sideY * e * out, -f, number(chart.y[0]));
      label(sideY * e * out, f, number(chart.y[chart.y.length - 1]));
    }

    legend(to, width) {
      const { context, ink } = this, left = width - 16, tall = 110;
      for (let k = 0; k < tall; k++) {
        context.fillStyle = colour(1 - k / tall, 1);
        context.fillRect(left, 24 + k, 9, 1.5);
      }
      context.fillStyle = ink.faint;
      context.textAlign = "right";
      context.fillText(to.name, width - 6, 14);
      context.fillText(number(to.high), left - 5, 32);
      context.fillText(number(to.low), left - 5, 24 + tall);
    }

    curve(to, width, height) {
      const { chart, context, ink } = this, { x } = chart, values = chart.values[to.name][0];
      const left = 62, right = width - 16, top = 14, bottom = height - 44;
      const across = (one) => left + (right - left) * (one - x[0]) / (x[x.length - 1] - x[0]);
      const upward = (one) => bottom - (bottom - top) * to.part(one);
      context.strokeStyle = ink.line;
      context.fillStyle = ink.faint;
      context.lineWidth = 1;
      context.textAlign = "right";
      for (const [value, place] of [[to.low, bottom], [to.high, top]]) {
        context.beginPath();
        context.moveTo(left, place);
        context.lineTo(right, place);
        context.stroke();
        context.fillText(number(value), left - 6, place + 4);
      }
      context.fillText(to.name, left - 6, (top + bottom) / 2);
      for (const k of [0, x.length >> 1, x.length - 1]) {
        context.textAlign = k === 0 ? "left" : k === x.length - 1 ? "right" : "center";
        context.fillText(number(x[k]), across(x[k]), bottom + 16);
      }
      context.textAlign = "center";
      context.fillStyle = ink.ink;
      context.fillText(chart.axes[0], (left + right) / 2, bottom + 34);
      context.beginPath();
      let pen = false;
      values.forEach((value, column) => {
        if (value === null) { pen = false; return; }
        const spot = { x: across(x[column]), y: upward(value), depth: 0, probe: { column, row: 0 } };
        // a curve is read by its column, wherever the pointer is
        this.spots.push({ ...spot });
        if (pen) context.lineTo(spot.x, spot.y); else context.moveTo(spot.x, spot.y);
        pen = true;
      });
      context.strokeStyle = colour(0.45, 1);
      context.lineWidth = 2;
      context.stroke();
      if (chart.way && at("way").checked && to.name === "loss") chart.way.points.forEach(([place], k) => {
        const spot = { x: across(place), y: upward(chart.way.losses[k]), depth: -1, probe: { label: k } };
        this.spots.push(spot);
        this.dot(spot, 3.6, ink.way, ink.card);
      });
      const { probe } = this;
      if (probe && probe.column !== undefined && values[probe.column] !== null) this.dot({ x: across(x[probe.column]), y: upward(values[probe.column]) }, 5, ink.card, ink.ink);
    }
  }

  const views = [...document.querySelectorAll("canvas")].map((canvas, k) => new View(canvas, data.charts[k], k));
  let last = views[0];
  views.forEach((view) => view.canvas.addEventListener("focus", () => { last = view; }));
  document.querySelectorAll("[data-do]").forEach((button) => button.addEventListener("click", () => last.act(button.dataset.do)));
  for (const id of ["value", "log", "way"]) if (at(id)) at(id).addEventListener("change", paint);
  if (at("linked")) at("linked").addEventListener("change", () => {
    if (at("linked").checked) views.forEach((view) => { view.camera = { ...last.camera }; });
    paint();
  });
  theme.addEventListener("click", () => dark(theme.getAttribute("aria-pressed") !== "true"));
  at("log").checked = data.wide;
  const system = matchMedia("(prefers-color-scheme: dark)");
  system.addEventListener("change", () => dark(system.matches));
  dark(system.matches);
})();
