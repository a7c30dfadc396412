// The daemon's API: the token, requests, and a socket that reconnects by itself.

const KEY = "vcam_talker.token";

/** Move a token from the address bar into this tab's storage, so that it is neither bookmarked nor shared. */
export function adoptToken() {
  const here = new URL(location.href);
  const token = here.searchParams.get("token");
  if (token === null) return;
  sessionStorage.setItem(KEY, token);
  here.searchParams.delete("token");
  history.replaceState(null, "", here);
}

export function setToken(token) {
  sessionStorage.setItem(KEY, token);
}

/** What the API refused: `what`, `why`, `remedy`, `code`. */
export class ApiError extends Error {
  constructor(status, error) {
    super(`${error.what}: ${error.why}`);
    this.status = status;
    this.remedy = error.remedy;
    this.code = error.code;
  }
}

/** Send a request; return the JSON answer. Throws ApiError. */
export async function request(path, body) {
  const headers = {};
  const token = sessionStorage.getItem(KEY);
  if (token) headers["Authorization"] = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, {
      method: body === undefined ? "GET" : "POST",
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new ApiError(0, { what: "The daemon", why: "does not answer", remedy: "Is it still running?", code: "offline" });
  }
  let answer;
  try {
    answer = await response.json();
  } catch {
    answer = {};
  }
  if (response.ok) return answer;
  const unknown = { what: "The daemon", why: `answered with status ${response.status}`, remedy: "", code: "unknown" };
  throw new ApiError(response.status, answer.error ?? unknown);
}

/**
 * Keep a WebSocket to `path` open for ever: after a loss it is opened again, sooner at first, 5 s apart at
 * most. `handlers` has `open`, `message(event)` and `close`.
 */
export function keepSocket(path, handlers) {
  let wait_ms = 250;
  let socket = null;
  let timer = 0;

  function connect() {
    clearTimeout(timer);
    const url = new URL(path, location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const token = sessionStorage.getItem(KEY);
    if (token) url.searchParams.set("token", token);
    socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      wait_ms = 250;
      handlers.open?.();
    };
    socket.onmessage = handlers.message;
    socket.onclose = (event) => {
      handlers.close?.(event);
      timer = setTimeout(connect, wait_ms * (0.8 + 0.4 * Math.random()));
      wait_ms = Math.min(5000, wait_ms * 1.7);
    };
  }

  connect();
  // After a nap of the machine or a change of network, do not wait for the timer.
  addEventListener("online", () => socket.readyState === WebSocket.CLOSED && connect());
}
