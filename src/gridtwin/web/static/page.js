"use strict";
// What all pages share: colours, the token, charts with their data, requests to the API.

const say = (text) => { document.getElementById("said").textContent = text; };

async function ask(method, path, body) {
  const options = { method, headers: {} };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const answer = await fetch(path, options);
  if (answer.status === 204) return null;
  const told = await answer.json();
  if (!answer.ok) throw new Error([told.detail, ...told.fields].join("; "));
  return told;
}

function drawn(element, chart, size = {}) {
  const options = { mode: "vega-lite", actions: false, renderer: "svg", ast: true,
    defaultStyle: false, tooltip: false };
  return vegaEmbed(element, { ...chart, ...size }, options);
}

function looks() {
  const kept = localStorage.getItem("gridtwin-looks");
  const chosen = document.getElementById(`looks-${kept}`);
  if (chosen) chosen.checked = true;
  for (const input of document.querySelectorAll("input[name=looks]")) {
    input.addEventListener("change", () => {
      localStorage.setItem("gridtwin-looks", input.id.replace("looks-", ""));
    });
  }
}

function signIn() {
  for (const form of document.querySelectorAll("[data-sign-in]")) {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        await ask("POST", "/api/session", { token: form.elements.token.value });
        location.reload();
      } catch (error) {
        form.querySelector(".wrong").textContent = error.message;
      }
    });
  }
}

looks();
signIn();
for (const element of document.querySelectorAll("[data-chart]")) {
  drawn(element, JSON.parse(element.parentElement.querySelector("script").textContent));
}
