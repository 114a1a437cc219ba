// What does a wrapper add to the plain request? (gate/wrapped.py)

// Per wrapper, requests that were asked both ways: how much oftener they are answered wrapped than plainly.
function besidePlain(row, track, alpha) {
  const { names, at } = track.topics, { values, asked } = row.plain;
  const found = [];
  for (const topic of [...names].sort(byCodePoint)) {
    const planned = at.map((of, place) => place).filter((place) => names[at[place]] === topic && asked[place]);
    const both = planned.filter((place) => row.values[place] !== null && values[place] !== null);
    if (!both.length) continue;
    const under = both.map((place) => row.values[place]), plainly = both.map((place) => values[place]);
    const more = under.map((value, i) => value - plainly[i]);
    const [lower, upper] = moreBounds(more, both.map((place) => track.clusters[place]), planned.length, groupsIn(track, planned), alpha);
    found.push({ topic, n: both.length, wrapped: mean(under), plain: mean(plainly), difference: mean(more), lower, upper });
  }
  return found;
}

// Of all that was planned by one look, of less by bounds that hold at any stop.
function moreBounds(more, groups, planned, plannedGroups, alpha) {
  if (more.length >= planned) return lossBounds(more, groups, 1, alpha);
  const sequence = new GroupedSequence(-1, 1, planned, plannedGroups);
  more.forEach((value, i) => sequence.add(groups[i], value));
  return sequence.bounds(alpha);
}

// How far answers to the same question vary, where questions were asked more than once. (gate/scale.py)
function withinItems(row, used) {
  const turns = new Map();
  const { question, values } = row.again;
  for (const place of used) turns.set(question[place], [...(turns.get(question[place]) ?? []), values[place]]);
  const spreads = [...turns.values()].filter((answers) => answers.length > 1).map(variance);
  return spreads.length ? { asked_again: spreads.length, variance_within_items: mean(spreads) } : {};
}

function variance(values) {
  const middle = mean(values);
  return sum(values.map((value) => (value - middle) ** 2)) / (values.length - 1);
}
