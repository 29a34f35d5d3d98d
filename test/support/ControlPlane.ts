/** The program layers over a database, files and a HAProxy (real or fake) that a test made. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as LogLevel from "effect/LogLevel"
import * as References from "effect/References"
import { dirname, join } from "node:path"
import { Acme, type AcmeOptions } from "../../src/acme/Acme.ts"
import { make as publicSuffixes } from "../../src/domain/PublicSuffix.ts"
import { CertificateFiles } from "../../src/haproxy/certificates/CertificateFiles.ts"
import { localDisk } from "../../src/haproxy/files/LocalDisk.ts"
import { type HaproxyHost, thisHost } from "../../src/haproxy/host/HaproxyHost.ts"
import { HostControl, type HostOptions, noHost } from "../../src/haproxy/HostControl.ts"
import { MapFiles } from "../../src/haproxy/MapFiles.ts"
import { RuntimeApi } from "../../src/haproxy/RuntimeApi.ts"
import { Caller } from "../../src/program/Caller.ts"
import * as Certificates from "../../src/program/certificates/Engine.ts"
import { Limits } from "../../src/program/Limits.ts"
import { Operations } from "../../src/program/Operations.ts"
import { type AllocatorOptions, PoolAllocator } from "../../src/program/PoolAllocator.ts"
import type { ProgramServices } from "../../src/program/Services.ts"
import { Tokens } from "../../src/program/Tokens.ts"
import { Store } from "../../src/store/Store.ts"

export interface PlaneOptions extends AllocatorOptions {
  readonly database: string
  readonly runtimeSocket: string
  readonly domainsMap: string
  readonly wildcardsMap: string
  readonly poolsFile?: string | null
  readonly pools: number
  readonly slots: number
  /** Addresses of "this host" beside loopback, and whether HAProxy runs on it (default). */
  readonly localAddresses?: ReadonlyArray<string>
  readonly haproxyIsHere?: boolean
  /** The folder of certificates and what goes with it; default: one that is not there, and no acme.sh. */
  readonly certificates?: CertificatePlaneOptions
  /** How HAProxy's host is controlled; default: no way is set, and none is looked for. */
  readonly host?: Partial<HostOptions>
  /** HAProxy's host, where that is another one: all of HAProxy's paths are its own. */
  readonly edge?: HaproxyHost
}

/** Where certificates lie and how they come. */
export interface CertificatePlaneOptions {
  readonly folder: string
  readonly runtimeFolder?: string | null
  readonly listFile?: string | null
  readonly tlsAddress?: { readonly host: string; readonly port: number } | null
  /** Settings of acme.sh, over {@link noAcme}. */
  readonly acme?: Partial<AcmeOptions>
  /** In place of acme.sh. */
  readonly ca?: Acme["Service"]
  /** Milliseconds between comparisons that nothing asked for. */
  readonly compareEvery?: number
  /** Milliseconds until certificates are renewed by themselves; default: at once. */
  readonly renewAfter?: number
}

/** Settings of a machine without acme.sh. */
export const noAcme: AcmeOptions = {
  acmeHome: "/nonexistent/acme",
  acmeCommand: null,
  acmeServer: "letsencrypt_test",
  acmeEmail: null,
  acmeEabKid: null,
  acmeEabHmacKey: null,
  acmeDns: "dns_cf",
  acmeDnsSleep: 0,
  acmeCredentialsFile: "/nonexistent/credentials",
  acmeKeyType: "ec-256",
  acmeProfile: null,
  acmeCaBundle: null,
  acmeTimeout: 60_000,
  env: {}
}

/** Tests provoke trouble by the thousand: its log is shown on demand, with TEST_LOG=Info or Debug. */
const quiet = Layer.succeed(References.MinimumLogLevel, (process.env["TEST_LOG"] ?? "Fatal") as LogLevel.LogLevel)

/** Everything a program needs, over these paths. */
export const planeLayer = (options: PlaneOptions) => {
  const limits = { pools: options.pools, slots: options.slots }
  const certificates: CertificatePlaneOptions = options.certificates ?? {
    folder: join(dirname(options.database), "no-certificates")
  }
  const { compareEvery } = certificates
  const { edge = null, runtimeSocket: socket } = options
  const disk = edge?.disk ?? localDisk
  const adapters = Layer.mergeAll(
    Store.layer({ file: options.database, pools: limits }),
    RuntimeApi.layer({ transport: edge === null ? { path: socket } : { open: () => edge.openUnix(socket) } }),
    MapFiles.layer({
      domains: options.domainsMap,
      wildcards: options.wildcardsMap,
      pools: options.poolsFile ?? null,
      limits,
      disk
    }),
    CertificateFiles.layer({ folder: certificates.folder, disk }),
    certificates.ca === undefined
      ? Acme.layer({ ...noAcme, ...certificates.acme })
      : Layer.succeed(Acme, certificates.ca),
    Layer.succeed(Limits, {
      pools: limits,
      suffixes: publicSuffixes(["it.com"]),
      listeners: [],
      localAddresses: new Set<string>(options.localAddresses),
      haproxyIsHere: options.haproxyIsHere ?? true
    })
  )
  const host = HostControl.layer({ ...noHost, ...options.host, host: edge ?? thisHost })
  return Certificates.layer({
    place: {
      folder: certificates.folder,
      runtimeFolder: certificates.runtimeFolder ?? null,
      listFile: certificates.listFile ?? null,
      disk
    },
    tlsAddress: certificates.tlsAddress ?? null,
    haproxyHost: "127.0.0.1",
    renewAfter: certificates.renewAfter ?? 0,
    ...(compareEvery === undefined ? {} : { compareEvery })
  }).pipe(
    Layer.provideMerge(Layer.mergeAll(PoolAllocator.layer(options), Operations.layer, Tokens.layer, host)),
    Layer.provideMerge(adapters),
    Layer.provide(quiet)
  )
}

/** Runs a program as a caller with this timeout. */
export const within = (timeout: number) => <A, E>(program: Effect.Effect<A, E, ProgramServices>) =>
  Effect.gen(function*() {
    const caller = yield* Caller
    return yield* program.pipe(Effect.provideService(Caller, { ...caller, timeout }))
  })

/** Waits until HAProxy runs the desired state. */
export const inSync = Effect.gen(function*() {
  return yield* (yield* PoolAllocator).reconcile
})
