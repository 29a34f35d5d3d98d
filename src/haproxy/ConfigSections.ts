/**
 * What stands in haproxy.cfg of frontends, as far as the Runtime API does not say it: where their requests go.
 *
 * It reads the words of lines and nothing of their meaning: conditions, variables and `.if` are not evaluated, so an
 * answer says where requests may go, never where one goes. Files that this process cannot read are not guessed at.
 */
import type { ConfigFile } from "./HostControl.ts"

/** A frontend (or `listen` section) and where its lines lead. */
export interface ConfiguredFrontend {
  readonly name: string
  /** Backends named by `use_backend` and `default_backend`; a `listen` section leads to itself. */
  readonly backends: ReadonlyArray<string>
  /** The one of `default_backend`. */
  readonly fallback: string | null
  /** It takes a backend out of an expression (`use_backend %[…]`). */
  readonly dynamic: boolean
  /** Files of maps that its lines name. */
  readonly maps: ReadonlyArray<string>
}

/** Words of a line: `#` begins a comment, quotes and backslashes hold words together. */
const wordsOf = (line: string): ReadonlyArray<string> => {
  const words: Array<string> = []
  for (const match of line.matchAll(/#.*$|(?:\\.|"(?:\\.|[^"\\])*"|'[^']*'|[^\s#"'\\])+/g)) {
    if (match[0].startsWith("#")) break
    words.push(match[0].replace(/["']/g, ""))
  }
  return words
}

const sectionTitle =
  /^(global|defaults|frontend|backend|listen|peers|resolvers|program|ring|userlist|cache|mailers|http-errors|fcgi-app|log-forward|log-profile|crt-store|traces|acme|certificate)$/

/** The frontends of these files, in their order; null: none of them can be read. */
export const configuredFrontends = (
  files: ReadonlyArray<ConfigFile> | null
): ReadonlyArray<ConfiguredFrontend> | null => {
  const texts = (files ?? []).flatMap(({ text }) => text === null ? [] : [text])
  if (texts.length === 0) return null
  const found: Array<ConfiguredFrontend> = []
  for (const text of texts) {
    let current: { name: string; lines: Array<ReadonlyArray<string>>; listen: boolean } | null = null
    const end = () => {
      if (current !== null) found.push(frontendOf(current))
      current = null
    }
    for (const line of text.split("\n")) {
      const words = wordsOf(line)
      const [first, second] = words
      if (first === undefined) continue
      if (sectionTitle.test(first)) {
        end()
        if ((first === "frontend" || first === "listen") && second !== undefined) {
          current = { name: second, lines: [], listen: first === "listen" }
        }
      } else if (current !== null) (current as { lines: Array<ReadonlyArray<string>> }).lines.push(words)
    }
    end()
  }
  return found
}

const frontendOf = (
  section: { readonly name: string; readonly lines: ReadonlyArray<ReadonlyArray<string>>; readonly listen: boolean }
): ConfiguredFrontend => {
  const named = section.lines.flatMap(([first, second]) =>
    first === "use_backend" && second !== undefined ? [second] : []
  )
  const fallback = section.lines.findLast(([first]) => first === "default_backend")?.[1] ?? null
  const fixed = [...named.filter((name) => !name.includes("%")), ...(fallback === null ? [] : [fallback])]
  const maps = section.lines.flatMap((words) =>
    words.flatMap((word) => [...word.matchAll(/map(?:_[a-z_0-9]+)?\(([^,)]+)/g)].map((match) => match[1]!))
  )
  return {
    name: section.name,
    backends: [...new Set([...fixed, ...(section.listen ? [section.name] : [])])],
    fallback: fallback ?? (section.listen ? section.name : null),
    dynamic: named.some((name) => name.includes("%")),
    maps: [...new Set(maps)]
  }
}
