// How large may a proportion really be? The special functions behind exact bounds, to fourteen digits.

// Sum without the rounding of its parts (Neumaier 1974).
function sum(values) {
  let total = 0, lost = 0;
  for (const value of values) {
    const next = total + value;
    lost += Math.abs(total) >= Math.abs(value) ? (total - next) + value : (value - next) + total;
    total = next;
  }
  return total + lost;
}

const mean = (values) => sum(values) / values.length;

// log(1 + u) - u, without cancellation near 0: 2 atanh(r) with r = u / (2 + u), less its first term.
function log1pmx(u) {
  if (Math.abs(u) > 0.5) return Math.log1p(u) - u;
  const r = u / (2 + u), y = r * r;
  let power = 1, series = 0;
  for (let k = 3; k < 60; k += 2) {
    const term = power / k;
    series += term;
    if (term < 1e-18 * series) break;
    power *= y;
  }
  return r * (2 * y * series - u);
}

// What Stirling's formula leaves out of log gamma(z); by recurrence where its series is too short.
function stirlingError(z) {
  let less = 0;
  for (; z < 12; z++) less += (z + 0.5) * Math.log1p(1 / z) - 1;
  const w = 1 / (z * z);
  const series = (1 / 12 - w * (1 / 360 - w * (1 / 1260 - w * (1 / 1680 - w * (1 / 1188 - w * (691 / 360360 - w / 156)))))) / z;
  return less + series;
}

// x^a y^b / B(a, b), where y = 1 - x and off = (a + b) x - a; its log is a sum of deviations from the mean, so that large
// ones do not cancel.
function betaKernel(a, b, x, y, off) {
  const s = a + b, term = (ratio, u) => Math.abs(u) > 0.5 ? Math.log(ratio) - u : log1pmx(u);
  const logs = a * term(x * s / a, off / a) + b * term(y * s / b, -off / b);
  return Math.exp(logs + stirlingError(s) - stirlingError(a) - stirlingError(b)) * Math.sqrt(a * b / (2 * Math.PI * s));
}

// What the kernel is multiplied by below the mean: a continued fraction (Didonato and Morris 1992, doi:10.1145/131766.131776,
// eq. 9), by Lentz's method; under = a - (a + b) x is at least 0.
function betaFraction(a, b, x, y, under) {
  let below = a / (a + 1) * (under + 1), c = below, d = 0, found = below;
  for (let n = 1; n < 5000; n++) {
    const top = (a + n - 1) * (a + b + n - 1) * n * (b - n) * x * x / (a + 2 * n - 1) ** 2;
    below = n + n * (b - n) * x / (a + 2 * n - 1) + (a + n) / (a + 2 * n + 1) * (under + 1 + n * (1 + y));
    d = 1 / (below + top * d);
    c = below + top / c;
    found *= c * d;
    if (Math.abs(c * d - 1) < 1e-16) break;
  }
  return 1 / found;
}

// Both tails of Beta(a, b) at x, the smaller one exact, and the density.
function beta(a, b, x) {
  const y = 1 - x, off = x <= 0.5 ? x * (a + b) - a : b - y * (a + b), kernel = betaKernel(a, b, x, y, off);
  const part = kernel * (off <= 0 ? betaFraction(a, b, x, y, -off) : betaFraction(b, a, y, x, off));
  const [below, above] = off <= 0 ? [part, 1 - part] : [1 - part, part];
  return { below, above, density: kernel / (x * y) };
}

// Where Beta(a, b) has probability p below: Newton's steps, halving where one leaves what is still possible.
function betaQuantile(a, b, p) {
  if (p <= 0) return 0;
  if (p >= 1) return 1;
  let low = 0, high = 1, x = a / (a + b);
  for (let step = 0; step < 200; step++) {
    const at = beta(a, b, x);
    const excess = p <= 0.5 ? at.below - p : (1 - p) - at.above;
    if (excess > 0) high = x; else low = x;
    let next = x - excess / at.density;
    if (!(next > low && next < high)) next = (low + high) / 2;
    if (Math.abs(next - x) <= 1e-16 * x || next === x) return next;
    x = next;
  }
  return x;
}

const remembered = new Map();

// Clopper and Pearson 1934: the rate is at most this, wrong with probability at most alpha.
function upperBound(hits, n, alpha) {
  if (!(hits < n)) return 1;
  const key = `${hits} ${n} ${alpha}`;
  if (!remembered.has(key)) remembered.set(key, betaQuantile(hits + 1, n - hits, 1 - alpha));
  return remembered.get(key);
}

const lowerBound = (hits, n, alpha) => 1 - upperBound(n - hits, n, alpha);

// Student's t with so many degrees of freedom, at probability 1 - alpha: t^2 / (df + t^2) is a quantile of Beta(1/2,
// df/2), and 1 minus it of Beta(df/2, 1/2); the smaller of the two is the exact one.
function studentQuantile(df, alpha) {
  const tail = 2 * (1 - (1 - alpha)); // as 1 - alpha is rounded
  const share = betaQuantile(0.5, df / 2, 1 - tail);
  if (share < 0.5) return Math.sqrt(df * share / (1 - share));
  const rest = betaQuantile(df / 2, 0.5, tail);
  return Math.sqrt(df * (1 - rest) / rest);
}
