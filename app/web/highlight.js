// Highlights the matched skills in a job's text.

const WORD = /[\p{L}\p{N}+#]/u;

/**
 * Split the text into pieces `{text, pair}`. `pair` is the matching one of `pairs`, or
 * null. Each pair matches once, at the first whole-word occurrence of its `job_skill`.
 */
export function pieces(text, pairs) {
  const found = [];
  for (const pair of pairs) {
    const at = mention(text, pair.job_skill, found);
    if (at >= 0) {
      found.push({ start: at, end: at + pair.job_skill.length, pair });
    }
  }
  found.sort((a, b) => a.start - b.start);
  const result = [];
  let end = 0;
  for (const each of found) {
    result.push({ text: text.slice(end, each.start), pair: null });
    result.push({ text: text.slice(each.start, each.end), pair: each.pair });
    end = each.end;
  }
  result.push({ text: text.slice(end), pair: null });
  return result.filter((piece) => piece.text);
}

function mention(text, skill, taken) {
  // Lowercasing changes the length of some texts: match those case-sensitively.
  const [where, what] =
    text.toLowerCase().length === text.length && skill.toLowerCase().length === skill.length
      ? [text.toLowerCase(), skill.toLowerCase()]
      : [text, skill];
  for (let at = where.indexOf(what); what && at >= 0; at = where.indexOf(what, at + 1)) {
    const end = at + what.length;
    const isWhole = !WORD.test(text[at - 1] ?? " ") && !WORD.test(text[end] ?? " ");
    if (isWhole && taken.every((other) => end <= other.start || at >= other.end)) {
      return at;
    }
  }
  return -1;
}
