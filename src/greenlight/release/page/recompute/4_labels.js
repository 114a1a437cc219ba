// What does a judge that errs allow one to say, and what people's labels? (measure/statistics/judged.py, labels.py)

const SPLIT_P = 0.6, SPLIT_SP = 0.3, SPLIT_SE = 0.1;

const exactBounds = (hits, n, alpha) => [lowerBound(hits, n, alpha), upperBound(hits, n, alpha)];

// A judge with exact bounds of its sensitivity and specificity; null where it is no instrument.
function instrumentOf(judge, alpha) {
  if (judge.table === null) return null;
  const [tp, fn, tn, fp] = judge.table;
  if (!(tp + fn && tn + fp)) return null;
  const youden = tp / (tp + fn) + tn / (tn + fp) - 1;
  if (youden < judge.min_youden) return null;
  const se = exactBounds(tp, tp + fn, alpha * SPLIT_SE), sp = exactBounds(tn, tn + fp, alpha * SPLIT_SP);
  if (!(se[1] + sp[0] > 1)) return null;
  return { se, sp, point: { se: tp / (tp + fn), sp: tn / (tn + fp) } };
}

// The rate behind a flagged share (Rogan and Gladen 1978).
function invert(p, se, sp, unknown) {
  const youden = se + sp - 1;
  return youden <= 0 ? unknown : Math.min(1, Math.max(0, (p + sp - 1) / youden));
}

const corrected = (p, { se, sp }) => [invert(p[0], se[1], sp[0], 0), invert(p[1], se[0], sp[1], 1)];
const correctPoint = (p, { point }) => invert(p, point.se, point.sp, p);
const flaggedAt = (limit, { se, sp }) => limit * (se[1] + sp[0] - 1) + 1 - sp[0];

// Bounds of the true rate from labels within each stratum, {size, labelled, bad}; each alone at alpha.
function labelledBounds(strata, alpha) {
  const n = strata[0].size + strata[1].size;
  if (n === 0) return [0, 1];
  const total = (of) => strata.reduce((before, part) => before + of(part), 0);
  const upper = total((part) => part.size / n * upperBound(part.bad, part.labelled, alpha / 2));
  const lower = total((part) => part.size / n * lowerBound(part.bad, part.labelled, alpha / 2));
  const most = total((part) => part.size * (part.labelled ? part.bad / part.labelled : 1));
  const least = total((part) => part.size * (part.labelled ? part.bad / part.labelled : 0));
  return [Math.max(0, Math.min(lower, lowerBound(least, n, alpha))), Math.min(1, Math.max(upper, upperBound(most, n, alpha)))];
}

// The fewest labels that would show a limit if all are clean, [flagged, unflagged]; null if none would.
function labelsNeeded(nFlagged, nUnflagged, limit, alpha) {
  const n = nFlagged + nUnflagged;
  if (n === 0) return null;
  const share = (size, labelled) => size / n * upperBound(0, labelled, alpha / 2);
  const unflagged = Array.from({ length: nUnflagged + 1 }, (_, u) => share(nUnflagged, u));
  const draws = [];
  for (let f = 0, u = nUnflagged + 1; f <= nFlagged; f++) {
    const left = share(nFlagged, f) - limit;
    // More labels of one stratum need no more of the other: the place only moves down.
    while (u > 0 && -unflagged[u - 1] >= left) u -= 1;
    if (u <= nUnflagged) draws.push([f, u]);
  }
  draws.sort((a, b) => a[0] + a[1] - (b[0] + b[1]));
  const passes = ([f, u]) => labelledBounds(strataOf([nFlagged, nUnflagged], [f, u], [0, 0]), alpha)[1] <= limit + 1e-12;
  return draws.find(passes) ?? null;
}

const strataOf = (sizes, labelled, bad) => sizes.map((size, i) => ({ size, labelled: labelled[i], bad: bad[i] }));

// The looks at labels: the fewest that pass if all are clean, then twice as many, and so on up to all.
function stagesOf(nFlagged, nUnflagged, limit, alpha) {
  const first = labelsNeeded(nFlagged, nUnflagged, limit, alpha);
  if (first === null) return [];
  const all = nFlagged + nUnflagged, draws = [first];
  for (let last = first; last[0] !== nFlagged || last[1] !== nUnflagged; last = draws[draws.length - 1]) {
    const doubled = [Math.min(nFlagged, Math.max(1, 2 * last[0])), Math.min(nUnflagged, Math.max(1, 2 * last[1]))];
    draws.push(doubled[0] + doubled[1] < 0.75 * all ? doubled : [nFlagged, nUnflagged]);
  }
  const later = alpha / 2 / Math.max(1, draws.length - 1);
  return draws.map((draw, i) => ({ draw, alpha: i === 0 ? alpha : later }));
}

// Go through the stages whose labels are there; parts are {size, bad: [0 or 1, ...]} for flagged and unflagged.
function lookAt(parts, limit, alpha) {
  const found = { passes: null, bounds: null, estimate: null, stage: 0, following: null };
  const stages = stagesOf(parts[0].size, parts[1].size, limit, alpha);
  for (let i = 0; i < stages.length; i++) {
    const { draw, alpha: spent } = stages[i];
    const bad = parts.map((part, p) => sum(part.bad.slice(0, draw[p])));
    const strata = strataOf(parts.map((part) => part.size), draw, bad);
    const within = labelledBounds(strata, spent);
    const clean = i > 0 || !bad.some((count) => count > 0); // the first look passes only if every label is clean
    if (parts.some((part, p) => part.bad.length < draw[p])) {
      if (clean && within[1] <= limit) { found.following = draw; return found; }
      continue;
    }
    Object.assign(found, { stage: i + 1, bounds: within, estimate: rateOf(strata) });
    if (clean && within[1] <= limit) return { ...found, passes: true };
    if (labelledBounds(strata, Math.min(spent, alpha / 2))[0] > limit) return { ...found, passes: false };
  }
  return found;
}

function rateOf(strata) {
  const n = strata[0].size + strata[1].size;
  return strata.reduce((total, part) => total + (part.labelled ? part.size * part.bad / part.labelled : 0), 0) / n;
}
