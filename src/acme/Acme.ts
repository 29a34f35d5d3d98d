/**
 * Certificates from a CA, by acme.sh and a DNS hook.
 *
 * Guarantees: every run has a folder of its own (`--config-home`), so that runs beside each other share nothing but
 * the account; an account's saved reload commands, deploy hooks and paths are never read; arguments are a fixed list
 * with checked names; credentials go through the environment of that one process, never through an argument; its
 * output is only matched against known sentences, never repeated; it ends by its time limit, with every process that
 * it started. What it answers is raw PEM, not yet checked.
 *
 * It runs on this machine, or on HAProxy's host over SSH (far/FarMachine.ts): account, hooks, credentials and the program
 * itself are then over there, and a run ends with its connection.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type { AcmeFailed, RemoteUnreachable, StorageFailed } from "../domain/Errors.ts"
import { ConfigInvalid } from "../domain/Errors.ts"
import type { FarHost } from "../domain/FarHost.ts"
import * as LocalMachine from "./LocalMachine.ts"
import type { Machine } from "./Machine.ts"
import * as Servers from "./Servers.ts"

/** What a run gave: PEM texts as acme.sh wrote them. */
export interface Issued {
  /** The certificate and its chain. */
  readonly chain: string
  readonly key: Redacted.Redacted<string>
}

/** What doctor and health want to know. */
export interface AcmeState {
  /** The program and its version; null when there is none. */
  readonly program: { readonly path: string; readonly version: string } | null
  /** Why nothing could be issued now; null when all is in place. */
  readonly problem: string | null
  /** What would surprise: a cron job of acme.sh, saved reload commands. */
  readonly warnings: ReadonlyArray<string>
}

/** The CA's advice when to renew (RFC 9773): a moment between `start` and `end`, milliseconds since 1970. */
export interface RenewalWindow {
  readonly start: number
  readonly end: number
  /** Ask again after so many milliseconds (Retry-After). */
  readonly askAgain: number
}

export class Acme extends Context.Service<Acme, {
  /** The directory URL of the CA that is set. */
  readonly server: string
  /**
   * Gets a certificate for these names, the first of which names it. `progress` hears of each phase, in our own words.
   * Interruption ends acme.sh and removes its folder.
   */
  readonly issue: (
    names: ReadonlyArray<string>,
    progress: (done: number, total: number, message: string) => Effect.Effect<void>
  ) => Effect.Effect<Issued, AcmeFailed | ConfigInvalid | StorageFailed | RemoteUnreachable>
  /**
   * The CA's renewal information for a certificate (PEM of it and its issuers); null where the CA gives none.
   * Never fails: a CA that is down has nothing to say now.
   */
  readonly renewalWindow: (chain: string) => Effect.Effect<RenewalWindow | null>
  /** Looks at program, home and credentials, where acme.sh runs; runs nothing but `acme.sh --version`. */
  readonly state: Effect.Effect<AcmeState>
}>()("haproxy-mcp/acme/Acme") {
  /**
   * Sweeps what a killed control plane left; nothing is asked of anyone yet. `far`: the host on which acme.sh runs, where
   * that is another one; it need not be reachable.
   */
  static readonly layer = (options: AcmeOptions, far: FarHost | null = null): Layer.Layer<Acme, ConfigInvalid> =>
    Layer.effect(Acme, make(options, far))
}

/** The settings (src/config/tables/Certificates.ts), under their own names so that all of them can be given as they are. */
export interface AcmeOptions {
  readonly acmeHome: string
  readonly acmeCommand: ReadonlyArray<string> | null
  readonly acmeServer: string
  readonly acmeEmail: string | null
  readonly acmeEabKid: string | null
  readonly acmeEabHmacKey: Redacted.Redacted<string> | null
  readonly acmeDns: string
  /** Seconds. */
  readonly acmeDnsSleep: number | null
  readonly acmeCredentialsFile: string
  readonly acmeKeyType: string
  readonly acmeProfile: string | null
  readonly acmeCaBundle: string | null
  /** Milliseconds. */
  readonly acmeTimeout: number
  /** Where PATH, HOME and the hook's variables come from; default this process's own environment. */
  readonly env?: Readonly<Record<string, string | undefined>>
}

/** The settings of a run and the program, or why there can be none. */
const settle = Effect.fnUntraced(function*(options: AcmeOptions, far: FarHost | null) {
  const found = Servers.find(options.acmeServer, options.acmeKeyType)
  if (found === null) {
    return yield* new ConfigInvalid({
      message: `ACME_SERVER "${options.acmeServer}" is no CA that is known by a name.`,
      hint: `Use ${Servers.names.join(", ")}, or the https URL of an ACME directory.`,
      field: "ACME_SERVER",
      validValues: Servers.names
    })
  }
  const env = options.env ?? process.env
  const places = {
    home: options.acmeHome,
    credentialsFile: options.acmeCredentialsFile,
    caBundle: options.acmeCaBundle
  }
  const search = { ...places, command: options.acmeCommand, dns: options.acmeDns }
  const machine: Machine = far === null
    ? LocalMachine.make({ ...search, env })
    : (yield* Effect.promise(() => import("./far/FarMachine.ts"))).make(
      { ...search, timeout: options.acmeTimeout },
      far
    )
  return {
    machine,
    settings: {
      home: places.home,
      caBundle: places.caBundle,
      env,
      server: found.directory,
      wants: found.wants,
      email: options.acmeEmail,
      binding: { kid: options.acmeEabKid, hmacKey: options.acmeEabHmacKey },
      dns: options.acmeDns,
      dnsSleep: options.acmeDnsSleep,
      keyType: options.acmeKeyType,
      profile: options.acmeProfile,
      timeout: options.acmeTimeout
    }
  }
})

/** {@link AcmeState} for those who only look: nothing is swept. */
export const look = (options: AcmeOptions, far: FarHost | null = null): Effect.Effect<AcmeState> =>
  settle(options, far).pipe(
    Effect.flatMap(({ machine, settings }) =>
      Effect.flatMap(Effect.promise(() => import("./Inspection.ts")), ({ inspect }) => inspect(settings, machine))
    ),
    Effect.catch(({ hint, message }) =>
      Effect.succeed<AcmeState>({ program: null, problem: `${message} ${hint}`, warnings: [] })
    )
  )

/** Milliseconds between two attempts to sweep a host that is not reached. */
const sweepPause = 10_000

/** On this machine at once; another host is swept when it is reached, and nobody waits for that. */
const sweep = ({ sweep: once }: Machine, isFar: boolean) =>
  isFar
    ? Effect.forkScoped(once.pipe(
      Effect.tapError((error) => error._tag === "RemoteUnreachable" ? Effect.void : Effect.logWarning(error.message)),
      Effect.retry({ schedule: Schedule.spaced(sweepPause), while: ({ _tag }) => _tag === "RemoteUnreachable" }),
      Effect.ignore
    ))
    : Effect.ignore(once)

const make = Effect.fnUntraced(function*(options: AcmeOptions, far: FarHost | null) {
  const { machine, settings } = yield* settle(options, far)
  yield* sweep(machine, far !== null)
  // Loaded with their first use: HTTPS and the runs are a tenth of the start, and nobody who only listens needs them.
  const issue = yield* Effect.cached(
    Effect.map(Effect.promise(() => import("./Issue.ts")), ({ make }) => make(settings, machine))
  )
  const renewalWindow = yield* Effect.cached(
    Effect.map(
      Effect.promise(() => import("./RenewalInfo.ts")),
      ({ make }) => make({ server: settings.server, caBundle: machine.caBundle })
    )
  )
  return Acme.of({
    server: settings.server,
    issue: (names, progress) => Effect.flatMap(issue, (run) => run(names, progress)),
    renewalWindow: (chain) => Effect.flatMap(renewalWindow, (ask) => ask(chain)),
    state: Effect.flatMap(Effect.promise(() => import("./Inspection.ts")), ({ inspect }) => inspect(settings, machine))
  })
})
