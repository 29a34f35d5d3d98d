/**
 * The argument lists of acme.sh, all of them, and the environment and settings that a run begins with.
 *
 * Always `--issue --force` in a `--config-home` of its own: `--renew` would read what an earlier run saved, a reload
 * command and paths of copies among it. `--home` is ACME_HOME, where own DNS hooks lie; nothing is written there but
 * the account (CA_HOME).
 */
import { join } from "node:path"
import { caHome } from "./Account.ts"
import { baseEnvironment, type Program } from "./Program.ts"

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

/** Files that a run reads from its folder: the quiet functions, acme.sh's settings, whom to trust. */
export const [functionsName, confName, bundleName] = ["quiet.sh", "account.conf", "ca-bundle.pem"]

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

/** What a run has in its environment besides what programs need to run; `credentials` are the hook's variables. */
export const variables = (
  settings: Pick<RunSettings, "home">,
  credentials: Readonly<Record<string, string>>
): Readonly<Record<string, string>> => ({ ...credentials, CA_HOME: caHome(settings.home), NO_TIMESTAMP: "1" })

/** The whole environment of a run on this machine. */
export const environment = (
  settings: RunSettings,
  credentials: Readonly<Record<string, string>>
): Readonly<Record<string, string>> => ({
  ...credentials,
  ...baseEnvironment(settings.env),
  ...variables(settings, {})
})

/** The account.conf of a run, which acme.sh reads as shell. `saved` are its own lines for the hook. */
export const accountConf = (folder: string, saved: ReadonlyArray<string>): string =>
  [`. '${join(folder, functionsName)}'`, ...saved, ""].join("\n")

/** Where acme.sh puts chain and key of the first name. */
export const results = (settings: RunSettings, folder: string, name: string) => {
  const place = join(folder, settings.keyType.startsWith("ec-") ? `${name}_ecc` : name)
  return { chain: join(place, "fullchain.cer"), key: join(place, `${name}.key`) }
}
