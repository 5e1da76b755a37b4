"use strict";
// The form of a what-if, and how far the studies are that were started here.

const byId = (id) => document.getElementById(id);
const choice = (value, text = value) => {
  const element = document.createElement("option");
  element.value = value;
  element.textContent = text;
  return element;
};

async function show() {
  const told = await ask("GET", "/api/studies");
  byId("studies").replaceChildren(...told.studies.map((study) => {
    const item = document.createElement("li");
    item.className = `card ${study.state === "failed" ? "poor" : ""}`;
    const parts = [["span", "what", study.title], ["strong", "", study.state],
      ["span", "reference", study.text || `${study.done} of ${study.total} runs, ${study.path}.toml`]];
    for (const [name, kind, text] of parts) {
      const element = document.createElement(name);
      element.className = kind;
      element.textContent = text;
      item.append(element);
    }
    const link = document.createElement("a");
    link.href = `/run?path=${encodeURIComponent(study.path)}`;
    link.textContent = "Open";
    if (study.done) item.append(link);
    return item;
  }));
}

function question(form) {
  const told = {};
  for (const element of form.elements) {
    const { name, value } = element;
    if (!name || element.disabled || name === "source" || value === "") continue;
    if (element.multiple) told[name] = [...element.selectedOptions].map((one) => one.value);
    else told[name] = element.type === "number" ? Number(value) : value;
  }
  const source = form.elements.source.value;
  if (source.startsWith("records:")) told.records = source.slice(8);
  else told.example = source;
  return told;
}

async function setUp(form) {
  const choices = await ask("GET", "/api/choices");
  const fields = form.elements;
  fields.source.append(choice("panda", "the example of a grid"),
    choice("lublin", "the example of one machine"),
    ...choices.records.map((path) => choice(`records:${path}`, path)));
  for (const name of ["queue", "switch_queue", "switch_broker"]) {
    const names = name.endsWith("broker") ? choices.brokers : choices.policies;
    fields[name].append(choice("", "as it is"), ...names.map((one) => choice(one)));
  }
  fields.broker.append(...choices.brokers.map((name) => choice(name)));
  fields.broker.value = "least_loaded";
  const fit = () => {
    const kind = fields.source.value.split(":")[0];
    for (const label of form.querySelectorAll("[data-for]")) {
      const wanted = label.dataset.for.split(" ").includes(kind);
      label.hidden = !wanted;
      label.querySelector("input").disabled = !wanted;
    }
  };
  fields.source.addEventListener("change", fit);
  fit();
  const tried = async (path, then) => {
    form.querySelector(".wrong").textContent = "";
    try {
      then(await ask("POST", path, question(form)));
    } catch (error) {
      form.querySelector(".wrong").textContent = error.message;
    }
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    tried("/api/studies", () => { say("The study runs"); show(); scrollTo(0, 0); });
  });
  byId("show").addEventListener("click", () => tried("/api/studies/check", (told) => {
    byId("file").hidden = false;
    byId("file").textContent = told.text;
    byId("file").focus();
  }));
}

show();
setInterval(() => { if (!document.hidden) show(); }, 1000);
if (byId("question")) setUp(byId("question"));
