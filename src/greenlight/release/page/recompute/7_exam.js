// Which answers does a row use, and what do all rows come to? (gate/criteria.py, gate/checks.py, gate/decision.py)

const DISCLOSED_ITEMS = 100, CONTRASTED_ITEMS = 200, FEWEST_ITEMS = 30;
const NEVER_GO = ["exploratory", "imported"];

// Counts what could not be graded among the answers of one row.
class AnswerChecks {
  constructor(track, planned) {
    Object.assign(this, { track, planned, n: 0, empty: 0, unparsed: 0, truncated: 0 });
  }

  add(place) {
    const grade = this.track.grades.names[this.track.grades.at[place]];
    this.n += 1;
    if (grade === "empty" || grade === "unparsed") this[grade] += 1;
    this.truncated += this.track.cut[place];
  }

  get ok() {
    return this.found().every((check) => check.ok);
  }

  found() {
    const unparsed = this.share("unparsed", 0.02);
    if (this.track.kind === "choice") return [unparsed];
    const byDesign = { check: "truncated", ok: true, value: this.n ? this.truncated / this.n : 0, limit: null };
    return [this.share("empty", 0.01), unparsed, this.track.answer_tokens ? byDesign : this.share("truncated", 0.02)];
  }

  share(check, limit) {
    const value = this.n ? this[check] / this.n : 0;
    const above = this.n >= this.planned ? value > limit : lowerBound(this[check], this.n, 0.05) > limit;
    return { check, ok: !above, value, limit };
  }
}

function ruleOf(row, track, places, alpha) {
  if (row.limit === null) return new DisplayRule(row, track, places);
  if (row.kind === "judged") return new (row.compare === null ? JudgedRule : PairedJudgedRule)(row, track, places, alpha);
  if (row.kind === "worst") return new WorstRule(row, track, places, alpha);
  if (row.kind === "balance") return new BalanceRule(row, track, places, alpha);
  if (row.kind !== "mean") return new UnknownRule();
  return new (row.compare === null ? MeanRule : PairedMeanRule)(row, track, places, alpha);
}

// A row of a kind that came after this page: said to be left out, never guessed at.
class UnknownRule {
  verdict = null;

  add() {}

  finding() {
    return { ...INVALID, underived: true };
  }
}

// Follows one row through the answers of its suite, in the exam's order.
class Watch {
  constructor(row, track, alpha) {
    Object.assign(this, { row, track, alpha, used: [], waiting: new Map(), ended: false });
    this.places = track.items.map((_, place) => place).filter((place) => this.counts(place));
    this.rule = ruleOf(row, track, this.places, alpha);
    this.checks = new AnswerChecks(track, this.places.length);
  }

  counts(place) {
    return this.row.counted === null || this.row.counted[place] === 1;
  }

  // Of a pair, the half that carries the value is taken once both halves are there.
  add(place) {
    if (this.ended) return;
    if (!this.row.pairs) { this.take(place); return; }
    const { pair, pushed } = this.track.pairs, other = this.waiting.get(pair[place]);
    if (other === undefined) { this.waiting.set(pair[place], place); return; }
    this.waiting.delete(pair[place]);
    this.take(pushed[place] ? place : other);
  }

  take(place) {
    if (!this.counts(place)) return;
    // What the model does not tell of this answer it tells of none.
    if (this.row.values[place] === null) { this.ended = true; return; }
    this.used.push(place);
    this.rule.add(place);
    this.checks.add(place);
    const enough = this.used.length >= Math.min(FEWEST_ITEMS, this.places.length);
    this.ended = enough && this.rule.verdict !== null && this.checks.ok;
  }

  get certain() {
    return this.ended || this.used.length >= this.places.length;
  }

  get shownEnough() {
    return this.certain || this.used.length >= (this.row.kind === "contrast" ? CONTRASTED_ITEMS : DISCLOSED_ITEMS);
  }

  reads(place) {
    return this.row.pairs || this.counts(place);
  }

  // The row as decision.json holds it, without its words.
  result() {
    const { row, track } = this, finding = this.rule.finding(), bounds = finding.bounds ?? [null, null];
    const checks = this.used.length ? [...this.checks.found(), ...track.checks] : [];
    const failing = checks.some((check) => !check.ok);
    const status = !this.used.length ? "NOT RUN" : finding.status === "DISCLOSED" ? "DISCLOSED" : failing ? "INVALID" : finding.status;
    return {
      row: row.row, level: row.level, direction: row.direction, limit: row.limit, alpha: this.alpha, status,
      value: finding.value, lower: bounds[0], upper: bounds[1],
      n_used: this.used.length, n_finished: this.finished(), n_planned: this.places.length,
      clusters: new Set(this.used.map((place) => track.clusters[place])).size,
      judge: finding.judge ?? null, labels: finding.labels ?? null, details: { ...finding.details, ...this.beside() },
      checks, topics: this.topics(), underived: finding.underived === true,
    };
  }

  // What stands beside the row's own number.
  beside() {
    const wrapped = this.row.plain ? besidePlain(this.row, this.track, this.alpha) : [];
    return { ...(wrapped.length ? { beside_plain: wrapped } : {}), ...(this.row.again ? withinItems(this.row, this.used) : {}) };
  }

  finished() {
    return this.places.filter((place) => this.track.grades.at[place] !== null).length;
  }

  topics() {
    if (!MEANS.includes(this.row.kind)) return [];
    const { names, at } = this.track.topics, found = new Map();
    for (const place of this.used) found.set(names[at[place]], [...(found.get(names[at[place]]) ?? []), this.row.values[place]]);
    return [...found].sort((a, b) => byCodePoint(a[0], b[0])).map(([topic, values]) => ({ topic, n: values.length, value: mean(values) }));
  }
}

// Follows every row of one suite; an item that no open row counts is passed over, answered or not.
function examine(track, alpha) {
  const watches = track.rows.map((row) => new Watch(row, track, alpha));
  const gating = watches.filter((watch) => watch.row.limit !== null), shown = watches.filter((watch) => watch.row.limit === null);
  const wants = (place) => {
    if (!gating.length) return shown.some((watch) => watch.reads(place));
    return [...gating.filter((watch) => !watch.certain), ...shown.filter((watch) => !watch.shownEnough)].some((watch) => watch.reads(place));
  };
  const certain = () => gating.length > 0 && shown.every((watch) => watch.shownEnough) && gating.every((watch) => watch.certain);
  for (let place = 0; place < track.items.length && !certain(); place++) {
    if (!wants(place)) continue;
    if (track.grades.at[place] === null) break;
    for (const watch of watches) watch.add(place);
  }
  return watches.map((watch) => watch.result());
}

// The verdict that rows come to.
function verdictOf(rows, kind, spent = false) {
  const musts = rows.filter((row) => row.level === "must").map((row) => row.status);
  const shoulds = rows.filter((row) => row.level === "should").map((row) => row.status);
  if (musts.includes("FAIL")) return "no_go";
  const missing = rows.some((row) => row.level === "disclose" && row.status === "NOT RUN");
  if (NEVER_GO.includes(kind) || spent || missing || musts.some((status) => !["PASS", "WAIVED"].includes(status))) return "hold";
  const kept = [...musts, ...shoulds].every((status) => status === "PASS") && rows.every((row) => row.status !== "WAIVED");
  return kept ? "go" : "go_with_conditions";
}
