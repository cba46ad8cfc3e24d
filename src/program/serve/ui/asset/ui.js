// What a page does by itself: it asks for its live parts again, counts what is selected, sends a form when
// a choice is made, and completes names in the filter. Without it every page still works.
"use strict";

const main = document.getElementById("main");
const said = document.getElementById("said");

// Live parts.

const parts = () => main.querySelectorAll("[data-part]");

/** What tells an element from the others of its part, to find it again in a newer one. */
function mark(element) {
  if (element.id) return "#" + CSS.escape(element.id);
  if (element.matches("a[href]")) return `a[href="${CSS.escape(element.getAttribute("href"))}"]`;
  if (element.matches("input[value]")) return `input[value="${CSS.escape(element.value)}"]`;
  return null;
}

function renew(part, newer) {
  if (part.isEqualNode(newer)) return;
  const picked = new Set([...part.querySelectorAll("input:checked")].map((box) => box.value));
  const opened = [...part.querySelectorAll("details")].map((details) => details.open);
  const places = [...part.querySelectorAll(".scroll")].map((scroll) => [scroll.scrollLeft, scroll.scrollTop]);
  const focused = part.contains(document.activeElement) ? mark(document.activeElement) : null;
  part.replaceChildren(...newer.childNodes);
  for (const box of part.querySelectorAll("input[type=checkbox]")) box.checked = picked.has(box.value);
  part.querySelectorAll("details").forEach((details, idx) => {
    if (opened[idx] !== undefined) details.open = opened[idx];
  });
  part.querySelectorAll(".scroll").forEach((scroll, idx) => {
    if (places[idx]) [scroll.scrollLeft, scroll.scrollTop] = places[idx];
  });
  if (focused !== null) part.querySelector(focused)?.focus({ preventScroll: true });
  count();
}

async function ask(url) {
  const answer = await fetch(url, { headers: { accept: "text/html" }, credentials: "same-origin" });
  if (!answer.ok || answer.redirected) return null;
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

async function refresh(url) {
  const page = await ask(url);
  const newer = page?.getElementById("main");
  if (!newer) return false;
  for (const part of parts()) {
    const found = newer.querySelector("#" + CSS.escape(part.id));
    if (found) renew(part, document.importNode(found, true));
  }
  main.dataset.live = newer.dataset.live ?? "";
  main.dataset.mark = newer.dataset.mark ?? "";
  return true;
}

/** Hears from the server that the registry is in another state than the page shows. */
const news = (() => {
  let source = null;
  let wake = null;
  let state = null;
  const isOpen = () => source !== null && source.readyState === EventSource.OPEN;
  const close = () => {
    source?.close();
    source = null;
  };
  const open = () => {
    if (source !== null || !main.dataset.events || document.hidden) return;
    source = new EventSource(main.dataset.events);
    source.addEventListener("change", (event) => {
      state = event.data;
      if (state !== main.dataset.mark) wake?.();
    });
  };
  // A browser has few connections to one server: only what is looked at holds one.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
  return {
    close,
    /** Waits until there is news; without a server that tells them, `every_ms`. */
    async wait(every_ms, least_ms) {
      open();
      if (source?.readyState === EventSource.CLOSED) close();
      await new Promise((done) => setTimeout(done, least_ms));
      if (isOpen() && state !== null && state !== main.dataset.mark) return;
      await new Promise((done) => {
        const timer = setTimeout(done, (isOpen() ? Math.max(every_ms, 10_000) : every_ms) - least_ms);
        wake = () => {
          clearTimeout(timer);
          done();
        };
      });
      wake = null;
    },
  };
})();

async function live() {
  let n_failed = 0;
  for (;;) {
    const every_ms = Number(main.dataset.live);
    if (!(every_ms > 0)) return news.close();
    await news.wait(every_ms * Math.min(1 + n_failed, 15), n_failed > 0 ? every_ms : 400);
    if (document.hidden || !getSelection().isCollapsed) continue;
    try {
      n_failed = (await refresh(location.href)) ? 0 : n_failed + 1;
    } catch {
      n_failed += 1;
    }
    said.textContent = n_failed > 2 ? "The server does not answer: this page is not up to date." : "";
  }
}

live();

// Selected runs.

function count() {
  const form = document.getElementById("pick");
  if (!form) return;
  const n = form.querySelectorAll("input[name=run]:checked").length;
  const told = document.getElementById("picked");
  told.textContent = n === 0 ? told.dataset.none : `${n} selected`;
  for (const button of form.querySelectorAll("[data-needs]")) {
    button.disabled = n < Number(button.dataset.needs);
  }
}

main.addEventListener("change", (event) => {
  if (event.target.matches("input[name=run]")) count();
});
count();

// Forms that are sent by a choice: the parts of the page follow, and so does its URL.

function wanted(form) {
  const url = new URL(form.action, location.href);
  url.search = "";
  for (const [name, value] of new FormData(form)) {
    if (value !== "") url.searchParams.append(name, value);
  }
  return url;
}

for (const form of document.querySelectorAll("form[data-auto]")) {
  form.addEventListener("change", async () => {
    const url = wanted(form);
    try {
      if (!(await refresh(url))) throw new Error("no page");
      history.replaceState(null, "", url);
    } catch {
      location.assign(url);
    }
  });
}

// Empty fields, and columns that nobody picked, are no part of a URL that people share.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "get") return;
  const columns = [...form.querySelectorAll("input[name=col]")];
  const isPicked = location.search.includes("col=") || columns.some((box) => box.checked !== box.defaultChecked);
  for (const field of form.elements) {
    const isLeft = field.value === "" || (field.name === "col" && !isPicked);
    if (field.name && isLeft && !field.disabled) {
      field.disabled = true;
      setTimeout(() => { field.disabled = false; });
    }
  }
});

// A menu closes by Escape and by what happens elsewhere.

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

// Completion in the filter.

const ATTRIBUTES = ["status", "run_name", "run_id", "start_time", "end_time", "and", "like", "ilike", "in"];
const field = document.querySelector("input[data-words]");

if (field) {
  const words = [...field.dataset.words.split("\n").filter((word) => word !== ""), ...ATTRIBUTES];
  const list = document.createElement("ul");
  list.id = "filter-words";
  list.role = "listbox";
  list.ariaLabel = "Completions";
  list.hidden = true;
  field.after(list);
  field.role = "combobox";
  field.setAttribute("aria-controls", list.id);
  field.setAttribute("aria-autocomplete", "list");
  field.setAttribute("aria-expanded", "false");
  let chosen = -1;

  const begun = () => /[^\s()=<>!,']*$/.exec(field.value.slice(0, field.selectionStart))[0];
  const close = () => {
    list.hidden = true;
    chosen = -1;
    field.setAttribute("aria-expanded", "false");
    field.removeAttribute("aria-activedescendant");
  };
  const take = (word) => {
    const at = field.selectionStart;
    const start = at - begun().length;
    field.value = field.value.slice(0, start) + word + " " + field.value.slice(at).trimStart();
    field.setSelectionRange(start + word.length + 1, start + word.length + 1);
    close();
  };
  const choose = (idx) => {
    chosen = idx;
    [...list.children].forEach((item, at) => { item.ariaSelected = at === idx ? "true" : "false"; });
    field.setAttribute("aria-activedescendant", list.children[idx].id);
    list.children[idx].scrollIntoView({ block: "nearest" });
  };
  field.addEventListener("input", () => {
    const start = begun().toLowerCase();
    const fits = (word) => {
      const lower = word.toLowerCase();
      return lower !== start && (lower.startsWith(start) || lower.split(".").slice(1).join(".").startsWith(start));
    };
    const found = start === "" ? [] : words.filter(fits).slice(0, 8);
    list.replaceChildren(...found.map((word, idx) => {
      const item = document.createElement("li");
      item.id = `filter-word-${idx}`;
      item.role = "option";
      item.ariaSelected = "false";
      item.textContent = word;
      item.addEventListener("mousedown", (event) => { event.preventDefault(); take(word); });
      return item;
    }));
    chosen = -1;
    field.removeAttribute("aria-activedescendant");
    list.hidden = found.length === 0;
    field.setAttribute("aria-expanded", String(found.length > 0));
  });
  field.addEventListener("keydown", (event) => {
    if (list.hidden) return;
    const n = list.children.length;
    if (event.key === "ArrowDown") choose((chosen + 1) % n);
    else if (event.key === "ArrowUp") choose((chosen + n - 1) % n);
    else if (event.key === "Escape") close();
    else if ((event.key === "Enter" || event.key === "Tab") && chosen >= 0) take(list.children[chosen].textContent);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  field.addEventListener("blur", close);
}
