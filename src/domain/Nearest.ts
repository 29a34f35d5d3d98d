/** The names that a wrong one was probably meant for. */
import { distance } from "./EditDistance.ts"

/** At most `count` of `names` that are close to `wrong` or contain it, best first. */
export const nearest = (wrong: string, names: ReadonlyArray<string>, count: number): ReadonlyArray<string> => {
  const text = wrong.slice(0, 80).toLowerCase()
  const most = Math.max(2, text.length / 3)
  return names
    .flatMap((name) => {
      if (text.length > 2 && (name.includes(text) || text.includes(name))) return [{ name, far: 1 }]
      // Names that differ by more letters than that in length alone need no closer look.
      const far = Math.abs(name.length - text.length) > most ? Infinity : distance(text, name)
      return far <= most ? [{ name, far }] : []
    })
    .sort((a, b) => a.far - b.far)
    .slice(0, count)
    .map(({ name }) => name)
}
