/**
 * The crt-lists and certificate directories of one worker: `show|add|del ssl crt-list`. Each is used by one `bind`.
 */
import { type Answer, dump, message } from "./Answer.ts"
import type { Certificates } from "./Certificates.ts"
import type { Parsed } from "./CommandLine.ts"
import type { Traits } from "./Line.ts"

/** A crt-list file's text, or the paths of the certificates in a directory. */
export type CrtListContent = string | ReadonlyArray<string>

interface Entry {
  readonly certificate: string
  /** Of the file; entries added later count on. */
  readonly line: number
  /** Within the brackets, without them. */
  readonly options: string
  readonly filters: ReadonlyArray<string>
}

interface CrtList {
  readonly path: string
  readonly directory: boolean
  readonly entries: Array<Entry>
  lastLine: number
  /** What a bind without `strict-sni` shows for unknown names, and where the bind stands. */
  readonly standard: { readonly entry: Entry; readonly bind: string } | undefined
}

const optionNames =
  /^(?:alpn|no-alpn|npn|ssl-(?:min|max)-ver|ciphers|ciphersuites|curves|ecdhe|verify|ca-file|ca-verify-file|crl-file|no-ca-names|allow-0rtt|ocsp-update|sigalgs|client-sigalgs)$/

const parseEntry = (text: string, line: number): Entry => {
  const match = /^(\S+)(?:\s+\[([^\]]*)\])?(?:\s+(.*))?$/.exec(text.trim())
  return {
    certificate: match?.[1] ?? "",
    line,
    options: match?.[2]?.trim() ?? "",
    filters: (match?.[3] ?? "").split(/\s+/).filter((word) => word !== "")
  }
}

/** HAProxy prints a NUL after the protocol (3.0.11, 3.2.26, 3.4.7). */
const shownOptions = (options: string): string => options.replace(/\balpn (\S+)/, "alpn $1\0")

/** The crt-lists of a worker. */
export class CrtLists {
  private readonly traits: Traits
  private readonly certificates: Certificates
  private readonly byPath = new Map<string, CrtList>()
  private readonly read = new Set<string>()

  constructor(
    traits: Traits,
    files: Iterable<readonly [string, CrtListContent]>,
    certificates: Certificates,
    looseBinds: Readonly<Record<string, string>>
  ) {
    this.traits = traits
    this.certificates = certificates
    for (const [path, content] of files) {
      const directory = typeof content !== "string"
      const entries: Array<Entry> = directory
        ? content.map((certificate) => ({ certificate, line: 0, options: "", filters: [] }))
        : content.split("\n").flatMap((text, index) =>
          text.trim() === "" || text.startsWith("#") ? [] : [parseEntry(text, index + 1)]
        )
      for (const { certificate } of entries) {
        if (directory) this.read.add(certificate)
        if (certificates.get(certificate) === undefined) {
          throw new Error(`FakeHaproxy cannot start: ${path} names ${certificate}, which is not declared`)
        }
      }
      const lastLine = directory ? 0 : content.replace(/\n$/, "").split("\n").length
      const bind = looseBinds[path]
      const standard = bind === undefined || entries[0] === undefined ? undefined : { entry: entries[0], bind }
      this.byPath.set(path, { path, directory, entries, lastLine, standard })
    }
  }

  /** How many entries use a certificate. */
  uses(certificate: string): number {
    let uses = 0
    for (const { entries } of this.byPath.values()) {
      for (const entry of entries) if (entry.certificate === certificate) uses++
    }
    return uses
  }

  /** It was read from a directory at start. */
  fromDirectory(certificate: string): boolean {
    return this.read.has(certificate)
  }

  /** The certificates of a list in order, with their filters. */
  entries(path: string): ReadonlyArray<{ readonly certificate: string; readonly filters: ReadonlyArray<string> }> {
    return this.byPath.get(path)?.entries ?? []
  }

  show(words: ReadonlyArray<string>): Answer {
    const numbered = words[3] === "-n"
    const path = words[numbered ? 4 : 3]
    if (path === undefined) {
      if (numbered) return message(3, "'show ssl crt-list -n' expects a filename or a directory")
      const paths = [...this.byPath.keys()].toSorted((left, right) => (left < right ? -1 : 1))
      return dump(paths.map((name) => `${name}\n`).join(""))
    }
    const list = this.byPath.get(path)
    if (list === undefined) return message(3, "didn't find the specified filename")
    const lines = list.entries.map(({ certificate, filters, line, options }) =>
      [
        numbered ? `${certificate}:${line}` : certificate,
        ...(options === "" ? [] : [`[${shownOptions(options)}]`]),
        ...filters
      ].join(" ")
    )
    return dump([`# ${path}`, ...lines].map((line) => `${line}\n`).join(""))
  }

  add({ payload, words }: Parsed): Answer {
    const path = words[3]
    if (path === undefined || (words[4] === undefined && payload === undefined)) {
      return message(3, "'add ssl crtlist' expects a filename and a certificate name")
    }
    const refuse = (text: string) => message(3, `Can't edit the crt-list: ${text}`)
    const list = this.byPath.get(path)
    if (list === undefined) return refuse(`crt-list '${path}' does not exist!`)
    const lines = payload?.split("\n").filter((line) => line !== "") ?? []
    if (lines.length > 1) return refuse("only one line of payload is supported!")
    // In the line form HAProxy passes over the filters.
    const entry = parseEntry(lines[0] ?? words[4]!, list.lastLine + 1)
    const unknown = entry.options === "" ? undefined : entry.options.split(/\s+/)[0]
    if (unknown !== undefined && !optionNames.test(unknown)) {
      return refuse(`parsing [CLI:1]: unknown ssl keyword ${unknown}`)
    }
    const { certificate } = entry
    if (list.directory && !this.traits.certificates.anyPathInDirectory && !certificate.startsWith(`${path}/`)) {
      return refuse(`'${path}' is a directory, certificate path '${certificate}' must contain the directory path`)
    }
    const stored = this.certificates.get(certificate)
    if (stored === undefined) return refuse(`certificate '${certificate}' does not exist!`)
    if (stored.content === undefined) return refuse(`certificate '${certificate}' is empty!`)
    if (list.directory && list.entries.some((other) => other.certificate === certificate)) {
      return refuse("file already exists in this directory!")
    }
    list.lastLine++
    list.entries.push(entry)
    return dump(`Inserting certificate '${certificate}' in crt-list '${path}'.\nSuccess!\n`)
  }

  delete(words: ReadonlyArray<string>): Answer {
    const [path, target] = [words[3], words[4]]
    if (path === undefined || target === undefined) {
      return message(3, "'del ssl crtlist' expects a filename and a certificate name")
    }
    const refuse = (text: string) => message(3, `Can't delete the entry: ${text}`)
    const list = this.byPath.get(path)
    if (list === undefined) return refuse(`crt-list '${path}' does not exist!`)
    const colon = target.indexOf(":")
    const [certificate, line] = colon < 0 ? [target] : [target.slice(0, colon), target.slice(colon + 1)]
    if (line !== undefined && !/^\d+$/.test(line)) return refuse(`wrong line number after colons in '${target}'!`)
    if (this.certificates.get(certificate) === undefined) return refuse(`certificate '${certificate}' does not exist!`)
    const found = list.entries.filter((entry) => entry.certificate === certificate)
    if (found.length === 0) return refuse(`certificate '${certificate}' can't be found in crt-list '${path}'!`)
    const lines = found.map((entry) => entry.line).join(", ")
    if (line === undefined && found.length > 1) {
      return refuse(
        `found the certificate '${certificate}' in several entries, please specify a line number preceded by colons (${lines})!`
      )
    }
    const gone = line === undefined ? found[0] : found.find((entry) => entry.line === Number(line))
    if (gone === undefined) {
      return refuse(
        `found a certificate '${certificate}' but the line number is incorrect, please specify a correct line number preceded by colons (${lines})!`
      )
    }
    if (gone === list.standard?.entry) {
      return refuse(
        `certificate '${certificate}' cannot be deleted, it is used as default certificate by the following frontends:\n\t- ${list.standard.bind}`
      )
    }
    list.entries.splice(list.entries.indexOf(gone), 1)
    return message(5, `Entry '${certificate}' deleted in crtlist '${path}'!`)
  }
}
