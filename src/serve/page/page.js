// The page's only script: sends the text, shows the answer. Everything it shows goes in as text,
// never as markup.
"use strict";

const byId = (id) => document.getElementById(id);
const form = byId("form");
const text = byId("text");
const button = byId("predict");
const result = byId("result");
const problem = byId("error");

const keyRow = byId("keyrow");
const key = byId("key");

/// The headers of every request; the key stays on the page and goes with it.
function headers(more) {
  return key.value.trim() ? { ...more, "x-api-key": key.value.trim() } : more;
}

/// Shows where a key goes, once the server has asked for one.
function askForKey(status) {
  if (status !== 401 && status !== 403) return;
  keyRow.hidden = false;
  key.focus();
}

/// The request under way, so that a newer one can replace it.
let current = null;

function percent(probability) {
  // 99.97 must not read as certainty.
  const digits = probability > 0.999 || probability < 0.001 ? 2 : 1;
  return `${(100 * probability).toFixed(digits)} %`;
}

function element(name, className, content) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (content !== undefined) made.textContent = content;
  return made;
}

function showProblem(message) {
  result.hidden = true;
  problem.textContent = message;
  problem.hidden = false;
  problem.scrollIntoView({ block: "nearest" });
}

/// What an error answer says, in one line.
function explain(answer, status) {
  if (Array.isArray(answer.detail)) {
    return answer.detail.map((fault) => fault.msg).join("; ");
  }
  const parts = [answer.error ?? `The server answered with status ${status}`, answer.detail];
  return parts.filter(Boolean).join(": ");
}

function bar(label, probability, predicted) {
  const row = element("div", predicted ? "predicted" : "");
  const track = element("dd", "bar");
  track.setAttribute("aria-hidden", "true");
  const filled = element("span");
  filled.style.width = `${100 * probability}%`;
  track.append(filled);
  row.append(element("dt", "", label), track, element("dd", "", percent(probability)));
  return row;
}

function showAnswer(answer) {
  problem.hidden = true;
  byId("label").textContent = answer.label;
  byId("confidence").textContent = `with ${percent(answer.confidence)} confidence`;
  const scores = Object.entries(answer.scores);
  // Two classes keep their places from one text to the next; more are ranked.
  if (scores.length > 2) scores.sort((a, b) => b[1] - a[1]);
  byId("scores").replaceChildren(
    ...scores.map(([label, probability]) => bar(label, probability, label === answer.label)),
  );
  const { name, version, stage } = answer.model;
  byId("about").textContent =
    `${name} version ${version} (${stage}) · ${answer.latency_ms.toFixed(2)} ms · ` +
    `request ${answer.request_id}`;
  result.hidden = false;
  result.scrollIntoView({ block: "nearest" });
}

async function predict() {
  if (!text.value.trim()) {
    showProblem("There is no text yet: paste or write one first.");
    text.focus();
    return;
  }
  current?.abort();
  const mine = new AbortController();
  current = mine;
  button.setAttribute("aria-disabled", "true");
  try {
    const response = await fetch("predict", {
      method: "POST",
      headers: headers({ "content-type": "application/json" }),
      body: JSON.stringify({ text: text.value }),
      signal: mine.signal,
    });
    const answer = await response.json();
    if (response.ok) showAnswer(answer);
    else {
      showProblem(explain(answer, response.status));
      askForKey(response.status);
    }
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
}

async function showModel() {
  const badge = byId("model");
  try {
    const response = await fetch("health", { headers: headers({}) });
    const health = await response.json();
    if (response.status === 401) {
      badge.textContent = "the model is told to who has a key";
      askForKey(response.status);
      return;
    }
    badge.dataset.status = health.status;
    badge.textContent = health.model
      ? `${health.model.name} version ${health.model.version} · ${health.model.stage}`
      : "no model in production";
    if (!health.model) showProblem(explain(health));
  } catch {
    badge.dataset.status = "unavailable";
    badge.textContent = "the server does not answer";
  }
}

key.addEventListener("change", showModel);

form.addEventListener("submit", (event) => {
  event.preventDefault();
  predict();
});

text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    predict();
  }
});

for (const example of document.querySelectorAll("[data-example]")) {
  example.addEventListener("click", () => {
    text.value = example.dataset.example;
    predict();
  });
}

showModel();
