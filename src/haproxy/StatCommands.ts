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
  /** HAProxy's number of the frontend or backend (`iid`). */
  readonly id: number
  /** Name of the server; `FRONTEND` or `BACKEND` for the sums. */
  readonly server: string
  /** `UP`, `DOWN`, `MAINT`, `DRAIN`, `NOLB`, `no check`, `UP 1/3` …; `OPEN` for frontends. */
  readonly status: string
  /** Last health check that came to its end, such as `L4OK`; empty without checks. */
  readonly checkStatus: string
  /** What the last check said, capped. */
  readonly lastCheck: string
  /** What the last check was answered with, such as an HTTP status. */
  readonly checkCode: number | null
  /** Milliseconds that the last check took. */
  readonly checkDuration: number | null
  /** `address:port` of a server; empty for others. */
  readonly address: string
  /** `http` or `tcp`. */
  readonly mode: string
  readonly currentSessions: number
  readonly maxSessions: number
  /** null: no limit. Of a backend it is `fullconn`. */
  readonly sessionLimit: number | null
  readonly totalSessions: number
  readonly currentQueue: number | null
  readonly maxQueue: number | null
  readonly weight: number | null
  readonly activeServers: number | null
  readonly backupServers: number | null
  readonly bytesIn: number
  readonly bytesOut: number
  /** Sessions of the last second. */
  readonly sessionRate: number
  /** Frontends only. */
  readonly connectionRate: number | null
  readonly requestRate: number | null
  readonly totalRequests: number | null
  readonly connectionErrors: number | null
  readonly responseErrors: number | null
  readonly requestErrors: number | null
  readonly deniedRequests: number | null
  /** Frontends only, by `tcp-request connection` and `tcp-request session` rules. */
  readonly deniedConnections: number | null
  readonly deniedSessions: number | null
  readonly retries: number | null
  readonly responses1xx: number | null
  readonly responses2xx: number | null
  readonly responses3xx: number | null
  readonly responses4xx: number | null
  readonly responses5xx: number | null
  readonly responsesOther: number | null
  /** Averages over the last 1,024 requests, milliseconds. */
  readonly queueTime: number | null
  readonly connectTime: number | null
  readonly responseTime: number | null
  readonly totalTime: number | null
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
const parseStat = (answer: string, keep: (proxy: string) => boolean): Verdict<ReadonlyArray<StatRow>> => {
  const newline = answer.indexOf("\n")
  if (!answer.startsWith("# pxname,svname,") || newline < 0) return refused(answer)
  const at = positions(answer.slice(2, newline).split(","))
  // The hundred columns of HAProxy's modules come last: they are not even split.
  const used = 1 + Math.max(...Object.values(at))
  const rows: Array<StatRow> = []
  for (const cells of records(answer, newline + 1, used, keep)) {
    const kind = cells[at.type] === "" ? undefined : kinds[Number(cells[at.type])]
    if (kind === undefined || cells[at.svname] === "" || cells[at.svname] === undefined) {
      return refused(cells.join(","))
    }
    rows.push({
      kind,
      proxy: cells[at.pxname]!,
      id: number(cells[at.iid]),
      server: cells[at.svname]!,
      status: text(cells[at.status], 40),
      // `* L4OK` while the next one runs (management.txt, 9.1, column 37).
      checkStatus: text(cells[at.check_status], 40).replace(/^\* /, ""),
      lastCheck: text(cells[at.last_chk], 200),
      checkCode: optional(cells[at.check_code]),
      checkDuration: optional(cells[at.check_duration]),
      address: text(cells[at.addr], 120),
      mode: cells[at.mode] ?? "",
      currentSessions: number(cells[at.scur]),
      maxSessions: number(cells[at.smax]),
      sessionLimit: optional(cells[at.slim]),
      totalSessions: number(cells[at.stot]),
      currentQueue: optional(cells[at.qcur]),
      maxQueue: optional(cells[at.qmax]),
      weight: optional(cells[at.weight]),
      activeServers: optional(cells[at.act]),
      backupServers: optional(cells[at.bck]),
      bytesIn: number(cells[at.bin]),
      bytesOut: number(cells[at.bout]),
      sessionRate: number(cells[at.rate]),
      connectionRate: optional(cells[at.conn_rate]),
      requestRate: optional(cells[at.req_rate]),
      totalRequests: optional(cells[at.req_tot]),
      connectionErrors: optional(cells[at.econ]),
      responseErrors: optional(cells[at.eresp]),
      requestErrors: optional(cells[at.ereq]),
      deniedRequests: optional(cells[at.dreq]),
      deniedConnections: optional(cells[at.dcon]),
      deniedSessions: optional(cells[at.dses]),
      retries: optional(cells[at.wretr]),
      responses1xx: optional(cells[at.hrsp_1xx]),
      responses2xx: optional(cells[at.hrsp_2xx]),
      responses3xx: optional(cells[at.hrsp_3xx]),
      responses4xx: optional(cells[at.hrsp_4xx]),
      responses5xx: optional(cells[at.hrsp_5xx]),
      responsesOther: optional(cells[at.hrsp_other]),
      queueTime: optional(cells[at.qtime]),
      connectTime: optional(cells[at.ctime]),
      responseTime: optional(cells[at.rtime]),
      totalTime: optional(cells[at.ttime]),
      lastChange: optional(cells[at.lastchg]),
      downtime: optional(cells[at.downtime])
    })
  }
  return Result.succeed(rows)
}

const text = (cell: string | undefined, limit: number): string =>
  cell === undefined || cell === "" ? "" : plain(cell, limit)

const optional = (cell: string | undefined): number | null => cell === undefined || cell === "" ? null : Number(cell)

const number = (cell: string | undefined): number => Number(cell ?? 0)

/** HAProxy's names of the columns that are read. */
const columns = [
  "pxname",
  "svname",
  "iid",
  "type",
  "status",
  "mode",
  "addr",
  "check_status",
  "check_code",
  "check_duration",
  "last_chk",
  "scur",
  "smax",
  "slim",
  "stot",
  "qcur",
  "qmax",
  "weight",
  "act",
  "bck",
  "bin",
  "bout",
  "rate",
  "conn_rate",
  "req_rate",
  "req_tot",
  "econ",
  "eresp",
  "ereq",
  "dreq",
  "dcon",
  "dses",
  "wretr",
  "hrsp_1xx",
  "hrsp_2xx",
  "hrsp_3xx",
  "hrsp_4xx",
  "hrsp_5xx",
  "hrsp_other",
  "qtime",
  "ctime",
  "rtime",
  "ttime",
  "lastchg",
  "downtime"
] as const

/** Where they stand in this answer; -1 for one that is not there. */
const positions = (names: ReadonlyArray<string>) =>
  Object.fromEntries(columns.map((column) => [column, names.indexOf(column)])) as Readonly<
    Record<typeof columns[number], number>
  >

/** The first `count` cells of each record: cells may be quoted with `"`, doubled inside; a quoted cell may hold a comma. */
function* records(
  text: string,
  from: number,
  count: number,
  keep: (proxy: string) => boolean
): Generator<ReadonlyArray<string>> {
  while (from < text.length) {
    const newline = text.indexOf("\n", from)
    const end = newline < 0 ? text.length : newline
    const start = from
    from = end + 1
    // Names of proxies are never quoted: they have letters, digits and `-_.:`.
    if (start === end || !keep(text.slice(start, text.indexOf(",", start)))) continue
    const line = text.slice(start, end)
    yield line.includes("\"") ? quotedCells(line) : line.split(",", count)
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
  /** Of an answer about all proxies, which ones to read; the others cost next to nothing. */
  readonly keep?: (proxy: string) => boolean
}

const everything = () => true

/**
 * `show stat PROXY TYPES -1`: the type bits are 1 frontends, 2 backends, 4 servers, 8 listeners; -1 is all.
 *
 * PROXY is a name or a number (`iid`). A frontend and a backend may share a name up to 3.2: it then means one of them
 * (3.0.11: the frontend), and the other's rows are missing.
 *
 * What it costs beside 10,000 backends of 10 servers (2 cores): one proxy 0.4 ms, for HAProxy walks all of them; all
 * backends 4.1 MB and 110 ms; all servers 32 MB and over a second. HAProxy writes in pieces and serves in between.
 */
export const show = (filter: StatFilter = {}): Command<ReadonlyArray<StatRow>> => {
  const bits = filter.kinds?.reduce((sum, kind) => sum | 1 << kinds.indexOf(kind), 0) ?? -1
  const keep = filter.keep ?? everything
  return {
    // An unknown proxy is answered with `No such proxy.`; `-1` means all of them.
    words: ["show", "stat", filter.proxy ?? "-1", String(bits), "-1"],
    parse: (answer) => parseStat(answer, keep)
  }
}

/** Is this the answer for a proxy that HAProxy does not have (any more)? */
export const isUnknownProxy = (text: string): boolean => text.startsWith("No such proxy")

/** Every number of one row of `show stat`, by HAProxy's own names (management.txt, 9.1). */
export interface CounterRow {
  readonly kind: StatKind
  /** Name of the server or listener; `FRONTEND` or `BACKEND` for the sums. */
  readonly name: string
  /** Those that are not 0. */
  readonly counters: Readonly<Record<string, number>>
}

/** Columns that are numbers and count nothing. */
const noCounters: ReadonlySet<string> = new Set(["pid", "iid", "sid", "type"])

const parseCounters = (answer: string): Verdict<ReadonlyArray<CounterRow> | null> => {
  if (isUnknownProxy(answer)) return Result.succeed(null)
  const newline = answer.indexOf("\n")
  if (!answer.startsWith("# pxname,svname,") || newline < 0) return refused(answer)
  const names = answer.slice(2, newline).split(",")
  const rows: Array<CounterRow> = []
  for (const cells of records(answer, newline + 1, names.length, everything)) {
    const kind = kinds[Number(cells[names.indexOf("type")])]
    if (kind === undefined) return refused(cells.join(","))
    const counters: Record<string, number> = {}
    for (const [index, cell] of cells.entries()) {
      if (/^\d+$/.test(cell) && cell !== "0" && !noCounters.has(names[index]!)) counters[names[index]!] = Number(cell)
    }
    rows.push({ kind, name: text(cells[1], 100), counters })
  }
  return Result.succeed(rows)
}

/** `show stat PROXY -1 -1` with all of its columns; null: there is no such proxy. */
export const counters = (proxy: string): Command<ReadonlyArray<CounterRow> | null> => ({
  words: ["show", "stat", proxy, "-1", "-1"],
  parse: parseCounters
})
