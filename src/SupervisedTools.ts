/**
 * The tools where control planes come and go (Supervisor.ts): calls go to the one that is there; while there is none, each
 * is answered with the reason. The verbs on the remote copy work in every case.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Settings, type SettingsShape } from "./Config.ts"
import type { ConfigInvalid, ControlError } from "./domain/Errors.ts"
import { withAllRights } from "./domain/Principal.ts"
import { HostAccess } from "./HostAccess.ts"
import { remoteCatalogue } from "./mcp/admin/remote.ts"
import { callTool } from "./mcp/CallTool.ts"
import { decisive } from "./mcp/Readings.ts"
import { watchCurrent } from "./mcp/Subscriptions.ts"
import { failure, success, type ToolResult } from "./mcp/ToolResult.ts"
import { rulesHere, ToolRunner } from "./mcp/ToolRunner.ts"
import { refusalOf } from "./mcp/Visible.ts"
import type { CallerShape } from "./program/Caller.ts"
import { remoteComponent } from "./program/Health.ts"
import { healthWithout } from "./program/HealthWithout.ts"
import type { ReplicationStatus } from "./program/replication/Publisher.ts"
import { type GenerationItem, RemoteControl, type RemoteControlShape } from "./program/replication/RemoteControl.ts"
import type { ProgramServices } from "./program/Services.ts"
import { type TokenLookup, unreadTokens } from "./program/TokenIndex.ts"
import { type Listed, RemoteSync } from "./remote/RemoteSync.ts"
import * as Supervisor from "./Supervisor.ts"

/** How the copy stands while there is no control plane. */
const statusWithout = (settings: SettingsShape, { message }: ControlError): ReplicationStatus => ({
  mode: settings.haproxyRemoteSync,
  role: "reader",
  generation: null,
  lag: 0,
  publishedAt: null,
  reason: message
})

const itemOf = ({ claim, gen, manifest }: Listed): GenerationItem => ({
  generation: gen,
  kind: claim === null ? manifest?.kind ?? "full" : "claim",
  revision: manifest?.revision ?? 0,
  commits: manifest?.commits ?? 0,
  size: manifest?.size ?? 0,
  written_at: (manifest ?? claim)?.at ?? "",
  writer: (manifest ?? claim)?.writer ?? "",
  host: (manifest ?? claim)?.host ?? "",
  state: manifest === null && claim === null ? "its manifest cannot be read" : "ok"
})

const control = (
  settings: SettingsShape,
  remote: RemoteSync["Service"],
  { act, now }: Supervisor.Supervised
): RemoteControlShape => ({
  status: Effect.gen(function*() {
    const found = now()
    const link = yield* remote.link
    const status = "runner" in found ? yield* found.publisher.status : statusWithout(settings, found)
    return {
      summary: status.role === "reader"
        ? `This control plane only reads: ${status.reason}`
        : status.reason !== ""
        ? `The remote copy is behind: ${status.reason}`
        : `The remote host holds generation ${status.generation ?? "none yet"}`,
      mode: status.mode,
      role: status.role,
      host: remote.host,
      file: remote.file,
      link: link._tag === "Up" ? { up: true, reason: "" } : { up: false, reason: link.reason },
      generation: status.generation,
      lag: status.lag,
      last_published_at: status.publishedAt === null ? null : new Date(status.publishedAt).toISOString(),
      started_as: "runner" in found ? found.decided.told : "",
      reason: status.reason
    }
  }),
  list: (limit) =>
    Effect.map(remote.list(limit), ({ generations, total }) => ({
      summary: `${total} generations on ${remote.host}`,
      generations: generations.map(itemOf),
      total
    })),
  restore: (input) => act({ kind: "restore", input }),
  takeOver: (input) => act({ kind: "take over", input })
})

/** Who was let in before the database was read: with it the rights are known, for a call that has waited for it. */
const decided = (caller: Omit<CallerShape, "tool">, tokens: TokenLookup): Omit<CallerShape, "tool"> =>
  caller.principal.undecided === true && tokens.any() === false
    ? { ...caller, principal: withAllRights(caller.principal.kind, caller.principal.name) }
    : caller

const make = Effect.fnUntraced(function*(options: Supervisor.SupervisorOptions) {
  const settings = yield* Settings
  const remote = yield* RemoteSync
  const supervised = yield* Supervisor.make(options)
  const remoteControl = control(settings, remote, supervised)
  const rules = yield* rulesHere
  // Between two control planes the tokens of the one before count.
  let last: TokenLookup = unreadTokens
  const tokens = (): TokenLookup => {
    const found = supervised.now()
    return "runner" in found ? last = found.runner.tokens : last
  }

  const without = (name: string, error: ControlError): ToolResult =>
    name !== "haproxy_health" ? failure(error) : success({
      ...healthWithout({
        reason: error.message,
        mapFile: settings.haproxyMapFile,
        wildcardsFile: settings.wildcardsFile,
        dbFile: settings.haproxyDbFile,
        poolsDeclared: settings.haproxyPoolCount,
        remote: remoteComponent(statusWithout(settings, error))
      })
    })

  const currentBy = (timeout: number) =>
    Effect.timeoutOrElse(supervised.current, { duration: timeout, orElse: () => Effect.sync(supervised.now) })

  return ToolRunner.of({
    rules,
    tokens: { find: (text) => tokens().find(text), any: () => tokens().any() },
    call: (name, args, caller) => {
      const tool = decisive(name)
      const refused = tool === undefined ? null : refusalOf(tool, caller.principal, rules)
      if (refused !== null && refused._tag === "Forbidden") return Effect.succeed(failure(refused))
      return Effect.flatMap(
        currentBy(caller.timeout),
        (found) =>
          "runner" in found
            ? found.runner.call(name, args, decided(caller, found.runner.tokens))
            : Effect.succeed(without(name, found))
      )
    },
    admin: (verb, args, caller) =>
      remoteCatalogue.find(verb) === undefined
        ? Effect.flatMap(
          currentBy(caller.timeout),
          (found) => "runner" in found ? found.runner.admin(verb, args, caller) : Effect.succeed(failure(found))
        )
        // These verbs ask for nothing of a control plane.
        : callTool(verb, args, caller, remoteCatalogue).pipe(
          Effect.provideService(RemoteControl, remoteControl)
        ) as Effect.Effect<ToolResult, never, Exclude<ProgramServices, ProgramServices>>,
    watch: watchCurrent(() => {
      const found = supervised.now()
      return "runner" in found ? found.runner.watch : null
    }),
    notReady: Effect.suspend(() => {
      const found = supervised.now()
      return "runner" in found ? found.runner.notReady : Effect.succeed(found.message)
    }),
    stopping: supervised.stopping
  })
})

/** The database's home on HAProxy's host. */
const remote = Layer.unwrap(Effect.gen(function*() {
  const { haproxyRemoteDbFile: file, ssh: options } = yield* Settings
  const { ssh } = yield* HostAccess
  if (options === null || ssh === null) return yield* Effect.die(new Error("a remote copy without HAPROXY_SSH_HOST"))
  return RemoteSync.layer({ ssh, host: `${options.user}@${options.host}:${options.port}`, file })
}))

/** For as long as the layer lives. */
export const layer = (options: Supervisor.SupervisorOptions): Layer.Layer<ToolRunner, ConfigInvalid, Settings> =>
  Layer.effect(ToolRunner, make(options)).pipe(Layer.provide(remote), Layer.provide(HostAccess.layer))
