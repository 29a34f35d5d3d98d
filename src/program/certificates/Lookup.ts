/** Which certificate a caller means, and which domains need it. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { covers, nameCovers } from "../../domain/Certificate.ts"
import { type InvalidInput, NotFound, type StorageFailed } from "../../domain/Errors.ts"
import { nearest } from "../../domain/Nearest.ts"
import { isWithin } from "../../domain/Principal.ts"
import { parseRouteName } from "../../domain/RouteName.ts"
import { Store } from "../../store/Store.ts"
import { Caller } from "../Caller.ts"
import * as Input from "../Input.ts"
import { type Standing, statusOf } from "./Standing.ts"

/** Domains that an answer names at most. */
export const mostNeeders = 20
/** Routes that are looked at for it. */
const mostRoutes = 1_000

/** Which of two certificates for the same host is the better one: exact before wildcard, then the one that lasts. */
const better = (host: string) => (a: Standing, b: Standing): number =>
  Number(b.facts?.names.includes(host) ?? false) - Number(a.facts?.names.includes(host) ?? false)
  || (b.file?.facts?.notAfter ?? 0) - (a.file?.facts?.notAfter ?? 0)

/** The certificate of this name, else the best one that stands for this host; null: there is none. */
export const findStanding = (all: ReadonlyArray<Standing>, asked: string): Standing | null => {
  const name = asked.toLowerCase()
  const named = all.find((one) => one.name === asked) ?? all.find((one) => one.name === name)
  if (named !== undefined) return named
  // Only a host can be one that a certificate stands for: `http://a` is not below `*.example.com`.
  if (Result.isFailure(parseRouteName(name))) return null
  return all.filter(({ facts }) => facts !== null && covers(facts.names, name)).sort(better(name))[0] ?? null
}

/** The same, or NOT_FOUND with the names that were probably meant; text that is no name at all is refused as such. */
export const requireStanding = Effect.fnUntraced(function*(
  all: ReadonlyArray<Standing>,
  field: string,
  asked: string
): Effect.fn.Return<Standing, NotFound | InvalidInput> {
  const found = findStanding(all, asked)
  if (found !== null) return found
  // A name of a file may be one word.
  if (!/^[a-z0-9][a-z0-9_-]{0,62}$/i.test(asked)) yield* Input.existingName(field, asked)
  const like = nearest(asked, all.map(({ name }) => name), 5)
  return yield* new NotFound({
    message: `No certificate stands for ${Input.shown(asked)}`,
    hint: like.length > 0
      ? "Use one of the valid values, or get one with haproxy_issue_cert."
      : "Get one with haproxy_issue_cert, or list what there is with haproxy_list_certs.",
    field,
    validValues: like
  })
})

/** Routed names that this certificate stands for and no other one that is valid now, at most {@link mostNeeders}. */
export const neededBy = Effect.fnUntraced(function*(
  all: ReadonlyArray<Standing>,
  one: Standing
): Effect.fn.Return<ReadonlyArray<string>, StorageFailed, Store> {
  const { facts, name } = one
  if (facts === null) return []
  const routes = yield* (yield* Store).routesUnder(facts.names, mostRoutes)
  if (routes.length === 0) return []
  const now = yield* Clock.currentTimeMillis
  const others = new Set<string>()
  for (const other of all) {
    const status = statusOf(other, now)
    if (other.name === name || (status !== "valid" && status !== "expiring")) continue
    for (const covered of other.file?.facts?.names ?? []) others.add(covered)
  }
  const { principal } = yield* Caller
  return routes.filter((route) => {
    if (!isWithin(principal, route)) return false
    if (others.has(route)) return false
    const above = `*${route.slice(route.indexOf("."))}`
    return !(others.has(above) && nameCovers(above, route))
  }).slice(0, mostNeeders)
})
