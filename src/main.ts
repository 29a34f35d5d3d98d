#!/usr/bin/env node
/**
 * haproxy-mcp, the program: its commands, and below them all that runs, in the order in which data flows:
 * settings → logs → control plane (database, HAProxy and its files, programs) → tools → transports.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { runProcess } from "./cli/Exit.ts"
import { Settings, type Sources } from "./Config.ts"
import * as HeapTrimmer from "./HeapTrimmer.ts"
import * as AdminSocket from "./mcp/AdminSocket.ts"
import type { ToolRunner } from "./mcp/ToolRunner.ts"
import * as McpHttp from "./McpHttp.ts"
import * as McpToolsets from "./McpToolsets.ts"
import * as Observability from "./Observability.ts"
import { peek as peekWith } from "./Peek.ts"
import * as Tools from "./Tools.ts"

/** Settings, and logs and toolsets as they say. */
const ground = (sources: Sources) =>
  Layer.merge(Observability.layer, McpToolsets.layer).pipe(Layer.provideMerge(Settings.layer(sources)))

/** The tools over the control plane of this process: it fences one that ran before it. */
const tools = Tools.layer({ claim: true })

const adminSocket = Layer.unwrap(Effect.map(Settings, ({ mcpAdminSocket }) => AdminSocket.layer(mcpAdminSocket)))

/** A signal ends these with 0: finishing what was begun is their success. */
const untilSignal = <A, E, R>(work: Effect.Effect<A, E, R>) =>
  Effect.onInterrupt(work, () =>
    Effect.sync(() => {
      process.exitCode = 0
    }))

const overHttp = Layer.launch(
  Layer.mergeAll(McpHttp.layer, adminSocket, HeapTrimmer.layer).pipe(Layer.provide(tools))
)

const overStdio = Effect.flatMap(
  Effect.promise(() => import("./McpStdio.ts")),
  (McpStdio) => McpStdio.run(adminSocket.pipe(Layer.provideMerge(tools)))
)

const serve = (sources: Sources) =>
  Effect.flatMap(Settings, ({ mcpTransport }) => mcpTransport === "stdio" ? overStdio : overHttp).pipe(
    Effect.provide(ground(sources)),
    untilSignal
  )

const stdio = (sources: Sources) => overStdio.pipe(Effect.provide(ground(sources)), untilSignal)

/** A short look from outside: only errors are worth a line. */
const peek = (sources: Sources, why: string) =>
  Effect.flatMap(Settings, (settings) => peekWith(settings, why)).pipe(
    Effect.provide([Settings.layer(sources), Observability.logs("ERROR")])
  )

/** Looks at everything; only errors of the looking itself are worth a line. */
const doctor = (sources: Sources) =>
  Effect.flatMap(Effect.promise(() => import("./doctor/Doctor.ts")), ({ examine }) => examine(sources)).pipe(
    Effect.provide(Observability.logs("ERROR"))
  )

/** A control plane for one command: only warnings are worth a line beside its output. */
const alone = <A, E>(sources: Sources, work: Effect.Effect<A, E, ToolRunner>) =>
  work.pipe(
    Effect.provide(Tools.layer({ claim: false })),
    Effect.provide(Layer.merge(Settings.layer(sources), Observability.logs("WARNING")))
  )

/** `serve` alone is how services start it; it does without the code of the command line, a quarter of the start. */
const byArguments = (args: ReadonlyArray<string>): Effect.Effect<void, unknown> =>
  args.length === 1 && args[0] === "serve"
    ? serve({ env: process.env })
    : Effect.flatMap(
      Effect.promise(() => import("./cli/Commands.ts")),
      ({ runCommand }) => runCommand({ serve, stdio, peek, doctor, alone }, args)
    )

runProcess(
  byArguments(process.argv.slice(2)),
  (cause) => Effect.runSync(Effect.provide(Effect.logError("defect", cause), Observability.logs("ERROR")))
)
