// The page's only script: sends texts, shows answers and what the server says of itself. Everything
// it shows goes in as text, never as markup.
"use strict";

const byId = (id) => document.getElementById(id);
const text = byId("text");
const texts = byId("texts");
const problem = byId("error");
const keyRow = byId("keyrow");
const key = byId("key");
const chosen = byId("chosen");

/// The headers of every request; the key stays on the page and goes with it.
function headers(more) {
  return key.value.trim() ? { ...more, "x-api-key": key.value.trim() } : more;
}

/// Shows where a key goes, once the server has asked for one.
function askForKey() {
  // Whoever is writing is not taken elsewhere by what the page asks of its own accord.
  const isFree = keyRow.hidden && !text.value && !texts.value;
  keyRow.hidden = false;
  if (isFree) key.focus();
}

/// How often the server is asked how it is doing, while someone looks.
const REFRESH_MS = 5000;

function percent(probability) {
  // Two decimals for all, so that they stand below each other; 99.97 must not read as certainty.
  return `${(100 * probability).toFixed(2)} %`;
}

function element(name, className, content) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (content !== undefined) made.textContent = content;
  return made;
}

function showProblem(message) {
  byId("result").hidden = true;
  byId("batch-result").hidden = true;
  problem.textContent = message;
  problem.hidden = false;
  problem.scrollIntoView({ block: "nearest" });
}

function sentence(said) {
  return said.charAt(0).toUpperCase() + said.slice(1);
}

/// What an error answer says, in one line; `lines` are the texts it is about, if there are several.
function explain(answer, status, lines) {
  if (status === 401) {
    return key.value.trim()
      ? "This key is unknown, revoked or expired."
      : "This server asks for an API key: enter it above.";
  }
  if (Array.isArray(answer.detail)) {
    return answer.detail
      .map(({ loc, msg }) => {
        const line = lines?.[loc.at(-1)];
        return line ? `line ${line.number}: ${msg}` : msg;
      })
      .join("; ");
  }
  const parts = [answer.error ?? `The server answered with status ${status}`, answer.detail];
  return parts.filter(Boolean).join(": ");
}

function track(share, name = "span") {
  const made = element(name, "bar");
  made.setAttribute("aria-hidden", "true");
  const filled = element("span");
  filled.style.width = `${100 * share}%`;
  made.append(filled);
  return made;
}

function bar(label, share, shown, strong) {
  const row = element("div", strong ? "predicted" : "");
  const name = element("dt", "", label);
  name.title = label;
  row.append(name, track(share, "dd"), element("dd", "", shown));
  return row;
}

function about(answer, what) {
  const { name, version, stage } = answer.model;
  return (
    `${name} version ${version} (${stage}) · ${what}${answer.latency_ms.toFixed(2)} ms · ` +
    `request ${answer.request_id}`
  );
}

/// Below this share of known words people are told how little of a text the model knows.
const FEW_KNOWN = 0.25;

/// What people should know before they rely on an answer; nothing of most.
function warning({ known_share }) {
  if (known_share === 0) return "The model knows no word of this text: its answer means nothing.";
  if (known_share < FEW_KNOWN) {
    return `The model knows only ${(100 * known_share).toFixed(0)} % of the words of this text: its answer means little.`;
  }
  return "";
}

function showWarning(id, message) {
  byId(id).textContent = message;
  byId(id).hidden = !message;
}

/// From which probability on the second of two classes is predicted, where that is not a half.
function ownThreshold({ threshold, scores }) {
  if (threshold === undefined || threshold === 0.5) return "";
  return ` (${Object.keys(scores)[1]} from ${percent(threshold)} on)`;
}

function showAnswer(answer) {
  problem.hidden = true;
  byId("label").textContent = answer.label;
  const cut = answer.truncated ? ", of the beginning: the text is longer than the model reads" : "";
  byId("confidence").textContent = `with ${percent(answer.confidence)} confidence${ownThreshold(answer)}${cut}`;
  showWarning("warning", warning(answer));
  const scores = Object.entries(answer.scores);
  // Two classes keep their places from one text to the next; more are ranked.
  if (scores.length > 2) scores.sort((a, b) => b[1] - a[1]);
  byId("scores").replaceChildren(
    ...scores.map(([label, probability]) =>
      bar(label, probability, percent(probability), label === answer.label),
    ),
  );
  byId("about").textContent = about(answer, "");
  byId("result").hidden = false;
  byId("result").scrollIntoView({ block: "nearest" });
}

function row(text, answer) {
  const made = element("tr");
  const confidence = element("td", "number");
  confidence.append(track(answer.confidence), element("span", "figure", percent(answer.confidence)));
  const cut = answer.truncated ? " (only its beginning was read)" : "";
  const unknown = answer.known_share === 0 ? " (no word of it is known)" : "";
  const cell = element("td", "text");
  cell.append(element("div", "excerpt", text + cut + unknown));
  made.append(cell, element("td", "label", answer.label), confidence);
  return made;
}

/// Makes a button of each text that has more lines than its row shows, and of no other.
function markExcerpts() {
  for (const excerpt of document.querySelectorAll(".excerpt:not([aria-expanded='true'])")) {
    if (excerpt.scrollHeight > excerpt.clientHeight + 1) {
      excerpt.tabIndex = 0;
      excerpt.setAttribute("role", "button");
      excerpt.setAttribute("aria-expanded", "false");
      excerpt.title = "Show the whole text";
    } else {
      for (const name of ["tabindex", "role", "aria-expanded", "title"]) excerpt.removeAttribute(name);
    }
  }
}

function toggle(excerpt) {
  const isOpen = excerpt.getAttribute("aria-expanded") === "true";
  excerpt.setAttribute("aria-expanded", !isOpen);
  excerpt.title = isOpen ? "Show the whole text" : "Show its beginning";
}

function showAnswers(asked, answers) {
  problem.hidden = true;
  const counts = new Map();
  for (const { label } of answers) counts.set(label, (counts.get(label) ?? 0) + 1);
  const ranked = [...counts].sort((a, b) => b[1] - a[1]);
  byId("batch-summary").textContent = ranked.map(([label, n]) => `${n}\u00a0${label}`).join(", ");
  const nUnknown = answers.filter(({ known_share }) => known_share === 0).length;
  const which = nUnknown === 1 ? "1 text has" : `${count(nUnknown)} texts have`;
  showWarning(
    "batch-warning",
    nUnknown ? `${which} no word that the model knows: its answer means nothing for such a text.` : "",
  );
  byId("rows").replaceChildren(...asked.map(({ text }, idx) => row(text, answers[idx])));
  byId("batch-about").textContent = about(answers[0], `${answers.length} texts in `);
  byId("batch-result").hidden = false;
  markExcerpts();
  byId("batch-result").scrollIntoView({ block: "nearest" });
}

/// What the server takes; null until it has said so.
let limits = null;

async function learnLimits() {
  const response = await fetch("info", { headers: headers({}) });
  if (response.ok) limits = (await response.json()).limits;
}

function count(number) {
  return number.toLocaleString("en");
}

/// Characters as the server counts them: those beyond U+FFFF are one.
function charactersOf(text) {
  let n = 0;
  for (const _ of text) n += 1;
  return n;
}

function size(bytes) {
  return bytes < 1 << 20 ? `${count(bytes)} bytes` : `${(bytes / (1 << 20)).toFixed(1)} MiB`;
}

/// Why the server would not take `lines`, which are sent as `body`; null if it would.
function excess(lines, body, isBatch) {
  if (!limits) return null;
  if (isBatch && lines.length > limits.batch_texts) {
    return `There are ${count(lines.length)} texts; this server takes at most ${count(limits.batch_texts)} at once.`;
  }
  for (const { number, text } of lines) {
    // A text has no more characters than UTF-16 units.
    const n = text.length > limits.text_chars ? charactersOf(text) : 0;
    if (n > limits.text_chars) {
      const which = isBatch ? `Line ${count(number)}` : "The text";
      return `${which} has ${count(n)} characters; this server reads at most ${count(limits.text_chars)}.`;
    }
  }
  const most = isBatch ? limits.batch_body_bytes : limits.body_bytes;
  const n = new TextEncoder().encode(body).length;
  if (n <= most) return null;
  const what = isBatch ? "The texts together have" : "The text has";
  return `${what} ${size(n)}; this server takes at most ${size(most)} at once.`;
}

/// The question that waits for a key.
let waiting = null;

/// Asks the endpoint `path` while `button` says so; a newer question replaces the one under way.
function asker(path, button, isBatch) {
  let current = null;
  const ask = async (lines, show) => {
    current?.abort();
    const mine = new AbortController();
    current = mine;
    waiting = null;
    button.setAttribute("aria-disabled", "true");
    try {
      if (!limits) await learnLimits();
      if (mine.signal.aborted) return;
      const question = isBatch ? { texts: lines.map(({ text }) => text) } : { text: lines[0].text };
      // The server's default model needs no name.
      if (chosen.value) question.model = chosen.value;
      const body = JSON.stringify(question);
      const tooMuch = excess(lines, body, isBatch);
      if (tooMuch) {
        showProblem(tooMuch);
        return;
      }
      const response = await fetch(path, {
        method: "POST",
        headers: headers({ "content-type": "application/json" }),
        body,
        signal: mine.signal,
      });
      const answer = await response.json();
      if (response.ok) show(answer);
      else {
        showProblem(explain(answer, response.status, isBatch ? lines : null));
        if (response.status === 401) {
          waiting = () => ask(lines, show);
          askForKey();
          key.select();
        }
      }
      showHealth();
    } catch (error) {
      if (error.name !== "AbortError") {
        showProblem("The server does not answer. Is it still running?");
      }
    } finally {
      if (current === mine) {
        current = null;
        button.removeAttribute("aria-disabled");
      }
    }
  };
  const forget = () => current?.abort();
  return { ask, forget };
}

const one = asker("predict", byId("predict"), false);
const several = asker("predict/batch", byId("predict-batch"), true);

function predict() {
  if (text.value.trim()) {
    one.ask([{ number: 1, text: text.value }], showAnswer);
  } else {
    showProblem("There is no text yet: paste or write one first.");
    text.focus();
  }
}

/// The lines that hold something, and which lines they are.
function asked() {
  const lines = texts.value.split("\n").map((text, idx) => ({ number: idx + 1, text }));
  return lines.filter(({ text }) => text.trim());
}

function predictAll() {
  const lines = asked();
  if (lines.length) {
    several.ask(lines, (answers) => showAnswers(lines, answers));
  } else {
    showProblem("There are no texts yet: paste some first, one a line.");
    texts.focus();
  }
}

function duration(seconds) {
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = units.findIndex(([, length]) => seconds >= length);
  if (first < 0) return "0 s";
  const shown = [];
  for (const [unit, length] of units.slice(first, first + 2)) {
    const count = Math.floor(seconds / length);
    if (count) shown.push(`${count} ${unit}`);
    seconds -= count * length;
  }
  return shown.join(" ");
}

function showStatistics(uptime_s, { n_predictions, labels, confidence }) {
  byId("n-predictions").textContent = count(n_predictions);
  byId("mean-confidence").textContent = n_predictions ? percent(confidence.mean) : "–";
  byId("uptime").textContent = duration(uptime_s);
  byId("labels").replaceChildren(
    ...Object.entries(labels).map(([label, n]) =>
      bar(label, n / n_predictions, count(n), false),
    ),
  );
}

/// Offers the server's models where there are several; the default one, which comes first, is chosen.
function offer(models) {
  const names = models.length > 1 ? models.map(({ name }) => name) : [];
  byId("chosenrow").hidden = !names.length;
  if (names.length === chosen.length && names.every((name, idx) => chosen[idx].value === name)) return;
  chosen.replaceChildren(...names.map((name) => new Option(name, name)));
}

/// The examples are opinions: they suit a model that tells the good from the bad.
function isOfOpinions(classes) {
  return classes.length === 2 && classes.includes("negative") && classes.includes("positive");
}

/// The chosen model, if it had no version in production when the server was last asked.
let missing = null;

/// What the server says of itself.
async function showHealth() {
  const badge = byId("model");
  try {
    const response = await fetch("health", { headers: headers({}) });
    const health = await response.json();
    if (response.status === 401) {
      badge.textContent = "enter the key to see the model";
      askForKey();
      return;
    }
    offer(health.models);
    const { name, status, model, monitoring, classes, problem: reason } =
      health.models.find(({ name }) => name === chosen.value) ?? health.models[0];
    badge.dataset.status = status;
    badge.textContent = model
      ? `${name} version ${model.version} · ${model.stage}`
      : "no model in production";
    byId("examples").hidden = !isOfOpinions(classes);
    byId("statistics-title").textContent = `${name} since the server started`;
    showStatistics(health.uptime_s, monitoring);
    if (model && missing) problem.hidden = true;
    if (!model && name !== missing) {
      const cure = `promote one with \`trialbook promote ${name} VERSION\``;
      showProblem(
        reason ? `${sentence(reason)}.` : `No version of the model ${name} is in production: ${cure}.`,
      );
    }
    missing = model ? null : name;
  } catch {
    badge.dataset.status = "unavailable";
    badge.textContent = "the server does not answer";
  }
}

function submits(form, field, submit) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      submit();
    }
  });
}

submits(byId("form"), text, predict);
submits(byId("batch-form"), texts, predictAll);

byId("rows").addEventListener("click", ({ target }) => {
  // Whoever selects some of the text wants it as it is.
  if (target.matches("[aria-expanded]") && getSelection().isCollapsed) toggle(target);
});
byId("rows").addEventListener("keydown", (event) => {
  if (!event.target.matches("[aria-expanded]") || (event.key !== "Enter" && event.key !== " ")) return;
  event.preventDefault();
  toggle(event.target);
});
addEventListener("resize", markExcerpts);

texts.addEventListener("input", () => {
  const n = asked().length;
  byId("count").textContent = n === 0 ? "no texts yet" : n === 1 ? "1 text" : `${n} texts`;
});

keyRow.addEventListener("submit", (event) => {
  event.preventDefault();
  if (waiting) waiting();
  else showHealth();
});

chosen.addEventListener("change", () => {
  // What is on the page was said by the other model.
  one.forget();
  several.forget();
  waiting = null;
  for (const id of ["result", "batch-result", "error"]) byId(id).hidden = true;
  missing = null;
  showHealth();
});

for (const example of document.querySelectorAll("[data-example]")) {
  example.addEventListener("click", () => {
    text.value = example.dataset.example;
    predict();
  });
}

// Arrow keys go from tab to tab, as those who use no mouse expect (ARIA's pattern of tabs).
const tabs = [byId("tab-one"), byId("tab-many")];

function choose(tab) {
  for (const each of tabs) {
    const isChosen = each === tab;
    each.setAttribute("aria-selected", isChosen);
    each.tabIndex = isChosen ? 0 : -1;
    byId(each.getAttribute("aria-controls")).hidden = !isChosen;
  }
  problem.hidden = true;
}

for (const [idx, tab] of tabs.entries()) {
  tab.addEventListener("click", () => choose(tab));
  tab.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -idx, End: tabs.length - 1 - idx };
    if (!(event.key in steps)) return;
    event.preventDefault();
    const next = tabs.at((idx + steps[event.key]) % tabs.length);
    choose(next);
    next.focus();
  });
}

setInterval(() => {
  if (!document.hidden) showHealth();
}, REFRESH_MS);
showHealth();
