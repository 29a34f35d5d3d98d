/** A real HAProxy with HTTPS and a link to it, for tests of certificates; and what HAProxy says of them. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { readFile } from "node:fs/promises"
import type { HaproxyBinary } from "../../scripts/haproxy.ts"
import type { CertificateBundle } from "../../src/haproxy/certificates/Bundle.ts"
import { handshake } from "../../src/haproxy/certificates/Handshake.ts"
import type { InstallOptions } from "../../src/haproxy/certificates/Install.ts"
import { findPlace, type Place } from "../../src/haproxy/certificates/Place.ts"
import type { RuntimeApi } from "../../src/haproxy/RuntimeApi.ts"
import { type RealHaproxy, type Site, type SiteOptions, startHaproxy } from "../support/RealHaproxy.ts"
import { withApi } from "./contract/Harness.ts"

/** Ten seconds from now. */
export const deadline = () => Date.now() + 10_000

export interface Here {
  readonly api: RuntimeApi["Service"]
  readonly place: Place
  readonly haproxy: RealHaproxy
  readonly site: Site
  /** Everything that HAProxy says of certificates and the list, and the list's file. */
  readonly state: Effect.Effect<string>
  /** SHA-256 of what a client is shown for a name. */
  readonly shown: (name: string) => Effect.Effect<string>
}

const placeOf = (api: RuntimeApi["Service"], site: Site, isFile: boolean) =>
  Effect.map(
    findPlace(
      api,
      { folder: site.certDir, runtimeFolder: null, listFile: isFile ? site.crtListFile : null },
      deadline()
    ),
    (found) => found._tag === "Place" ? found.place : assert.fail(found.reason)
  )

/** Runs a test in a HAProxy with HTTPS. */
export const inHaproxy = <A, E>(
  options: SiteOptions & { readonly binary: HaproxyBinary },
  body: (here: Here) => Effect.Effect<A, E, Scope.Scope>
) =>
  Effect.gen(function*() {
    const haproxy = yield* startHaproxy({ tls: true, ...options })
    const { site } = haproxy
    const isFile = typeof options.tls === "object" && options.tls.list === "file"
    return yield* withApi({ path: site.runtimeSocket }, (api) =>
      Effect.gen(function*() {
        const place = yield* placeOf(api, site, isFile)
        const state = Effect.gen(function*() {
          const list = yield* haproxy.command("show ssl cert")
          const paths = list.split("\n").filter((line) => line.includes(site.dir) && !line.startsWith("*"))
          const each = yield* Effect.forEach(paths, (path) => haproxy.command(`show ssl cert ${path}`))
          const entries = yield* haproxy.command(`show ssl crt-list ${place.list}`)
          const file = isFile ? yield* Effect.promise(() => readFile(site.crtListFile, "utf8")) : ""
          return [list, ...each, entries, file].join("\n")
        })
        const shown = (name: string) =>
          Effect.map(
            handshake({ host: "127.0.0.1", port: site.httpsPort, serverName: name, timeout: 5_000 }),
            (result) => result._tag === "Certificate" ? result.sha256 : result._tag
          )
        return yield* body({ api, haproxy, place, shown, site, state })
      }))
  })

export const options = (more: Partial<InstallOptions> = {}): InstallOptions => ({
  publish: Effect.void,
  deadline: deadline(),
  ...more
})

/** Runs it; it must fail, and leave all as it was. */
export const refusedInVain = <A, E>({ state }: Here, tried: Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    const was = yield* state
    const error = yield* Effect.flip(tried)
    assert.strictEqual(yield* state, was)
    return error
  })

/** A bundle that says one thing and holds another. */
export const bundleFrom = (text: string, like: CertificateBundle): CertificateBundle => ({
  ...like,
  lines: Redacted.make(text.split("\n").filter((line) => line !== ""))
})
