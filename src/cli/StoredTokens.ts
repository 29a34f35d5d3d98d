/** `haproxy-mcp token new --name`, `token list`, `token revoke`: the tokens of the database. */
import * as Effect from "effect/Effect"
import { randomBytes, randomInt } from "node:crypto"
import type { Sources } from "../Config.ts"
import { tokenText } from "../domain/Token.ts"
import { hashOf } from "../program/TokenIndex.ts"
import type { ListTokensAnswer, TokenAnswer, TokenItem } from "../program/Tokens.ts"
import type { Handlers } from "./Handlers.ts"
import { clean, textTable } from "./TextTable.ts"
import { answer } from "./Verb.ts"

/** Milliseconds that a question may take. */
const patience = 15_000

export interface NewTokenOptions {
  readonly name: string
  readonly scopes: ReadonlyArray<string>
  readonly domains: ReadonlyArray<string>
  /** Milliseconds since 1970; null: never. */
  readonly expires: number | null
}

const units = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** `90d`, `12h`, `30m`, a date or a time of ISO 8601, `never`; undefined when it is none of them. */
export const parseExpiry = (text: string, now: number): number | null | undefined => {
  if (text === "never") return null
  const span = /^(\d{1,5})([mhd])$/.exec(text)
  if (span !== null) return now + Number(span[1]) * units[span[2] as keyof typeof units]
  if (!/^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?Z)?$/.test(text)) return undefined
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : at
}

const letters = "abcdefghijklmnopqrstuvwxyz0123456789"

/** A new token and its public id. */
export const makeToken = (): { readonly id: string; readonly token: string } => {
  const id = Array.from({ length: 10 }, () => letters[randomInt(letters.length)]).join("")
  return { id, token: tokenText(id, randomBytes(32).toString("base64url")) }
}

/** Makes a token and prints it, once its row is durable: until then nobody has it. */
export const printNewToken = Effect.fnUntraced(function*<R>(
  handlers: Pick<Handlers<R>, "alone">,
  sources: Sources,
  options: NewTokenOptions
) {
  const { id, token } = makeToken()
  const made = (yield* answer(handlers, sources, {
    name: "new_token",
    kind: "admin",
    timeout: patience,
    args: {
      id,
      hash: hashOf(token),
      name: options.name,
      scopes: options.scopes,
      ...(options.domains.length === 0 ? {} : { domains: options.domains }),
      ...(options.expires === null ? {} : { expires: options.expires })
    }
  })) as unknown as TokenAnswer
  process.stdout.write(`${token}\n`)
  process.stderr.write(
    `haproxy-mcp: ${made.summary}\nhaproxy-mcp: this is shown once; \`haproxy-mcp token revoke ${id}\` ends it\n`
  )
})

const day = (time: string | null): string => time === null ? "-" : time.slice(0, 16).replace("T", " ")

const row = (token: TokenItem): ReadonlyArray<string> => [
  token.id,
  clean(token.name),
  token.status,
  token.scopes.join(","),
  token.domains === null ? "all" : token.domains.join(","),
  token.expires === null ? "never" : day(token.expires),
  day(token.last_used)
]

/** The table of a list. */
export const tokensText = ({ summary, tokens }: ListTokensAnswer): string =>
  tokens.length === 0
    ? "No token.\n"
    : `${
      textTable(["id", "name", "status", "scopes", "domains", "expires (UTC)", "last used"], tokens.map(row))
    }${summary}\n`

/** Prints the tokens, never a secret. */
export const printTokens = Effect.fnUntraced(function*<R>(
  handlers: Pick<Handlers<R>, "alone">,
  sources: Sources,
  json: boolean
) {
  const listed = (yield* answer(handlers, sources, {
    name: "list_tokens",
    kind: "admin",
    timeout: patience,
    args: {}
  })) as unknown as ListTokensAnswer
  process.stdout.write(json ? `${JSON.stringify(listed.tokens, null, 2)}\n` : tokensText(listed))
})

/** Revokes a token. */
export const printRevoked = Effect.fnUntraced(function*<R>(
  handlers: Pick<Handlers<R>, "alone">,
  sources: Sources,
  id: string
) {
  const { summary } = (yield* answer(handlers, sources, {
    name: "revoke_token",
    kind: "admin",
    timeout: patience,
    args: { id }
  })) as unknown as TokenAnswer
  process.stdout.write(`${summary}\n`)
})
