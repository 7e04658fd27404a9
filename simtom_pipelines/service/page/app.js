// The page: sources on the left, their plots, a form for a stream, and the streams of the service.

import { get, post } from "./api.js";
import { drawPartitions, drawShape, drawVolume, empty, number } from "./plots.js";
import { begin, controls } from "./stream.js";

const $ = (id) => document.getElementById(id);
const chosen = { kind: null, name: null, year: 2024, day: "2024-11-29" };
let sources = { generators: [], datasets: [] };
let turn = 0;

const FIELDS = {
  generator: [
    { name: "pace", label: "Pace", options: { compression: "Time, compressed", rate: "Records a second" } },
    { name: "time_compression", label: "Time compression", type: "number", value: 600, pace: "compression", min: 0.1 },
    { name: "rate_per_second", label: "Records a second", type: "number", value: 20, pace: "rate", min: 0.01 },
    { name: "arrival", label: "Gaps", options: { uniform: "Even", poisson: "Poisson" }, pace: "rate", whole: true },
    { name: "start_date", label: "First day; none: now", type: "date", value: "2024-11-29" },
    { name: "end_date", label: "Last day", type: "date", value: "" },
    { name: "seed", label: "Seed", type: "number", value: 0, min: 0 },
    { name: "base_daily_volume", label: "Rows a day", type: "number", value: "", min: 1 },
  ],
  dataset: [
    { name: "start", label: "First day", type: "date", value: "" },
    { name: "end", label: "Last day", type: "date", value: "" },
    { name: "day_in", label: "A day takes", options: { "10s": "10 seconds", "1m": "1 minute", "10m": "10 minutes", "24h": "a day", "": "as fast as possible" } },
    { name: "window", label: "Local times, as 09:00-18:00", type: "text", value: "" },
    { name: "filter", label: "Filter, as amount > 100", type: "text", value: "", whole: true },
  ],
};

// -- theme ------------------------------------------------------------------------------------------------------------

const root = document.documentElement;
const saved = localStorage.getItem("simtom-theme");
if (saved) root.dataset.theme = saved;
$("theme").onclick = () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("simtom-theme", root.dataset.theme);
};

// -- sources ----------------------------------------------------------------------------------------------------------

function item(kind, name, small) {
  const line = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.kind = kind;
  button.dataset.name = name;
  button.textContent = name;
  const note = document.createElement("small");
  note.textContent = small;
  button.append(note);
  button.onclick = () => choose(kind, name);
  line.append(button);
  return line;
}

async function load() {
  const [generators, datasets] = await Promise.all([get("generators"), get("datasets")]);
  sources = { generators: generators.generators ?? generators, datasets: datasets.datasets };
  $("generators").replaceChildren(...sources.generators.map((g) => item("generator", g.name, g.domain)));
  $("datasets").replaceChildren(
    ...sources.datasets.map((d) => item("dataset", d.name, `${number(d.tables[0].partitions)} days stored`)),
  );
  $("datasets-hint").hidden = sources.datasets.length > 0;
  if (sources.generators.length) await choose("generator", sources.generators[0].name);
}

async function choose(kind, name) {
  Object.assign(chosen, { kind, name });
  for (const button of document.querySelectorAll(".sources button")) {
    const current = button.dataset.kind === kind && button.dataset.name === name;
    if (current) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
  const generator = kind === "generator" ? name : sources.datasets.find((d) => d.name === name).generator;
  const about = sources.generators.find((g) => g.name === generator);
  $("name").textContent = name;
  $("description").textContent = about?.description ?? "";
  $("chips").replaceChildren(...chips(kind, name, about).map((words) => Object.assign(document.createElement("li"), { textContent: words })));
  fields(kind);
  fail(null);
  await plots();
}

function chips(kind, name, about) {
  if (kind === "generator") return [about.domain, `revision ${about.revision}`, ...about.tables];
  const found = sources.datasets.find((d) => d.name === name);
  const days = found.tables[0];
  return [
    `generator ${found.generator}`,
    days.first ? `${days.first} to ${days.last}` : "nothing stored",
    ...Object.entries(found.config).map(([key, value]) => `${key} ${JSON.stringify(value)}`),
  ];
}

// -- plots ------------------------------------------------------------------------------------------------------------

async function plots() {
  const mine = ++turn;
  const { kind, name } = chosen;
  const generator = kind === "generator" ? name : sources.datasets.find((d) => d.name === name).generator;
  $("year-stepper").hidden = kind === "dataset";
  $("year").textContent = chosen.year;
  $("day").value = chosen.day;
  const title = kind === "dataset" ? "Stored days" : "Volume of a year";
  const legend = kind === "dataset" ? '<span class="key bar"></span>rows a day' : '<span class="key area"></span>expected <span class="key bar"></span>drawn <span class="key event"></span>event';
  $("volume-title").textContent = title;
  $("volume-legend").innerHTML = legend;
  const pick = (day) => {
    chosen.day = day;
    const ends = kind === "dataset" ? ["start", "end"] : ["start_date"];
    for (const id of ends) $(`f-${id}`).value = day;
    echo();
    plots();
  };
  const volume = kind === "dataset"
    ? get(`datasets/${name}/partitions?limit=4000`).then((found) => mine === turn && drawPartitions($("volume"), found.partitions, pick))
    : get(`generators/${generator}/volume?year=${chosen.year}`).then((found) => mine === turn && drawVolume($("volume"), found, chosen.day, pick));
  const shape = get(`generators/${generator}/shape?day=${chosen.day}${kind === "dataset" ? `&dataset=${name}` : ""}`).then((found) => mine === turn && drawShape($("shape"), found));
  const tell = (box) => (error) => mine === turn && empty($(box), error.message);
  await Promise.all([volume.catch(tell("volume")), shape.catch(tell("shape"))]);
}

let wide = 0;
new ResizeObserver(() => {
  const now = $("volume").clientWidth;
  if (chosen.name && wide && now !== wide) plots();
  wide = now;
}).observe($("volume"));

const year = (step) => () => {
  chosen.year += step;
  chosen.day = `${chosen.year}${chosen.day.slice(4)}`.replace(/-02-29$/, "-02-28");
  plots();
};
$("year-before").onclick = year(-1);
$("year-after").onclick = year(1);
$("day").onchange = () => {
  if (!$("day").value) return;
  chosen.day = $("day").value;
  chosen.year = Number(chosen.day.slice(0, 4));
  plots();
};

// -- the form ---------------------------------------------------------------------------------------------------------

function fields(kind) {
  $("stream-title").textContent = kind === "dataset" ? "Replay stored days" : "New stream";
  $("fields").replaceChildren(
    ...FIELDS[kind].map((field) => {
      const label = document.createElement("label");
      label.append(field.label);
      if (field.whole) label.className = "whole";
      if (field.pace) label.dataset.pace = field.pace;
      const input = document.createElement(field.options ? "select" : "input");
      if (field.options) for (const [value, words] of Object.entries(field.options)) input.append(new Option(words, value));
      else Object.assign(input, { type: field.type, value: field.value, ...(field.min === undefined ? {} : { min: field.min, step: "any" }) });
      input.id = `f-${field.name}`;
      input.name = field.name;
      label.append(input);
      return label;
    }),
  );
  const pace = $("f-pace");
  const swap = () => {
    for (const label of document.querySelectorAll("[data-pace]")) label.hidden = label.dataset.pace !== pace.value;
  };
  if (pace) {
    pace.onchange = swap;
    swap();
  }
  $("curl").textContent = asCurl();
}

function request() {
  const body = {};
  for (const field of FIELDS[chosen.kind]) {
    const input = $(`f-${field.name}`);
    if (field.name === "pace" || input.closest("label").hidden || input.value === "") continue;
    body[field.name] = field.type === "number" ? Number(input.value) : field.name === "filter" ? [input.value] : input.value;
  }
  if (body.arrival === "uniform") delete body.arrival;
  if (chosen.kind === "dataset" && !body.day_in) body.asap = true;
  return { path: chosen.kind === "dataset" ? `datasets/${chosen.name}/replay` : `stream/${chosen.name}`, body };
}

function fail(error) {
  for (const input of document.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
  $("error").hidden = !error;
  if (!error) return;
  $("error").textContent = error.message;
  for (const name of error.fields ?? []) $(`f-${name}`)?.setAttribute("aria-invalid", "true");
}

$("form").onsubmit = (event) => {
  event.preventDefault();
  fail(null);
  const { path, body } = request();
  begin(path, body, fail);
};
function asCurl() {
  const { path, body } = request();
  const url = new URL(path, location.href).href;
  const text = JSON.stringify(body, null, 1).replaceAll("'", "'\\''");
  return `curl -N ${url} \\\n  -H 'Content-Type: application/json' \\\n  -d '${text}'`;
}

const echo = () => ($("curl").textContent = asCurl());
$("form").addEventListener("input", echo);
$("form").addEventListener("change", echo);
$("copy").onclick = async () => {
  await navigator.clipboard.writeText(asCurl());
  $("copy").textContent = "Copied";
  setTimeout(() => ($("copy").textContent = "Copy"), 1500);
};
controls(fail);

// -- the service ------------------------------------------------------------------------------------------------------

function cell(words, kind) {
  return Object.assign(document.createElement("td"), { textContent: words, className: kind ?? "" });
}

function row(found) {
  const line = document.createElement("tr");
  const stop = document.createElement("td");
  if (found.state !== "ended") {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Stop" });
    button.setAttribute("aria-label", `Stop stream ${found.id}`);
    button.onclick = () => post(`streams/${found.id}/stop`).catch(() => {});
    stop.append(button);
  }
  line.append(
    cell(found.id, "mono"), cell(found.name), cell(found.state === "ended" ? found.reason : found.state),
    cell(number(found.records), "number"), cell(number(found.records_per_second, 1), "number"),
    cell(number(found.lateness_ms.p99, 1), "number"),
    cell(found.clock ? found.clock.slice(0, 19).replace("T", " ") : "–", "mono"), stop,
  );
  return line;
}

async function tick() {
  try {
    const health = await get("health");
    $("health").dataset.state = health.status;
    const megabytes = health.memory_bytes ? ` · ${number(health.memory_bytes / 1e6)} MB` : "";
    const words = `${health.status} · version ${health.version} · ${number(health.active_streams)} ${health.active_streams === 1 ? "stream" : "streams"}${megabytes}`;
    if ($("health-text").textContent !== words) $("health-text").textContent = words;
    const streams = await get("streams");
    const shown = [...streams.running.reverse(), ...streams.ended.reverse()].slice(0, 12);
    if (!$("all").contains(document.activeElement)) $("all").replaceChildren(...shown.map(row));
    $("all-hint").hidden = shown.length > 0;
  } catch {
    $("health").dataset.state = "gone";
    $("health-text").textContent = "the service does not answer";
  }
  setTimeout(tick, 2000);
}

load().catch((error) => fail(error));
tick();
