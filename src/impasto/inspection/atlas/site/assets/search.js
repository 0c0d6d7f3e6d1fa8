// Search over layers, units and names of classes; what it looks through is loaded when it is first needed.
"use strict";

{
  const MOST = 40;
  const root = document.documentElement.dataset.root;
  const field = document.getElementById("search");
  const panel = field.parentElement.querySelector(".found");
  const list = document.getElementById("found");
  const status = panel.querySelector("[role=status]");
  let loading = null;
  let chosen = -1;
  let answered = null;

  const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

  // fetch() is refused to pages that are opened from the disk; a script is not.
  function load() {
    loading ??= new Promise((done, failed) => {
      const script = document.createElement("script");
      script.src = root + "assets/search-index.js";
      script.onload = () => done(prepared(window.atlasIndex));
      script.onerror = failed;
      document.head.append(script);
    });
    return loading;
  }

  function prepared(index) {
    for (const layer of index.layers) {
      layer.plain = plain(`${layer.tap} ${layer.kind}`);
      layer.named = Object.entries(layer.names).map(([number, name]) => [Number(number), name, plain(name)]);
      const numbers = Array.isArray(layer.units) ? layer.units : null;
      layer.at = (number) => (numbers ? numbers.indexOf(number) : number < layer.units ? number : -1);
      layer.count = numbers ? numbers.length : layer.units;
    }
    return index;
  }

  // How well a text answers: 0 for one that begins with what was typed, then words that do, then anywhere; −1 for not.
  function rank(text, typed) {
    if (text === typed) return 0;
    if (text.startsWith(typed)) return 1;
    const words = typed.split(/\s+/);
    if (!words.every((word) => text.includes(word))) return -1;
    return words.every((word) => text.split(/[^\p{L}\p{N}]+/u).some((part) => part.startsWith(word))) ? 2 : 3;
  }

  // The picture of a unit of the layer, or of the first that has one; empty for none.
  function picture({ pictures, units }, number, place) {
    if (typeof pictures !== "string") return pictures[place] ?? pictures.find((one) => one) ?? "";
    return pictures.replace("{}", number ?? (Array.isArray(units) ? units[0] : 0));
  }

  function unit(layer, number, name, score) {
    const shown = picture(layer, number, layer.at(number));
    return {
      score,
      title: `${layer.tap}:${number}`,
      note: name ?? layer.names[number] ?? "",
      href: root + layer.unit.replace("{}", number),
      picture: shown ? root + shown : "",
    };
  }

  function find(index, text) {
    const typed = plain(text.trim());
    if (!typed) return [];
    const found = [];
    for (const [title, page] of index.pages) {
      const score = rank(plain(title), typed);
      if (score >= 0) found.push({ score: score + 0.1, title, note: "", href: root + page });
    }
    const numbered = typed.match(/^(?:(.*?)[\s:#]+)?(\d+)$/);
    for (const layer of index.layers) {
      const score = rank(layer.plain, typed);
      if (score >= 0) {
        const note = `${layer.kind}, ${layer.count} units`;
        const shown = picture(layer);
        found.push({ score, title: layer.tap, note, href: root + layer.page, picture: shown && root + shown });
      }
      for (const [number, name, known] of layer.named) {
        const good = rank(known, typed);
        if (good >= 0) found.push(unit(layer, number, name, good + 0.2));
      }
      if (numbered && layer.at(Number(numbered[2])) >= 0) {
        const [, before, number] = numbered;
        const good = before ? rank(layer.plain, before) : 1;
        if (good >= 0) found.push(unit(layer, Number(number), null, good + 0.3));
      }
    }
    return found.sort((one, other) => one.score - other.score);
  }

  function show(found) {
    list.replaceChildren(
      ...found.slice(0, MOST).map((one, place) => {
        const item = document.createElement("li");
        item.id = `found-${place}`;
        item.role = "option";
        item.dataset.href = one.href;
        const thumb = document.createElement(one.picture ? "img" : "span");
        thumb.className = "thumb";
        if (one.picture) [thumb.src, thumb.alt] = [one.picture, ""];
        const title = document.createElement("b");
        title.textContent = one.title;
        const note = document.createElement("span");
        note.textContent = one.note;
        item.append(thumb, title, note);
        return item;
      }),
    );
    status.textContent =
      found.length > MOST ? `${found.length} found, ${MOST} shown` : found.length ? `${found.length} found` : "Nothing found";
    open(field.value.trim() !== "");
    choose(found.length ? 0 : -1);
  }

  function open(is) {
    panel.hidden = !is;
    field.setAttribute("aria-expanded", String(is));
  }

  function choose(place) {
    list.children[chosen]?.setAttribute("aria-selected", "false");
    chosen = place;
    const item = list.children[chosen];
    item?.setAttribute("aria-selected", "true");
    item?.scrollIntoView({ block: "nearest" });
    if (item) field.setAttribute("aria-activedescendant", item.id);
    else field.removeAttribute("aria-activedescendant");
  }

  async function look() {
    try {
      const index = await load();
      answered = field.value;
      show(find(index, answered));
    } catch {
      status.textContent = "The search index is missing";
      open(true);
    }
  }

  field.addEventListener("focus", () => {
    load().catch(() => {});
    if (field.value) look();
  });
  field.addEventListener("input", look);
  field.addEventListener("keydown", (event) => {
    const last = list.children.length - 1;
    if (event.key === "Escape") {
      if (panel.hidden) field.blur();
      open(false);
    } else if (event.key === "ArrowDown") choose(chosen < last ? chosen + 1 : 0);
    else if (event.key === "ArrowUp") choose(chosen > 0 ? chosen - 1 : last);
    else return;
    event.preventDefault();
  });
  field.form.addEventListener("submit", async (event) => {
    event.preventDefault();
    // What was chosen holds; only who typed faster than the index came is answered now.
    if (answered !== field.value) await look();
    const item = list.children[Math.max(chosen, 0)];
    if (item) location.href = item.dataset.href;
  });
  list.addEventListener("click", (event) => {
    const item = event.target.closest("li");
    if (item) location.href = item.dataset.href;
  });
  document.addEventListener("click", (event) => field.form.contains(event.target) || open(false));
  field.form.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !field.form.contains(event.relatedTarget)) open(false);
  });
}
