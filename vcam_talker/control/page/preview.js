// Packets of /api/preview; the format is documented in the API's description (/docs).

import { keepSocket } from "./api.js";
import { Picture } from "./picture.js";
import { Sound } from "./sound.js";

const HEADER_BYTES = 16;
const PICTURE = 1;
const SOUND = 2;

export class Preview {
  #arrived_ms = 0;

  constructor(canvas) {
    this.sound = new Sound();
    this.picture = new Picture(canvas, this.sound);
    keepSocket("/api/preview", {
      message: (event) => this.#take(event.data),
      close: () => this.picture.reset(),
    });
  }

  /** True while packets arrive. */
  get signal() {
    return performance.now() - this.#arrived_ms < 1500 && this.picture.frames > 0;
  }

  #take(data) {
    const view = new DataView(data);
    this.#arrived_ms = performance.now();
    const detail = view.getUint32(4, true);
    const pts_s = Number(view.getBigInt64(8, true)) / 1e9;
    switch (view.getUint8(0)) {
      case PICTURE:
        this.picture.push(pts_s, new Uint8Array(data, HEADER_BYTES));
        break;
      case SOUND:
        this.sound.push(pts_s, detail, new Int16Array(data, HEADER_BYTES));
        break;
    }
  }
}
