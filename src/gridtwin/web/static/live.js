"use strict";
// The live simulations: the form that starts one, and the page of one, which a stream keeps up.

const byId = (id) => document.getElementById(id);
const allowed = document.body.dataset.allowed === "yes";
const count = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const few = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

function made(name, text, attributes = {}) {
  const element = document.createElement(name);
  element.textContent = text;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

function option(value, text = value) {
  return made("option", text, { value });
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function duration(seconds) {
  if (seconds < 120) return `${few.format(seconds)} s`;
  if (seconds < 7200) return `${few.format(seconds / 60)} min`;
  if (seconds < 172800) return `${few.format(seconds / 3600)} h`;
  return `${few.format(seconds / 86400)} days`;
}

function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
  let k = 0;
  while (value >= 1000 && k < units.length - 1) { value /= 1000; k += 1; }
  return `${few.format(value)} ${units[k]}`;
}

// ---- the list and the form

async function startPage() {
  const list = byId("lives");
  const show = async () => {
    const told = await ask("GET", "/api/live");
    list.replaceChildren(...told.live.map((live) => {
      const item = document.createElement("li");
      const card = made("a", "", { class: "card", href: `/live/${live.id}` });
      card.append(made("span", live.title, { class: "what" }), made("strong", live.state),
        made("span", `${count.format(live.jobs)} jobs, ${live.policy}, ${live.broker}`,
          { class: "reference" }));
      card.style.display = "block";
      item.append(card);
      return item;
    }));
    byId("none").hidden = told.live.length > 0;
  };
  await show();
  setInterval(() => { if (!document.hidden) show(); }, 2000);
  const form = byId("start");
  if (form) await startForm(form);
}

async function startForm(form) {
  const choices = await ask("GET", "/api/choices");
  const fields = form.elements;
  fields.source.append(option("panda", "the example of a grid"),
    option("lublin", "the example of one machine"),
    ...choices.records.map((path) => option(`records:${path}`, path)));
  fields.policy.append(...choices.policies.map((name) => option(name)));
  fields.broker.append(...choices.brokers.map((name) => option(name)));
  fields.policy.value = "easy";
  fields.broker.value = "least_loaded";
  const fit = () => {
    for (const label of form.querySelectorAll("[data-for]")) {
      const wanted = label.dataset.for === fields.source.value;
      label.hidden = !wanted;
      label.querySelector("input").disabled = !wanted;
    }
  };
  fields.source.addEventListener("change", fit);
  fit();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const source = fields.source.value;
    const start = { title: fields.title.value, platform: fields.platform.value,
      policy: fields.policy.value, broker: fields.broker.value, seed: Number(fields.seed.value) };
    if (fields.cores.value) start.cores = Number(fields.cores.value);
    if (source.startsWith("records:")) start.records = source.slice(8);
    else start.example = source;
    for (const name of ["days", "scale", "jobs"]) {
      if (!fields[name].disabled) start[name] = Number(fields[name].value);
    }
    try {
      const live = await ask("POST", "/api/live", start);
      location.assign(`/live/${live.id}`);
    } catch (error) {
      form.querySelector(".wrong").textContent = error.message;
    }
  });
}

// ---- one simulation

const SLOWEST = 60;
const FASTEST = 1e7;
const speedOf = (place) => SLOWEST * (FASTEST / SLOWEST) ** (place / 100);
const placeOf = (speed) => 100 * Math.log(speed / SLOWEST) / Math.log(FASTEST / SLOWEST);

function livePage(root) {
  const page = { id: root.dataset.id, sites: [], rows: [], views: {}, cores: 0, points: [],
    notes: 0, state: "", held: false, drawnSites: 0 };
  page.charts = JSON.parse(byId("charts").textContent);
  controls(page);
  const source = new EventSource(`/api/live/${page.id}/stream`);
  page.frames = 0;
  source.addEventListener("message", (event) => take(page, JSON.parse(event.data)));
  source.addEventListener("over", () => source.close());
  window.gridtwinFrames = () => page.frames;
}

function take(page, frame) {
  page.frames += 1;
  if (frame.sites) siteTable(page, frame);
  if (frame.reset) page.points = [];
  page.points.push(...frame.points.map((row) => point(page, row)));
  if (frame.state !== page.state) stateTold(page, frame);
  put(byId("watchers"), frame.watchers > 1 ? `${frame.watchers} look on` : "");
  speedTold(page, frame);
  if (frame.now) {
    cards(page, frame);
    lines(page, frame);
    sites(page, frame.at_sites);
  }
  notes(page, frame.notes);
}

function point(page, row) {
  const [time, queued, running, busy, open, rate] = row;
  return { days: time / 86400, queued, running, busy: busy / page.cores,
    open: open / page.cores, rate: rate / 1e9 };
}

function stateTold(page, frame) {
  page.state = frame.state;
  put(byId("state"), frame.state);
  say(`Simulation ${frame.state}`);
  const held = ["loading", "failed", "ended"].includes(frame.state);
  const fieldset = byId("controls");
  if (!fieldset) return;
  fieldset.disabled = !allowed || held;
  byId("play").disabled = frame.state === "done";
  put(byId("play"), frame.state === "playing" ? "Pause" : "Play");
}

function speedTold(page, frame) {
  const lag = frame.progress && frame.progress.lag && frame.state === "playing";
  const pace = `${duration(frame.speed)} a second${lag ? ", as fast as it can" : ""}`;
  const loading = frame.jobs
    ? `${count.format(frame.jobs)} jobs; the first time, the simulator is compiled: a minute or two`
    : "reading the jobs";
  put(byId("pace"), frame.state === "playing" ? pace : frame.state === "loading" ? loading : "");
  const range = byId("speed");
  if (range && !page.held && page.speed !== frame.speed) {
    page.speed = frame.speed;
    range.value = placeOf(frame.speed);
    byId("speed-told").value = `${duration(frame.speed)} a second`;
  }
}

function cards(page, frame) {
  const { now, progress } = frame;
  const day = Math.floor(now.time / 86400);
  const clock = new Date((now.time % 86400) * 1000).toISOString().slice(11, 16);
  put(byId("c-time"), `day ${day + 1}, ${clock}`);
  const date = frame.begin > 3e8 ? new Date((frame.begin + now.time) * 1000).toISOString() : "";
  put(byId("c-date"), date && `${date.slice(0, 10)} ${date.slice(11, 16)} UTC`);
  put(byId("c-queued"), count.format(now.queued));
  put(byId("c-arrived"), `${count.format(progress.arrived)} of ${count.format(frame.jobs)} arrived`);
  put(byId("c-running"), count.format(now.running));
  const failed = progress.failed ? `, ${count.format(progress.failed)} failed` : "";
  put(byId("c-ended"), `${count.format(progress.finished)} finished${failed}`);
  put(byId("c-use"), `${few.format(100 * now.busy_cores / page.cores)} %`);
  put(byId("c-cores"), `${count.format(now.busy_cores)} of ${count.format(page.cores)}`);
  put(byId("c-rate"), `${bytes(now.rate)}/s`);
  put(byId("c-moved"), `${count.format(progress.transfers)} transfers`);
}

function lines(page, frame) {
  const { now } = frame;
  const last = point(page, [now.time, now.queued, now.running, now.busy_cores, now.open_cores,
    now.rate]);
  const all = [...page.points, last];
  for (const element of document.querySelectorAll("[data-live]")) {
    const name = element.dataset.live;
    if (element.closest("[hidden]")) continue;
    const view = page.views[name];
    if (view) view.data("points", all).runAsync();
    else if (view === undefined) draw(page, element, name, all);
  }
}

async function draw(page, element, name, points) {
  page.views[name] = null;
  const chart = { ...page.charts[name], datasets: { points } };
  page.views[name] = (await drawn(element, chart)).view;
}

function siteTable(page, frame) {
  page.sites = frame.sites;
  page.cores = frame.sites.reduce((sum, site) => sum + site.cores, 0) || 1;
  for (const element of document.querySelectorAll("[data-moves]")) element.hidden = !frame.moves;
  for (const select of document.querySelectorAll("[data-sites]")) {
    const all = select.hasAttribute("data-all") ? [option("", "all sites")] : [];
    select.replaceChildren(...all, ...frame.sites.map((site) => option(site.name)));
  }
  page.rows = frame.sites.map((site) => {
    const row = document.createElement("tr");
    const meter = made("span", "", { class: "meter" });
    meter.append(document.createElement("i"));
    const use = made("td", "", { "data-label": "In use" });
    const share = document.createElement("span");
    use.append(meter, share);
    const button = made("button", "Take down", { type: "button", class: "quiet" });
    button.setAttribute("aria-label", `Take ${site.name} down`);
    button.disabled = !allowed;
    const last = document.createElement("td");
    last.append(button);
    const cells = { queued: made("td", "", { "data-label": "Queued" }),
      running: made("td", "", { "data-label": "Running" }) };
    row.append(made("th", site.name, { scope: "row" }),
      made("td", count.format(site.cores), { "data-label": "Cores" }), use, cells.queued,
      cells.running, last);
    const one = { row, cells, share, bar: meter.firstChild, button, open: 1, site };
    button.addEventListener("click", () => {
      act(page, { do: one.open > 0 ? "close" : "reopen", site: site.name });
    });
    return one;
  });
  const largest = [...page.rows].sort((a, b) => b.site.cores - a.site.cores);
  byId("sites").tBodies[0].replaceChildren(...largest.map((one) => one.row));
  put(byId("site-count"), `${page.sites.length} sites, the largest first`);
  byId("find").oninput = (event) => {
    const wanted = event.target.value.toLowerCase();
    for (const one of page.rows) one.row.hidden = !one.site.name.toLowerCase().includes(wanted);
  };
}

function sites(page, told) {
  const now = performance.now();
  if (page.state === "playing" && now - page.drawnSites < 400) return;
  page.drawnSites = now;
  page.rows.forEach((one, k) => {
    const share = one.site.cores ? told.busy_cores[k] / one.site.cores : 0;
    put(one.cells.queued, count.format(told.queued[k]));
    put(one.cells.running, count.format(told.running[k]));
    put(one.share, `${Math.round(100 * share)} %`);
    one.bar.style.width = `${Math.min(100, 100 * share)}%`;
    if (told.open[k] !== one.open) {
      one.open = told.open[k];
      const down = one.open <= 0;
      one.row.classList.toggle("down", down);
      put(one.button, down ? "Bring back" : "Take down");
      one.button.setAttribute("aria-label", `${down ? "Bring back" : "Take down"} ${one.site.name}`);
    }
  });
}

function notes(page, told) {
  const key = told.length ? `${told.length}:${told[told.length - 1].text}${told[told.length - 1].time}` : "";
  if (key === page.notes) return;
  page.notes = key;
  byId("notes").replaceChildren(...[...told].reverse().map((note) => {
    const when = note.time === null ? "" : `day ${(note.time / 86400).toFixed(2)}: `;
    return made("li", when + note.text, note.bad ? { class: "bad" } : {});
  }));
}

async function act(page, action) {
  try {
    await ask("POST", `/api/live/${page.id}/action`, action);
  } catch (error) {
    say(error.message);
    byId("notes").prepend(made("li", error.message, { class: "bad" }));
  }
}

function controls(page) {
  const fieldset = byId("controls");
  if (!fieldset) return;
  byId("play").addEventListener("click", () => {
    act(page, { do: page.state === "playing" ? "pause" : "play" });
  });
  const range = byId("speed");
  range.addEventListener("input", () => {
    page.held = true;
    byId("speed-told").value = `${duration(speedOf(range.value))} a second`;
  });
  range.addEventListener("change", async () => {
    await act(page, { do: "speed", value: speedOf(range.value) });
    page.held = false;
  });
  byId("end").addEventListener("click", () => ask("DELETE", `/api/live/${page.id}`));
  for (const form of fieldset.querySelectorAll("[data-do]")) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const action = { do: form.dataset.do };
      const { site, policy, broker, value } = form.elements;
      if (action.do === "outage") action.do = "close";
      if (site && site.value) action.site = site.value;
      if (policy) action.policy = policy.value;
      if (broker) action.broker = broker.value;
      if (value) action.value = Number(value.value);
      act(page, action);
    });
  }
  ask("GET", "/api/choices").then((choices) => {
    const policy = fieldset.querySelector("[name=policy]");
    policy.append(...choices.policies.map((name) => option(name)));
    policy.value = "easy";
    const broker = fieldset.querySelector("[name=broker]");
    broker.append(...choices.brokers.filter((n) => n !== "recorded").map((name) => option(name)));
    broker.value = "least_loaded";
  });
}

if (byId("live")) livePage(byId("live"));
else startPage();
