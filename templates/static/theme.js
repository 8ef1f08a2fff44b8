// The theme: the system's, unless the reader chose another one here. Loaded before the first paint, hence a classic
// script: a module would come too late and the page would flash.
"use strict";

(() => {
  const KEY = "kboard.theme";
  const root = document.documentElement;
  const systemIsDark = matchMedia("(prefers-color-scheme: dark)");

  /** Storage may be forbidden (private windows, policies): the theme then lasts as long as the page. */
  function stored() {
    try { return localStorage.getItem(KEY); } catch { return null; }
  }

  function store(theme) {
    try {
      if (theme) localStorage.setItem(KEY, theme);
      else localStorage.removeItem(KEY);
    } catch { /* as above */ }
  }

  function apply(theme) {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
  }

  const current = () => root.dataset.theme ?? (systemIsDark.matches ? "dark" : "light");
  const other = () => (current() === "dark" ? "light" : "dark");

  /** Choosing what the system has anyway means following the system again. */
  function toggle() {
    const wanted = other();
    const choice = wanted === (systemIsDark.matches ? "dark" : "light") ? null : wanted;
    apply(choice);
    store(choice);
  }

  root.classList.add("js");
  apply(stored());

  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const label = document.getElementById("theme-label");
    const name = () => {
      root.classList.toggle("is-dark", current() === "dark");
      label.textContent = `Switch to the ${other()} theme`;
      button.title = label.textContent;
    };
    button.addEventListener("click", () => { toggle(); name(); });
    systemIsDark.addEventListener("change", name);
    // Another tab of this board chose.
    addEventListener("storage", (event) => { if (event.key === KEY) { apply(event.newValue); name(); } });
    name();
    button.hidden = false;
  });
})();
