/**
 * `kill -9` of the control plane, of acme.sh, or of both, at any moment of issues, renewals and deletions: whoever had
 * a valid certificate has one all the time, no half file is left, nothing is stuck. Once with a program that writes
 * what acme.sh writes in a fraction of its time, and once with acme.sh itself and a real CA.
 */
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { FastAuthority } from "../support/FastAuthority.ts"
import { placeAcme } from "../support/StandInAcme.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"
import type { Campaign } from "./Campaign.ts"
import { chain } from "./certificates/Chain.ts"
import { shipped } from "./Life.ts"

const mustSee = [
  "issue",
  "renew",
  "delete",
  "never answered",
  "killed at its start",
  "control plane killed",
  "acme.sh killed",
  "both killed"
]

const lives = 5

export const certificates: Campaign = {
  name: "certificates",
  title: "kill -9 of the control plane or its ACME client while certificates come, are renewed and go",
  unit: "kills",
  perCase: lives,
  full: 200,
  short: 10,
  minutes: 6,
  concurrency: 2,
  limit: 120_000,
  inMemory: false,
  mustSee,
  open: Effect.map(shipped, (program) => ({
    run: (seed) =>
      Effect.scoped(Effect.gen(function*() {
        const folder = yield* temporaryFolder("acme")
        const authority = new FastAuthority("Campaign")
        const acme = placeAcme(folder)
        acme.signBy(authority)
        // As short as tests can bear, and long enough to be hit in the middle.
        acme.plan({ takes: 300 })
        return yield* chain(program, seed, {
          env: acme.env,
          home: acme.env["ACME_HOME"]!,
          root: authority.root,
          patience: 8_000,
          lives
        })
      }))
  }))
}

/** Issues of one case: two in each life. */
const issues = 2 * lives

export const certificatesPebble: Campaign = {
  name: "certificates-pebble",
  title: "the same with acme.sh and a real ACME server, whose nonces go bad now and then",
  unit: "issues",
  perCase: issues,
  full: 100,
  short: 0,
  minutes: 6,
  concurrency: 2,
  limit: 280_000,
  inMemory: false,
  mustSee,
  open: Effect.map(shipped, (program) => ({
    run: (seed) =>
      Effect.scoped(Effect.gen(function*() {
        // Fetches acme.sh and Pebble where they are missing, so only for this campaign.
        const { acmeHome, acmeProgram, startPebble } = yield* Effect.promise(() => import("../support/Pebble.ts"))
        const ca = yield* startPebble()
        const home = yield* acmeHome(ca)
        writeFileSync(join(home.folder, "credentials.ini"), "TEST_Token=token-of-the-campaign\n", { mode: 0o600 })
        return yield* chain(program, seed, {
          env: {
            ACME_HOME: home.folder,
            ACME_COMMAND: acmeProgram,
            ACME_SERVER: ca.directory,
            ACME_CA_BUNDLE: ca.caBundle,
            ACME_DNS: "dns_test",
            ACME_DNS_SLEEP: "0",
            ACME_CREDENTIALS_FILE: join(home.folder, "credentials.ini")
          },
          home: home.folder,
          root: ca.root,
          patience: 40_000,
          lives
        })
      }))
  }))
}
