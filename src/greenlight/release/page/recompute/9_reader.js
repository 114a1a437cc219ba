// What does a reader see of all this? Whether the numbers agree, and what another limit would have come to.

const VERDICTS = { go: "GO", go_with_conditions: "GO WITH CONDITIONS", hold: "HOLD", no_go: "NO-GO" };

const block = (id) => document.getElementById(id);
const pause = () => new Promise((done) => setTimeout(done));

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const shown = (value) => value === null || value === undefined ? "nothing" : typeof value === "number" ? String(shortened(value)) : String(value);
const three = (value) => value === null ? "nothing" : (Math.abs(value) < 1000 ? value.toFixed(3) : Math.round(value).toLocaleString("en")).replace("-", "\u2212");

// A status as the page draws it: shape, word and colour.
function badge(status) {
  const drawn = block("statuses").querySelector(`[data-status="${status}"] .status`);
  return drawn ? drawn.cloneNode(true) : element("b", {}, status);
}

async function derive(values, limits) {
  const rows = [], steps = deriveRows(values, limits);
  for (let step = steps.next(); !step.done; step = steps.next()) {
    rows.push(...step.value);
    await pause(); // the page can be read meanwhile
  }
  return byName(rows);
}

// Both data blocks, held against the digests that the page names.
function readBlocks() {
  const [decision, values] = ["decision", "values"].map((id) => ({ text: block(id).textContent, stated: block(id).dataset.sha256 }));
  const found = [["decision.json in this page", decision], ["the values in this page", values]];
  const changed = found.filter(([, { text, stated }]) => sha256(fileText(text)) !== stated);
  return {
    decision: JSON.parse(decision.text), values: JSON.parse(values.text),
    differences: changed.map(([where, { text, stated }]) => ({ where: `SHA-256 of ${where}`, stored: stated, derived: sha256(fileText(text)) })),
    agree: found.length - changed.length,
  };
}

// What the page says in words where it should say what the decision says: the verdict, each row's status and reason.
function* shownOtherwise(decision) {
  const plain = (text) => text.replace(/\u27e8U\+[0-9A-F]+\u27e9/g, "").replace(/[^ -~]/g, "").trim();
  const held = function* (where, stored, node) {
    if (node && plain(node.textContent) !== plain(stored)) yield { where: `what this page shows as ${where}`, stored, derived: node.textContent };
  };
  yield* held("the verdict", VERDICTS[decision.verdict], document.querySelector("h1"));
  for (const article of document.querySelectorAll("[data-row]")) {
    const row = decision.rows.find((one) => one.row === article.dataset.row) ?? { row: article.dataset.row, status: "nothing", reason: "nothing" };
    yield* held(`the status of ${row.row}`, row.status, article.querySelector(".row-head .status"));
    yield* held(`the reason of ${row.row}`, row.reason, article.querySelector(".reason"));
  }
}

// Everything that can be derived, held against everything that the decision says.
async function recompute() {
  const told = readBlocks(), rows = await derive(told.values);
  const report = compare(told.decision, told.values, rows);
  return { ...told, rows, underived: report.underived, agree: told.agree + report.agree, differences: [...told.differences, ...shownOtherwise(told.decision), ...report.differences] };
}

function tell(report) {
  const count = report.agree + report.differences.length, fine = report.differences.length === 0;
  const text = `recomputed in this browser: ${report.agree.toLocaleString("en")} of ${count.toLocaleString("en")} numbers agree`;
  say("recomputed", fine ? "agrees" : "differs", fine ? "\u2713 " : "\u2717 ", fine ? text : `${text}; ${report.differences.length} differ`);
  const differing = report.differences.map(({ where, stored, derived }) => element("li", {}, element("b", {}, where), `: the decision says ${shown(stored)}, found ${shown(derived)}`));
  const left = report.underived.map((row) => element("li", {}, element("b", {}, row), " is not derived by this script: greenlight verify does it"));
  block("differences").replaceChildren(...differing, ...left);
}

function say(id, state, mark, text) {
  const line = block(id);
  line.className = `recomputed ${state}`;
  line.replaceChildren(element("span", { "aria-hidden": "true" }, mark), text[0].toUpperCase() + text.slice(1), ". ");
  line.append(element("a", { href: "#derived" }, state === "differs" ? "See what differs" : "What was checked"));
}

async function check() {
  say("recomputed", "working", "\u2026 ", "recomputing every number in this browser");
  try {
    const report = await recompute();
    tell(report);
    return report;
  } catch (error) {
    say("recomputed", "differs", "\u2717 ", `the numbers could not be recomputed: ${error.message}`);
    return null;
  }
}

// Limits that a reader moved, and what they would have come to.
class Trial {
  constructor(report) {
    Object.assign(this, { report, limits: new Map(), turn: 0, forms: new Map() });
    this.locked = new Map(report.decision.rows.map((row) => [row.row, row]));
    for (const article of document.querySelectorAll("[data-row]")) this.offer(article, this.locked.get(article.dataset.row));
    block("moved").querySelector("button").addEventListener("click", () => this.reset());
  }

  offer(article, row) {
    const derived = this.report.rows.get(row?.row);
    if (!derived || derived.absent || derived.underived || row.limit === null) return;
    const id = `${article.id}-limit`, input = element("input", { id, type: "number", step: "any", value: String(row.limit), inputmode: "decimal" });
    const back = element("button", { type: "button", hidden: "" }, "Back to the locked limit"), output = element("output", { for: id });
    const label = element("label", { for: id }, "compare" in row ? "Try another margin (signed)" : "Try another limit");
    article.querySelector(".trial").replaceChildren(element("div", { class: "trial-head" }, label, input, back), output);
    input.addEventListener("input", () => this.move(row, input));
    back.addEventListener("click", () => { this.put(row); input.focus(); });
    this.forms.set(row.row, { input, back, output, article });
  }

  // The range in which a policy may set a limit.
  problem(row, value) {
    const source = this.report.values.tracks.flatMap((track) => track.rows).find((one) => one.row === row.row);
    if (Number.isNaN(value)) return "a limit is a number";
    if (!source) return value > 0 ? "" : "a limit of this row is above 0";
    const low = source.kind === "balance" ? 0 : source.low;
    return value > low && value < source.high ? "" : `a limit of this row lies between ${low} and ${source.high}`;
  }

  move(row, input) {
    const value = input.valueAsNumber, problem = this.problem(row, value);
    input.setAttribute("aria-invalid", String(problem !== ""));
    if (problem || value === row.limit) this.limits.delete(row.row); else this.limits.set(row.row, value);
    this.forms.get(row.row).output.textContent = problem ? `${problem}.` : "";
    return this.show(problem ? row.row : null);
  }

  put(row) {
    const { input, output } = this.forms.get(row.row);
    input.value = String(row.limit);
    output.textContent = "";
    return this.move(row, input);
  }

  reset() {
    for (const name of [...this.forms.keys()]) this.put(this.locked.get(name));
    document.querySelector("h1").scrollIntoView();
  }

  async show(wrong) {
    const turn = ++this.turn, rows = this.limits.size ? await derive(this.report.values, this.limits) : this.report.rows;
    if (turn !== this.turn) return; // another limit was tried meanwhile
    for (const [name, form] of this.forms) if (name !== wrong) this.showRow(name, form, rows.get(name));
    this.showVerdict(rows);
  }

  showRow(name, { back, output, article }, row) {
    const locked = this.locked.get(name), moved = this.limits.has(name), other = row.status !== locked.status;
    back.hidden = !moved;
    article.classList.toggle("is-moved", moved);
    if (!moved && !other) { output.replaceChildren(); return; }
    const what = moved ? `Not the locked limit (${locked.limit}): at ${row.limit} this row would be ` : "With the limits that were moved this row would be ";
    const rest = row.lower === null ? "" : `, between ${three(row.lower)} and ${three(row.upper)}`;
    output.replaceChildren(what, badge(row.status), `${rest}, from ${row.n_used} answers. The decision says ${locked.status}.`);
  }

  showVerdict(rows) {
    const banner = block("moved"), { decision, values } = this.report, count = this.limits.size;
    banner.hidden = count === 0;
    if (!count) return;
    const verdict = VERDICTS[verdictOf(statuses(decision, rows), values.kind, decision.attempt?.spent)];
    banner.querySelector("p").replaceChildren(
      element("b", {}, count === 1 ? "Not the locked limit." : `${count} limits are not the locked ones.`),
      " With what you moved the rows would come to ", element("b", { id: "moved-verdict" }, verdict),
      `. The decision is ${VERDICTS[decision.verdict]}: a limit moved after the answers decides nothing.`,
    );
  }
}

async function start() {
  const report = await check(), again = block("again");
  again.hidden = false;
  again.addEventListener("click", check);
  if (report) new Trial(report);
  document.documentElement.dataset.recomputed = report === null ? "no" : report.differences.length ? "differs" : "agrees";
}

start();
