// The picture of the preview: decoded ahead, drawn when its moment is heard.

const TARGET_S = 0.15;
const MAX_WAITING = 60; // 2 s of pictures
const LOST_S = 1.0;
const DISPLAY_S = 0.016; // what is drawn now is seen at the next refresh

/** Moment of the media clock by the wall clock; used while the browser plays no sound. */
class WallClock {
  #offset_s = null;

  now_s() {
    return this.#offset_s === null ? null : performance.now() / 1000 + this.#offset_s;
  }

  arrived(pts_s) {
    const lead_s = this.#offset_s === null ? -1 : pts_s - this.now_s();
    if (lead_s < 0 || lead_s > LOST_S) this.#offset_s = pts_s - TARGET_S - performance.now() / 1000;
  }
}

export class Picture {
  #canvas;
  #draw;
  #sound;
  #wall = new WallClock();
  #waiting = []; // {pts_s, bitmap}, oldest first
  #shown_s = -Infinity;
  #skews = [];
  #drawn = [];
  frames = 0;

  constructor(canvas, sound) {
    this.#canvas = canvas;
    this.#draw = canvas.getContext("2d", { alpha: false });
    this.#sound = sound;
    const tick = () => {
      this.#tick();
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  /** Pictures a second, over the last second. */
  get fps() {
    const since = performance.now() - 1000;
    this.#drawn = this.#drawn.filter((at) => at > since);
    return this.#drawn.length;
  }

  /** Median of how long after its sound a picture is seen, in ms; null without sound. */
  get skew_ms() {
    if (!this.#skews.length) return null;
    return [...this.#skews].sort((a, b) => a - b)[this.#skews.length >> 1];
  }

  /** Take a JPEG for `pts_s` on the media clock. */
  async push(pts_s, jpeg) {
    if (document.hidden) return; // nothing is drawn then; sound goes on
    this.#wall.arrived(pts_s);
    const bitmap = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
    if (pts_s < this.#shown_s - LOST_S) this.reset();
    const heard_s = this.#sound.heard_s();
    if (heard_s !== null) this.#sound.notePictureLead(pts_s - heard_s);
    this.#waiting.push({ pts_s, bitmap });
    this.#waiting.sort((a, b) => a.pts_s - b.pts_s);
    while (this.#waiting.length > MAX_WAITING) this.#waiting.shift().bitmap.close();
  }

  /** Forget what waits: the daemon's clock started anew. */
  reset() {
    for (const { bitmap } of this.#waiting.splice(0)) bitmap.close();
    this.#shown_s = -Infinity;
    this.#skews = [];
  }

  #tick() {
    const heard_s = this.#sound.heard_s();
    const clock_s = heard_s ?? this.#wall.now_s();
    if (clock_s === null) return;
    const now_s = clock_s + DISPLAY_S;
    let next = null;
    while (this.#waiting.length && this.#waiting[0].pts_s <= now_s) {
      next?.bitmap.close();
      next = this.#waiting.shift();
    }
    if (next === null) return;
    const { bitmap, pts_s } = next;
    if (this.#canvas.width !== bitmap.width || this.#canvas.height !== bitmap.height) {
      this.#canvas.width = bitmap.width;
      this.#canvas.height = bitmap.height;
    }
    this.#draw.drawImage(bitmap, 0, 0);
    bitmap.close();
    this.#shown_s = pts_s;
    this.frames += 1;
    this.#drawn.push(performance.now());
    if (heard_s === null) this.#skews = [];
    else this.#skews.push((now_s - pts_s) * 1000);
    if (this.#skews.length > 60) this.#skews.shift();
  }
}
