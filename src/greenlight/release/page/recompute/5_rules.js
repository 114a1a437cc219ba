// How does a row reach its verdict? One rule per kind of row (gate/rules.py, judging.py, judging_pairs.py, worst.py).
// A rule takes the places of counted answers in the exam's order; `verdict` is what is certain, `finding` the number.

const DISPLAY_ALPHA = 0.05, LOOK_EVERY = 25, EARLY = 0.2;

const INVALID = { status: "INVALID", value: null, bounds: null };

// What a rule needs of its exam: how many counted items there are, and in how many groups.
const groupsIn = (track, places) => new Set(places.map((place) => track.clusters[place])).size;

class MeanRule {
  constructor(row, track, places, alpha) {
    const groups = groupsIn(track, places), limits = [[row.limit, 1], [row.limit, -1]];
    Object.assign(this, { row, track, alpha, total: 0, good: row.direction === "max" ? -1 : 1 });
    this.sequence = new GroupedSequence(row.low, row.high, places.length, groups, limits);
  }

  add(place) {
    this.total += this.row.values[place];
    this.sequence.add(this.track.clusters[place], this.row.values[place]);
  }

  get verdict() {
    if (this.sequence.shown(this.row.limit, this.good, this.alpha)) return "PASS";
    return this.sequence.shown(this.row.limit, -this.good, this.alpha) ? "FAIL" : null;
  }

  finding() {
    const n = this.sequence.n;
    return { status: this.verdict ?? "INCONCLUSIVE", value: n ? this.total / n : null, bounds: this.sequence.bounds(this.alpha) };
  }
}

// A mean of differences from a reference: bets while answers come, one look by paired bounds when all are there
// (gate/pairs.py, measure/statistics/paired.py). A loss is above 0 where the candidate did worse.
class PairedMeanRule {
  constructor(row, track, places, alpha) {
    const bad = row.direction === "max" ? 1 : -1, margin = row.limit * bad, alone = groupsIn(track, places) === places.length;
    Object.assign(this, { row, track, alpha, bad, margin, alone, planned: places.length, losses: [], groups: [], last: null });
    this.sequence = new GroupedSequence(row.low, row.high, places.length, groupsIn(track, places), [[margin, 1], [margin, -1]]);
  }

  add(place) {
    const value = this.bad * this.row.values[place];
    this.losses.push(value);
    this.groups.push(this.track.clusters[place]);
    this.sequence.add(this.track.clusters[place], value);
    if (this.losses.length === this.planned) this.last = lossBounds(this.losses, this.groups, this.row.high, this.alpha * (1 - EARLY));
  }

  shown(side) {
    return this.sequence.shown(this.margin, side, this.alpha * EARLY);
  }

  get verdict() {
    if (this.shown(-1) || (this.last && this.last[1] < this.margin)) return "PASS";
    return this.shown(1) || (this.last && this.last[0] > this.margin) ? "FAIL" : null;
  }

  bounds() {
    let [lower, upper] = this.sequence.bounds(this.alpha * EARLY);
    if (this.last) [lower, upper] = [Math.max(lower, this.last[0]), Math.min(upper, this.last[1])];
    return this.bad > 0 ? [lower, upper] : [-upper, -lower];
  }

  finding() {
    const n = this.losses.length, split = discordant(this.losses);
    const value = n ? this.bad * this.losses.reduce((total, loss) => total + loss, 0) / n : null;
    const holds = this.last && this.alone && this.row.high === 1 && this.losses.every((loss) => loss === 0 || Math.abs(loss) === 1);
    const details = n ? { worse: split.worse, better: split.better, mcnemar_p: holds ? mcnemar(split) : null } : {};
    return { status: this.verdict ?? "INCONCLUSIVE", value, bounds: this.bounds(), details };
  }
}

class BalanceRule {
  constructor(row, track, places, alpha) {
    Object.assign(this, { row, track, alpha, planned: places.length, groups: groupsIn(track, places), used: [] });
  }

  add(place) {
    this.used.push(place);
  }

  get complete() {
    return this.used.length >= this.planned;
  }

  bounds() {
    const values = this.used.map((place) => this.row.values[place]);
    return balanceBounds(byGroup(values, this.used.map((place) => this.track.clusters[place])), this.alpha);
  }

  get verdict() {
    if (!this.complete || this.groups < MIN_GROUPS) return null;
    const [lower, upper] = this.bounds();
    if (Math.max(-lower, upper) <= this.row.limit) return "PASS";
    return Math.max(lower, -upper) > this.row.limit ? "FAIL" : null;
  }

  finding() {
    if (this.groups < MIN_GROUPS) return INVALID;
    const values = this.used.map((place) => this.row.values[place]);
    const bounds = this.complete && values.length ? this.bounds() : null;
    return { status: this.verdict ?? "INCONCLUSIVE", value: values.length ? mean(values) : null, bounds };
  }
}

// Items that a judge flagged and those that it did not; labels count up to the first item without one. Of items that
// share a group the first alone stands for it; `planned` counts groups.
class Strata {
  constructor(row, planned, limit, alpha) {
    Object.assign(this, { row, planned, limit, alpha, parts: [[], []], groups: new Set() });
  }

  add(place, group, flagged) {
    if (this.groups.has(group)) return;
    this.groups.add(group);
    this.parts[flagged ? 0 : 1].push(place);
  }

  get n() {
    return this.parts[0].length + this.parts[1].length;
  }

  // Whether people found an item bad; null without their labels. Of two models: bad, and the reference is not.
  bad(place) {
    const [own, other] = this.row.bad.map((said) => said[place]);
    if (this.row.bad.length === 1) return own;
    return own === null || other === null ? null : Number(own && !other);
  }

  leading(places) {
    const end = places.findIndex((place) => this.bad(place) === null);
    return places.slice(0, end < 0 ? places.length : end);
  }

  look(alpha = this.alpha) {
    const parts = this.parts.map((places) => ({ size: places.length, bad: this.leading(places).map((place) => this.bad(place)) }));
    return lookAt(parts, this.limit, alpha);
  }

  count(people) {
    const counted = this.parts.flatMap((places) => this.leading(places));
    const following = people === null ? this.expected() : people.following;
    const byPeople = counted.filter((place) => this.row.by_people[place]).length;
    return { have: counted.length, needed: following === null ? null : following[0] + following[1], by_people: byPeople };
  }

  expected() {
    const flagged = this.n ? halfEven(this.planned * this.parts[0].length / this.n) : 0;
    return stagesOf(flagged, this.planned - flagged, this.limit, this.alpha)[0]?.draw ?? null;
  }
}

function halfEven(value) {
  const below = Math.floor(value), part = value - below;
  return part === 0.5 ? below + below % 2 : Math.round(value);
}

class JudgedRule {
  constructor(row, track, places, alpha, failAlpha = alpha) {
    Object.assign(this, { row, track, failAlpha, planned: places.length, flaggedLimit: 0 });
    this.judge = instrumentOf(row.judge, failAlpha);
    if (this.judge) this.flaggedLimit = flaggedAt(row.limit, this.judge);
    this.watched = this.flaggedLimit > 0 && this.flaggedLimit < 1;
    const limits = this.watched ? [[this.flaggedLimit, 1]] : [];
    const groups = groupsIn(track, places);
    this.sequence = new GroupedSequence(0, 1, this.planned, groups, limits);
    this.strata = new Strata(row, groups, row.limit, alpha);
    this.flagged = 0;
  }

  add(place) {
    const value = this.row.values[place];
    this.flagged += value !== 0 ? 1 : 0;
    this.strata.add(place, this.track.clusters[place], value !== 0);
    this.sequence.add(this.track.clusters[place], value);
  }

  get verdict() {
    return this.watched && this.sequence.shown(this.flaggedLimit, 1, this.failAlpha * SPLIT_P) ? "FAIL" : null;
  }

  finding() {
    if (!this.judge) return INVALID;
    const n = this.sequence.n, complete = n >= this.planned, flagged = this.flagged;
    const raw = this.sequence.bounds(this.failAlpha * SPLIT_P);
    const people = complete ? this.strata.look() : null, against = complete ? this.strata.look(this.failAlpha) : null;
    const status = this.status(people, against);
    const byPeople = people !== null && people.passes !== null && (this.verdict === null || status === "INVALID");
    return {
      status,
      value: byPeople ? people.estimate : n ? correctPoint(flagged / n, this.judge) : null,
      bounds: byPeople ? people.bounds : corrected(raw, this.judge),
      judge: { se: this.judge.se, sp: this.judge.sp, raw },
      labels: this.strata.count(people),
      details: { flagged, flagged_limit: this.flaggedLimit },
    };
  }

  status(people, against) {
    const passes = people?.passes === true;
    if (this.verdict === "FAIL") return passes ? "INVALID" : "FAIL";
    if (passes) return "PASS";
    return against?.passes === false ? "FAIL" : "INCONCLUSIVE";
  }
}

class PairedJudgedRule {
  constructor(row, track, places, alpha) {
    const groups = groupsIn(track, places);
    Object.assign(this, { row, track, alpha, planned: places.length, flagged: [0, 0], failed: false });
    this.judge = instrumentOf(row.judge, alpha / 2);
    this.shares = [0, 1].map(() => new GroupedSequence(0, 1, this.planned, groups));
    this.strata = new Strata(row, groups, row.limit, alpha);
    this.n = this.worse = 0;
  }

  add(place) {
    const [own, other] = this.row.shares.map((values) => values[place]);
    [own, other].forEach((value, whose) => {
      this.shares[whose].add(this.track.clusters[place], value);
      this.flagged[whose] += value !== 0 ? 1 : 0;
    });
    this.n += 1;
    this.worse += own > other ? 1 : 0;
    this.strata.add(place, this.track.clusters[place], own > other);
    const due = this.n % LOOK_EVERY === 0 || this.n >= this.planned;
    if (this.judge && due && !this.failed) this.failed = this.bounds()[0] > this.row.limit;
  }

  get verdict() {
    return this.failed ? "FAIL" : null;
  }

  bounds() {
    const [own, other] = this.shares.map((share) => corrected(share.bounds(this.alpha / 2 * SPLIT_P), this.judge));
    return [own[0] - other[1], own[1] - other[0]];
  }

  finding() {
    if (!this.judge) return INVALID;
    const n = this.n, people = n >= this.planned ? this.strata.look() : null;
    const passes = people?.passes === true, points = this.flagged.map((count) => correctPoint(count / n, this.judge));
    const byPeople = passes && people.bounds !== null;
    return {
      status: this.failed ? (passes ? "INVALID" : "FAIL") : passes ? "PASS" : "INCONCLUSIVE",
      value: byPeople ? people.estimate : n ? points[0] - points[1] : null,
      bounds: byPeople ? [-1, people.bounds[1]] : this.bounds(),
      judge: { se: this.judge.se, sp: this.judge.sp, raw: this.shares[0].bounds(this.alpha / 2 * SPLIT_P) },
      labels: this.strata.count(people),
      details: { worse: this.worse },
    };
  }
}

// A judged share in each topic: all must pass, any that fails fails the row.
class WorstRule {
  constructor(row, track, places, alpha) {
    const { names, at } = track.topics, topics = [...new Set(places.map((place) => names[at[place]]))].sort(byCodePoint);
    this.track = track;
    this.parts = new Map(topics.map((topic) => {
      const own = places.filter((place) => names[at[place]] === topic);
      return [topic, new JudgedRule(row, track, own, alpha, alpha / Math.max(1, topics.length))];
    }));
  }

  add(place) {
    const { names, at } = this.track.topics;
    this.parts.get(names[at[place]]).add(place);
  }

  get verdict() {
    return [...this.parts.values()].some((part) => part.verdict === "FAIL") ? "FAIL" : null;
  }

  finding() {
    const found = [...this.parts].map(([topic, part]) => [topic, part.finding()]);
    if (!found.length || found.some(([, part]) => part === INVALID || part.status === "INVALID")) return INVALID;
    const bounds = found.map(([, part]) => part.bounds ?? [0, 1]), statuses = found.map(([, part]) => part.status);
    const [worst, shown] = found.reduce((a, b) => ((b[1].value ?? 0) >= (a[1].value ?? 0) ? b : a));
    const needed = found.map(([, part]) => part.labels.needed), all = (key) => sum(found.map(([, part]) => part.labels[key]));
    return {
      status: statuses.includes("FAIL") ? "FAIL" : statuses.every((status) => status === "PASS") ? "PASS" : "INCONCLUSIVE",
      value: shown.value,
      bounds: [Math.max(...bounds.map((part) => part[0])), Math.max(...bounds.map((part) => part[1]))],
      judge: shown.judge,
      labels: { have: all("have"), needed: needed.includes(null) ? null : sum(needed), by_people: all("by_people") },
      details: { worst, parts: found.map(([topic, part]) => ({ topic, status: part.status, value: part.value, lower: part.bounds?.[0] ?? null, upper: part.bounds?.[1] ?? null })) },
    };
  }
}

// Python compares text by code points, JavaScript by halves of them.
function byCodePoint(a, b) {
  const [left, right] = [[...a], [...b]];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    if (left[i] !== right[i]) return left[i].codePointAt(0) - right[i].codePointAt(0);
  }
  return left.length - right.length;
}
