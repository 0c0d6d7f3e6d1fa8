// Keys that lead from page to page, the dialog that tells of them, and the button of the theme.
"use strict";

const HELP = [
  ["←  →", "The unit, layer or atlas before and after"],
  ["↑", "Up: from a unit to its layer, from a layer to the network (at the top of a page)"],
  ["u", "Up, from anywhere on a page"],
  ["/", "Search"],
  ["t", "Light or dark"],
  ["+  −  0", "On a map: nearer, farther, the whole"],
  ["?", "These keys"],
];

function go(key) {
  const link = document.querySelector(`[data-key="${key}"]`);
  if (link) location.href = link.href;
  return Boolean(link);
}

function dark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function showTheme() {
  document.getElementById("theme").setAttribute("aria-pressed", String(dark()));
}

function turnTheme() {
  const theme = dark() ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem("impasto-theme", theme);
  } catch {
    // Storage is forbidden: it holds for this page.
  }
  showTheme();
}

function help() {
  let dialog = document.getElementById("help");
  if (!dialog) {
    dialog = document.createElement("dialog");
    dialog.id = "help";
    dialog.setAttribute("aria-labelledby", "help-title");
    const rows = HELP.map(([keys, what]) => {
      const shown = keys.split("  ").map((key) => `<kbd>${key}</kbd>`).join(" ");
      return `<div><dt>${shown}</dt><dd>${what}</dd></div>`;
    });
    dialog.innerHTML =
      `<form method="dialog"><h2 id="help-title">Keys</h2><dl>${rows.join("")}</dl><button class="button">Close</button></form>`;
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    document.body.append(dialog);
  }
  if (dialog.open) dialog.close();
  else dialog.showModal();
}

// Whether keys belong to what has the focus: text that is being written, a slider, an open dialog.
function taken(target) {
  return target.closest("input:not([type=checkbox]), select, textarea, dialog") !== null;
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return;
  if (taken(event.target)) return;
  let done = true;
  if (event.key === "/") document.getElementById("search").focus();
  else if (event.key === "?") help();
  else if (event.key === "t") turnTheme();
  else if (event.key === "u") done = go("ArrowUp");
  else if (event.shiftKey) done = false;
  else if (event.key === "ArrowLeft" || event.key === "ArrowRight") done = go(event.key);
  // Further down it scrolls, as readers expect.
  else if (event.key === "ArrowUp") done = scrollY <= 0 && go("ArrowUp");
  else done = false;
  if (done) event.preventDefault();
});

document.getElementById("keys").addEventListener("click", help);
document.getElementById("theme").addEventListener("click", turnTheme);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);
// Back from another page, where the theme may have been turned.
addEventListener("pageshow", (event) => {
  if (event.persisted) {
    try {
      const theme = localStorage.getItem("impasto-theme");
      if (theme) document.documentElement.dataset.theme = theme;
    } catch {
      // As it is.
    }
  }
  showTheme();
});
showTheme();
