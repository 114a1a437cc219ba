// Do the derived numbers agree with the decision on this page? Each to the ten digits that decision.json keeps.

const FORMAT = "greenlight.page/1";

// Every row with a number, by name, one suite after the other; `limits` are those that a reader moved, by row.
function* deriveRows(evidence, limits = new Map()) {
  if (evidence.format !== FORMAT) throw new Error(`the values are of format ${evidence.format}, this script reads ${FORMAT}`);
  const moved = (row) => limits.has(row.row) ? { ...row, limit: limits.get(row.row) } : row;
  for (const track of evidence.tracks) yield examine({ ...track, rows: track.rows.map(moved) }, evidence.alpha);
  yield evidence.figures.map((figure) => figureRow(moved(figure), evidence.alpha));
  yield evidence.absent.map((row) => ({ ...NOTHING, ...moved(row), alpha: evidence.alpha }));
}

// A row that is not part of the exam, or cannot be measured of this model.
const NOTHING = { status: "NOT RUN", value: null, lower: null, upper: null, n_used: 0, n_finished: 0, clusters: 0, absent: true };

const byName = (rows) => new Map(rows.map((row) => [row.row, row]));

const FIELDS = ["status", "value", "lower", "upper", "n_used", "n_finished", "n_planned", "clusters", "limit", "alpha"];

// What details say in words, and which items they name.
const SAID = new Set(["headroom", "worse_items", "better_items"]);

// [path, stored, derived] for every number of a row; those that this script does not derive are marked.
function* comparisons(stored, derived) {
  const pick = (row, keys) => keys.map((key) => [key, row?.[key] ?? null]);
  const judged = stored.waived ? { ...stored, status: stored.waived.was } : stored;
  for (const [key, value] of pick(judged, FIELDS)) yield [key, value, derived[key] ?? null];
  if (stored.judge || derived.judge) {
    for (const key of ["se", "sp", "raw"]) {
      for (const end of [0, 1]) yield [`judge.${key}`, stored.judge?.[key]?.[end] ?? null, derived.judge?.[key]?.[end] ?? null];
    }
  }
  if (stored.labels || derived.labels) {
    for (const [key, value] of pick(stored.labels, ["have", "needed", "by_people"])) yield [`labels.${key}`, value, derived.labels?.[key] ?? null];
  }
  yield* lists("checks", stored.checks ?? [], derived.checks ?? [], ["check", "ok", "value", "limit"]);
  yield* lists("topics", stored.topics ?? [], derived.topics ?? [], ["topic", "n", "value"]);
  const details = derived.details ?? {};
  for (const key of new Set([...Object.keys(stored.details ?? {}), ...Object.keys(details)])) {
    if (SAID.has(key)) continue;
    const left = stored.details?.[key] ?? null, right = details[key] ?? null;
    if (Array.isArray(left) || Array.isArray(right)) yield* lists(key, left ?? [], right ?? [], Object.keys((left ?? right)[0] ?? {}));
    else yield [key, left, right];
  }
}

function* lists(name, left, right, keys) {
  if (left.length !== right.length) yield [name, left.length, right.length];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    for (const key of keys) yield [`${name}[${i}].${key}`, left[i][key] ?? null, right[i][key] ?? null];
  }
}

// Whether a stored number is the derived one, rounded to ten digits: at most half a unit of the tenth away.
function agrees(stored, derived) {
  if (typeof stored !== "number" || typeof derived !== "number") return stored === derived;
  if (stored === derived) return true;
  const size = Math.max(Math.abs(stored), Math.abs(derived)), unit = 10 ** (Math.floor(Math.log10(size)) - 9);
  return Math.abs(stored - derived) <= 0.5 * unit + 1e-13 * size;
}

const shortened = (value) => typeof value === "number" ? Number(value.toPrecision(10)) : value;

// The decision held against what the values come to.
function compare(decision, evidence, rows) {
  const report = { agree: 0, differences: [], underived: [] };
  const told = (where, stored, derived) => {
    if (agrees(stored, derived)) report.agree += 1;
    else report.differences.push({ where, stored, derived });
  };
  for (const stored of decision.rows) {
    if (stored.metric === "statement") continue;
    const derived = rows.get(stored.row) ?? null;
    if (derived === null || derived.underived) report.underived.push(stored.row);
    else for (const [path, left, right] of comparisons(stored, derived)) told(`${stored.row}: ${path}`, left, right);
  }
  told("verdict", decision.verdict, verdictOf(statuses(decision, rows), evidence.kind, decision.attempt?.spent));
  for (const gap of decision.explanation.gaps) {
    if (report.underived.includes(gap.row)) continue;
    for (const [key, value] of Object.entries(gapOf(rows.get(gap.row) ?? {}))) told(`gap of ${gap.row}: ${key}`, gap[key], value);
  }
  return report;
}

// Each row's level and status, derived where it can be; what somebody set aside stays so where it could be.
function statuses(decision, rows) {
  const derived = (row) => (rows.has(row.row) && !rows.get(row.row).underived ? rows.get(row.row) : row);
  const waivable = ["FAIL", "INCONCLUSIVE", "NOT RUN"];
  return decision.rows.map((row) => (row.waived && waivable.includes(derived(row).status) ? { ...derived(row), status: "WAIVED" } : derived(row)));
}

// How far a limit is missed: from the limit to the near end of the interval, and as estimated.
function gapOf({ limit, direction, ...row }) {
  const [lower, upper, value] = [row.lower, row.upper, row.value].map(shortened); // as decision.json keeps them
  const ceiling = direction === "max", otherWay = ceiling && lower < limit;
  const near = otherWay ? -upper : ceiling ? lower : upper;
  return { limit, at_least: Math.abs(near - limit), estimate: Math.abs(otherWay ? Math.abs(value) - limit : value - limit) };
}
