// Holds the manifests for Argo Rollouts to the schemas of its custom resources, as the npm package
// @kubernetes-models/argo-rollouts has them. Unknown fields pass there, as they do in a cluster; types and what has to
// be there are checked. A copy with a fault has to be refused, else nothing was checked.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

// Imported from where they were installed, and not from where this file lies.
const load = (path) => import(pathToFileURL(`${process.argv[2]}/node_modules/${path}`).href);
const { parse } = await load("yaml/dist/index.js").then((module) => module.default);
const { Rollout, AnalysisTemplate } = await load("@kubernetes-models/argo-rollouts/argoproj.io/v1alpha1/index.js");

const check = (file, Model, spoil) => {
  const read = () => parse(readFileSync(`deploy/rollouts/${file}.yaml`, "utf8"));
  const document = read();
  new Model(document).validate();
  const spoilt = read();
  spoil(spoilt.spec);
  try {
    new Model(spoilt).validate();
  } catch {
    return document;
  }
  throw new Error(`${file}: a fault in it was not noticed`);
};

const rollout = check("rollout", Rollout, (spec) => { spec.strategy.canary.steps[0].setWeight = "much"; });
const analysis = check("analysis", AnalysisTemplate, (spec) => { delete spec.metrics[0].provider; });
for (const step of rollout.spec.strategy.canary.steps.filter((step) => step.analysis)) {
  for (const { templateName } of step.analysis.templates) {
    if (templateName !== analysis.metadata.name) throw new Error(`there is no analysis ${templateName}`);
  }
}
console.log("a rollout and its analysis fit the schemas of Argo Rollouts");
