// Plots as SVG, from numbers to marks, with a tip that follows the pointer.

const NS = "http://www.w3.org/2000/svg";
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const HEIGHT = 250;
const SPACE = { left: 52, right: 8, top: 22, bottom: 22 };

export const number = (value, digits = 0) =>
  value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });

export function mark(name, attributes, content) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (content !== undefined) made.textContent = content;
  return made;
}

function ticks(most) {
  const raw = most / 4 || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= raw);
  const found = [];
  for (let value = 0; value <= most * 1.001; value += step) found.push(value);
  return found;
}

const short = (value) => (value >= 1e6 ? `${value / 1e6}M` : value >= 1e4 ? `${value / 1e3}k` : number(value, value % 1 ? 1 : 0));

// A frame with axes. `xs` maps an index to pixels, `ys` a value.
function frame(box, count, most, label) {
  const [width, height] = [Math.max(box.clientWidth, 200), HEIGHT];
  const svg = mark("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  const xs = (i) => SPACE.left + ((width - SPACE.left - SPACE.right) * i) / count;
  const ys = (v) => height - SPACE.bottom - ((height - SPACE.top - SPACE.bottom) * v) / (most || 1);
  for (const value of ticks(most)) {
    svg.append(mark("line", { class: "grid", x1: SPACE.left, x2: width - SPACE.right, y1: ys(value), y2: ys(value) }));
    svg.append(mark("text", { x: SPACE.left - 8, y: ys(value) + 4, "text-anchor": "end" }, short(value)));
  }
  box.replaceChildren(svg);
  return { svg, xs, ys, width, height };
}

function tip(box, width, count, words, choose) {
  const bubble = document.createElement("div");
  bubble.className = "tip";
  box.append(bubble);
  const index = (event) => {
    const area = box.getBoundingClientRect();
    const x = ((event.clientX - area.left) / area.width) * width;
    const i = Math.floor(((x - SPACE.left) / (width - SPACE.left - SPACE.right)) * count);
    return i >= 0 && i < count ? i : null;
  };
  box.onpointermove = (event) => {
    const i = index(event);
    bubble.style.opacity = i === null ? 0 : 1;
    if (i === null) return;
    bubble.textContent = words(i);
    const area = box.getBoundingClientRect();
    const half = bubble.offsetWidth / 2;
    bubble.style.left = `${Math.min(Math.max(event.clientX - area.left, half), area.width - half)}px`;
  };
  box.onpointerleave = () => (bubble.style.opacity = 0);
  box.onclick = choose ? (event) => index(event) !== null && choose(index(event)) : null;
  box.style.cursor = choose ? "pointer" : "";
}

export function dayOf(first, i) {
  const day = new Date(`${first}T00:00:00Z`);
  day.setUTCDate(day.getUTCDate() + i);
  return day.toISOString().slice(0, 10);
}

// The days of a year: expected rows as an area, drawn ones as a line, events as dots with the names of the highest.
export function drawVolume(box, data, chosen, choose) {
  const count = data.expected.length;
  const most = Math.max(...data.drawn, ...data.expected) * 1.02;
  const label = `Rows a day in ${data.year}: between ${number(Math.min(...data.expected))} and ${number(Math.max(...data.expected))} expected`;
  const { svg, xs, ys, width, height } = frame(box, count, most, label);
  const points = (values) => values.map((v, i) => `${xs(i + 0.5).toFixed(1)},${ys(v).toFixed(1)}`).join(" L");
  svg.append(mark("path", { class: "area", d: `M${xs(0.5)},${ys(0)} L${points(data.expected)} L${xs(count - 0.5)},${ys(0)}Z` }));
  svg.append(mark("path", { class: "line", d: `M${points(data.drawn)}` }));
  MONTHS.forEach((month, n) => {
    const at = (Date.UTC(data.year, n, 1) - Date.UTC(data.year, 0, 1)) / 864e5;
    svg.append(mark("text", { x: xs(at + 15), y: height - 5, "text-anchor": "middle" }, month));
  });
  const events = Object.entries(data.events).map(([day, name]) => {
    const i = (Date.parse(day) - Date.parse(data.first)) / 864e5;
    return { i, name, value: data.drawn[i] };
  });
  for (const { i, value } of events) svg.append(mark("circle", { class: "event", cx: xs(i + 0.5), cy: ys(value), r: 2.2 }));
  const named = [];
  for (const event of events.sort((a, b) => b.value - a.value)) {
    const apart = (other) => other.name !== event.name && Math.abs(xs(other.i) - xs(event.i)) > 110;
    if (named.length < 5 && named.every(apart)) named.push(event);
  }
  for (const { i, name, value } of named) {
    const end = i > count * 0.85 ? "end" : i < count * 0.08 ? "start" : "middle";
    svg.append(mark("text", { class: "event-name", x: xs(i + 0.5), y: ys(value) - 7, "text-anchor": end }, name.replaceAll("_", " ")));
  }
  const at = (Date.parse(chosen) - Date.parse(data.first)) / 864e5;
  if (at >= 0 && at < count) svg.append(mark("line", { class: "chosen", x1: xs(at + 0.5), x2: xs(at + 0.5), y1: SPACE.top, y2: ys(0) }));
  tip(
    box, width, count,
    (i) => {
      const day = dayOf(data.first, i);
      const event = data.events[day] ? ` · ${data.events[day].replaceAll("_", " ")}` : "";
      return `${day} · ${number(data.drawn[i])} of ${number(data.expected[i])} expected${event}`;
    },
    (i) => choose(dayOf(data.first, i)),
  );
}

// The quarter hours of a day: expected rows as an area, drawn ones as bars.
export function drawShape(box, data) {
  const count = data.rows.length;
  if (!count) return empty(box, "This zone never had this day.");
  const most = Math.max(...data.rows, ...data.expected) * 1.05;
  const total = data.rows.reduce((sum, n) => sum + n, 0);
  const { svg, xs, ys, width, height } = frame(box, count, most, `${number(total)} rows on ${data.day}, by quarter of an hour`);
  const steps = data.expected.map((v, i) => `${xs(i).toFixed(1)},${ys(v).toFixed(1)} ${xs(i + 1).toFixed(1)},${ys(v).toFixed(1)}`);
  svg.append(mark("path", { class: "area", d: `M${xs(0)},${ys(0)} L${steps.join(" L")} L${xs(count)},${ys(0)}Z` }));
  data.rows.forEach((n, i) => {
    if (n) svg.append(mark("rect", { class: "bar", x: xs(i + 0.28), width: xs(0.44) - xs(0), y: ys(n), height: ys(0) - ys(n) }));
  });
  const perHour = 60 / data.bin_minutes;
  for (let hour = 0; hour <= count / perHour; hour += 4) {
    svg.append(mark("text", { x: xs(hour * perHour), y: height - 5, "text-anchor": "middle" }, `${hour}h`));
  }
  const time = (i) => `${Math.floor(i / perHour)}:${String((i % perHour) * data.bin_minutes).padStart(2, "0")}`;
  tip(box, width, count, (i) => `${time(i)} · ${data.rows[i]} of ${number(data.expected[i], 1)} expected`);
}

// The stored days of a table: rows as bars.
export function drawPartitions(box, days, choose) {
  if (!days.length) return empty(box, "No day is stored yet.");
  const count = days.length;
  const most = Math.max(...days.map((d) => d.rows)) * 1.05;
  const label = `Rows of ${count} stored days, ${days[0].date} to ${days[count - 1].date}`;
  const { svg, xs, ys, width, height } = frame(box, count, most, label);
  const gap = count > 300 ? 0 : 0.15;
  const path = days.map((d, i) => `M${xs(i + gap).toFixed(2)},${ys(0)}V${ys(d.rows).toFixed(1)}H${xs(i + 1 - gap).toFixed(2)}V${ys(0)}Z`);
  svg.append(mark("path", { class: "bar", d: path.join("") }));
  svg.append(mark("text", { x: SPACE.left, y: height - 5 }, days[0].date));
  if (count > 1) svg.append(mark("text", { x: width - SPACE.right, y: height - 5, "text-anchor": "end" }, days[count - 1].date));
  tip(box, width, count, (i) => `${days[i].date} · ${number(days[i].rows)} rows · ${number(days[i].bytes / 1024)} KiB`, (i) => choose(days[i].date));
}

export function empty(box, words) {
  const note = document.createElement("p");
  note.className = "empty";
  note.textContent = words;
  box.replaceChildren(note);
  box.onpointermove = box.onclick = box.onpointerleave = null;
  box.style.cursor = "";
}

// Records a second over the last minute.
export function drawPulse(box, values) {
  const count = 60;
  const most = Math.max(...values, 1);
  const shown = values.slice(-count);
  const x = (i) => count - shown.length + i;
  const y = (v) => 58 - (52 * v) / most;
  const svg = mark("svg", { viewBox: `0 0 ${count - 1} 60`, preserveAspectRatio: "none", role: "img", "aria-label": `Records a second, at most ${number(most)}` });
  if (shown.length > 1) {
    const line = shown.map((v, i) => `${x(i)},${y(v).toFixed(2)}`).join(" L");
    svg.append(mark("path", { class: "area", d: `M${x(0)},59 L${line} L${x(shown.length - 1)},59Z` }));
    svg.append(mark("path", { class: "line", d: `M${line}` }));
  }
  box.replaceChildren(svg);
}
