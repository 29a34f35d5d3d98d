/**
 * A bearer token that the database keeps: `hmcp_<id>_<secret>`. The id is public and names it in lists, logs and the
 * change log; the secret has 256 random bits, so its hash needs no salt and no slowness: there is nothing to guess.
 */
import * as Result from "effect/Result"
import type { Scope } from "./Principal.ts"
import { parseRouteName } from "./RouteName.ts"

/** A token without its secret. */
export interface Token {
  /** Ten characters. */
  readonly id: string
  /** SHA-256 of the whole token, hexadecimal. */
  readonly hash: string
  /** Who uses it: for people. */
  readonly name: string
  readonly scopes: ReadonlyArray<Scope>
  /** Null: all domains. */
  readonly domains: ReadonlyArray<string> | null
  /** Milliseconds since 1970, as all below. */
  readonly created: number
  /** Null: never. */
  readonly expires: number | null
  readonly revokedAt: number | null
  /** To the hour; null: not used yet. */
  readonly lastUsed: number | null
}

const form = /^hmcp_([a-z0-9]{10})_[A-Za-z0-9_-]{43}$/

/** The id in a token of this form; null for every other text. */
export const tokenId = (text: string): string | null => form.exec(text)?.[1] ?? null

/** Is it the public id of a token? */
export const isTokenId = (text: string): boolean => /^[a-z0-9]{10}$/.test(text)

/** The token of an id and 32 random bytes in base64url. */
export const tokenText = (id: string, secret: string): string => `hmcp_${id}_${secret}`

/** Names that tokens may have: they stand in logs. */
export const isTokenName = (text: string): boolean => /^[A-Za-z0-9][A-Za-z0-9._@-]{0,39}$/.test(text)

/** A limit of a token in canonical form: an exact name, or `*.example.com`; null when it is neither. */
export const parseLimit = (text: string): string | null => Result.getOrNull(parseRouteName(text))

/** How a token stands at a time. */
export const statusOf = ({ expires, revokedAt }: Pick<Token, "expires" | "revokedAt">, now: number) =>
  revokedAt !== null ? "revoked" : expires !== null && expires <= now ? "expired" : "good"
