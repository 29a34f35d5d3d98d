/** A control plane over a real HAProxy with HTTPS and a stand-in for acme.sh, and looks at what HAProxy shows. */
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import type { AcmeOptions } from "../../../../src/acme/Acme.ts"
import { handshake } from "../../../../src/haproxy/certificates/Handshake.ts"
import { Certificates } from "../../../../src/program/certificates/Certificates.ts"
import { inSync } from "../../../support/ControlPlane.ts"
import type { Site } from "../../../support/RealHaproxy.ts"
import { placeAcme, type StandInAcme } from "../../../support/StandInAcme.ts"
import { makeWorld, type World, type WorldOptions } from "../../../support/World.ts"

/** Puts a file into the folder, as an operator would. */
export const put = ({ site }: Pick<World, "site">, name: string, text: string) =>
  Effect.sync(() => writeFileSync(join(site.certDir, `${name}.pem`), text, { mode: 0o600 }))

/** The fingerprint that HAProxy shows for a name, else what it does instead. */
export const shown = ({ site }: { readonly site: Pick<Site, "httpsPort"> }, serverName: string) =>
  Effect.map(
    handshake({ host: "127.0.0.1", port: site.httpsPort, serverName, timeout: 2_000 }),
    (result) => result._tag === "Certificate" ? result.sha256 : result._tag
  )

/** Waits until HAProxy is there and holds what the folder holds. */
export const compared = Effect.andThen(inSync, Effect.flatMap(Certificates, ({ restore }) => restore))

/** What the stand-in's environment is as settings. */
export const acmeSettings = ({ env }: StandInAcme): Partial<AcmeOptions> => ({
  acmeHome: env["ACME_HOME"]!,
  acmeCommand: [env["ACME_COMMAND"]!],
  acmeServer: env["ACME_SERVER"]!,
  acmeCredentialsFile: env["ACME_CREDENTIALS_FILE"]!,
  env: { PATH: process.env["PATH"] }
})

/** A world with TLS whose acme.sh is the stand-in. */
export const makeIssuer = Effect.fnUntraced(function*(options: WorldOptions = {}) {
  let acme: StandInAcme | null = null
  const world = yield* makeWorld({
    tls: true,
    ...options,
    acme: ({ dir }) => acmeSettings(acme = placeAcme(dir))
  })
  yield* world.run(Effect.orDie(compared))
  return { world, acme: acme! as StandInAcme }
})
