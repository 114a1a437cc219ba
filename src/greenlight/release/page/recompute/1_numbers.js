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

// x^a y^b / B(a, b), where y = 1 - x; its log is a sum of deviations from the mode, so that large ones do not cancel.
function betaKernel(a, b, x, y) {
  const s = a + b;
  const u = (x * s - a) / a, v = (y * s - b) / b;
  const logs = a * log1pmx(u) + b * log1pmx(v) + stirlingError(s) - stirlingError(a) - stirlingError(b);
  return Math.exp(logs) * Math.sqrt(a * b / (2 * Math.PI * s));
}

// The continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method.
function betaFraction(a, b, x) {
  const tiny = 1e-300, s = a + b;
  const safe = (value) => Math.abs(value) < tiny ? tiny : value;
  let c = 1, d = 1 / safe(1 - s * x / (a + 1)), found = d;
  for (let m = 1; m < 2000; m++) {
    const even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    const odd = -(a + m) * (s + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    let step = 1;
    for (const part of [even, odd]) {
      d = 1 / safe(1 + part * d);
      c = safe(1 + part / c);
      found *= c * d;
      step = c * d;
    }
    if (Math.abs(step - 1) < 1e-16) break;
  }
  return found;
}

// Both tails of Beta(a, b) at x, each as exact as the smaller one, and the density.
function beta(a, b, x, y) {
  const kernel = betaKernel(a, b, x, y);
  if (x < (a + 1) / (a + b + 2)) {
    const below = kernel * betaFraction(a, b, x) / a;
    return { below, above: 1 - below, density: kernel / (x * y) };
  }
  const above = kernel * betaFraction(b, a, y) / b;
  return { below: 1 - above, above, density: kernel / (x * y) };
}

// Where Beta(a, b) has probability p below: Newton's steps, halving where one leaves what is still possible.
function betaQuantile(a, b, p) {
  if (p <= 0) return 0;
  if (p >= 1) return 1;
  let low = 0, high = 1, x = a / (a + b);
  for (let step = 0; step < 200; step++) {
    const at = beta(a, b, x, 1 - x);
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

// Student's t with so many degrees of freedom, at probability 1 - alpha, from a quantile of Beta(1/2, df/2).
function studentQuantile(df, alpha) {
  const p = 1 - alpha; // as it is rounded
  const share = betaQuantile(0.5, df / 2, 1 - 2 * (1 - p));
  return Math.sqrt(df * share / (1 - share));
}
