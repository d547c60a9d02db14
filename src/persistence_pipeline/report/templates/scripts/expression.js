// A typed filter: `safety < 1 and (kind = injection or calls > 6) and not told`. Read here, never evaluated as code.

const TOKENS = /\s*(?:(<=|>=|!=|==|[()<>=~])|"([^"]*)"|([^\s()<>=~!"]+))/y;

/** The parts of an expression: operators, quoted texts, words. */
function tokensOf(text) {
  const found = [];
  TOKENS.lastIndex = 0;
  while (TOKENS.lastIndex < text.trimEnd().length) {
    const from = TOKENS.lastIndex;
    const match = TOKENS.exec(text);
    if (!match) throw new Error(`“${text.slice(from).trim()}”: expected a name, a number or a text`);
    const [, operator, quoted, word] = match;
    found.push(operator ? { operator } : quoted !== undefined ? { quoted } : { word });
  }
  return found;
}

/**
 * A test of trajectories from its text; of nothing, one that all pass.
 *
 * @param {string} text `and`, `or`, `not`, brackets; `= != < <= > >=`, `~` for “contains”; a name alone asks whether it holds.
 * @param {Object<string, function>} names What a name stands for, of a trajectory.
 * @throws {Error} What was expected, and where.
 */
function expressionTest(text, names) {
  const tokens = tokensOf(text);
  if (!tokens.length) return () => true;
  let at = 0;
  const isWord = (word) => tokens[at]?.word?.toLowerCase() === word;
  const isOperator = (operator) => tokens[at]?.operator === operator;
  const here = () => (tokens[at] ? `“${Object.values(tokens[at])[0]}”` : "the end");

  function either() {
    let left = both();
    while (isWord("or")) { at += 1; const [a, b] = [left, both()]; left = (t) => a(t) || b(t); }
    return left;
  }
  function both() {
    let left = one();
    while (isWord("and")) { at += 1; const [a, b] = [left, one()]; left = (t) => a(t) && b(t); }
    return left;
  }
  function one() {
    if (isWord("not")) { at += 1; const inner = one(); return (t) => !inner(t); }
    if (!isOperator("(")) return comparison();
    at += 1;
    const inner = either();
    if (!isOperator(")")) throw new Error(`expected “)” at ${here()}`);
    at += 1;
    return inner;
  }
  function comparison() {
    const first = tokens[at];
    const left = value();
    const operator = tokens[at]?.operator;
    if (operator in COMPARE) { at += 1; const right = value(); return (t) => COMPARE[operator](left(t), right(t)); }
    if (!(first.word in names)) throw new Error(`“${first.word ?? first.quoted}”: expected one of ${Object.keys(names).join(", ")}`);
    return (t) => Boolean(left(t));
  }
  function value() {
    const token = tokens[at];
    if (!token || token.operator) throw new Error(`expected a name, a number or a text at ${here()}`);
    at += 1;
    if (token.quoted !== undefined) return () => token.quoted;
    if (Object.hasOwn(names, token.word)) return names[token.word];
    const constant = token.word === "none" ? null : token.word === "true" ? true : token.word === "false" ? false : Number.isNaN(Number(token.word)) ? token.word : Number(token.word);
    return () => constant;
  }

  const test = either();
  if (at < tokens.length) throw new Error(`expected “and” or “or” at ${here()}`);
  return test;
}

const alike = (value) => (value === true ? 1 : value === false ? 0 : typeof value === "string" ? value.toLowerCase().replaceAll("_", " ") : value ?? null);
const ordered = (compare) => (a, b) => { const [x, y] = [alike(a), alike(b)]; return x !== null && y !== null && typeof x === typeof y && compare(x, y); };
const equal = (a, b) => alike(a) === alike(b);
const COMPARE = {
  "=": equal,
  "==": equal,
  "!=": (a, b) => !equal(a, b),
  "<": ordered((a, b) => a < b),
  "<=": ordered((a, b) => a <= b),
  ">": ordered((a, b) => a > b),
  ">=": ordered((a, b) => a >= b),
  "~": (a, b) => String(alike(a) ?? "").includes(String(alike(b) ?? "")),
};
