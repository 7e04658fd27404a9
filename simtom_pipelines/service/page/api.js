// Requests to the service; the token, where one is asked for, is kept for the tab alone.

const KEY = "simtom-token";
let login = null;

export class Refused extends Error {
  constructor(status, detail) {
    super(text(detail));
    this.status = status;
    this.fields = Array.isArray(detail) ? detail.map((item) => item.loc[item.loc.length - 1]) : [];
  }
}

function text(detail) {
  if (!Array.isArray(detail)) return String(detail);
  return detail.map((item) => `${item.loc.slice(1).join(".")}: ${item.msg}`.replace(/^: /, "")).join("\n");
}

function headers(more) {
  const token = sessionStorage.getItem(KEY);
  return { Accept: "application/json", ...(token ? { Authorization: `Bearer ${token}` } : {}), ...more };
}

export async function send(method, path, body, more = {}) {
  const type = body === undefined ? {} : { "Content-Type": "application/json" };
  const answer = await fetch(path, {
    method,
    headers: headers({ ...type, ...more.headers }),
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: more.signal,
  });
  if (answer.status === 401) {
    await ask();
    return send(method, path, body, more);
  }
  if (!answer.ok) {
    const found = await answer.json().catch(() => ({ detail: `HTTP ${answer.status}` }));
    throw new Refused(answer.status, found.detail);
  }
  return answer;
}

export const get = async (path) => (await send("GET", path)).json();
export const post = async (path, body) => (await send("POST", path, body)).json();

function ask() {
  login ??= new Promise((resolve) => {
    const dialog = document.getElementById("login");
    dialog.showModal();
    dialog.addEventListener(
      "close",
      () => {
        sessionStorage.setItem(KEY, document.getElementById("token").value);
        login = null;
        resolve();
      },
      { once: true },
    );
  });
  return login;
}
