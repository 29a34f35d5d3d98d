/**
 * A plain keyword search over the catalogue, as clients with many tools have one: BM25 over the words of name, title and
 * description. No synonyms and no meaning: what it finds, anything finds.
 */

export interface Searched {
  readonly name: string
  readonly title: string
  readonly description: string
}

/** Words that say nothing. */
const stop = new Set(
  ("a an the of to in on for and or is are be it its this that with by from at as all i my me we our you please can how "
    + "do does what which who why when not no now up there them one haproxy").split(" ")
)

/** Words of a text, lower-cased; plural and verb endings cut, so that "certificates" finds "certificate". */
export const wordsOf = (text: string): ReadonlyArray<string> =>
  (text.toLowerCase().match(/[a-z][a-z0-9]+/g) ?? []).filter((word) => !stop.has(word)).map((word) =>
    word.length > 4 ? word.replace(/(?:ies|es|s|ing|ed|e)$/, "") : word
  )

/** BM25's usual numbers. */
const [k1, b] = [1.2, 0.75]

/** Makes the search: names of tools, the best first. */
export const searchOver = (tools: ReadonlyArray<Searched>) => {
  const documents = tools.map(({ description, name, title }) => {
    // A name counts twice: models search for what they think a tool is called.
    const words = wordsOf(`${name.replaceAll("_", " ")} ${name.replaceAll("_", " ")} ${title} ${description}`)
    const counts = new Map<string, number>()
    for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1)
    return { name, counts, length: words.length }
  })
  const average = documents.reduce((sum, { length }) => sum + length, 0) / documents.length
  const rarity = (word: string): number => {
    const having = documents.filter(({ counts }) => counts.has(word)).length
    return Math.log(1 + (documents.length - having + 0.5) / (having + 0.5))
  }
  return (question: string): ReadonlyArray<string> => {
    const asked = [...new Set(wordsOf(question))].map((word) => [word, rarity(word)] as const)
    return documents.map(({ counts, length, name }) => {
      const score = asked.reduce((sum, [word, weight]) => {
        const count = counts.get(word) ?? 0
        return sum + weight * count * (k1 + 1) / (count + k1 * (1 - b + b * length / average))
      }, 0)
      return { name, score }
    }).filter(({ score }) => score > 0).sort((one, other) => other.score - one.score).map(({ name }) => name)
  }
}
