// The control desk: wires the page to the daemon.

import { adoptToken, keepSocket, request, setToken } from "./api.js";
import { Preview } from "./preview.js";
import { $, make, replaceIf, setText, toast } from "./ui.js";
import { render, renderLost } from "./view.js";

adoptToken();
const preview = new Preview($("picture"));
let persona = "";

// -- connection ---------------------------------------------------------------------------------

function showLink(tone, text) {
  $("link").dataset.tone = tone;
  setText($("link-text"), text);
}

keepSocket("/api/events", {
  open() {
    showLink("good", "Connected");
    loadPersonas();
  },
  message(event) {
    const message = JSON.parse(event.data);
    if (message.event !== "status") return;
    persona = message.status.persona.name;
    if (document.activeElement !== $("persona")) $("persona").value = persona;
    render(message.status);
  },
  close() {
    showLink("wait", "Reconnecting");
    renderLost();
    askForToken();
  },
});

/** A refused socket does not say why: ask, and if it is the token, ask the user for it. */
async function askForToken() {
  const dialog = $("key-dialog");
  if (dialog.open) return;
  try {
    await request("/api/status");
  } catch (error) {
    if (error.status === 401 && !dialog.open) dialog.showModal();
  }
}

$("key-form").addEventListener("submit", () => {
  setToken($("key").value.trim());
  $("key").value = "";
});

// -- commands -----------------------------------------------------------------------------------

async function command(path, body) {
  try {
    return await request(path, body);
  } catch (error) {
    toast(error.message, error.remedy);
    return null;
  }
}

async function send(path, extra = {}) {
  const box = $("text");
  const text = box.value.trim();
  if (!text) {
    box.focus();
    return;
  }
  box.value = "";
  const receipt = await command(path, { text, source: "page", ...extra });
  if (receipt === null && !box.value) box.value = text; // nothing typed is lost
  if (receipt?.note) toast(receipt.note, "", "info");
  box.focus();
}

const ask = () => send("/api/ask");
const say = () => send("/api/say", { emotion: $("emotion").value || null });
const interrupt = (clear) => command("/api/interrupt", { clear_queue: clear });

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});
$("say").addEventListener("click", say);
$("interrupt").addEventListener("click", () => interrupt(false));
$("clear").addEventListener("click", () => interrupt(true));
$("text").addEventListener("keydown", (event) => {
  // While an input method composes, Enter chooses a word.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  if (event.ctrlKey || event.metaKey) say();
  else ask();
});
addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.repeat || event.isComposing || $("key-dialog").open) return;
  if (event.target instanceof HTMLSelectElement) return; // it closes the list
  interrupt(false);
});

// -- the show -----------------------------------------------------------------------------------

/** Have a toggle do the opposite of what it shows; the next status shows what came of it. */
function toggle(id, path, field) {
  $(id).addEventListener("click", () => command(path, { [field]: $(id).getAttribute("aria-pressed") !== "true" }));
}

toggle("pause", "/api/pause", "paused");
toggle("mute", "/api/mute", "muted");

let mood = "";
$("mood").addEventListener("focus", () => (mood = $("mood").value));
$("mood").addEventListener("change", async () => {
  const chooser = $("mood");
  const wanted = chooser.value; // by the time of the answer another may have been chosen
  const done = await command("/api/emotion", { emotion: wanted || null });
  if (done !== null) mood = wanted;
  else if (chooser.value === wanted) chooser.value = mood;
});

// -- persona ------------------------------------------------------------------------------------

async function loadPersonas() {
  const found = await command("/api/personas");
  if (found === null) return;
  replaceIf($("persona"), JSON.stringify(found), () =>
    found.map(({ name, title, language, description }) => {
      const option = make("option", "", language ? `${title} (${language})` : `${title} (unusable)`);
      option.value = name;
      option.title = description;
      option.disabled = !language;
      return option;
    }),
  );
  $("persona").disabled = false;
  $("persona").value = persona;
}

$("persona").addEventListener("change", async () => {
  const chooser = $("persona");
  chooser.disabled = true;
  const chosen = await command("/api/persona", { name: chooser.value });
  chooser.disabled = false;
  if (chosen === null) chooser.value = persona;
});

// -- sound and signal ---------------------------------------------------------------------------

function showSound() {
  const { allowed, muted } = preview.sound;
  $("sound").dataset.state = !allowed ? "off" : muted ? "muted" : "on";
  setText($("sound-text"), !allowed ? "Turn on sound" : muted ? "Muted" : "Sound");
  $("sound").setAttribute("aria-label", !allowed ? "Turn on sound" : muted ? "Unmute" : "Mute");
}

$("sound").addEventListener("click", async () => {
  const { sound } = preview;
  if (!sound.allowed) await sound.resume();
  else sound.muted = !sound.muted;
  showSound();
});
preview.sound.onchange(showSound);
showSound();

setInterval(() => {
  const { sound, picture } = preview;
  const level = sound.allowed ? sound.level : 0;
  const decibels = 20 * Math.log10(level + 1e-6);
  $("level").style.transform = `scaleX(${Math.min(1, Math.max(0, (decibels + 50) / 45))})`;
  $("screen").dataset.signal = preview.signal ? "on" : "off";
  setText($("veil"), picture.frames ? "No signal" : "Waiting for the picture");
  // For whoever wants to know how well this page keeps up (and for tests).
  const figures = { fps: picture.fps, frames: picture.frames, resyncs: sound.resyncs };
  Object.assign($("picture").dataset, figures, { skewMs: picture.skew_ms ?? "", level: level.toFixed(4) });
  $("picture").title = `${picture.fps} fps here${picture.skew_ms === null ? "" : `, ${picture.skew_ms.toFixed(0)} ms behind its sound`}`;
}, 100);
