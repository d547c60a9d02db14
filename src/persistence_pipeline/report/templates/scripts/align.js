// Trajectories side by side: equal calls in one line, and where each leaves the reference for the first time.

/**
 * Lines of a table with one column for each sequence. Every sequence is matched to the reference by a longest common
 * subsequence; unmatched calls stand beside the reference's unmatched calls, or in lines of their own.
 *
 * @param {string[][]} sequences Calls of each column.
 * @param {number} reference Index of the column that the others are matched to.
 * @returns {(number|null)[][]} For each line, the index of the call in each column, or null.
 */
function align(sequences, reference) {
  const base = sequences[reference];
  const placed = sequences.map((sequence, column) => placeCalls(base, sequence, column === reference));
  const lines = [];
  for (let position = 0; position <= base.length; position += 1) {
    const height = Math.max(...placed.map(({ between }) => between[position].length));
    for (let line = 0; line < height; line += 1) lines.push(placed.map(({ between }) => between[position][line] ?? null));
    if (position < base.length) lines.push(placed.map(({ beside }) => beside[position]));
  }
  return lines;
}

/** Where the calls of a sequence go: `beside` a call of the base, or `between`, before the call of that position. */
function placeCalls(base, sequence, isBase) {
  const matched = isBase ? base.map((_, index) => index) : commonCalls(base, sequence);
  const beside = [...matched];
  const between = Array.from({ length: base.length + 1 }, () => []);
  let free = 0;
  let next = 0;
  [...matched, sequence.length].forEach((match, position) => {
    if (match === null) return;
    for (; next < match; next += 1) {
      if (free < position) { beside[free] = next; free += 1; }
      else between[position].push(next);
    }
    next = match + 1;
    free = position + 1;
  });
  return { beside, between };
}

/** For each call of `a`, the index of the call of `b` that it is matched with, or null. */
function commonCalls(a, b) {
  const lengths = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      lengths[i][j] = a[i] === b[j] ? lengths[i + 1][j + 1] + 1 : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
    }
  }
  const matched = a.map(() => null);
  let [i, j] = [0, 0];
  while (i < a.length && j < b.length) {
    if (a[i] === b[j]) { matched[i] = j; i += 1; j += 1; }
    else if (lengths[i + 1][j] >= lengths[i][j + 1]) i += 1;
    else j += 1;
  }
  return matched;
}

/** For each column, the first line whose call is not the reference's; -1 where there is none. */
function firstDifferences(lines, sequences, reference) {
  const call = (line, column) => (line[column] === null ? null : sequences[column][line[column]]);
  return sequences.map((_, column) => lines.findIndex((line) => call(line, column) !== call(line, reference)));
}
