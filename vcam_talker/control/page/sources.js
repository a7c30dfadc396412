// Where lines come from and who answers: a chip each, with a dot for its state and the rest in its tip.

import { $, count, make, replaceIf, setText } from "./ui.js";

const TONE = {
  open: "good", listening: "good", ready: "good",
  hearing: "think", connecting: "wait", starting: "wait", loading: "wait",
  resting: "warn", lost: "live", failed: "live",
};

const MARGIN_PX = 12;

/** Describe each chip: `kind`, `name`, `state`, `tone`, `facts` (short), `detail` (why, and the remedy). */
function chipsOf({ brains, ears, chat, obs, cache }) {
  const chips = (brains ?? []).map(({ name, state, detail, answered, failed }) => ({
    kind: "Brain", name, state, detail,
    facts: [answered ? `answered ${answered}` : "", failed ? `failed ${failed}` : ""],
  }));
  if (cache) {
    const asked = cache.hits + cache.misses;
    chips.push({
      kind: "Cache", name: count(cache.entries, "phrase"), state: cache.detail ? "degraded" : "ready", detail: cache.detail,
      facts: [
        `${cache.memory_mb.toFixed(1)} MB, ${cache.disk_mb.toFixed(1)} MB on disk`,
        asked ? `${Math.round((100 * cache.hits) / asked)} % of ${asked} hit` : "",
        cache.to_warm ? `${cache.warmed} of ${cache.to_warm} warmed` : "",
      ],
    });
  }
  if (ears) {
    chips.push({
      kind: "Ears", name: ears.engine, state: ears.state, detail: ears.detail,
      facts: [ears.device, ears.model, count(ears.utterances, "utterance"), ears.echoes ? `${count(ears.echoes, "echo")} dropped` : ""],
    });
  }
  if (chat) {
    const dropped = Object.entries(chat.dropped ?? {}).filter(([, number]) => number);
    const reasons = dropped.map(([why, number]) => `${number} ${why}`).join(", ");
    const facts = [`of all chat ${chat.passed} passed${reasons ? `, dropped: ${reasons}` : ""}`];
    const sources = chat.sources?.length ? chat.sources : [{ name: "", state: "off" }];
    chips.push(...sources.map((source) => ({ kind: "Chat", ...source, facts: source.state === "off" ? [] : [...traffic(source), ...facts] })));
  }
  if (obs) chips.push({ kind: "OBS", ...obs, name: obs.state === "open" ? "" : obs.state, facts: traffic(obs) });
  return chips;
}

const traffic = ({ lines, reconnects }) => [lines ? count(lines, "line") : "", reconnects ? `reconnected ${reconnects}×` : ""];

export function renderSources(status) {
  const chips = chipsOf(status);
  const list = $("sources");
  list.hidden = chips.length === 0;
  // Built anew only when others come or go: figures change in place, so that focus and tip stay.
  replaceIf(list, JSON.stringify(chips.map(({ kind }) => kind)), () => chips.map(build));
  chips.forEach((chip, index) => update(list.children[index], chip));
}

function build(chip, index) {
  const item = make("li");
  const button = make("button", "chip");
  button.type = "button";
  button.setAttribute("aria-describedby", `tip-${index}`);
  button.append(make("span", "dot"), make("span", "kind", chip.kind), make("span", "name"));
  const tip = make("div", "tip");
  tip.id = `tip-${index}`;
  tip.setAttribute("role", "tooltip");
  tip.append(make("strong"), make("span"), make("p"));
  item.append(button, tip);
  for (const event of ["pointerenter", "focusin"]) item.addEventListener(event, () => place(item));
  return item;
}

/** Put the tip below the last row of chips, so that it covers none, and inside the view. */
function place(item) {
  const [button, tip] = item.children;
  const list = item.parentElement;
  const last = list.lastElementChild.firstElementChild;
  const room = list.clientWidth - tip.offsetWidth - MARGIN_PX;
  tip.style.left = `${Math.max(MARGIN_PX, Math.min(button.offsetLeft, room))}px`;
  tip.style.top = `${last.offsetTop + last.offsetHeight + 6}px`;
}

function update(item, { kind, name, state, detail, facts }) {
  const [button, tip] = item.children;
  const off = state === "off";
  button.dataset.tone = state === "degraded" ? "warn" : off ? "off" : (TONE[state] ?? "warn");
  setText(button.querySelector(".name"), name || (off ? "off" : ""));
  const [title, figures, why] = tip.children;
  const named = kind === "Cache" || name === state ? "" : name;
  setText(title, [kind, named, off ? "is off" : `is ${state}`].filter(Boolean).join(" "));
  setText(figures, off ? "" : (facts ?? []).filter(Boolean).join(" · "));
  setText(why, detail ?? "");
  if (item.matches(":hover, :focus-within")) place(item);
}
