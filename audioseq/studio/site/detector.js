// Scores to words, as audioseq.Detector does it: scores are averaged over a short time; a word is detected when its average
// passes its threshold and has stopped rising.
const FALLING = 0.12; // seconds without a new peak after which a word is detected
const HALF_WORD = 0.25; // seconds: half of a spoken command

export class Picker {
  /** `about`: class_names, hop, first, latency (seconds); thresholds by word. */
  constructor(about, thresholds, { smoothing = 0.6, refractory = 0.5 } = {}) {
    this.about = about;
    this.words = about.class_names.flatMap((name, column) => (name.startsWith("_") ? [] : [{ name, column }]));
    this.rows = Math.max(1, Math.round(smoothing / about.hop));
    this.delay = ((this.rows - 1) / 2) * about.hop;
    this.refractory = refractory;
    this.recent = Array.from({ length: this.rows - 1 }, () => this.words.map(() => 0));
    this.average = this.words.map(() => 0);
    this.held = this.words.map(() => false);
    this.freeFrom = -Infinity;
    this.rising = null;
    this.seen = 0;
    this.setThresholds(thresholds);
  }

  /** Least average by word; 1: never. */
  setThresholds(thresholds) {
    this.thresholds = this.words.map(({ name }) => (thresholds[name] < 1 ? thresholds[name] : Infinity));
  }

  /** The words that a row of scores makes known. */
  push(scores) {
    const time = this.about.first + this.seen * this.about.hop;
    this.seen += 1;
    this.recent.push(this.words.map(({ column }) => scores[column]));
    this.average = this.words.map((_, i) => this.recent.reduce((sum, row) => sum + row[i], 0) / this.rows);
    this.recent.shift();
    const passed = this.average.map((value, i) => value >= this.thresholds[i]);
    let best = 0;
    this.average.forEach((value, i) => {
      if (value - this.thresholds[i] > this.average[best] - this.thresholds[best]) best = i;
    });
    this.held = this.held.map((held, i) => held && passed[i]);
    const rising = this.rising;
    if (rising === null) {
      if (passed[best] && !this.held[best] && time >= this.freeFrom) {
        this.rising = { word: best, begin: time, peak: time, score: this.average[best] };
      }
      return [];
    }
    if (passed[best] && best === rising.word && this.average[best] > rising.score) {
      Object.assign(rising, { peak: time, score: this.average[best] });
      return [];
    }
    if (!passed[best] || best !== rising.word || time - rising.peak > FALLING) return [this.found(rising, time)];
    return [];
  }

  found(rising, time) {
    this.rising = null;
    this.freeFrom = rising.begin + this.refractory;
    this.held[rising.word] = true;
    const middle = Math.max(0, rising.begin - this.delay);
    return {
      start: Math.max(0, middle - HALF_WORD),
      end: middle + HALF_WORD,
      label: this.words[rising.word].name,
      score: rising.score,
      detected: time + this.about.latency,
    };
  }
}
