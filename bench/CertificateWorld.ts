/**
 * What the rows on certificates measure in: a folder of many certificates, signed by a CA of the run, a HAProxy that
 * serves them over TLS, and rows for them in a database.
 */
import * as Effect from "effect/Effect"
import { mkdirSync, renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { FastAuthority, type FastCertificate } from "../test/support/FastAuthority.ts"
import { type RealHaproxy, startHaproxy } from "../test/support/RealHaproxy.ts"
import { limits } from "./Population.ts"
import type { Bench } from "./Row.ts"
import { originText, ownPort } from "./World.ts"

/** The CA of this run. */
export const authority = new FastAuthority("Benchmark")

const numbered = (index: number): string => `site-${String(index).padStart(6, "0")}.example.com`

const made: Array<FastCertificate> = []

/** The first so many certificates of the run: some thousands take seconds, so all rows share them. */
export const certificatesOf = (count: number): ReadonlyArray<FastCertificate> => {
  if (made.length < count) {
    const names = Array.from({ length: count - made.length }, (_, index) => numbered(made.length + index))
    made.push(...authority.issueMany(names))
  }
  return made.slice(0, count)
}

let next = 0

/** A certificate that nobody has yet. */
export const freshCertificate = (): FastCertificate => authority.issue([`new-${process.pid}-${next++}.example.org`])

/** Its file in a folder, put there as a careful program does: never half, but without waiting for the disk. */
export const placeFile = (folder: string, { names, text }: FastCertificate): string => {
  const file = join(folder, `${names[0]}.pem`)
  writeFileSync(`${file}.new`, text, { mode: 0o600 })
  renameSync(`${file}.new`, file)
  return file
}

export interface CertificateWorld {
  readonly haproxy: RealHaproxy
  readonly database: string
  /** HAPROXY_CERT_DIR. */
  readonly folder: string
  /** What HAProxy calls it, which is its list too. */
  readonly runtimeFolder: string
  readonly tlsPort: number
  /** Milliseconds that HAProxy took to start. */
  readonly startTook: number
}

export interface CertificateWorldOptions {
  readonly certificates: number
  /** HAProxy loads another folder, which is empty: nothing is there after its start. */
  readonly elsewhere?: boolean
}

/** A HAProxy with so many certificates, which answers every name by itself. */
export const makeCertificateWorld = Effect.fnUntraced(function*(bench: Bench, options: CertificateWorldOptions) {
  const tlsPort = yield* ownPort
  const base = join(bench.folder, `certificates-${tlsPort}`)
  const folder = join(base, "certs")
  const runtimeFolder = options.elsewhere === true ? join(base, "mounted", "certs") : folder
  for (const each of [folder, runtimeFolder]) mkdirSync(each, { recursive: true })
  for (const one of certificatesOf(options.certificates)) writeFileSync(join(folder, `${one.names[0]}.pem`), one.text)
  const began = performance.now()
  const haproxy = yield* startHaproxy({
    binary: bench.haproxy,
    ...limits,
    statsTimeout: "1h",
    frontend: [
      `bind 127.0.0.1:${tlsPort} ssl crt ${runtimeFolder} strict-sni alpn h2,http/1.1`,
      `http-request return status 200 content-type text/plain string "${originText}" if { ssl_fc }`
    ]
  })
  const world: CertificateWorld = {
    haproxy,
    database: join(haproxy.site.dir, "haproxy_mcp.db"),
    folder,
    runtimeFolder,
    tlsPort,
    startTook: performance.now() - began
  }
  return world
})
