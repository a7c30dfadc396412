// What the director is up to: paused, muted, mood, quiet talk, and what was not answered.

import { $, known, make, replaceIf, setText } from "./ui.js";

export function renderShow({ show }) {
  $("deck").hidden = !show;
  $("muted").hidden = !show?.muted;
  if (show) {
    press($("pause"), show.paused);
    press($("mute"), show.muted);
    // Not under the hand of whoever is choosing.
    if (document.activeElement !== $("mood")) $("mood").value = show.emotion ?? "";
  }
  setText($("quiet"), known(show?.quiet_in_s) ? `Talks by itself in ${Math.ceil(show.quiet_in_s)} s.` : "");
  renderSkipped(show?.skipped ?? [], show?.skipped_total ?? 0);
}

const press = (button, on) => button.setAttribute("aria-pressed", String(Boolean(on)));

function renderSkipped(skipped, total) {
  $("skipped-card").hidden = skipped.length === 0;
  setText($("skipped-count"), total > skipped.length ? `the last ${skipped.length} of ${total}` : String(skipped.length));
  replaceIf($("skipped"), JSON.stringify(skipped), () =>
    skipped.map(({ text, user, source, why }) => {
      const item = make("li");
      const head = make("div", "head");
      head.append(make("span", "", [user, source].filter(Boolean).join(" · ")), make("span", "why", why));
      item.append(head, make("div", "line", text));
      return item;
    }),
  );
}
