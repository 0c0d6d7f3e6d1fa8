"use strict";
for (const stage of document.querySelectorAll(".stage")) {
  const slider = stage.querySelector("input");
  const show = (part) => stage.style.setProperty("--at", `${part}%`);
  slider.addEventListener("input", () => show(slider.value));
  // A browser lets a slider's thumb be dragged, with half its width lost at the ends: here the pointer itself is where it is.
  const follow = (event) => {
    const box = stage.getBoundingClientRect();
    slider.value = Math.round((100 * (event.clientX - box.left)) / box.width);
    show(slider.value);
  };
  slider.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    slider.focus({ preventScroll: true, focusVisible: false });
    slider.setPointerCapture(event.pointerId);
    follow(event);
  });
  slider.addEventListener("pointermove", (event) => slider.hasPointerCapture(event.pointerId) && follow(event));
}
const size = document.getElementById("size");
size.addEventListener("click", () => {
  const full = document.body.classList.toggle("full");
  size.setAttribute("aria-pressed", full);
});
