// What every layer makes of one picture: a chain of layers, and of the one chosen all its channels.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const grid = $("grid"), zoom = $("zoom"), picture = $("picture");
  const buttons = [...document.querySelectorAll("#chain button")];
  let current = 0, chosen = 0, scale = "channel", order = [], cells = null, decoded = null;

  // Matplotlib's inferno in nine steps for what is never negative; blue and orange around black for what is.
  const INFERNO = [[0, 0, 4], [31, 12, 72], [85, 15, 109], [136, 34, 106], [186, 54, 85], [227, 89, 51], [249, 140, 10], [249, 201, 50], [252, 255, 164]];
  const COLD = [[0, 0, 4], [14, 44, 84], [24, 92, 160], [86, 164, 226], [206, 236, 255]];
  const WARM = [[0, 0, 4], [88, 38, 8], [176, 78, 12], [240, 148, 40], [255, 232, 176]];
  const mix = (steps, t) => {
    const at = Math.max(0, Math.min(1, t)) * (steps.length - 1), k = Math.min(steps.length - 2, Math.floor(at)), part = at - k;
    return steps[k].map((c, i) => c + (steps[k + 1][i] - c) * part);
  };
  const number = (value) => Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : Number(value.toPrecision(3)).toString();

  async function load(k) {
    const layer = data.layers[k];
    if (!layer.bytes) {
      const image = new Image();
      image.src = layer.sheet;
      await image.decode();
      const canvas = document.createElement("canvas");
      canvas.width = image.naturalWidth;
      canvas.height = image.naturalHeight;
      const pen = canvas.getContext("2d", { willReadFrequently: true });
      pen.drawImage(image, 0, 0);
      const all = pen.getImageData(0, 0, canvas.width, canvas.height).data, bytes = new Uint8Array(all.length / 4);
      for (let i = 0; i < bytes.length; i++) bytes[i] = all[4 * i];
      layer.bytes = bytes;
      layer.across = canvas.width;
      layer.lowest = Math.min(...layer.low);
      layer.largest = Math.max(...layer.high, -layer.lowest);
    }
    return layer;
  }

  // A channel's map in colours, as wide and high as its tile.
  function coloured(layer, channel, by) {
    const [w, h] = layer.tile, pixels = new ImageData(w, h);
    const low = layer.low[channel], span = layer.high[channel] - low, signed = layer.lowest < 0;
    const most = (by === "layer" ? layer.largest : Math.max(layer.high[channel], -low)) || 1;
    const table = new Uint8ClampedArray(1024);
    for (let level = 0; level < 256; level++) {
      const value = low + (span * level) / 255;
      const floor = !signed && by === "channel" ? low : 0;
      const t = Math.sqrt(Math.max(0, (Math.abs(value) - floor) / (most - floor || 1))); // or most of a map is black
      table.set([...mix(signed ? (value < 0 ? COLD : WARM) : INFERNO, t), 255], 4 * level);
    }
    const left = (channel % layer.columns) * w, top = Math.floor(channel / layer.columns) * h;
    for (let y = 0; y < h; y++) {
      for (let x = 0; x < w; x++) {
        const level = layer.bytes[(top + y) * layer.across + left + x], at = 4 * (y * w + x);
        for (let c = 0; c < 4; c++) pixels.data[at + c] = table[4 * level + c];
      }
    }
    const canvas = document.createElement("canvas");
    canvas.width = w;
    canvas.height = h;
    canvas.getContext("2d").putImageData(pixels, 0, 0);
    return canvas;
  }

  async function show(k) {
    current = Math.max(0, Math.min(data.layers.length - 1, k));
    buttons.forEach((button, i) => button.setAttribute("aria-current", String(i === current)));
    buttons[current].scrollIntoView({ block: "nearest", inline: "nearest" });
    const asked = current, layer = await load(current);
    if (asked !== current) return;
    decoded = layer;
    chosen = 0;
    const [c, h, w] = layer.shape;
    $("layer").textContent = `${layer.tap}: ${c} channels of ${h} × ${w}`;
    const signed = layer.lowest < 0 ? "Orange is positive, blue negative, black 0; brightness grows as the root." : "Black is low, yellow high; brightness grows as the root.";
    const [tw, th] = layer.tile, small = tw < w || th < h ? ` Maps are averaged to ${th} × ${tw} for this page; the numbers are exact.` : "";
    $("legend").textContent = `${layer.kind}. ${signed}${small}`;
    sort();
    grid.dataset.layer = layer.tap;
  }

  function sort() {
    const by = $("sort").value, layer = decoded;
    order = layer.low.map((_, i) => i);
    if (by !== "number") order.sort((a, b) => layer[by][b] - layer[by][a]);
    draw();
  }

  function draw() {
    const layer = decoded, ratio = window.devicePixelRatio || 1, room = grid.clientWidth, n = order.length;
    if (!layer || !room) return;
    const [w, h] = layer.tile, wish = Math.max(26, Math.min(132, Math.sqrt((room * 680) / n)));
    const across = Math.max(1, Math.min(n, Math.floor(room / wish))), gap = 2;
    const wide = Math.min(room / across, 132), high = ((wide - gap) * layer.shape[1]) / layer.shape[2] + gap;
    cells = { across, wide, high };
    const rows = Math.ceil(n / across);
    grid.style.height = `${rows * high}px`;
    grid.width = Math.round(room * ratio);
    grid.height = Math.round(rows * high * ratio);
    const pen = grid.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.imageSmoothingEnabled = w > 12;
    order.forEach((channel, place) => {
      const x = (place % across) * wide, y = Math.floor(place / across) * high;
      pen.drawImage(coloured(layer, channel, scale), x, y, wide - gap, high - gap);
    });
    const x = (chosen % across) * wide, y = Math.floor(chosen / across) * high;
    pen.strokeStyle = "#fff";
    pen.lineWidth = 4;
    pen.strokeRect(x + 1, y + 1, wide - gap - 2, high - gap - 2);
    pen.strokeStyle = "#0072b2";
    pen.lineWidth = 2;
    pen.strokeRect(x + 1, y + 1, wide - gap - 2, high - gap - 2);
    say();
  }

  const called = (layer, channel) => `${layer.tap}:${channel}` + (layer.names[channel] ? ` ${layer.names[channel]}` : "");

  function say() {
    const layer = decoded, channel = order[chosen];
    const words = `${called(layer, channel)}: highest ${number(layer.high[channel])}, mean ${number(layer.mean[channel])}, ${Math.round(100 * layer.zero[channel])} % zero`;
    if ($("said").textContent !== words) $("said").textContent = words;
    grid.setAttribute("aria-label", `${order.length} channels of ${layer.tap}; chosen: ${called(layer, channel)}`);
  }

  function choose(place) {
    if (place < 0 || place >= order.length) return;
    chosen = place;
    draw();
    if (zoom.open) enlarge();
  }

  function enlarge() {
    const layer = decoded, channel = order[chosen], [c, h, w] = layer.shape, [tw, th] = layer.tile;
    const image = coloured(layer, channel, scale);
    $("zoomed").textContent = called(layer, channel);
    const map = $("map"), wide = 560;
    map.width = wide;
    map.height = Math.max(1, Math.round((wide * h) / w));
    const pen = map.getContext("2d");
    pen.imageSmoothingEnabled = false;
    pen.drawImage(image, 0, 0, map.width, map.height);
    overlay(image);
    const [row, column] = layer.peak[channel], [stride, before, after] = layer.geometry;
    const facts = [
      ["highest", number(layer.high[channel])], ["lowest", number(layer.low[channel])], ["mean", number(layer.mean[channel])],
      ["zero", `${(100 * layer.zero[channel]).toFixed(1)} %`], ["highest at", `row ${row}, column ${column}`],
      ["one position sees", stride ? `${before + after + 1} pixels` : "all of it"],
    ];
    const list = $("numbers");
    list.textContent = "";
    for (const [name, value] of facts) {
      const pair = document.createElement("div"), term = document.createElement("dt"), figure = document.createElement("dd");
      term.textContent = name;
      figure.textContent = value;
      pair.append(term, figure);
      list.append(pair);
    }
    if (!zoom.open) zoom.showModal();
  }

  // The map where it looks: position o is centred on pixel o·stride + (after − before)/2 of the picture.
  function overlay(image) {
    const layer = decoded, channel = order[chosen], [, h, w] = layer.shape, [stride, before, after] = layer.geometry;
    const over = $("over"), by = 560 / data.width;
    over.width = 560;
    over.height = Math.round(data.height * by);
    const pen = over.getContext("2d");
    pen.drawImage(picture, 0, 0, over.width, over.height);
    pen.globalAlpha = 1 - Number($("through").value);
    pen.imageSmoothingQuality = "high";
    if (stride) {
      const start = ((after - before) / 2 + 0.5 - stride / 2) * by;
      pen.drawImage(image, start, start, w * stride * by, h * stride * by);
    } else pen.drawImage(image, 0, 0, over.width, over.height);
    pen.globalAlpha = 1;
    if (stride) {
      const [row, column] = layer.peak[channel], field = (before + after + 1) * by;
      pen.strokeStyle = "#fff";
      pen.lineWidth = 2;
      pen.strokeRect((column * stride - before) * by, (row * stride - before) * by, field, field);
    }
  }

  const place = (event) => {
    const x = Math.floor(event.offsetX / cells.wide), y = Math.floor(event.offsetY / cells.high);
    return x < cells.across ? y * cells.across + x : -1;
  };
  grid.addEventListener("click", (event) => {
    const at = place(event);
    if (at >= 0 && at < order.length) {
      choose(at);
      enlarge();
    }
  });
  grid.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -cells.across, ArrowDown: cells.across };
    if (event.key in steps) choose(chosen + steps[event.key]);
    else if (event.key === "Home") choose(0);
    else if (event.key === "End") choose(order.length - 1);
    else if (event.key === "Enter" || event.key === " ") enlarge();
    else return;
    event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select")) return;
    if (zoom.open) {
      const slider = event.target.matches("input");
      if (!slider && event.key === "ArrowLeft") choose(chosen - 1);
      if (!slider && event.key === "ArrowRight") choose(chosen + 1);
    } else if (event.key === "[") show(current - 1);
    else if (event.key === "]") show(current + 1);
  });
  buttons.forEach((button, k) => button.addEventListener("click", () => show(k)));
  document.querySelectorAll("button.scale").forEach((button) => button.addEventListener("click", () => {
    scale = button.dataset.scale;
    document.querySelectorAll("button.scale").forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
    draw();
  }));
  $("sort").addEventListener("change", () => {
    chosen = 0;
    sort();
  });
  $("through").addEventListener("input", () => overlay(coloured(decoded, order[chosen], scale)));
  $("before").addEventListener("click", () => choose(chosen - 1));
  $("after").addEventListener("click", () => choose(chosen + 1));
  $("close").addEventListener("click", () => zoom.close());
  zoom.addEventListener("click", (event) => {
    if (event.target === zoom) zoom.close();
  });
  new ResizeObserver(() => {
    if (decoded && Math.abs(grid.width - grid.clientWidth * (window.devicePixelRatio || 1)) > 1) draw();
  }).observe(grid);

  // The mean of all channels stands for a layer in the chain.
  async function chain() {
    for (let k = 0; k < data.layers.length; k++) {
      const layer = await load(k), [w, h] = layer.tile, sum = new Float32Array(w * h), n = layer.low.length;
      for (let channel = 0; channel < n; channel++) {
        const left = (channel % layer.columns) * w, top = Math.floor(channel / layer.columns) * h;
        const low = layer.low[channel], span = layer.high[channel] - low;
        for (let i = 0; i < w * h; i++) {
          sum[i] += Math.abs(low + (span * layer.bytes[(top + Math.floor(i / w)) * layer.across + left + (i % w)]) / 255);
        }
      }
      const low = sum.reduce((a, b) => Math.min(a, b)), span = sum.reduce((a, b) => Math.max(a, b)) - low || 1;
      const canvas = buttons[k].querySelector("canvas"), pixels = new ImageData(w, h);
      sum.forEach((value, i) => pixels.data.set([...mix(INFERNO, (value - low) / span), 255], 4 * i));
      canvas.width = w;
      canvas.height = h;
      canvas.getContext("2d").putImageData(pixels, 0, 0);
    }
    document.body.dataset.ready = "true";
  }
  picture.decode().then(() => show(0)).then(chain);
})();
