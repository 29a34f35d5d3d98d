/** `haproxy-mcp remote status | list | restore | take-over`: the remote copy of the database, as text or as JSON. */
import * as Effect from "effect/Effect"
import type { Sources } from "../Config.ts"
import type { RemoteActionAnswer, RemoteListAnswer, RemoteStatusAnswer } from "../program/replication/RemoteControl.ts"
import { Ended, exitCodes } from "./Exit.ts"
import type { Handlers } from "./Handlers.ts"
import { clean, textTable } from "./TextTable.ts"
import { answer } from "./Verb.ts"

/** Milliseconds: the remote host may have to be connected first, and a database of 100,000 domains be carried. */
const patience = 60_000

type Runs<R> = Pick<Handlers<R>, "alone">

/** How the copy stands, for people. */
export const remoteStatusText = (status: RemoteStatusAnswer): string => {
  const { file, generation, host, lag, link, mode, reason, role, started_as: started, summary } = status
  const lines: ReadonlyArray<readonly [string, string]> = [
    ["Host", link.up ? host : `${host}: ${link.reason}`],
    ["File", file],
    ["Mode", mode],
    ["Role", role === "writer" ? role : `${role}: ${reason}`],
    ["Generation", generation === null ? "none yet" : String(generation)],
    ["Behind", lag === 0 ? "no" : `${lag} commits${reason === "" ? "" : `: ${reason}`}`],
    ["Started", started]
  ]
  return `${clean(summary)}\n\n${lines.map(([name, text]) => `${name.padEnd(12)}${clean(text)}\n`).join("")}`
}

/** The table of generations. */
export const remoteListText = ({ generations, summary, total }: RemoteListAnswer): string =>
  [
    `${clean(summary)}\n`,
    ...(generations.length === 0 ? [] : [
      "\n",
      textTable(
        ["generation", "kind", "revision", "commits", "bytes", "written", "by", "state"],
        generations.map((one) => [
          String(one.generation),
          one.kind,
          String(one.revision),
          String(one.commits),
          String(one.size),
          one.written_at,
          `${one.host} ${one.writer.slice(0, 8)}`,
          one.state
        ])
      )
    ]),
    ...(total > generations.length ? [`… and ${total - generations.length} older: --limit ${total}\n`] : [])
  ].join("")

const ask = <R, A>(handlers: Runs<R>, sources: Sources, name: string, args: unknown) =>
  Effect.map(answer(handlers, sources, { name, kind: "admin", timeout: patience, args }), (found) => found as A)

const print = <A>(json: boolean, found: A, text: (found: A) => string) =>
  Effect.sync(() => void process.stdout.write(json ? `${JSON.stringify(found, null, 2)}\n` : text(found)))

/** Prints how it stands; ends with 3 when this control plane only reads, or the copy is behind. */
export const printRemoteStatus = Effect.fnUntraced(
  function*<R>(handlers: Runs<R>, sources: Sources, json: boolean) {
    const found = yield* ask<R, RemoteStatusAnswer>(handlers, sources, "remote_status", {})
    yield* print(json, found, remoteStatusText)
    if (found.role === "reader" || found.reason !== "") return yield* new Ended({ code: exitCodes.degraded })
  }
)

/** Prints the generations, newest first. */
export const printGenerations = Effect.fnUntraced(
  function*<R>(handlers: Runs<R>, sources: Sources, options: { readonly limit: number; readonly json: boolean }) {
    const found = yield* ask<R, RemoteListAnswer>(handlers, sources, "remote_list", { limit: options.limit })
    yield* print(options.json, found, remoteListText)
  }
)

const actionText = ({ kept, summary, warnings }: RemoteActionAnswer): string =>
  [
    `${clean(summary)}\n`,
    ...(kept === null ? [] : [`The database that was here before is kept as ${clean(kept)}\n`]),
    ...warnings.map((text) => `${clean(text)}\n`)
  ].join("")

/** Makes an old generation the newest one. */
export const restoreGeneration = Effect.fnUntraced(
  function*<R>(handlers: Runs<R>, sources: Sources, options: { readonly generation: number; readonly json: boolean }) {
    const done = yield* ask<R, RemoteActionAnswer>(handlers, sources, "remote_restore", {
      generation: options.generation
    })
    yield* print(options.json, done, actionText)
  }
)

/** Makes this control plane the one that writes. */
export const takeOver = Effect.fnUntraced(
  function*<R>(
    handlers: Runs<R>,
    sources: Sources,
    options: { readonly keep: "remote" | "local"; readonly json: boolean }
  ) {
    const done = yield* ask<R, RemoteActionAnswer>(handlers, sources, "remote_take_over", { keep: options.keep })
    yield* print(options.json, done, actionText)
  }
)
