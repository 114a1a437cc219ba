// When is a mean certain enough to stop asking? Bets on every value in the exam's order (measure/statistics/sequence.py).

const SHARES = [1, ...Array.from({ length: 8 }, (_, i) => 0.9 * (0.05 / 0.9) ** (i / 7))];
const LOG_WEIGHTS = [Math.log(0.35), ...Array(8).fill(Math.log((1 - 0.35) / 8))];
const EDGE = 1e-9, HALVINGS = 50;

// Log of the mixture of the shares' capital.
function mix(logs) {
  let top = -Infinity, total = 0;
  for (let i = 0; i < logs.length; i++) top = Math.max(top, logs[i] + LOG_WEIGHTS[i]);
  for (let i = 0; i < logs.length; i++) total += Math.exp(logs[i] + LOG_WEIGHTS[i] - top);
  return top + Math.log(total);
}

// One more value; side +1 bets on a mean above m, -1 on one below.
function bet(logs, value, m, side) {
  const odds = (value - m) / (side > 0 ? m : m - 1);
  for (let i = 0; i < logs.length; i++) logs[i] += Math.log1p(Math.max(odds * SHARES[i], -1));
}

const nothing = () => new Float64Array(SHARES.length);

// Log of the most capital ever held over the values.
function peak(values, m, side) {
  const logs = nothing();
  let most = 0;
  for (const value of values) {
    bet(logs, value, m, side);
    most = Math.max(most, mix(logs));
  }
  return most;
}

// Log of the capital after all values.
function final(values, m, side) {
  const logs = nothing();
  for (const value of values) bet(logs, value, m, side);
  return mix(logs);
}

// Where in [0, 1] a claim about m flips; the safe side of the last halving.
function edgeOf(excluded, rising) {
  let low = 0, high = 1;
  if (!excluded(rising ? 1 - EDGE : EDGE)) return rising ? 1 : 0;
  for (let step = 0; step < HALVINGS; step++) {
    const middle = Math.min(Math.max((low + high) / 2, EDGE), 1 - EDGE);
    if (excluded(middle) === rising) high = middle; else low = middle;
  }
  return rising ? high : low;
}

// Bounds of the mean of independent values in [low, high], looked at once.
function fixedBounds(values, low, high, alpha) {
  const scaled = values.map((value) => (value - low) / (high - low)), threshold = -Math.log(alpha);
  const lower = edgeOf((m) => final(scaled, m, 1) >= threshold, false);
  const upper = edgeOf((m) => final(scaled, m, -1) >= threshold, true);
  return [low + lower * (high - low), low + upper * (high - low)];
}

function logAddExp(a, b) {
  const top = Math.max(a, b);
  return top === -Infinity ? top : top + Math.log1p(Math.exp(Math.min(a, b) - top));
}

// Bounds at any time for the mean over groups of values in [low, high].
class GroupedSequence {
  constructor(low, high, planned, groups, limits = []) {
    Object.assign(this, { low, high, planned, n: 0, groups: new Map() });
    this.weight = groups >= planned ? 1 : Math.max(0.5, groups / planned);
    this.watched = limits.map(([m, side]) => ({ m: this.scale(m), side, logs: nothing(), peak: 0, key: `${m} ${side}` }));
  }

  scale(value) {
    return (value - this.low) / (this.high - this.low);
  }

  add(group, value) {
    const scaled = this.scale(value), members = this.groups.get(group);
    this.n += 1;
    if (members) { members.push(scaled); return; }
    this.groups.set(group, [scaled]);
    for (const claim of this.watched) {
      bet(claim.logs, scaled, claim.m, claim.side);
      claim.peak = Math.max(claim.peak, mix(claim.logs));
    }
  }

  // Whether a watched claim is shown, wrong with probability at most alpha.
  shown(m, side, alpha) {
    const claim = this.watched.find((one) => one.key === `${m} ${side}`);
    return this.joined(claim.m, side, claim.peak) >= -Math.log(alpha);
  }

  bounds(alpha) {
    const threshold = -Math.log(alpha), firsts = this.firsts(), width = this.high - this.low;
    const excluded = (m, side) => this.joined(m, side, peak(firsts, m, side)) >= threshold;
    const lower = edgeOf((m) => excluded(m, 1), false), upper = edgeOf((m) => excluded(m, -1), true);
    return [this.low + lower * width, this.low + upper * width];
  }

  firsts() {
    return Array.from(this.groups.values(), (members) => members[0]);
  }

  // First values at their best; group means only when all values are there.
  joined(m, side, logPeak) {
    if (this.weight === 1) return logPeak;
    const early = logPeak + Math.log(this.weight);
    if (this.n < this.planned) return early;
    const means = Array.from(this.groups.values(), mean);
    const first = final(this.firsts(), m, side) + Math.log(this.weight);
    return Math.max(early, logAddExp(first, final(means, m, side) + Math.log1p(-this.weight)));
  }
}
