/**
 * The argument lists of acme.sh, all of them, and the environment and files that a run begins with.
 *
 * Always `--issue --force` in a `--config-home` of its own: `--renew` would read what an earlier run saved, a reload
 * command and paths of copies among it. `--home` is ACME_HOME, where own DNS hooks lie; nothing is written there but
 * the account (CA_HOME).
 */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { caHome } from "./Account.ts"
import { baseEnvironment, type Program } from "./Program.ts"
import { quiet } from "./Quiet.ts"
import { trustedWith } from "./Trust.ts"

/** What is the same for every run of a control plane. */
export interface RunSettings {
  readonly home: string
  /** The directory URL of the CA. */
  readonly server: string
  readonly email: string | null
  readonly dns: string
  /** Seconds; null: acme.sh asks public resolvers until they show the records. */
  readonly dnsSleep: number | null
  readonly keyType: string
  readonly profile: string | null
  /** Root certificates for the CA's own HTTPS; null: the system's. */
  readonly caBundle: string | null
  readonly env: Readonly<Record<string, string | undefined>>
}

const bundleName = "ca-bundle.pem"

const common = (settings: RunSettings, folder: string): ReadonlyArray<string> => [
  "--server",
  settings.server,
  "--home",
  settings.home,
  "--config-home",
  folder,
  "--no-color",
  ...(settings.caBundle === null ? [] : ["--ca-bundle", join(folder, bundleName)]),
  ...(settings.email === null ? [] : ["-m", settings.email])
]

/** Registers the account. */
export const registering = (program: Program, settings: RunSettings, folder: string): ReadonlyArray<string> => [
  ...program.command,
  "--register-account",
  ...common(settings, folder)
]

/** Issues a certificate for names that were checked. */
export const issuing = (
  program: Program,
  settings: RunSettings,
  folder: string,
  names: ReadonlyArray<string>
): ReadonlyArray<string> => [
  ...program.command,
  "--issue",
  "--force",
  ...common(settings, folder),
  "--keylength",
  settings.keyType,
  "--dns",
  settings.dns,
  ...(settings.dnsSleep === null ? [] : ["--dnssleep", String(settings.dnsSleep)]),
  ...(settings.profile === null ? [] : ["--cert-profile", settings.profile]),
  ...names.flatMap((name) => ["-d", name])
]

/** The environment of a run; `credentials` are the hook's variables. */
export const environment = (
  settings: RunSettings,
  credentials: Readonly<Record<string, string>>
): Readonly<Record<string, string>> => ({
  ...credentials,
  ...baseEnvironment(settings.env),
  CA_HOME: caHome(settings.home),
  NO_TIMESTAMP: "1"
})

/**
 * Writes what a run reads from its folder. acme.sh uses one list of trusted certificates for all that it asks, the DNS
 * provider too: those of a private CA are therefore added to the system's. Throws what the file system says.
 */
export const prepare = (settings: RunSettings, folder: string, saved: ReadonlyArray<string>): void => {
  const functions = join(folder, "quiet.sh")
  writeFileSync(functions, quiet(process.execPath), { mode: 0o600 })
  writeFileSync(join(folder, "account.conf"), [`. '${functions}'`, ...saved, ""].join("\n"), { mode: 0o600 })
  if (settings.caBundle === null) return
  const trusted = trustedWith(settings.caBundle)
  writeFileSync(join(folder, bundleName), trusted.map((pem) => `${pem.trim()}\n`).join(""), { mode: 0o600 })
}

/** Where acme.sh puts chain and key of the first name. */
export const results = (settings: RunSettings, folder: string, name: string) => {
  const place = join(folder, settings.keyType.startsWith("ec-") ? `${name}_ecc` : name)
  return { chain: join(place, "fullchain.cer"), key: join(place, `${name}.key`) }
}
