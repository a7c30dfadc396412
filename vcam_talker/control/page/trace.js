// The trace of an answer: how long each stage took on its way to the air.

import { known, make, ms } from "./ui.js";

/** Stages in order: the moment that ends it, its class, what it is called. The first begins at `heard` or 0. */
const STAGES = [
  ["queued_ms", "ear", "heard"],
  ["started_ms", "wait", "waited"],
  ["first_token_ms", "mind", "thought"],
  ["first_audio_ms", "voice", "voiced"],
  ["on_air_ms", "out", "sent"],
];

const WAITED_MS = 20; // less is no waiting for others

/** Split a turn into stages `{kind, name, took_ms}`; a moment that is not known joins the stage after it. */
function stagesOf(turn) {
  const moments = { ...turn, queued_ms: 0 };
  let from_ms = known(turn.heard_ms) ? Math.min(0, turn.heard_ms) : 0;
  const stages = [];
  for (const [end, kind, name] of STAGES) {
    if (!known(moments[end]) || (kind === "wait" && moments[end] < WAITED_MS)) continue;
    const took_ms = Math.max(0, moments[end] - from_ms);
    from_ms = Math.max(from_ms, moments[end]);
    if (took_ms > 0) stages.push({ kind, name, took_ms });
  }
  return stages;
}

const total = (stages) => stages.reduce((sum, { took_ms }) => sum + took_ms, 0);

/** The longest way among these turns, in ms: bars share one scale. */
export const longest = (turns) => Math.max(1, ...turns.map((turn) => total(stagesOf(turn))));

/** Elements that show a turn's trace; none where nothing is known. */
export function traceBar(turn, scale_ms) {
  const stages = stagesOf(turn);
  if (!stages.length) return [];
  const bar = make("div", "bar-trace");
  bar.setAttribute("aria-hidden", "true"); // the words below say the same
  for (const { kind, name, took_ms } of stages) {
    const part = make("span", `stage-${kind}`);
    part.style.width = `${(100 * took_ms) / scale_ms}%`;
    part.title = `${name} ${ms(took_ms)}`;
    bar.append(part);
  }
  const words = make("div", "trace");
  const whole = make("strong", "", ms(total(stages)));
  whole.title = known(turn.on_air_ms) ? "until a reader of the microphone hears it" : "so far as it got";
  words.append(whole);
  for (const { kind, name, took_ms } of stages) words.append(make("span", `key stage-${kind}`, `${name} ${Math.round(took_ms)}`));
  const rest = [
    known(turn.first_frame_ms) ? `picture at ${Math.round(turn.first_frame_ms)}` : "",
    turn.brain ?? "",
    turn.cached ? "cached" : "",
    known(turn.duration_s) ? `${turn.duration_s.toFixed(1)} s long` : "",
  ];
  for (const word of rest.filter(Boolean)) words.append(make("span", "", word));
  return [bar, words];
}
