// Draws the daemon's status. Called with every status; touches only what changed.

import { renderShow } from "./show.js";
import { renderSources } from "./sources.js";
import { longest, traceBar } from "./trace.js";
import { $, known, make, ms, replaceIf, setText } from "./ui.js";

const KIND = { say: "Say", ask: "Ask", greeting: "Greeting", quiet: "By itself" };
const ACTIVITY = { queued: ["think", "Starting"], thinking: ["think", "Thinking"], speaking: ["live", "Speaking"] };
const RUNG = { live: "live", idle: "idle loop", still: "still picture" };

export function render(status) {
  renderWarnings(status.warnings);
  renderSources(status);
  renderOnAir(status);
  renderShow(status);
  renderQueue(status.queue);
  renderRecent(status.recent);
  renderHealth(status);
  setText($("version"), `vcam_talker ${status.version}`);
  document.title = `${status.on_air?.state === "speaking" ? "● " : ""}${status.persona.title} on vcam_talker`;
}

/** The daemon is out of reach: what it last said about the turn on air no longer holds. */
export function renderLost() {
  $("activity").dataset.tone = "idle";
  setText($("activity-text"), "Not connected");
  $("interrupt").disabled = true;
}

function renderWarnings(warnings) {
  replaceIf($("warnings"), JSON.stringify(warnings), () => warnings.map((text) => make("li", "", text)));
}

function renderOnAir({ on_air: turn, persona, show }) {
  const [tone, word] = ACTIVITY[turn?.state] ?? (show?.paused ? ["warn", "Paused"] : ["good", "On air"]);
  $("activity").dataset.tone = tone;
  setText($("activity-text"), word);
  setText($("presenter"), persona.title);
  const asked = turn?.kind === "ask";
  setText($("prompt"), asked ? `${turn.user || "Somebody"} asks: ${turn.text}` : "");
  const whole = turn === null ? "" : turn.answer || (asked ? "" : turn.text);
  const heard = turn?.heard_text ?? "";
  const follows = whole.startsWith(heard);
  setText($("heard"), heard);
  setText($("ahead"), follows ? whole.slice(heard.length) : ` ${whole}`);
  $("interrupt").disabled = turn === null;
  // Read aloud once a turn, not with every word.
  if (whole && turn.state === "speaking") setText($("spoken"), `${persona.title} says: ${whole}`);
}

function turnHead(turn, state) {
  const head = make("div", "head");
  const from = [KIND[turn.kind], turn.user, turn.source].filter(Boolean).join(" · ");
  const word = make("span", "state", state);
  word.dataset.state = turn.state;
  head.append(make("span", "", from), word);
  return head;
}

function renderQueue(queue) {
  setText($("queue-count"), queue.length ? String(queue.length) : "");
  $("queue-empty").hidden = queue.length > 0;
  $("clear").hidden = queue.length === 0;
  replaceIf($("queue"), JSON.stringify(queue), () =>
    queue.map((turn, index) => {
      const item = make("li");
      item.append(turnHead(turn, index === 0 ? "next" : turn.state), make("div", "line", turn.text));
      return item;
    }),
  );
}

function renderRecent(recent) {
  $("recent-empty").hidden = recent.length > 0;
  const scale_ms = longest(recent);
  replaceIf($("recent"), JSON.stringify(recent), () =>
    recent.map((turn) => {
      const item = make("li");
      const said = turn.state === "interrupted" ? turn.heard_text : turn.answer;
      // What was to be said may hold tags such as [happy]; what was said does not.
      item.append(turnHead(turn, turn.state), make("div", "line", turn.kind === "ask" ? turn.text : said || turn.text));
      if (turn.kind === "ask" && said) item.append(make("div", "line answer", said));
      item.append(...traceBar(turn, scale_ms));
      if (turn.error) item.append(make("div", "fault", turn.error));
      return item;
    }),
  );
}

function renderHealth(status) {
  const { pacing, engine } = status;
  const lost = pacing.late + pacing.skipped;
  const trace = status.recent.find((turn) => known(turn.on_air_ms));
  const rows = [
    ["Picture", `${status.width}×${status.height}, ${pacing.fps} fps`, RUNG[pacing.rung], pacing.rung === "still" ? "warn" : "good"],
    ["Pacing", `±${pacing.deviation_p99_ms.toFixed(1)} ms p99`, `longest gap ${ms(pacing.longest_gap_ms)}, ${lost} late or skipped`, ""],
    processRow("Engine", engine),
    ...(status.senses ? [processRow("Senses", status.senses)] : []),
    ...((status.lips?.state ?? "off") === "off" ? [] : [lipsRow(status.lips)]),
    ...status.sinks.filter((sink) => sink.kind !== "null").map((sink) => [
      sink.kind[0].toUpperCase() + sink.kind.slice(1),
      sink.state === "open" ? sink.name : `${sink.name} is ${sink.state}`,
      [sink.detail, known(sink.latency_ms) ? `${ms(sink.latency_ms)} latency` : "", sink.reopened ? `reopened ${sink.reopened}×` : ""].filter(Boolean).join(", "),
      { open: "good", lost: "live", absent: "warn" }[sink.state] ?? "",
    ]),
    ...(trace ? [["Last answer", `on air after ${ms(trace.on_air_ms)}`, "", ""]] : []),
    ["Processor", `${status.cpu_percent.toFixed(0)} % of one core`, "", ""],
    ["Memory", `${status.rss_mb.toFixed(0)} MB`, "", ""],
    ["On air for", duration(status.uptime_s), "", ""],
  ];
  replaceIf($("health"), JSON.stringify(rows), () =>
    rows.flatMap(([name, value, detail, tone]) => {
      const term = make("dt", "", name);
      const data = make("dd", "", value);
      if (tone) data.dataset.tone = tone;
      if (detail) data.append(make("small", "", detail));
      return [term, data];
    }),
  );
}

function lipsRow({ state, drawn_by, detail, restarts, last_error, asked, answered, p50_ms }) {
  const small = [
    state === "ready" ? "" : state,
    detail,
    known(p50_ms) ? `${p50_ms.toFixed(1)} ms each, ${asked - answered} of ${asked} late` : "",
    restarts ? `restarted ${restarts}×: ${last_error}` : "",
  ];
  return ["Lips", drawn_by, small.filter(Boolean).join(", "), state === "ready" ? "good" : "warn"];
}

function processRow(name, { state, restarts, last_error }) {
  const detail = [restarts ? `restarted ${restarts}×` : "", last_error].filter(Boolean).join(": ");
  return [name, state, detail, state === "ready" ? "good" : "warn"];
}

function duration(seconds) {
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  if (hours >= 48) return `${Math.floor(hours / 24)} days`;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min ${Math.floor(seconds % 60)} s` : `${Math.floor(seconds)} s`;
}
