// A unit's page: sheets of square pictures fall apart into their pictures, and the portrait is a whole number of times
// as large as it is, so that its pixels can be told apart where that is wanted.
"use strict";

{
  function split(picture) {
    const count = Math.round(picture.naturalWidth / picture.naturalHeight);
    if (count < 2) return;
    const list = document.createElement("ol");
    list.className = "patches";
    for (let place = 0; place < count; place++) {
      const item = document.createElement("li");
      const crop = document.createElement("span");
      crop.className = "crop";
      const part = document.createElement("img");
      part.src = picture.src;
      part.alt = `${picture.alt}, ${place + 1} of ${count}`;
      part.style.objectPosition = `${(100 * place) / (count - 1)}% 0`;
      crop.append(part);
      item.append(crop);
      list.append(item);
    }
    picture.parentElement.replaceWith(list);
  }

  function crisp(picture) {
    const room = picture.closest("figure").clientWidth;
    const ratio = devicePixelRatio || 1;
    const times = Math.floor((room * ratio) / picture.naturalWidth);
    picture.style.width = times >= 1 ? `${(times * picture.naturalWidth) / ratio}px` : "";
  }

  const whenLoaded = (picture, then) => {
    if (picture.complete && picture.naturalWidth) then(picture);
    else picture.addEventListener("load", () => then(picture), { once: true });
  };
  // Smooth is nearer to what the network saw; the pixels are what there is.
  const pixels = document.getElementById("pixels");
  function showPixels() {
    document.querySelector(".portrait").classList.toggle("pixels", pixels.checked);
  }
  pixels?.addEventListener("change", () => {
    showPixels();
    try {
      localStorage.setItem("impasto-pixels", pixels.checked ? "1" : "");
    } catch {
      // Storage is forbidden: it holds for this page.
    }
  });
  try {
    if (pixels) pixels.checked = Boolean(localStorage.getItem("impasto-pixels"));
  } catch {
    // As it is.
  }
  if (pixels) showPixels();

  const portraits = document.querySelectorAll(".portrait > figure > img");
  for (const picture of portraits) whenLoaded(picture, crisp);
  addEventListener("resize", () => portraits.forEach((picture) => picture.naturalWidth && crisp(picture)));
  for (const picture of document.querySelectorAll(".sheet > img")) whenLoaded(picture, split);
}
