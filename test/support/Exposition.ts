/**
 * A strict reader of Prometheus' text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats): what a real
 * scraper would forgive fails here too. Every family has HELP and TYPE before its lines and stands in one piece; no
 * series comes twice; counters and histograms are what they say.
 */

/** One metric with all its series. */
export interface Family {
  readonly name: string
  readonly type: "counter" | "gauge" | "histogram"
  readonly help: string
  /** Series by their name and labels as written: `name{a="b"}`. */
  readonly series: ReadonlyMap<string, number>
  /** Names of labels, `le` left out. */
  readonly labels: ReadonlySet<string>
}

const nameForm = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const numberForm = /^(?:[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|[+-]Inf|NaN)$/
const labelForm = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/

const numberOf = (text: string): number => {
  if (!numberForm.test(text)) throw new Error(`not a number: ${text}`)
  return text.endsWith("Inf") ? (text.startsWith("-") ? -Infinity : Infinity) : Number(text)
}

const labelsOf = (text: string): ReadonlyMap<string, string> => {
  const labels = new Map<string, string>()
  for (let rest = text; rest !== "";) {
    const [whole, name, value, comma] = labelForm.exec(rest) ?? []
    if (whole === undefined) throw new Error(`not labels: ${text}`)
    if (labels.has(name!)) throw new Error(`the label ${name} comes twice: ${text}`)
    labels.set(name!, value!)
    rest = rest.slice(whole.length)
    if (comma === "," && rest === "") throw new Error(`a comma too many: ${text}`)
  }
  return labels
}

const sampleForm = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/

interface Open {
  readonly name: string
  readonly type: Family["type"]
  readonly help: string
  readonly series: Map<string, number>
  readonly labels: Set<string>
  /** Buckets so far, by the labels beside `le`. */
  readonly buckets: Map<string, Array<readonly [le: number, count: number]>>
}

const close = (family: Open): void => {
  if (family.series.size === 0) throw new Error(`${family.name} has no series`)
  if (family.type === "counter" && !family.name.endsWith("_total")) throw new Error(`${family.name} is a counter`)
  if (family.type !== "counter" && family.name.endsWith("_total")) throw new Error(`${family.name} is no counter`)
  for (const [key, buckets] of family.buckets) {
    buckets.forEach(([le, count], index) => {
      const before = buckets[index - 1]
      if (before !== undefined && (before[0] >= le || before[1] > count)) throw new Error(`${family.name}${key} falls`)
    })
    const last = buckets.at(-1)!
    const count = family.series.get(`${family.name}_count${key}`)
    if (last[0] !== Infinity || last[1] !== count) throw new Error(`${family.name}${key}: +Inf is not the count`)
    if (!family.series.has(`${family.name}_sum${key}`)) throw new Error(`${family.name}${key} has no sum`)
  }
}

/** The families of a text, by name. Throws at the first fault. */
export const parseExposition = (text: string): ReadonlyMap<string, Family> => {
  const families = new Map<string, Open>()
  let help: readonly [string, string] | null = null
  let family: Open | null = null
  if (!text.endsWith("\n")) throw new Error("the last line has no end")
  for (const line of text.slice(0, -1).split("\n")) {
    const [, keyword, name, rest] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? []
    if (keyword === "HELP") {
      if (family !== null) close(family)
      family = null
      if (!nameForm.test(name!) || families.has(name!)) throw new Error(`HELP of a wrong or known name: ${line}`)
      help = [name!, rest!]
    } else if (keyword === "TYPE") {
      if (help === null || help[0] !== name) throw new Error(`TYPE without its HELP: ${line}`)
      if (rest !== "counter" && rest !== "gauge" && rest !== "histogram") throw new Error(`strange type: ${line}`)
      family = { name, type: rest, help: help[1], series: new Map(), labels: new Set(), buckets: new Map() }
      families.set(name, family)
      help = null
    } else {
      const [, own, labelText = "", value] = sampleForm.exec(line) ?? []
      if (own === undefined || family === null) throw new Error(`not a line of a family: ${line}`)
      add(family, own, labelsOf(labelText), numberOf(value!), line)
    }
  }
  if (family !== null) close(family)
  return families
}

const add = (family: Open, own: string, labels: ReadonlyMap<string, string>, value: number, line: string): void => {
  const suffix = own.slice(family.name.length)
  const suffixes = family.type === "histogram" ? ["_bucket", "_sum", "_count"] : [""]
  if (!own.startsWith(family.name) || !suffixes.includes(suffix)) throw new Error(`not of ${family.name}: ${line}`)
  if (family.type !== "gauge" && !(value >= 0)) throw new Error(`less than nothing: ${line}`)
  if ((suffix === "_bucket") !== (family.type === "histogram" && labels.has("le"))) throw new Error(`le: ${line}`)
  const beside = [...labels].filter(([name]) => name !== "le").map(([name, text]) => `${name}="${text}"`)
  const key = beside.length === 0 ? "" : `{${beside.join(",")}}`
  const series = line.slice(0, line.lastIndexOf(" "))
  if (family.series.has(series)) throw new Error(`twice: ${line}`)
  family.series.set(series, value)
  for (const name of labels.keys()) if (name !== "le") family.labels.add(name)
  if (suffix === "_bucket") {
    const buckets = family.buckets.get(key) ?? []
    family.buckets.set(key, buckets)
    buckets.push([numberOf(labels.get("le")!), value])
  }
}

/** A scrape: the families, and the value of a series as it is written (`name{a="b"}`), which must be there. */
export const scrapeOf = (text: string) => {
  const families = parseExposition(text)
  return {
    families,
    value: (series: string): number => {
      for (const family of families.values()) {
        const value = family.series.get(series)
        if (value !== undefined) return value
      }
      throw new Error(`there is no series ${series}`)
    }
  }
}
export type Scrape = ReturnType<typeof scrapeOf>
