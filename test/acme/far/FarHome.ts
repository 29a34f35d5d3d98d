/** A host of its own for acme.sh: a real sshd, an SSH link, and homes there with the stand-in for acme.sh. */
import * as Effect from "effect/Effect"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Acme, type AcmeOptions } from "../../../src/acme/Acme.ts"
import { mark } from "../../../src/acme/RunFolder.ts"
import type { ControlError } from "../../../src/domain/Errors.ts"
import type { FarHost } from "../../../src/domain/FarHost.ts"
import { farHost } from "../../../src/HostAccess.ts"
import { becomes } from "../../support/Poll.ts"
import type { Sshd, SshdOptions } from "../../support/Sshd.ts"
import { openSsh, openSshd, type SshLink } from "../../support/SshLink.ts"
import { placeAcme, type StandInAcme } from "../../support/StandInAcme.ts"

export interface Site {
  readonly sshd: Sshd
  readonly link: SshLink
  readonly host: FarHost
  readonly end: () => Promise<void>
}

/** Starts it. */
export const openSite = async (options: SshdOptions = {}): Promise<Site> => {
  const { end, sshd } = await openSshd(options)
  const link = await openSsh(sshd.options)
  return {
    sshd,
    link,
    host: farHost(link.ssh, sshd.options),
    end: async () => {
      await link.end()
      await end()
    }
  }
}

const usual = {
  acmeEmail: null,
  acmeEabKid: null,
  acmeEabHmacKey: null,
  acmeDns: "dns_cf",
  acmeKeyType: "ec-256",
  acmeProfile: null,
  acmeCaBundle: null,
  acmeTimeout: 60_000,
  // What is in this process's environment counts for nothing there.
  env: { PATH: "/nowhere", CF_Key: "canary-of-here", HOME: "/nowhere" }
}

/** A home there. */
export interface FarHome {
  readonly acme: StandInAcme
  readonly home: string
  readonly options: AcmeOptions
  /** Processes and folders of runs. */
  readonly left: () => readonly [ReadonlyArray<string>, ReadonlyArray<string>]
  readonly nothingIsLeft: () => Promise<void>
}

/** With a home for acme.sh there, gone afterwards. */
export const withAcme = async (work: (far: FarHome) => Promise<void>, version?: string): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), "haproxy-mcp-far-"))
  const acme = placeAcme(folder, version)
  const home = acme.options.acmeHome!
  const left = () => {
    const runs = join(home, "haproxy-mcp-runs")
    const processes = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, "latin1").includes(`${mark}=${home}/`)
      } catch {
        return false
      }
    })
    return [processes, existsSync(runs) ? readdirSync(runs) : []] as const
  }
  try {
    await work({
      acme,
      home,
      options: { ...usual, ...(acme.options as Required<AcmeOptions>), env: usual.env },
      left,
      nothingIsLeft: () =>
        becomes("nothing of a run is left there", () => left().every((found) => found.length === 0), 15_000)
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Issues a certificate over there. */
export const issuing = (options: AcmeOptions, over: FarHost) =>
  Effect.flatMap(Acme, (acme) => acme.issue(["far.test"], () => Effect.void)).pipe(
    Effect.provide(Acme.layer(options, over))
  )

/** Why that fails. */
export const failure = (options: AcmeOptions, over: FarHost): Promise<ControlError> =>
  Effect.runPromise(Effect.flip(issuing(options, over)))

/** Puts runs on hold from now on; `waits` for so many that began after this, `release` lets them go on. */
export const held = (acme: StandInAcme, home: string) => {
  const file = join(home, "go-on")
  const issues = () => acme.runs().filter((args) => args.includes("--issue")).length
  const before = issues()
  acme.plan({ waitFor: file })
  return {
    begun: () => issues() - before,
    waits: (runs = 1) => becomes("acme.sh waits", () => issues() - before >= runs, 50_000),
    release: () => writeFileSync(file, "")
  }
}
