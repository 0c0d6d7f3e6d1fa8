// The network's drawing: the lines of the layer that is pointed at stand out.
"use strict";

{
  const graph = document.querySelector(".graph");
  function mark(row, is) {
    for (const line of graph.querySelectorAll(`[data-from="${row}"], [data-to="${row}"], [data-row="${row}"]`))
      line.classList.toggle("lit", is);
  }
  for (const item of document.querySelectorAll(".rows > li")) {
    const { row } = item.dataset;
    for (const [event, is] of [["pointerenter", true], ["pointerleave", false], ["focusin", true], ["focusout", false]])
      item.addEventListener(event, () => mark(row, is));
  }
}
