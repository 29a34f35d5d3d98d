/** Which of some names is most like another one, for hints after a typo or an invented name. */
import { distance } from "../domain/EditDistance.ts"

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
