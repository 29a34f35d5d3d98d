/**
 * An operator's choices about the remote copy: which database goes on, or that an old one comes back. They run while no
 * control plane has the local file open.
 *
 * Guarantees: first the number is taken, which fences whoever writes, however fast that is (remote/Claim.ts), then the newest
 * content is made sure of, so nothing that was acknowledged is missed. A choice is one new generation on top of the newest one, so nothing in the log is overwritten, and whoever held
 * the content before sees one that is ahead; the local file follows, and the one that was there is kept. Interrupted at any
 * step, the next start finishes it or finds everything as before.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { Conflict, type ControlError, NotFound, StorageFailed } from "../../domain/Errors.ts"
import type { FullCopy } from "../../domain/Generation.ts"
import type { Position } from "../../domain/Lineage.ts"
import { type Look, RemoteSync } from "../../remote/RemoteSync.ts"
import * as Install from "../../store/Install.ts"
import * as Replica from "../../store/Replica.ts"
import type { Revocations } from "../../store/Tokens.ts"
import type { RemoteActionAnswer, RemoteRestoreInput, RemoteTakeOverInput } from "./RemoteControl.ts"

/** What is to be done. */
export type Action =
  | { readonly kind: "restore"; readonly input: RemoteRestoreInput }
  | { readonly kind: "take over"; readonly input: RemoteTakeOverInput }

type Content = Pick<Extract<Replica.Materialised, { readonly kind: "ours" }>, "bytes" | "position">

const damaged = (what: string, why: string) =>
  new StorageFailed({
    message: `${what} cannot be used: ${why}`,
    hint: "Nothing was changed. `haproxy-mcp remote list` shows the generations that verify; restore one of them."
  })

const whole = (what: string, made: Replica.Materialised) =>
  made.kind === "ours"
    ? Effect.succeed(made)
    : Effect.fail(damaged(what, made.kind === "newer" ? `it is of a later program (schema ${made.schema})` : made.why))

/** The newest content there that is whole; null when there is none. */
const contentOf = ({ bare, isEmpty, newest }: Look): Content | null => {
  if (isEmpty) {
    const found = bare === null ? null : Replica.examine(bare)
    return found?.kind === "ours" ? { bytes: bare!, position: found.position } : null
  }
  const made = newest === null ? null : Replica.materialise(newest)
  return made?.kind === "ours" ? made : null
}

/** The local file as bytes. */
const local = Effect.fnUntraced(function*(file: string) {
  const found = yield* Install.examineFile(file)
  if (found.kind !== "ours") {
    return yield* new NotFound({
      message: `There is no usable database at ${file}`,
      hint: "Nothing was changed. `haproxy-mcp remote take-over --keep remote` goes on from the remote host's."
    })
  }
  return { bytes: yield* Install.readWhole(file), position: found.position } satisfies Content
})

/** What a content that does not go on says of tokens: the one that goes on may have made some of its own since. */
const endedIn = (bytes: Uint8Array): Revocations => ({ ...Replica.revocationsIn(bytes), known: null })

/**
 * Publishes a content as the newest generation, and puts it in place here. Tokens that were revoked in what goes stay so.
 */
const goOn = Effect.fnUntraced(function*(
  file: string,
  what: string,
  content: Content,
  onto: Position | null,
  ended: Revocations | null
) {
  const remote = yield* RemoteSync
  const made = yield* whole(what, Replica.supersede(content.bytes, onto, ended))
  const { bytes, position, sha256 } = made
  const copy: FullCopy = { kind: "full", state: Replica.snapshotOf(position), bytes, sha256 }
  const head = yield* remote.publish(copy)
  const kept = yield* Install.install(file, made.bytes)
  return { generation: head.generation, revision: made.position.revision, kept }
})

/**
 * Fences whoever writes, and answers what is the newest content now, onto which the choice is made; `before` is that of the
 * look. From here on only this process can write there.
 */
const claimed = Effect.fnUntraced(function*(look: Look, before: Content | null) {
  const remote = yield* RemoteSync
  const now = look.isEmpty ? look : yield* remote.claim(look)
  yield* remote.adopt(now)
  const isSame = now.reading.found?.head.sha === look.reading.found?.head.sha
  const there = isSame ? before : contentOf(now)
  if (before === null || there !== null) return there
  return yield* new StorageFailed({
    message: "What was written on the remote host meanwhile does not verify",
    hint: "Nobody writes there any more. Check the remote's disk, then repeat the call."
  })
})

const takeOver = Effect.fnUntraced(function*(file: string, { keep = "remote" }: RemoteTakeOverInput) {
  const remote = yield* RemoteSync
  const look = yield* remote.look
  const before = contentOf(look)
  const here = yield* Effect.result(local(file))
  if (keep === "local") {
    const content = yield* Effect.fromResult(here)
    const there = yield* claimed(look, before)
    const ended = there === null ? null : endedIn(there.bytes)
    const done = yield* goOn(file, "The local database", content, there?.position ?? null, ended)
    return { ...done, summary: `The database of this machine goes on, as generation ${done.generation}`, warnings: [] }
  }
  if (before === null) {
    return yield* new NotFound({
      message: "The remote host holds no database that could go on",
      hint: "Nothing was changed. `haproxy-mcp remote take-over --keep local` puts the database of this machine there."
    })
  }
  const there = (yield* claimed(look, before)) ?? before
  const ended = Result.isSuccess(here) ? endedIn(here.success.bytes) : null
  const done = yield* goOn(file, "The remote host's database", there, there.position, ended)
  return { ...done, summary: `The remote host's database goes on, as generation ${done.generation}`, warnings: [] }
})

const restore = Effect.fnUntraced(function*(file: string, { generation }: RemoteRestoreInput) {
  const remote = yield* RemoteSync
  const look = yield* remote.look
  const before = contentOf(look)
  const candidate = yield* remote.generation(generation)
  if (candidate === null) {
    return yield* new NotFound({
      message: `The remote host holds no generation ${generation}`,
      hint: "Nothing was changed. `haproxy-mcp remote list` shows those that there are."
    })
  }
  if (before === null) return yield* damaged("The newest generation", "none verifies; take over first")
  const content = yield* whole(`Generation ${generation}`, Replica.materialise(candidate))
  if (content.position.schema < before.position.schema) {
    return yield* new Conflict({
      message: `Generation ${generation} is of an older program (schema ${content.position.schema})`,
      hint: "Nothing was changed. Bring it back with `haproxy-mcp restore` and that program, then upgrade."
    })
  }
  const there = (yield* claimed(look, before)) ?? before
  const ended = Replica.revocationsIn(there.bytes)
  const done = yield* goOn(file, `Generation ${generation}`, content, there.position, ended)
  return {
    ...done,
    summary: `Generation ${generation} is the desired state again, as generation ${done.generation}`,
    warnings: ["Certificates are files and stay as they are: only their rows came back."]
  }
})

/** Does it; nobody else may have the local file open. */
export const run = (file: string, action: Action): Effect.Effect<RemoteActionAnswer, ControlError, RemoteSync> =>
  action.kind === "restore" ? restore(file, action.input) : takeOver(file, action.input)
