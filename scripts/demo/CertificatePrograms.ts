/**
 * The programs of the certificate steps: an ACME server (Pebble), acme.sh, and a curl with HTTP/3. What is not on the
 * machine comes from Debian into the cache folder. None of them is needed: what cannot be had is named with the reason,
 * and the demo shows what it can without.
 */
import { accessSync, constants } from "node:fs"
import { delimiter, join } from "node:path"
import { borrow } from "../borrow.ts"
import { ensureProgram, type ProgramName } from "../debian/Catalogue.ts"
import { runCommand } from "../debian/Command.ts"
import { FetchFailure } from "../debian/FetchFailure.ts"

/** A CA and its client. */
export interface AcmePrograms {
  readonly pebble: string
  /** Pebble's DNS server. */
  readonly dns: string
  /** acme.sh itself, not a wrapper: its own folders lie beside it. */
  readonly acme: string
  readonly version: string
}

/** Something that is not there, and why. */
export interface Absent {
  readonly absent: string
}

export interface CertificatePrograms {
  readonly acme: AcmePrograms | Absent
  /** One that speaks HTTP/3. */
  readonly curl: { readonly path: string; readonly version: string } | Absent
}

/** A mirror that is slow must not hold the demo for longer (ms); the fetch bounds itself only at ten minutes. */
const fetchLimit = 120_000

const inPath = (name: string): string | undefined =>
  (process.env["PATH"] ?? "").split(delimiter).map((folder) => join(folder, name)).find((path) => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  })

const within = async <A>(what: string, work: Promise<A>): Promise<A> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new FetchFailure("AptFailed", `${what} could not be fetched within ${fetchLimit / 1000} s`, "")),
      fetchLimit
    )
  })
  work.catch(() => {})
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

const fetched = (name: ProgramName) =>
  within(
    name,
    ensureProgram(name).catch((cause: unknown) => {
      if (!(cause instanceof FetchFailure)) throw cause
      throw new FetchFailure(cause.reason, `${name} could not be fetched: ${cause.message}`, cause.hint, { cause })
    })
  )

const orAbsent = <A>(work: () => Promise<A | Absent>): Promise<A | Absent> =>
  work().catch((cause: unknown) => {
    if (cause instanceof FetchFailure) return { absent: cause.message }
    throw cause
  })

const findAcme = (note: (text: string) => void) =>
  orAbsent<AcmePrograms>(async () => {
    // acme.sh is a shell script around openssl and curl.
    await within(
      "openssl and curl",
      borrow((name) => note(`this machine has no ${name}; fetching one from Debian into .cache`))
    )
    note("looking for acme.sh; what is not in .cache comes from Debian")
    const acme = await fetched("acme.sh")
    note("looking for Pebble, an ACME server; what is not in .cache comes from Debian, about 20 MB")
    const pebble = await fetched("pebble")
    return {
      pebble: pebble.path,
      dns: join(pebble.folder, "bin", "pebble-challtestsrv"),
      acme: join(acme.folder, "root", "usr", "share", "acme.sh", "acme.sh"),
      version: acme.versions["acme.sh"]?.replace(/-.*$/, "") ?? "of Debian"
    }
  })

/** `8.14.1` when it speaks HTTP/3. */
const http3Version = async (path: string): Promise<string | undefined> => {
  const { stdout } = await runCommand(path, ["--version"], { timeoutMs: 10_000 })
  return /\bHTTP3\b/.test(stdout) ? /^curl (\S+)/.exec(stdout)?.[1] : undefined
}

const findCurl = (note: (text: string) => void) =>
  orAbsent<{ readonly path: string; readonly version: string }>(async () => {
    const own = inPath("curl")
    const ownVersion = own === undefined ? undefined : await http3Version(own)
    if (own !== undefined && ownVersion !== undefined) return { path: own, version: ownVersion }
    note("looking for a curl with HTTP/3; what is not in .cache comes from Debian, about 20 MB")
    const { path } = await fetched("curl")
    const version = await http3Version(path)
    return version === undefined ? { absent: "Debian's curl has no HTTP/3" } : { path, version }
  })

/** Finds or fetches them, one after the other. Fails only by a defect. */
export const findCertificatePrograms = async (note: (text: string) => void): Promise<CertificatePrograms> => ({
  acme: await findAcme(note),
  curl: await findCurl(note)
})
