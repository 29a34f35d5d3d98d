/** The tokens of the database: those that never end, that nobody uses, that may do everything. Read from a copy. */
import * as Effect from "effect/Effect"
import { statusOf, type Token } from "../domain/Token.ts"
import { copyOf } from "../store/Copy.ts"
import { tokensIn } from "../store/Tokens.ts"
import { type Found, ok, warning } from "./Finding.ts"

/** Bytes above which a copy takes too long to make. */
const largest = 256 * 1024 ** 2
/** More people and agents than this need not be able to do everything. */
const manyAdmins = 3
/** Milliseconds without use after which a token is worth a question. */
const forgotten = 60 * 86_400_000

/** The tokens of the database of settings; null when they cannot be read now. */
export const readTokens = (file: string): Effect.Effect<ReadonlyArray<Token> | null> =>
  Effect.scoped(
    Effect.flatMap(copyOf(file, largest), (copy) => Effect.try({ try: () => tokensIn(copy), catch: () => null }))
  ).pipe(
    Effect.catch((why) => Effect.succeed(why === "absent" ? [] : null))
  )

const named = (tokens: ReadonlyArray<Token>): string =>
  tokens.slice(0, 5).map(({ id, name }) => `${name} (${id})`).join(", ")
  + (tokens.length > 5 ? ` and ${tokens.length - 5} more` : "")

/** What is worth a word of these tokens at a time. */
export const judgeTokens = (tokens: ReadonlyArray<Token>, now: number): ReadonlyArray<Found> => {
  const good = tokens.filter((token) => statusOf(token, now) === "good")
  if (good.length === 0) return []
  const found: Array<Found> = []
  const endless = good.filter(({ expires }) => expires === null)
  if (endless.length > 0) {
    found.push(warning(
      "Stored tokens",
      `${endless.length} without an end: ${named(endless)}`,
      "Make others with `haproxy-mcp token new --name … --expires 90d`, then `haproxy-mcp token revoke` these."
    ))
  }
  const admins = good.filter(({ domains, scopes }) => domains === null && scopes.includes("admin"))
  if (admins.length > manyAdmins) {
    found.push(warning(
      "Stored tokens",
      `${admins.length} may do everything: ${named(admins)}`,
      "Give each what it needs: `haproxy-mcp token new --scope read,traffic`."
    ))
  }
  const unused = good.filter(({ created, lastUsed }) => Math.max(created, lastUsed ?? 0) < now - forgotten)
  if (unused.length > 0) {
    found.push(warning(
      "Stored tokens",
      `${unused.length} not used for 60 days: ${named(unused)}`,
      "`haproxy-mcp token revoke ID`, if nobody needs it."
    ))
  }
  return found.length > 0 ? found : [ok("Stored tokens", `${good.length} good, ${tokens.length - good.length} ended`)]
}
