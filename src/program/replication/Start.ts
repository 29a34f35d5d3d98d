/**
 * The start beside a remote copy of the database: looks at both copies, has the table decide (domain/StartChoice.ts), and puts
 * in place what it says. Runs while nobody has the local file open.
 *
 * A start that is to write looks twice: first at everything, then, once it is decided that it can go on, it takes the next
 * number, which fences whoever writes (remote/Claim.ts), and looks at what came meanwhile. So it takes over from one that writes
 * all the time, and does not take the writing away where it would then refuse.
 *
 * Guarantees: a copy is used only after it was put together and checked whole; what is replaced is kept beside it; without an
 * answer of the remote nothing is written, here, there or in HAProxy.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import {
  ConfigInvalid,
  Conflict,
  type ControlError,
  Fenced,
  RemoteUnreachable,
  StorageFailed
} from "../../domain/Errors.ts"
import { chooseStart, type LocalCopy, type RemoteCopy, type StartChoice } from "../../domain/StartChoice.ts"
import { type Look, nameOf, RemoteSync } from "../../remote/RemoteSync.ts"
import * as DurableMark from "../../store/DurableMark.ts"
import * as Install from "../../store/Install.ts"
import * as RemoteNote from "../../store/RemoteNote.ts"
import * as Replica from "../../store/Replica.ts"

/** What a control plane is built on. */
export interface Prepared {
  /** Why it only reads; null: it is the one that writes. */
  readonly refusal: Fenced | RemoteUnreachable | null
  /** Decided without the remote: look again. */
  readonly isPassing: boolean
  /** What was decided, in words. */
  readonly told: string
}

/** There can be no control plane now. `isPassing`: look again by itself. */
export interface NoStart {
  readonly error: ControlError
  readonly isPassing: boolean
}

/** The remote's side with the bytes that would be put in place. */
interface Remote {
  readonly copy: RemoteCopy
  readonly bytes: Uint8Array | null
  readonly adopt: Effect.Effect<void>
}

const unreachable = (why: string, hint: string): Remote => ({
  copy: { kind: "unreachable", why, hint },
  bytes: null,
  adopt: Effect.void
})

/** What a look found: its bytes are those that were written, and what they are is seen here. */
const seen = (look: Look, adopt: Effect.Effect<void>): Remote => {
  const { bad, bare, isEmpty, newest } = look
  if (isEmpty) {
    const found = bare === null ? null : Replica.examine(bare)
    const copy: RemoteCopy = found?.kind === "ours"
      ? { kind: "bare", position: found.position }
      : found?.kind === "newer"
      ? found
      : { kind: "empty" }
    return { copy, bytes: bare, adopt }
  }
  const made = newest === null ? null : Replica.materialise(newest)
  const copy: RemoteCopy = made?.kind === "ours"
    ? { kind: "verified", position: made.position, bad }
    : made?.kind === "newer"
    ? { kind: "newer", schema: made.schema }
    : { kind: "all bad", newest: newest?.state ?? bad[0]?.state ?? null }
  return { copy, bytes: made?.kind === "ours" ? made.bytes : null, adopt }
}

const withoutAnswer = ({ hint, message }: RemoteUnreachable | StorageFailed) =>
  Effect.succeed(unreachable(message, hint))

/** Looks; and how the writing is claimed from whoever writes, after which it is seen what there is then. */
const lookThere = Effect.gen(function*() {
  const remote = yield* RemoteSync
  const look = yield* remote.look
  const there = seen(look, remote.adopt(look))
  const claim = look.isEmpty ? Effect.succeed(there) : Effect.map(remote.claim(look), (now) => {
    const isSame = now.reading.found?.head.sha === look.reading.found?.head.sha
    return isSame ? { ...there, adopt: remote.adopt(now) } : seen(now, remote.adopt(now))
  })
  return { there, claim: Effect.catchTags(claim, { RemoteUnreachable: withoutAnswer, StorageFailed: withoutAnswer }) }
}).pipe(
  Effect.catchTags({ RemoteUnreachable: withoutAnswer, StorageFailed: withoutAnswer }),
  Effect.map((found) => "there" in found ? found : { there: found, claim: Effect.succeed(found) })
)

/** The local file as the table wants it. `remote`: as notes name it. */
export const lookHere = Effect.fnUntraced(
  function*(file: string, remote: string): Effect.fn.Return<LocalCopy, StorageFailed> {
    const found = yield* Install.examineFile(file)
    if (found.kind !== "ours") return found
    const mark = DurableMark.read(file)
    return {
      ...found,
      wasPublished: RemoteNote.read(file)?.lineage === found.position.lineage,
      durable: mark?.remote === remote ? mark : null
    }
  }
)

const refusalOf = (choice: Extract<StartChoice, { readonly kind: "read-only" }>): ControlError => {
  const fields = { message: choice.reason, hint: choice.hint }
  switch (choice.code) {
    case "REMOTE_UNREACHABLE":
      return new RemoteUnreachable(fields)
    case "FENCED":
      return new Fenced(fields)
    case "CONFIG_INVALID":
      return new ConfigInvalid(fields)
    case "STORAGE_FAILED":
      return new StorageFailed(fields)
  }
}

const fail = (error: ControlError, isPassing: boolean) => Effect.fail<NoStart>({ error, isPassing })

/**
 * One start. `fenced`: another control plane took over from this process, which therefore only reads until an operator says
 * otherwise. `claims`: it fences whoever writes now, once it is known that this one can go on. Fails with {@link NoStart} where there is nothing to build a control plane on.
 */
export const prepare = Effect.fnUntraced(function*(
  file: string,
  fenced: Fenced | null,
  claims: boolean
): Effect.fn.Return<Prepared, NoStart, RemoteSync> {
  if (fenced !== null) return { refusal: fenced, isPassing: false, told: fenced.message }
  const here = yield* Effect.result(lookHere(file, nameOf(yield* RemoteSync)))
  if (Result.isFailure(here)) return yield* fail(here.failure, true)
  const { claim, there: before } = yield* lookThere
  const first = chooseStart(before.copy, here.success)
  const claimed = first.kind !== "read-only" && claims ? yield* Effect.result(claim) : Result.succeed(before)
  if (Result.isFailure(claimed)) return yield* fail(claimed.failure, true)
  const there = claimed.success
  const choice = there === before ? first : chooseStart(there.copy, here.success)
  if (choice.kind === "read-only") {
    const error = refusalOf(choice)
    if (!choice.serve || (error._tag !== "Fenced" && error._tag !== "RemoteUnreachable")) {
      return yield* fail(error, choice.retry)
    }
    return { refusal: error, isPassing: choice.retry, told: choice.reason }
  }
  if (choice.kind === "take remote" && there.bytes !== null) {
    const installed = yield* Effect.result(Install.install(file, there.bytes, choice.aside ? "aside" : "before"))
    if (Result.isFailure(installed)) return yield* fail(installed.failure, !(installed.failure instanceof Conflict))
    yield* there.adopt
    const kept = installed.success === null ? "" : ` The database that was here is kept as ${installed.success}.`
    return {
      refusal: null,
      isPassing: false,
      told: `${choice.notice ?? "The remote's newest database goes on here."}${kept}`
    }
  }
  yield* there.adopt
  return {
    refusal: null,
    isPassing: false,
    told: choice.kind === "use local"
      ? choice.notice ?? "The database of this machine goes on; the remote holds it, or what came before it."
      : "There is no database here or on the remote: a new one is made."
  }
})
