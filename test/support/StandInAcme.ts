/**
 * A stand-in for acme.sh and its CA: a program that takes acme.sh's arguments, writes the files that acme.sh writes and
 * takes a tenth of a second. For tests of what stands around an issue; the real acme.sh with a real ACME server has
 * tests of its own.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import type { AcmeOptions } from "../../src/acme/Acme.ts"
import type { FastAuthority } from "./FastAuthority.ts"

/** How the next runs go. */
export interface AcmePlan {
  /** What it prints on standard error before it ends with 1; null: it issues. */
  readonly fail?: string | null
  /** It waits until this file is there. */
  readonly waitFor?: string | null
  /** Milliseconds that it takes more than it needs, in pauses between what it writes. */
  readonly takes?: number
  /** Lifetime of what it issues, in days; default 90. */
  readonly days?: number
}

export interface StandInAcme {
  /** What to set so that it is used; the rest of acme.sh's surroundings are there too. */
  readonly env: Readonly<Record<string, string>>
  /** The same as options of the adapter. */
  readonly options: Partial<AcmeOptions>
  /** Value of CF_Token in the credentials file: must be seen nowhere. */
  readonly secret: string
  /** Says how the next runs go. */
  readonly plan: (plan: AcmePlan) => void
  /** The CA that signs from now on; without one each run has its own. */
  readonly signBy: (authority: FastAuthority) => void
  /** The arguments of each run so far, those that only ask for the version left out. */
  readonly runs: () => ReadonlyArray<ReadonlyArray<string>>
}

const program = join(import.meta.dirname, "StandInAcmeProgram.ts")

/** Nobody is asked there. */
const directory = "https://127.0.0.1:1/directory"
const hook = "dns_cf_add() { [ \"$CF_Token\" ]; }\ndns_cf_rm() { return 0; }\n"

/** Places it in a folder. */
export const placeAcme = (folder: string, version = "3.1.1"): StandInAcme => {
  const home = join(folder, "acme-home")
  mkdirSync(join(home, "dnsapi"), { recursive: true, mode: 0o700 })
  const script = join(home, "acme.sh")
  const planFile = join(folder, "acme-plan.json")
  const log = join(folder, "acme-runs")
  const quoted = [process.execPath, program, folder, version].map((word) => `'${word}'`).join(" ")
  // The program starts twice as fast when Node has compiled it before.
  writeFileSync(script, `#!/bin/sh\nNODE_COMPILE_CACHE='${join(folder, "acme-cache")}' exec ${quoted} "$@"\n`)
  chmodSync(script, 0o755)
  writeFileSync(join(home, "dnsapi", "dns_cf.sh"), hook)
  const secret = "cf-token-of-the-stand-in-3kQ9"
  const credentials = join(folder, "secrets", "cloudflare.ini")
  mkdirSync(dirname(credentials), { recursive: true, mode: 0o700 })
  writeFileSync(credentials, `CF_Token=${secret}\n`, { mode: 0o600 })
  return {
    env: {
      ACME_HOME: home,
      ACME_COMMAND: script,
      ACME_SERVER: directory,
      ACME_CREDENTIALS_FILE: credentials,
      ACME_DNS_SLEEP: "0"
    },
    options: {
      acmeHome: home,
      acmeCommand: [script],
      acmeServer: directory,
      acmeCredentialsFile: credentials,
      acmeDnsSleep: 0,
      env: process.env
    },
    secret,
    plan: (plan) => writeFileSync(planFile, JSON.stringify(plan)),
    signBy: (authority) => writeFileSync(join(folder, "acme-ca.json"), authority.keep(), { mode: 0o600 }),
    runs: () =>
      existsSync(log)
        ? readFileSync(log, "utf8").split("\n").filter((line) => line !== "").map((line) =>
          JSON.parse(line) as ReadonlyArray<string>
        )
        : []
  }
}
