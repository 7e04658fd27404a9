// The stream of this page: it reads the records, asks for the state twice a second, and passes the controls on.

import { Refused, get, post, send } from "./api.js";
import { drawPulse, number } from "./plots.js";

const $ = (id) => document.getElementById(id);
const KEPT = 12;
const CONTROLS = ["pause", "step", "stop", "speed", "seek"];

let current = null;

export function begin(path, body, fail) {
  current?.abort.abort();
  const mine = { abort: new AbortController(), id: null, lines: [], rates: [], before: null, state: "starting" };
  current = mine;
  drawPulse($("pulse"), mine.rates);
  show(mine, "starting");
  read(mine, path, body).catch((error) => {
    if (mine !== current) return;
    if (error instanceof Refused) fail(error);
    else if (error.name !== "AbortError") fail(new Refused(0, `the stream broke: ${error.message}`));
    enable(false);
    show(mine, error instanceof Refused ? "idle" : "failed");
  });
}

async function read(mine, path, body) {
  const answer = await send("POST", path, body, { signal: mine.abort.signal, headers: { Accept: "application/x-ndjson" } });
  mine.id = answer.headers.get("X-Stream-Id");
  $("tail").textContent = "";
  enable(true);
  watch(mine);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    mine.lines.push(...lines.slice(-KEPT));
    mine.lines.splice(0, mine.lines.length - KEPT);
    mine.dirty = true;
  }
  await refresh(mine);
}

async function watch(mine) {
  while (mine === current && mine.state !== "ended") {
    await refresh(mine);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

async function refresh(mine) {
  if (mine !== current) return;
  let found;
  try {
    found = await get(`streams/${mine.id}`);
  } catch {
    return;
  }
  const now = performance.now();
  if (mine.before) {
    const seconds = (now - mine.before.now) / 1000;
    mine.rates.push(Math.max(0, found.records - mine.before.records) / seconds);
    mine.rates.splice(0, mine.rates.length - 60);
    drawPulse($("pulse"), mine.rates);
    const recent = mine.rates.slice(-4);
    $("rate").textContent = number(recent.reduce((a, b) => a + b, 0) / recent.length, 1);
  }
  mine.before = { now, records: found.records };
  show(mine, found.state, found);
}

function show(mine, state, found) {
  mine.state = state;
  $("live").dataset.state = state === "ended" && found?.reason === "failed" ? "failed" : state;
  const words = state === "ended" && found?.reason ? `ended: ${found.reason}` : state;
  if ($("state").textContent !== words) $("state").textContent = words;
  if (mine.dirty) {
    $("tail").textContent = mine.lines.join("\n");
    $("tail").scrollTop = $("tail").scrollHeight;
    mine.dirty = false;
  }
  if (!found) return;
  if (state === "ended") enable(false);
  $("pause").textContent = state === "paused" ? "Resume" : "Pause";
  $("live-name").textContent = `${found.name} · ${found.id}`;
  $("clock").textContent = found.clock ? found.clock.slice(0, 19).replace("T", " ") : "waiting for records";
  $("zone").textContent = found.paced_by === "rate" ? "event time of the last record, UTC" : "event time, UTC";
  $("records").textContent = number(found.records);
  $("p50").textContent = number(found.lateness_ms.p50, 1);
  $("p99").textContent = number(found.lateness_ms.p99, 1);
  $("speed-label").textContent = found.paced_by === "rate" ? "Records/s" : "Speed ×";
  if (document.activeElement !== $("speed")) $("speed").value = found.speed === null ? "" : Number(found.speed.toPrecision(6));
}

function enable(on) {
  for (const id of CONTROLS) $(id).disabled = !on;
}

export function controls(fail) {
  const act = async (path, body) => {
    const mine = current;
    if (!mine?.id) return;
    fail(null);
    try {
      show(mine, ...state(await post(`streams/${mine.id}/${path}`, body)));
    } catch (error) {
      fail(error);
    }
  };
  const state = (found) => [found.state, found];
  $("pause").onclick = () => act(current?.state === "paused" ? "resume" : "pause");
  $("step").onclick = () => act("step", { records: 1 });
  $("stop").onclick = () => act("stop");
  $("speed").onchange = () => {
    const field = $("speed-label").textContent === "Records/s" ? "rate_per_second" : "time_compression";
    act("speed", { [field]: Number($("speed").value) });
  };
  $("seek").onchange = () => $("seek").value && act("seek", { to: $("seek").value });
}
