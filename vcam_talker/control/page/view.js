// Draws the daemon's status. Called with every status; touches only what changed.

import { $, make, replaceIf, setText } from "./ui.js";

const KIND = { say: "Say", ask: "Ask", greeting: "Greeting" };
const ACTIVITY = { queued: ["think", "Starting"], thinking: ["think", "Thinking"], speaking: ["live", "Speaking"] };
const RUNG = { live: "live", idle: "idle loop", still: "still picture" };

export function render(status) {
  renderWarnings(status.warnings);
  renderOnAir(status);
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

function renderOnAir({ on_air: turn, persona }) {
  const [tone, word] = ACTIVITY[turn?.state] ?? ["good", "On air"];
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
  replaceIf($("recent"), JSON.stringify(recent), () =>
    recent.map((turn) => {
      const item = make("li");
      const said = turn.state === "interrupted" ? turn.heard_text : turn.answer;
      // What was to be said may hold tags such as [happy]; what was said does not.
      item.append(turnHead(turn, turn.state), make("div", "line", turn.kind === "ask" ? turn.text : said || turn.text));
      if (turn.kind === "ask" && said) item.append(make("div", "line answer", said));
      const trace = traceOf(turn);
      if (trace) item.append(make("div", "trace", trace));
      if (turn.error) item.append(make("div", "fault", turn.error));
      return item;
    }),
  );
}

function traceOf(turn) {
  const parts = [
    turn.started_ms === null ? "" : `started ${ms(turn.started_ms)}`,
    turn.first_audio_ms === null ? "" : `first sound ${ms(turn.first_audio_ms)}`,
    turn.on_air_ms === null ? "" : `on air ${ms(turn.on_air_ms)}`,
    turn.duration_s === null ? "" : `${turn.duration_s.toFixed(1)} s long`,
  ];
  return parts.filter(Boolean).join(" · ");
}

function renderHealth(status) {
  const { pacing, engine } = status;
  const lost = pacing.late + pacing.skipped;
  const trace = status.recent.find((turn) => turn.on_air_ms !== null);
  const rows = [
    ["Picture", `${status.width}×${status.height}, ${pacing.fps} fps`, RUNG[pacing.rung], pacing.rung === "still" ? "warn" : "good"],
    ["Pacing", `±${pacing.deviation_p99_ms.toFixed(1)} ms p99`, `longest gap ${ms(pacing.longest_gap_ms)}, ${lost} late or skipped`, ""],
    ["Engine", engine.state, [restarts(engine.restarts), engine.last_error].filter(Boolean).join(": "), engine.state === "ready" ? "good" : "warn"],
    ...status.sinks.filter((sink) => sink.kind !== "null").map((sink) => [
      sink.kind[0].toUpperCase() + sink.kind.slice(1),
      sink.state === "open" ? sink.name : `${sink.name} is ${sink.state}`,
      [sink.detail, sink.latency_ms === null ? "" : `${ms(sink.latency_ms)} latency`, sink.reopened ? `reopened ${sink.reopened}×` : ""].filter(Boolean).join(", "),
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

const ms = (value) => `${Math.round(value)} ms`;
const restarts = (count) => (count ? `restarted ${count}×` : "");

function duration(seconds) {
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  if (hours >= 48) return `${Math.floor(hours / 24)} days`;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min ${Math.floor(seconds % 60)} s` : `${Math.floor(seconds)} s`;
}
