// Small helpers. Whatever came from people or the network reaches the page as text, never as markup.

export const $ = (id) => document.getElementById(id);

/** Whether a figure is there: not null, and not missing as from an older daemon. */
export const known = (value) => value !== null && value !== undefined;

export const ms = (value) => `${Math.round(value)} ms`;

/** `1 line`, `2 lines`. */
export const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

/** Make an element with a class and a text. */
export function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

/** Set a text only if it differs: selections and screen readers are left alone. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Replace the children only if `key`, which stands for what they show, changed. */
export function replaceIf(element, key, build) {
  if (element.dataset.key === key) return;
  element.dataset.key = key;
  element.replaceChildren(...build());
}

/** Show a message for a while; an error stays until it is dismissed or 12 s are over. */
export function toast(text, remedy = "", tone = "error") {
  const box = make("div", "toast");
  box.dataset.tone = tone;
  const words = make("div", "", text);
  if (remedy) words.append(make("small", "", remedy));
  const close = make("button", "", "×");
  close.type = "button";
  close.setAttribute("aria-label", "Dismiss");
  close.onclick = () => box.remove();
  box.append(words, close);
  const toasts = $("toasts");
  while (toasts.childElementCount >= 4) toasts.firstElementChild.remove();
  toasts.append(box);
  setTimeout(() => box.remove(), tone === "error" ? 12000 : 5000);
}
