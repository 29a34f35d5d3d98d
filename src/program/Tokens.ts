/**
 * Bearer tokens: made, listed, revoked. The command line makes the secret and hands over its hash, so no secret is ever in
 * an answer, a socket or a row.
 *
 * Guarantees: a token that `newToken` answered is durable and good; one that `revokeToken` was asked for is refused at once
 * in this process, whether its row can be written or not, and for good once the answer is a success.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Conflict, type ControlError, InvalidInput, NotFound, OutcomeUnknown, StorageFailed } from "../domain/Errors.ts"
import { nearest } from "../domain/Nearest.ts"
import { type Scope, scopes } from "../domain/Principal.ts"
import { isTokenId, isTokenName, parseLimit, statusOf, type Token } from "../domain/Token.ts"
import { Store } from "../store/Store.ts"
import * as Tracing from "../Tracing.ts"
import type { Answer } from "./Answer.ts"
import { auditOf } from "./AuditTrail.ts"
import { Caller } from "./Caller.ts"
import { newChangeId } from "./ChangeId.ts"
import * as Endings from "./Endings.ts"
import * as Input from "./Input.ts"
import { Publisher } from "./replication/Publisher.ts"
import { makeTokenIndex, type TokenIndex } from "./TokenIndex.ts"

/** Milliseconds between two times that uses are written. */
const noteEvery = 3_600_000
/** Tokens that may be good at one time: each is looked at by a person now and then. */
const mostTokens = 1_000
/** Domains that one token may name. */
const mostDomains = 100

export class Tokens extends Context.Service<Tokens, TokenIndex>()("haproxy-mcp/program/Tokens") {
  /** Reads the tokens of the store; notes their use about once an hour and at the end. */
  static readonly layer: Layer.Layer<Tokens, StorageFailed, Store> = Layer.effect(
    Tokens,
    Effect.gen(function*() {
      const store = yield* Store
      const publisher = yield* Publisher
      const index = makeTokenIndex(yield* store.tokens)
      const note = Effect.suspend(() => {
        if (index.used.size === 0) return Effect.void
        const used = new Map(index.used)
        index.used.clear()
        // Who may only read leaves it.
        return Effect.flatMap(
          publisher.refusal,
          (refusal) => refusal === null ? Effect.ignore(store.commit(store.touchTokens(used))) : Effect.void
        )
      })
      yield* Effect.addFinalizer(() => note)
      yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(noteEvery), note)))
      return index
    })
  )
}

export interface NewTokenInput {
  readonly id: string
  readonly hash: string
  readonly name: string
  readonly scopes: ReadonlyArray<string>
  readonly domains?: ReadonlyArray<string>
  /** Milliseconds since 1970; absent: never. */
  readonly expires?: number
}

/** A token as answers show it. */
export interface TokenItem {
  readonly id: string
  readonly name: string
  readonly status: "good" | "expired" | "revoked"
  readonly scopes: ReadonlyArray<string>
  readonly domains: ReadonlyArray<string> | null
  readonly created: string
  readonly expires: string | null
  readonly revoked: string | null
  readonly last_used: string | null
}

export interface TokenAnswer extends Answer {
  readonly token: TokenItem
  readonly changed: boolean
}

export interface ListTokensAnswer extends Answer {
  readonly tokens: ReadonlyArray<TokenItem>
}

const iso = (at: number | null): string | null => at === null ? null : new Date(at).toISOString()

const itemOf = (token: Token): TokenItem => ({
  id: token.id,
  name: token.name,
  status: statusOf(token, Date.now()),
  scopes: token.scopes,
  domains: token.domains,
  created: new Date(token.created).toISOString(),
  expires: iso(token.expires),
  revoked: iso(token.revokedAt),
  last_used: iso(token.lastUsed)
})

const wrong = (field: string, message: string, hint: string, validValues?: ReadonlyArray<string>) =>
  new InvalidInput({ message, hint, field, ...(validValues === undefined ? {} : { validValues }) })

const isScope = (text: string): text is Scope => (scopes as ReadonlyArray<string>).includes(text)

/** The token that was asked for, checked. */
const checked = (input: NewTokenInput, now: number): Token | InvalidInput => {
  if (!isTokenId(input.id) || !/^[0-9a-f]{64}$/.test(input.hash)) {
    return wrong("id", "That is no id and SHA-256 of a token", "Use `haproxy-mcp token new`.")
  }
  if (!isTokenName(input.name)) {
    return wrong(
      "name",
      `name ${Input.shown(input.name)} is no name of a token`,
      "Use up to 40 letters, digits and . _ @ -, such as ci or alice@laptop."
    )
  }
  const odd = input.scopes.find((scope) => !isScope(scope))
  if (odd !== undefined || input.scopes.length === 0) {
    return wrong(
      "scopes",
      odd === undefined ? "scopes is empty" : `${Input.shown(odd)} is no scope`,
      "Name one of them.",
      scopes
    )
  }
  if (input.expires !== undefined && !(input.expires > now)) {
    return wrong("expires", "expires is in the past", "Name a time to come, such as 90d.")
  }
  const domains = input.domains?.map((domain) => [domain, parseLimit(domain)] as const) ?? null
  const bad = domains?.find(([, limit]) => limit === null)
  if (bad !== undefined) {
    return wrong(
      "domains",
      `${Input.shown(bad[0])} is neither a domain nor *.domain`,
      "Write shop.example.com for one name, *.example.com for all below example.com."
    )
  }
  if (domains !== null && (domains.length === 0 || domains.length > mostDomains)) {
    return wrong("domains", `A token names 1 to ${mostDomains} domains, or none at all`, "Use *.example.com for many.")
  }
  return {
    id: input.id,
    hash: input.hash,
    name: input.name,
    scopes: scopes.filter((scope) => input.scopes.includes(scope)),
    domains: domains?.map(([, limit]) => limit!) ?? null,
    created: now,
    expires: input.expires ?? null,
    revokedAt: null,
    lastUsed: null
  }
}

/** `config, certs for *.example.com until 2027-01-01T…`. */
const rightsText = ({ domains, expires, scopes }: Token): string =>
  `${scopes.join(", ")}${domains === null ? "" : ` for ${domains.join(", ")}`}${
    expires === null ? ", without an end" : ` until ${iso(expires)}`
  }`

/** One commit with its row of the change log, durable where the database's home is. */
const committed = Effect.fnUntraced(function*(
  summary: string,
  rows: Effect.Effect<void, StorageFailed>
): Effect.fn.Return<void, ControlError, Store> {
  const store = yield* Store
  const publisher = yield* Publisher
  const caller = yield* Caller
  const { actor, timeout, tool } = caller
  const changeId = newChangeId()
  const deadline = Date.now() + timeout
  yield* publisher.mayWrite(deadline)
  yield* store.commit(
    Effect.andThen(
      rows,
      store.record({ changeId, actor, tool, summary, edits: [], outcome: "applied", audit: auditOf(caller) })
    )
  ).pipe(
    Effect.catchTag(
      "CommitUncertain",
      ({ message }) =>
        Effect.fail(new OutcomeUnknown({ message, changeId, hint: "`haproxy-mcp token list` says how it is." }))
    )
  )
  const publication = yield* publisher.published(deadline)
  if (publication._tag === "Unknown") return yield* Endings.notPublished(publication.reason, changeId)
})

/** Adds a token. The same once more changes nothing. */
export const newToken = Tracing.fn("newToken")(function*(
  input: NewTokenInput
): Effect.fn.Return<TokenAnswer, ControlError, Store | Tokens> {
  const store = yield* Store
  const index = yield* Tokens
  const token = checked(input, Date.now())
  if (token instanceof InvalidInput) return yield* token
  const existing = index.get(token.id)
  if (existing !== null) {
    if (existing.hash !== token.hash) {
      return yield* new Conflict({
        message: `There is a token ${token.id} already`,
        hint: "Make another one.",
        field: "id"
      })
    }
    return { summary: `Token ${token.name} (${token.id}) is there already`, token: itemOf(existing), changed: false }
  }
  if (index.all().filter((one) => statusOf(one, Date.now()) === "good").length >= mostTokens) {
    return yield* new Conflict({
      message: `${mostTokens} tokens are good now, which is the most`,
      hint: "Revoke those that nobody uses: `haproxy-mcp token list` says when each was used."
    })
  }
  const summary = `Made the token ${token.name} (${token.id}): ${rightsText(token)}`
  yield* Effect.uninterruptible(
    Effect.andThen(committed(summary, store.putToken(token)), Effect.sync(() => index.add(token)))
  )
  return { summary, token: itemOf(token), changed: true }
})

/** Revokes a token by its id, for good. */
export const revokeToken = Tracing.fn("revokeToken")(function*(
  input: { readonly id: string }
): Effect.fn.Return<TokenAnswer, ControlError, Store | Tokens> {
  const store = yield* Store
  const index = yield* Tokens
  const token = index.get(input.id)
  if (token === null) {
    return yield* new NotFound({
      message: `There is no token ${Input.shown(input.id)}`,
      hint: "`haproxy-mcp token list` says the ids.",
      field: "id",
      validValues: nearest(input.id, index.all().map(({ id }) => id), 5)
    })
  }
  const said = `the token ${token.name} (${token.id})`
  const written = (yield* store.tokens).find(({ id }) => id === token.id)?.revokedAt ?? null
  if (written !== null) {
    return { summary: `${said} was revoked ${iso(written)}`, token: itemOf(token), changed: false }
  }
  const at = Date.now()
  index.revoke(token.id, at)
  const summary = `Revoked ${said}`
  yield* Effect.uninterruptible(committed(summary, store.revokeToken(token.id, at))).pipe(
    Effect.mapError((error) =>
      error._tag === "OutcomeUnknown" ? error : new StorageFailed({
        message: `${error.message} This process refuses ${said} from now on, but that is not written.`,
        hint: "Revoke it again once the database can be written: after a restart it would be good."
      })
    )
  )
  return { summary, token: itemOf(index.get(token.id)!), changed: true }
})

/** All tokens, oldest first. */
export const listTokens: Effect.Effect<ListTokensAnswer, ControlError, Tokens> = Effect.map(Tokens, (index) => {
  const tokens = index.all().map(itemOf).sort((a, b) => a.created < b.created ? -1 : 1)
  const good = tokens.filter(({ status }) => status === "good").length
  return { summary: `${good} of ${tokens.length} tokens are good`, tokens }
})
