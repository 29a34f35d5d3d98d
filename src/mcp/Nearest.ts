/** The names that a wrong one was probably meant for. */
import { distance } from "../domain/EditDistance.ts"

/** At most `count` of `names` that are close to `wrong` or contain it, best first. */
export const nearest = (wrong: string, names: ReadonlyArray<string>, count: number): ReadonlyArray<string> => {
  const text = wrong.slice(0, 80).toLowerCase()
  return names
    .map((name) => ({
      name,
      distance: text.length > 2 && (name.includes(text) || text.includes(name)) ? 1 : distance(text, name)
    }))
    .filter((candidate) => candidate.distance <= Math.max(2, text.length / 3))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, count)
    .map((candidate) => candidate.name)
}
