// Sound of the preview, and the clock that the picture follows: what is heard right now.

const TARGET_S = 0.15; // jitter buffer when it starts
const LOW_S = 0.04; // a lead below this risks a gap
const HIGH_S = 0.3; // a lead above this is needless delay
const STEP_S = 0.01; // the buffer is resized in steps of this, in silence only
const LOST_S = 1.0; // a lead beyond this: the daemon's clock jumped
const SILENT = 40; // of 32768, -58 dB
const WINDOW = 50; // blocks (1 s) over which the lead is watched

export class Sound {
  #context = new AudioContext({ sampleRate: 48000, latencyHint: "interactive" });
  #gain = this.#context.createGain();
  #analyser = this.#context.createAnalyser();
  #wave;
  #offsetFrames = null; // media frame number minus context frame number
  #rate = 48000;
  #leads = [];
  #pictureLead = Infinity;
  #last_ms = 0;
  resyncs = 0;

  constructor() {
    this.#analyser.fftSize = 1024;
    this.#wave = new Float32Array(this.#analyser.fftSize);
    this.#gain.connect(this.#analyser).connect(this.#context.destination);
  }

  /** True once the browser lets us play: before, it wants a gesture. */
  get allowed() {
    return this.#context.state === "running";
  }

  get muted() {
    return this.#gain.gain.value === 0;
  }

  set muted(muted) {
    this.#gain.gain.value = muted ? 0 : 1;
  }

  /** Ask the browser to let us play; works within a gesture. */
  resume() {
    return this.#context.resume();
  }

  onchange(handler) {
    this.#context.addEventListener("statechange", handler);
  }

  /** Loudness of what plays, 0 to 1 (root mean square). */
  get level() {
    this.#analyser.getFloatTimeDomainData(this.#wave);
    let sum = 0;
    for (const value of this.#wave) sum += value * value;
    return Math.sqrt(sum / this.#wave.length);
  }

  /** How long before it is heard sound arrives here, in seconds; the smallest of the last second. */
  get lead_s() {
    return Math.min(...this.#leads);
  }

  /** The picture tells how long before its moment it was decoded. */
  notePictureLead(lead_s) {
    this.#pictureLead = Math.min(this.#pictureLead, lead_s);
  }

  /** Play a block of 16-bit samples whose first one stands at `pts_s` on the media clock. */
  push(pts_s, rate, pcm) {
    this.#last_ms = performance.now();
    if (!this.allowed) {
      this.#offsetFrames = null;
      return;
    }
    this.#rate = rate;
    const frame = Math.round(pts_s * rate);
    const now_s = this.#context.currentTime;
    let lead_s = this.#offsetFrames === null ? -1 : (frame - this.#offsetFrames) / rate - now_s;
    if (lead_s < 0.003 || lead_s > LOST_S) {
      this.#offsetFrames = frame - Math.round((now_s + TARGET_S) * rate);
      this.#leads.length = 0;
      this.resyncs += 1;
      lead_s = TARGET_S;
    }
    this.#watch(lead_s, pcm);
    const samples = Float32Array.from(pcm, (value) => value / 32768);
    const buffer = this.#context.createBuffer(1, samples.length, rate);
    buffer.copyToChannel(samples, 0);
    const source = this.#context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.#gain);
    // Whole frames on both clocks: blocks follow each other without a seam.
    source.start((frame - this.#offsetFrames) / rate);
  }

  /** The moment of the media clock that is heard now, in seconds; null while no sound plays. */
  heard_s() {
    const stale = performance.now() - this.#last_ms > 1000;
    if (!this.allowed || this.#offsetFrames === null || stale) return null;
    const { contextTime, performanceTime } = this.#context.getOutputTimestamp();
    const current_s = this.#context.currentTime;
    const latency_s = this.#context.outputLatency || this.#context.baseLatency || 0;
    let now_s = contextTime + (performance.now() - performanceTime) / 1000;
    // Some systems report no timestamp, or one of a device that went away.
    if (!(performanceTime > 0) || Math.abs(current_s - now_s) > 0.5) now_s = current_s - latency_s;
    return now_s + this.#offsetFrames / this.#rate;
  }

  // Sender and sound card count seconds differently, and networks change: move in silence, unheard.
  #watch(lead_s, pcm) {
    this.#leads.push(lead_s);
    if (this.#leads.length < WINDOW) return;
    const worst_s = Math.min(this.lead_s, this.#pictureLead + 0.02);
    if (this.#leads.length > WINDOW) this.#leads.shift();
    if (!pcm.every((value) => Math.abs(value) < SILENT)) return;
    if (worst_s < LOW_S) this.#shift(STEP_S);
    else if (worst_s > HIGH_S) this.#shift(-STEP_S);
  }

  #shift(by_s) {
    this.#offsetFrames -= Math.round(by_s * this.#rate);
    this.#leads.length = 0;
    this.#pictureLead = Infinity;
  }
}
