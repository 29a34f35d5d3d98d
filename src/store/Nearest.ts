/** Which of some names is most like another one, for hints after a typo or an invented name. */

/** Levenshtein distance: the fewest letters to add, drop or replace. */
export const distance = (a: string, b: string): number => {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const replace = previous[column - 1]! + (a[row - 1] === b[column - 1] ? 0 : 1)
      current.push(Math.min(replace, previous[column]! + 1, current[column - 1]! + 1))
    }
    previous = current
  }
  return previous[b.length]!
}

/** Does one hold the other at a label's border: `example.com` in `shop.example.com`? */
const related = (a: string, b: string): boolean => a.endsWith(`.${b}`) || b.endsWith(`.${a}`)

/**
 * Candidates that are like `name`, the most similar first: at most half of the longer one differs, or one lies
 * under the other. Ties in name order.
 */
export const rank = (name: string, candidates: ReadonlyArray<string>): ReadonlyArray<string> =>
  candidates
    .map((candidate) => ({ candidate, far: distance(name, candidate) }))
    .filter(({ candidate, far }) => related(name, candidate) || far * 2 <= Math.max(name.length, candidate.length))
    .sort((a, b) => a.far - b.far || (a.candidate < b.candidate ? -1 : 1))
    .map(({ candidate }) => candidate)
