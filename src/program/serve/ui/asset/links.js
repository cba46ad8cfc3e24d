// Leads MLflow's own deep links, which its clients print, to the page that has what they name. What
// follows the # never reaches a server.
"use strict";
(() => {
  const part = (text) => encodeURIComponent(decodeURIComponent(text));
  const lead = () => {
    if (!location.hash.startsWith("#/")) return;
    const [path, query = ""] = location.hash.slice(2).split("?");
    const words = path.split("/").filter((word) => word !== "");
    let url = null;
    try {
      const at = (name) => {
        const idx = words.indexOf(name);
        return idx >= 0 && idx + 1 < words.length ? words[idx + 1] : null;
      };
      if (words[0] === "compare-runs") {
        const asked = new URLSearchParams(query);
        const runs = JSON.parse(asked.get("runs") ?? "[]");
        const picked = runs.map((run) => "run=" + encodeURIComponent(run));
        url = picked.length > 0 ? "/ui/compare?" + picked.join("&") : "/ui/runs";
      } else if (words[0] === "experiments" || words[0] === "runs") {
        const run = at("runs");
        const experiment = at("experiments");
        const model = at("models");
        if (model !== null) url = "/ui/logged-models/" + part(model);
        else if (run !== null) url = "/ui/runs/" + part(run);
        else if (experiment !== null) url = "/ui/experiments/" + part(experiment);
        else url = words[0] === "experiments" ? "/ui/experiments" : "/ui/runs";
      } else if (words[0] === "models") {
        const model = at("models");
        const version = at("versions");
        url = "/ui/models";
        if (model !== null) url += "/" + part(model);
        if (model !== null && version !== null) url += "/" + part(version);
      }
    } catch {
      url = "/ui/runs";
    }
    if (url !== null) location.replace(url);
  };
  addEventListener("hashchange", lead);
  lead();
})();
