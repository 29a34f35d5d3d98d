/**
 * The stored tokens in memory, by their public id: what the gate asks, for every request, without a look at the database.
 *
 * Guarantees: what was revoked is refused from that moment on, by everybody who asks `isGood` as well. A token is
 * compared by its SHA-256 in constant time, an unknown id against a hash that nothing has, so that neither a secret nor its
 * nearness can be read from the time it takes. Once there has been a token there is authentication: when the last one is
 * revoked, nobody is let in without one.
 */
import { hash, timingSafeEqual } from "node:crypto"
import { type Grant, type Principal } from "../domain/Principal.ts"
import { statusOf, type Token, tokenId } from "../domain/Token.ts"

/**
 * Why a token of the right form is not taken. `unknown`: no such token, or its secret is wrong. `unready`: the database has
 * not been read yet.
 */
export type TokenRefusal = "unknown" | "expired" | "revoked" | "unready"

/** What asks for tokens needs of it. */
export interface TokenLookup {
  /** What a text gives that has the form of a stored token; null for other forms. */
  readonly find: (text: string) => Grant | TokenRefusal | null
  /** Is or was there any token? Null: it is not known yet. */
  readonly any: () => boolean | null
}

/** There is no database: nothing is a stored token. */
export const noTokens: TokenLookup = { find: () => null, any: () => false }

/** The database has not been read yet. */
export const unreadTokens: TokenLookup = {
  find: (text) => tokenId(text) === null ? null : "unready",
  any: () => null
}

/** Times of use are kept to the hour. */
const hour = 3_600_000

interface Entry {
  token: Token
  readonly hash: Buffer
  readonly principal: Principal
}

/** SHA-256 in hexadecimal. */
export const hashOf = (text: string): string => hash("sha256", text, "hex")

const noHash = Buffer.from("0".repeat(64), "latin1")

const entryOf = (token: Token): Entry => ({
  token,
  hash: Buffer.from(token.hash, "latin1"),
  principal: { kind: "token", id: token.id, name: token.name, scopes: token.scopes, domains: token.domains }
})

/** Makes an index of these tokens. */
export const makeTokenIndex = (rows: ReadonlyArray<Token>) => {
  const entries = new Map(rows.map((token) => [token.id, entryOf(token)]))
  const used = new Map<string, number>()
  const isGood = (entry: Entry): boolean => statusOf(entry.token, Date.now()) === "good"
  const lookup: TokenLookup = {
    any: () => entries.size > 0,
    find: (text) => {
      const id = tokenId(text)
      if (id === null) return null
      const entry = entries.get(id)
      const same = timingSafeEqual(entry?.hash.length === 64 ? entry.hash : noHash, Buffer.from(hashOf(text), "latin1"))
      if (entry === undefined || !same) return "unknown"
      const status = statusOf(entry.token, Date.now())
      if (status !== "good") return status
      const at = Math.floor(Date.now() / hour) * hour
      if ((entry.token.lastUsed ?? 0) < at) {
        entry.token = { ...entry.token, lastUsed: at }
        used.set(id, at)
      }
      return { principal: entry.principal, isGood: () => isGood(entry) }
    }
  }
  return {
    lookup,
    all: (): ReadonlyArray<Token> => [...entries.values()].map(({ token }) => token),
    get: (id: string): Token | null => entries.get(id)?.token ?? null,
    add: (token: Token) => void entries.set(token.id, entryOf(token)),
    revoke: (id: string, at: number) => {
      const entry = entries.get(id)
      if (entry !== undefined && entry.token.revokedAt === null) entry.token = { ...entry.token, revokedAt: at }
    },
    /** Times of use that are not in the database yet. */
    used
  }
}

/** See {@link makeTokenIndex}. */
export type TokenIndex = ReturnType<typeof makeTokenIndex>
