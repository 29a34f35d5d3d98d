/** The names that a wrong one was probably meant for. */

/** Edits (insert, delete, replace) that turn one text into the other; texts are short here. */
const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length]!
}

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
