/**
 * What a migration took, kept and left out: told once, in a text beside the database. Every name of the sources that
 * is not in the desired state stands in it with the reason.
 */
import type { LegacySource } from "../domain/Legacy.ts"

/** One thing that was not simply taken. */
export interface Note {
  /** A name, or a slot. */
  readonly what: string
  /** The file that says so, or HAProxy. */
  readonly from: string
  readonly why: string
}

/** See the module's head. */
export interface MigrationReport {
  readonly sources: ReadonlyArray<LegacySource>
  readonly taken: {
    readonly domains: number
    readonly wildcards: number
    readonly pools: number
    readonly servers: number
    readonly certificates: number
  }
  /** Entries that lead elsewhere: they stay as they are, in the files and in HAProxy. */
  readonly foreign: ReadonlyArray<Note>
  /** Names that the rules do not allow: they stay as they are too, and their pools keep their servers. */
  readonly refused: ReadonlyArray<Note>
  /** What is not taken: servers without a place, second entries of a name. */
  readonly left: ReadonlyArray<Note>
  /** What two sources say differently, and which one counts. */
  readonly decided: ReadonlyArray<Note>
}

/** `1 server`, `2 servers`. */
export const counted = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`

/** `118 domains, 40 wildcards and 96 servers in 60 pools, and 30 certificates`. */
export const takenText = ({ taken }: Pick<MigrationReport, "taken">): string =>
  `${counted(taken.domains, "domain")}, ${counted(taken.wildcards, "wildcard")} and ${
    counted(taken.servers, "server")
  } in ${counted(taken.pools, "pool")}${
    taken.certificates === 0 ? "" : `, and ${counted(taken.certificates, "certificate")}`
  }`

/** What stands in files may hold anything. */
const clean = (text: string): string => {
  // oxlint-disable-next-line no-control-regex
  const line = text.replace(/[\u0000-\u001f\u007f-\u009f]/g, "?")
  return line.length > 300 ? `${line.slice(0, 300)}…` : line
}

const section = (title: string, notes: ReadonlyArray<Note>): ReadonlyArray<string> =>
  notes.length === 0 ? [] : [
    "",
    `${title} (${notes.length})`,
    ...notes.map(({ from, what, why }) => `  ${clean(what).padEnd(32)}  ${clean(why)}  [${clean(from)}]`)
  ]

/** The report as lines for people. `at` in milliseconds since 1970. */
export const reportText = (report: MigrationReport, at: number): string =>
  [
    `Taken over from the version before, ${new Date(at).toISOString()}`,
    "",
    "Read",
    ...report.sources.map(({ file, found }) => `  ${clean(file).padEnd(56)}  ${found}`),
    "",
    "Taken",
    `  ${takenText(report)}`,
    ...section("Kept as they are, for they lead elsewhere: haproxy-mcp foreign list", report.foreign),
    ...section("Kept as they are, for their names break a rule: haproxy-mcp foreign list", report.refused),
    ...section("Not taken", report.left),
    ...section("Decided", report.decided),
    ""
  ].join("\n")
