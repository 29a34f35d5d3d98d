/**
 * The verbs on sessions: list, show, end. Sessions of the Runtime API itself are neither listed nor ended.
 *
 * HAProxy walks all of its streams for a list, so it is read piece by piece and no further than a page needs.
 */
import * as Effect from "effect/Effect"
import { type ControlError, Forbidden, InvalidInput, NotFound } from "../../domain/Errors.ts"
import { RuntimeApi } from "../../haproxy/RuntimeApi.ts"
import * as Streams from "../../haproxy/StreamCommands.ts"
import * as Tracing from "../../Tracing.ts"
import type { Answer } from "../Answer.ts"
import * as Input from "../Input.ts"
import { ask, inTime } from "../Proxies.ts"
import type { ProgramServices } from "../Services.ts"
import { serverIn } from "./Backend.ts"
import { type RowsInput, scanPage } from "./Rows.ts"
import { asWriter, endBeforeTelling, notSo, tell } from "./Telling.ts"

export interface SessionListInput extends RowsInput {
  readonly frontend?: string
  readonly backend?: string
  readonly server?: string
  readonly source?: string
  readonly older_than?: number
}

export interface SessionListAnswer extends Answer {
  readonly sessions: ReadonlyArray<{
    readonly id: string
    readonly source: string
    readonly frontend: string
    readonly backend: string
    readonly server: string
    readonly age_sec: number
    readonly protocol: string
  }>
  readonly scanned: number
  readonly next_cursor: string | null
}

/** Seconds of a filter at most: a month. */
const oldest = 31 * 86_400

/** HAProxy's own streams. */
const isOurs = (session: Streams.Session): boolean => session.frontend === "GLOBAL"

/** Sessions in HAProxy's order. */
export const listSessions = Tracing.fn("listSessions")(function*(
  input: SessionListInput
): Effect.fn.Return<SessionListAnswer, ControlError, RuntimeApi> {
  const name = (field: "frontend" | "backend" | "server") =>
    input[field] === undefined ? Effect.succeed(undefined) : Input.proxyName(field, input[field])
  const frontend = yield* name("frontend")
  const backend = yield* name("backend")
  const server = yield* name("server")
  const source = input.source === undefined ? undefined : yield* Input.search("source", input.source)
  const olderThan = input.older_than === undefined
    ? undefined
    : yield* Input.whole("older_than", input.older_than, 0, oldest)
  if (server !== undefined && backend === undefined) {
    return yield* new InvalidInput({
      message: "server without backend",
      hint: "Name the backend of the server, too.",
      field: "backend"
    })
  }
  const link = yield* (yield* RuntimeApi).link
  // 3.0 ignores these words; 3.2 refuses a name that it does not have, which then is no session at all here.
  const filters = link._tag === "Up" && link.capabilities.quietPrompt ? { frontend, backend, server } : {}
  const words = Streams.listWords({
    ...(olderThan === undefined ? {} : { olderThan }),
    ...Object.fromEntries(Object.entries(filters).filter(([, value]) => value !== undefined))
  })
  const { next_cursor, rows, scanned } = yield* inTime(scanPage(words, input, (line) => {
    const session = Streams.parseLine(line)
    if (session !== null) return session
    return /^(?:No such|Can't find|Unknown) /i.test(line) ? undefined : null
  }, (session) =>
    !isOurs(session)
    && (frontend === undefined || session.frontend === frontend)
    && (backend === undefined || session.backend === backend)
    && (server === undefined || session.server === server)
    && (source === undefined || session.source.includes(source))))
  const sessions = rows.map(({ age, ...rest }) => ({
    id: rest.id,
    source: rest.source,
    frontend: rest.frontend,
    backend: rest.backend,
    server: rest.server,
    age_sec: age,
    protocol: rest.protocol
  }))
  return {
    summary: `${sessions.length} sessions${
      next_cursor === null ? "" : `, after a look at ${scanned}; more with next_cursor`
    }`,
    sessions,
    scanned,
    next_cursor
  }
})

/** An id of `show sess`. */
const sessionId = (value: string): Effect.Effect<string, InvalidInput> =>
  /^0x[0-9a-f]{1,16}$/.test(value) ? Effect.succeed(value) : Effect.fail(
    new InvalidInput({
      message: `id ${Input.shown(value)} is no id of a session`,
      hint: "haproxy_session_list says the ids, such as 0x7fa5e889f000.",
      field: "id"
    })
  )

const noSession = (id: string) =>
  new NotFound({
    message: `HAProxy has no session ${id} any more`,
    hint: "It has ended: haproxy_session_list says which there are.",
    field: "id",
    validValues: []
  })

/** All that HAProxy knows of one, in its own lines: they differ between versions. */
export const showSession = Tracing.fn("showSession")(function*(
  input: { readonly id: string }
): Effect.fn.Return<Answer & { readonly id: string; readonly lines: ReadonlyArray<string> }, ControlError, RuntimeApi> {
  const id = yield* sessionId(input.id)
  const lines = yield* inTime(ask(Streams.show(id)))
  if (lines === null) return yield* noSession(id)
  return { summary: `Session ${id}`, id, lines: lines.slice(0, 60) }
})

export interface KillSessionInput {
  readonly id?: string
  readonly backend?: string
  readonly server?: string
}

export interface KillSessionAnswer extends Answer {
  readonly changed: boolean
  readonly remaining: number
}

/** Looks until a killed session is gone: HAProxy ends it when its turn comes. */
const lookEvery = 20
const mostLooks = 100

const killOne = Effect.fnUntraced(function*(given: string) {
  const id = yield* sessionId(given)
  const lines = yield* inTime(ask(Streams.show(id)))
  if (lines !== null && lines.some((line) => line.startsWith("frontend=GLOBAL "))) {
    return yield* new Forbidden({
      message: `${id} is a session of the Runtime API, perhaps our own`,
      hint: "Only sessions of clients can be ended.",
      field: "id"
    })
  }
  if (lines !== null) {
    yield* endBeforeTelling({
      summary: `Session ${id} is ended`,
      commands: [Streams.kill(id)],
      now: { remaining: 1 },
      sessions: 1
    })
  }
  if (lines === null || (yield* tell(Streams.kill(id))) === "not found") {
    return { summary: `Session ${id} had ended already`, changed: false, remaining: 0 }
  }
  for (let look = 1;; look++) {
    if ((yield* inTime(ask(Streams.show(id)))) === null) break
    if (look === mostLooks) return yield* notSo(`session ${id} is still there`)
    yield* Effect.sleep(lookEvery)
  }
  return { summary: `Session ${id} is ended`, changed: true, remaining: 0 }
})

/** Ends one session, or all of a server. Clients see a broken connection. */
export const killSessions = asWriter(
  Tracing.fn("killSessions")(function*(
    input: KillSessionInput
  ): Effect.fn.Return<KillSessionAnswer, ControlError, ProgramServices> {
    const both = input.backend !== undefined && input.server !== undefined
    if ((input.id === undefined) === (input.backend === undefined) || (input.id === undefined && !both)) {
      return yield* new InvalidInput({
        message: input.id === undefined ? "Nothing is named" : "id stands beside backend and server",
        hint: "Give id, or backend and server.",
        field: "id"
      })
    }
    if (input.id !== undefined) return yield* killOne(input.id)
    const backend = yield* Input.proxyName("backend", input.backend!)
    const server = yield* Input.proxyName("server", input.server!)
    const before = yield* inTime(serverIn(backend, server))
    const kill = Streams.killOfServer(backend, server)
    yield* endBeforeTelling({
      summary: `${before.sessions} sessions of ${backend}/${server} are ended`,
      commands: before.sessions > 0 ? [kill] : [],
      now: { remaining: before.sessions },
      sessions: before.sessions,
      backend
    })
    yield* tell(kill)
    let left = before.sessions
    for (let look = 0; left > 0 && look < mostLooks; look++) {
      left = (yield* inTime(serverIn(backend, server))).sessions
      if (left > 0) yield* Effect.sleep(lookEvery)
    }
    return {
      summary: `${before.sessions} sessions of ${backend}/${server} are ended`
        + (left > 0 ? `; ${left} are there now, which may be new ones` : ""),
      changed: before.sessions > 0,
      remaining: left
    }
  })
)
