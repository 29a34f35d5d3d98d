/**
 * Statistics: `show stat` as typed rows. 10,000 pools make 6.9 MB, so name the proxy or the kinds where you can.
 */
import * as Result from "effect/Result"
import { plain, refused } from "./Cli.ts"
import type { Command, Verdict } from "./Command.ts"

/** What a row counts. */
export type StatKind = "frontend" | "backend" | "server" | "listener"

/** One row of `show stat`. Numbers that HAProxy leaves empty are null. */
export interface StatRow {
  readonly kind: StatKind
  /** Name of the frontend or backend. */
  readonly proxy: string
  /** Name of the server; `FRONTEND` or `BACKEND` for the sums. */
  readonly server: string
  /** `UP`, `DOWN`, `MAINT`, `DRAIN`, `NOLB`, `no check`, `UP 1/3` …; `OPEN` for frontends. */
  readonly status: string
  /** Last health check, such as `L4OK`, `* L7STS` while one runs; empty without checks. */
  readonly checkStatus: string
  /** What the last check said, capped. */
  readonly lastCheck: string
  /** `address:port` of a server; empty for others. */
  readonly address: string
  /** `http` or `tcp`. */
  readonly mode: string
  readonly currentSessions: number
  readonly maxSessions: number
  /** null: no limit. */
  readonly sessionLimit: number | null
  readonly totalSessions: number
  readonly currentQueue: number | null
  readonly weight: number | null
  readonly activeServers: number | null
  readonly backupServers: number | null
  readonly bytesIn: number
  readonly bytesOut: number
  readonly sessionRate: number
  readonly requestRate: number | null
  readonly totalRequests: number | null
  readonly connectionErrors: number | null
  readonly responseErrors: number | null
  readonly requestErrors: number | null
  readonly deniedRequests: number | null
  readonly responses2xx: number | null
  readonly responses4xx: number | null
  readonly responses5xx: number | null
  /** Seconds since the status last changed. */
  readonly lastChange: number | null
  /** Seconds of downtime in all. */
  readonly downtime: number | null
}

/** Column `type` (management.txt, `show stat`). */
const kinds: ReadonlyArray<StatKind> = ["frontend", "backend", "server", "listener"]

/*
 * show stat pool_1 -1 -1 (3.2.26; every line shortened, the real one has about 100 columns, 3.4.7 has 40 more)
 *
 * # pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight,act,…
 * pool_1,pool_1_3,0,0,0,0,,0,0,0,,0,,0,0,0,0,MAINT,1,1,0,,,183,,,1,3,3,,0,,2,0,,0,,,,0,0,0,0,0,0,,,,0,0,…
 * pool_1,BACKEND,0,0,0,0,1,0,0,0,0,0,,0,0,0,0,DOWN,0,0,0,,1,9,181,,1,3,0,,0,,1,0,,0,,,,0,0,0,0,0,0,,,,0,0,…
 *
 * Columns are found by their names: each line of HAProxy adds some. Texts (`last_chk`) may be quoted.
 */
const parseStat = (answer: string): Verdict<ReadonlyArray<StatRow>> => {
  const newline = answer.indexOf("\n")
  if (!answer.startsWith("# pxname,svname,") || newline < 0) return refused(answer)
  const columns = new Map(answer.slice(2, newline).split(",").map((name, index) => [name, index]))
  const rows: Array<StatRow> = []
  for (const cells of records(answer, newline + 1)) {
    const text = (name: string) => cells[columns.get(name) ?? -1] ?? ""
    const optional = (name: string) => {
      const cell = text(name)
      return cell === "" ? null : Number(cell)
    }
    const number = (name: string) => Number(text(name) || "0")
    const kind = kinds[number("type")]
    if (kind === undefined || text("type") === "" || text("svname") === "") return refused(cells.join(","))
    rows.push({
      kind,
      proxy: text("pxname"),
      server: text("svname"),
      status: plain(text("status"), 40),
      checkStatus: plain(text("check_status"), 40),
      lastCheck: plain(text("last_chk"), 200),
      address: plain(text("addr"), 120),
      mode: text("mode"),
      currentSessions: number("scur"),
      maxSessions: number("smax"),
      sessionLimit: optional("slim"),
      totalSessions: number("stot"),
      currentQueue: optional("qcur"),
      weight: optional("weight"),
      activeServers: optional("act"),
      backupServers: optional("bck"),
      bytesIn: number("bin"),
      bytesOut: number("bout"),
      sessionRate: number("rate"),
      requestRate: optional("req_rate"),
      totalRequests: optional("req_tot"),
      connectionErrors: optional("econ"),
      responseErrors: optional("eresp"),
      requestErrors: optional("ereq"),
      deniedRequests: optional("dreq"),
      responses2xx: optional("hrsp_2xx"),
      responses4xx: optional("hrsp_4xx"),
      responses5xx: optional("hrsp_5xx"),
      lastChange: optional("lastchg"),
      downtime: optional("downtime")
    })
  }
  return Result.succeed(rows)
}

/** The records of a CSV body: cells may be quoted with `"`, doubled inside; a quoted cell may hold a comma. */
function* records(text: string, from: number): Generator<ReadonlyArray<string>> {
  while (from < text.length) {
    const newline = text.indexOf("\n", from)
    const line = text.slice(from, newline < 0 ? text.length : newline)
    from = newline < 0 ? text.length : newline + 1
    if (line === "") continue
    yield line.includes("\"") ? quotedCells(line) : line.split(",")
  }
}

const quotedCells = (line: string): ReadonlyArray<string> =>
  [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map((match) =>
    match[1] === undefined ? match[2] ?? "" : match[1].replaceAll("\"\"", "\"")
  )

/** Which rows to ask for. */
export interface StatFilter {
  /** One frontend or backend by its name; all without it. */
  readonly proxy?: string
  /** Kinds of rows; all without it. */
  readonly kinds?: ReadonlyArray<StatKind>
}

/** `show stat PROXY TYPES -1`: the type bits are 1 frontends, 2 backends, 4 servers, 8 listeners; -1 is all. */
export const show = (filter: StatFilter = {}): Command<ReadonlyArray<StatRow>> => {
  const bits = filter.kinds?.reduce((sum, kind) => sum | 1 << kinds.indexOf(kind), 0) ?? -1
  // An unknown proxy is answered with `No such proxy.`; `-1` means all of them.
  return { words: ["show", "stat", filter.proxy ?? "-1", String(bits), "-1"], parse: parseStat }
}
