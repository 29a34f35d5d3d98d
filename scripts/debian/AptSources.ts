/**
 * The machine's own apt sources, read to learn one thing: where it gets Debian from, and with which keyring. So no
 * mirror's name has to stand in this repository, and whatever mirror or proxy an operator chose is used.
 *
 * Formats: sources.list(5), one-line (`*.list`) and deb822 (`*.sources`). Disabled entries, `deb-src` and CD-ROMs
 * are skipped. Security archives and other people's repositories are never taken for the Debian archive.
 */

export interface SourceEntry {
  readonly uris: ReadonlyArray<string>
  readonly suites: ReadonlyArray<string>
  readonly components: ReadonlyArray<string>
  /** As written: a path, a fingerprint, or (deb822) a whole key over several lines. */
  readonly signedBy?: string
  /** `Trusted` / `trusted=`: the operator told apt not to check this archive's signatures. */
  readonly trusted?: string
}

export interface Machine {
  /** `ID` of os-release: `debian`, `ubuntu`, … */
  readonly id: string
  /** `PRETTY_NAME` of os-release, for messages. */
  readonly name: string
  /** `VERSION_CODENAME` of os-release; sid has none on some images. */
  readonly codename?: string
}

export interface DebianArchive {
  readonly uris: ReadonlyArray<string>
  readonly signedBy?: string
  readonly trusted?: string
  /** The suite this machine itself is installed from, such as `bookworm`. */
  readonly suite: string
}

const words = (text: string): ReadonlyArray<string> => text.split(/\s+/).filter((word) => word !== "")

const optional = (signedBy: string | undefined, trusted: string | undefined) => ({
  ...(signedBy === undefined || signedBy === "" ? {} : { signedBy }),
  ...(trusted === undefined || trusted === "" ? {} : { trusted })
})

/** `deb [arch=amd64 signed-by=/path] http://mirror/debian trixie main contrib` lines. */
export const parseOneLine = (text: string): ReadonlyArray<SourceEntry> => {
  const entries: Array<SourceEntry> = []
  for (const raw of text.split("\n")) {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s*)?([^\s[]\S*)\s+(\S+)\s*(.*)$/.exec(raw.replace(/#.*$/, ""))
    if (match === null) continue
    const [, bracket = "", uri = "", suite = "", components = ""] = match
    if (uri.startsWith("cdrom:")) continue
    const option = (name: string) => words(bracket).find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1)
    entries.push({
      uris: [uri],
      suites: [suite],
      components: words(components),
      ...optional(option("signed-by"), option("trusted"))
    })
  }
  return entries
}

const disabled = new Set(["no", "false", "off", "0", "without", "disable"])

/** deb822 stanzas: `Field: value`, continued by indented lines, `#` comments, an empty line between stanzas. */
export const parseDeb822 = (text: string): ReadonlyArray<SourceEntry> => {
  const entries: Array<SourceEntry> = []
  const withoutComments = text.split("\n").filter((line) => !line.startsWith("#")).join("\n")
  for (const stanza of withoutComments.split(/\n[ \t]*\n/)) {
    const fields = new Map<string, string>()
    let field = ""
    for (const line of stanza.split("\n")) {
      const start = /^([A-Za-z][A-Za-z-]*):\s*(.*)$/.exec(line)
      if (start !== null) {
        field = (start[1] ?? "").toLowerCase()
        fields.set(field, (start[2] ?? "").trimEnd())
      } else if (/^[ \t]/.test(line) && field !== "") {
        fields.set(field, `${fields.get(field) ?? ""}\n${line.trimEnd()}`)
      }
    }
    const list = (name: string) => words(fields.get(name) ?? "")
    const uris = list("uris").filter((uri) => !uri.startsWith("cdrom:"))
    if (!list("types").includes("deb") || uris.length === 0) continue
    if (disabled.has((fields.get("enabled") ?? "yes").trim().toLowerCase())) continue
    entries.push({
      uris,
      suites: list("suites"),
      components: list("components"),
      ...optional(fields.get("signed-by"), fields.get("trusted"))
    })
  }
  return entries
}

/** The three fields of os-release(5) that matter here. */
export const parseOsRelease = (text: string): Machine => {
  const field = (name: string) => new RegExp(`^${name}=["']?([^"'\\n]*)`, "m").exec(text)?.[1]
  const codename = field("VERSION_CODENAME")
  return {
    id: field("ID") ?? "linux",
    name: field("PRETTY_NAME") ?? field("ID") ?? "this machine",
    ...(codename === undefined || codename === "" ? {} : { codename })
  }
}

/** Suites of the Debian archive that an installed machine may name. Codenames to come are learnt from os-release. */
const debianSuites = new Set([
  "oldoldstable",
  "oldstable",
  "stable",
  "testing",
  "unstable",
  "sid",
  "buster",
  "bullseye",
  "bookworm",
  "trixie",
  "forky",
  "duke"
])

/** A mirror's path ends in `/debian`; a snapshot adds a time stamp, a `mirror+file:` list a suffix. */
const debianPath = /\/debian(\/\d{8}T\d{6}Z)?(\.list)?\/?$/

/**
 * The Debian archive among the machine's sources, or `undefined` when there is none.
 *
 * A repository of someone else may well offer `bookworm main` too, so the suite alone proves nothing: the address
 * must look like a Debian mirror, or the keyring must be Debian's. On Debian itself an entry for exactly the machine's
 * own suite, without a keyring of its own, is a mirror under an unusual path.
 */
export const debianArchive = (entries: ReadonlyArray<SourceEntry>, machine: Machine): DebianArchive | undefined => {
  const known = (suite: string) => debianSuites.has(suite) || (machine.id === "debian" && suite === machine.codename)
  const rank = (entry: SourceEntry) => {
    if (entry.uris.some((uri) => debianPath.test(uri))) return 0
    if (entry.signedBy?.includes("debian-archive-") === true) return 1
    if (machine.id === "debian" && entry.signedBy === undefined) return 2
    return undefined
  }
  let best: { readonly rank: number; readonly archive: DebianArchive } | undefined
  for (const entry of entries) {
    const suite = entry.suites.find(known)
    const rankOfEntry = rank(entry)
    if (suite === undefined || rankOfEntry === undefined || !entry.components.includes("main")) continue
    if (best !== undefined && best.rank <= rankOfEntry) continue
    best = {
      rank: rankOfEntry,
      archive: { uris: entry.uris, suite, ...optional(entry.signedBy, entry.trusted) }
    }
  }
  return best?.archive
}
