// Keys press the buttons of the page on which texts are labelled. Without it the buttons are there all the same.
"use strict";
(() => {
  let isSent = false;
  document.addEventListener("submit", () => (isSent = true));
  addEventListener("pageshow", () => (isSent = false));
  document.addEventListener("keydown", (event) => {
    if (event.repeat || event.ctrlKey || event.altKey || event.metaKey || isSent) return;
    if (event.target instanceof Element && event.target.closest("select, input, textarea")) return;
    const key = event.key === " " ? "space" : event.key.toLowerCase();
    const button = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
    if (button === null) return;
    event.preventDefault();
    button.click();
  });
})();
