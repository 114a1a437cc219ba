// How sure is a mean whose values come in groups? Cluster t, exact bounds, bootstrap (measure/statistics/clusters.py).

const MIN_GROUPS = 20, MIN_HITS = 10, MIN_LEANING = 30, RESAMPLES = 2000;

// Totals and sizes of groups in the order in which they first occur.
function byGroup(values, groups) {
  const at = new Map(), totals = [], sizes = [];
  values.forEach((value, i) => {
    if (!at.has(groups[i])) { at.set(groups[i], totals.length); totals.push(0); sizes.push(0); }
    totals[at.get(groups[i])] += value;
    sizes[at.get(groups[i])] += 1;
  });
  return { totals, sizes, n: values.length, mean: sum(totals) / values.length };
}

// sqrt(G / (G - 1) * sum of squared group residuals) / n; infinite for one group.
function standardError(sums) {
  const count = sums.totals.length;
  if (count < 2) return Infinity;
  const squares = sums.totals.map((total, g) => (total - sums.mean * sums.sizes[g]) ** 2);
  return Math.sqrt(count / (count - 1) * sum(squares)) / sums.n;
}

function clusterT(sums, alpha) {
  const error = standardError(sums);
  if (!Number.isFinite(error)) return [-Infinity, Infinity];
  const half = studentQuantile(sums.totals.length - 1, alpha) * error;
  return [sums.mean - half, sums.mean + half];
}

// Cluster t, widened by the skewness of the groups and by half a step of one of them.
function skewedT(sums, alpha) {
  const [lower, upper] = clusterT(sums, alpha), count = sums.totals.length;
  const residuals = sums.totals.map((total, g) => total - sums.mean * sums.sizes[g]);
  const spread = sum(residuals.map((r) => r ** 2)) / count, cubes = sum(residuals.map((r) => r ** 3)) / count;
  const skewness = spread > 0 ? cubes / spread ** 1.5 : 0, t = studentQuantile(count - 1, alpha);
  const shift = standardError(sums) * skewness * (1 + 2 * t ** 2) / (6 * Math.sqrt(count));
  const step = Math.max(...sums.totals.map((total, g) => Math.abs(total / sums.sizes[g]))) / (2 * count);
  return [lower + Math.min(0, shift) - step, upper + Math.max(0, shift) + step];
}

function effectiveSize(sums) {
  const error = standardError(sums), p = sums.mean;
  const found = error === 0 || !Number.isFinite(error) ? sums.n : Math.min(sums.n, Math.max(p * (1 - p) / error ** 2, 1));
  const hits = sums.totals.filter((total) => total !== 0).length;
  const misses = sums.totals.filter((total, g) => total < sums.sizes[g]).length;
  return Math.min(hits, misses) < MIN_HITS ? Math.min(found, sums.totals.length) : found;
}

// The wider of cluster t and Clopper-Pearson at the effective size.
function binaryClustered(sums, alpha) {
  const alone = sums.totals.length === sums.n;
  const size = alone ? sums.n : effectiveSize(sums), p = sums.mean;
  const exact = [lowerBound(p * size, size, alpha), upperBound(p * size, size, alpha)];
  if (alone) return exact;
  const t = clusterT(sums, alpha);
  return [Math.max(0, Math.min(exact[0], t[0])), Math.min(1, Math.max(exact[1], t[1]))];
}

// A mean of signs over groups: t where enough groups lean, exact bets below that.
function balanceBounds(sums, alpha) {
  const leaning = sums.totals.filter((total) => total !== 0).length;
  if (leaning === 0) {
    const most = upperBound(0, sums.totals.length, alpha);
    return [-most, most];
  }
  if (leaning < MIN_LEANING) return fixedBounds(sums.totals.map((total, g) => total / sums.sizes[g]), -1, 1, alpha);
  const t = clusterT(sums, alpha);
  return [Math.max(-1, t[0]), Math.min(1, t[1])];
}

// Losses of yes-or-no values that go either way, and McNemar's exact two-sided p of them.
const discordant = (losses) => ({ worse: losses.filter((loss) => loss > 0).length, better: losses.filter((loss) => loss < 0).length });

function mcnemar({ worse, better }) {
  const n = worse + better, least = Math.min(worse, better);
  return n ? Math.min(1, 2 * beta(least + 1, n - least, 0.5).above) : 1;
}

// Bounds of a mean loss over all items: cluster t where many clusters differ, exact where few do.
function lossBounds(losses, groups, width, alpha) {
  const sums = byGroup(losses, groups), ternary = width === 1 && losses.every(Number.isInteger);
  const differ = sums.totals.filter((total) => total !== 0).length;
  if (differ >= MIN_LEANING && standardError(sums) !== 0) {
    const t = skewedT(sums, alpha);
    return [Math.max(-width, t[0]), Math.min(width, t[1])];
  }
  if (ternary && sums.totals.length === losses.length) return discordantBounds(discordant(losses), losses.length, alpha);
  if (ternary) return balanceBounds(sums, alpha);
  return fixedBounds(sums.totals.map((total, g) => total / sums.sizes[g]), -width, width, alpha);
}

// Of independent items: the share that differs, times how much more of those get worse than get better.
function discordantBounds({ worse, better }, n, alpha) {
  const total = worse + better, way = alpha * 0.9;
  if (total === 0) return [-upperBound(0, n, alpha), upperBound(0, n, alpha)];
  const most = upperBound(total, n, alpha - way), least = lowerBound(total, n, alpha - way);
  const up = 2 * upperBound(worse, total, way) - 1, down = 2 * lowerBound(worse, total, way) - 1;
  return [down * (down > 0 ? least : most), up * (up > 0 ? most : least)];
}

// The generator PCG64 (O'Neill 2014) as numpy seeds it with 20210909: the draws that Python made are made again.
const PCG = { state: 0x824c9ed92113ff7754c465f91411c47en, inc: 0x8aafffc5995e68f38fb311ed178814c3n, factor: 0x2360ED051FC65DA44385DF649FCCF645n };
const MASK_128 = (1n << 128n) - 1n, MASK_64 = (1n << 64n) - 1n;
const uniforms = [];

function uniform(index) {
  while (uniforms.length <= index) {
    PCG.state = (PCG.state * PCG.factor + PCG.inc) & MASK_128;
    const turn = PCG.state >> 122n, mixed = ((PCG.state >> 64n) ^ PCG.state) & MASK_64;
    const raw = ((mixed >> turn) | (mixed << ((64n - turn) & 63n))) & MASK_64;
    uniforms.push(Number(raw >> 11n) * 2 ** -53);
  }
  return uniforms[index];
}

// Percentiles of a statistic over resampled groups; null where most resamples have none.
function bootstrap(statistic, groups, alpha) {
  if (groups < 2) return null;
  const found = [];
  for (let sample = 0; sample < RESAMPLES; sample++) {
    const counts = new Int32Array(groups);
    for (let g = 0; g < groups; g++) counts[Math.trunc(uniform(sample * groups + g) * groups)] += 1;
    const value = statistic(counts);
    if (value !== null) found.push(value);
  }
  if (found.length < RESAMPLES / 2) return null;
  found.sort((a, b) => a - b);
  return [quantile(found, alpha / 2), quantile(found, 1 - alpha / 2)];
}

function quantile(sorted, share) {
  const place = share * (sorted.length - 1), below = Math.floor(place), part = place - below;
  const low = sorted[below], high = sorted[Math.min(below + 1, sorted.length - 1)];
  return part < 0.5 ? low + (high - low) * part : high - (high - low) * (1 - part);
}
