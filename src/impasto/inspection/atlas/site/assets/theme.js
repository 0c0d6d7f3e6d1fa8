// The theme that was chosen, before anything is painted; scripts run, so controls that need them may show.
document.documentElement.classList.add("js");
try {
  const theme = localStorage.getItem("impasto-theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // Storage is forbidden: the system's theme it is.
}
