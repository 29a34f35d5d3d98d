/**
 * The control plane without a transport, as layers in the order in which data flows:
 * settings → store → HAProxy and its files, acme.sh → the programs; a predecessor's state is taken over on the way. `main.ts` puts MCP on top; so can any other program.
 *
 * Building it opens the database and returns: HAProxy is connected, compared and repaired in the background, for as
 * long as the scope lives. Closing it lets the write that has begun end first.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Acme } from "./acme/Acme.ts"
import { Settings, type SettingsShape } from "./Config.ts"
import type { ConfigInvalid, Conflict, FileFailure } from "./domain/Errors.ts"
import { CertificateFiles } from "./haproxy/certificates/CertificateFiles.ts"
import { HostControl } from "./haproxy/HostControl.ts"
import { MapFiles } from "./haproxy/MapFiles.ts"
import { RuntimeApi } from "./haproxy/RuntimeApi.ts"
import { acmeHost, HostAccess, hostName } from "./HostAccess.ts"
import * as Listeners from "./Listeners.ts"
import * as Certificates from "./program/certificates/Engine.ts"
import { Limits } from "./program/Limits.ts"
import { migrate } from "./program/Migration.ts"
import { Operations } from "./program/Operations.ts"
import { PoolAllocator } from "./program/PoolAllocator.ts"
import type { ProgramServices } from "./program/Services.ts"
import { Tokens } from "./program/Tokens.ts"
import * as Legacy from "./store/Legacy.ts"
import { Store } from "./store/Store.ts"

const fromSettings = <A, E, R>(layer: (settings: SettingsShape) => Layer.Layer<A, E, R>) =>
  Layer.unwrap(Effect.map(Effect.service(Settings), layer))

const limitsOf = (settings: SettingsShape) => ({ pools: settings.haproxyPoolCount, slots: settings.haproxyMaxSlots })

/** How a control plane is built; by default for a database that lies on this machine alone. */
export interface ControlPlaneOptions<E, R> {
  /** Publishes what is committed (program/replication/Publication.ts). */
  readonly publication: Layer.Layer<never, E, R>
  /** Remember what commits changed, for the publication. */
  readonly replicate: boolean
  /** It writes nothing and leaves HAProxy alone. */
  readonly isReader: boolean
}

const store = (replicate: boolean) =>
  fromSettings((settings) =>
    Layer.unwrap(Effect.as(
      Legacy.makeWay(settings.haproxyDbFile),
      Store.layer({ file: settings.haproxyDbFile, pools: limitsOf(settings), replicate })
    ))
  )

const haproxy = fromSettings((settings) =>
  Layer.unwrap(Effect.map(Effect.service(HostAccess), ({ host: { disk }, transport }) =>
    Layer.mergeAll(
      RuntimeApi.layer({ transport }),
      MapFiles.layer({
        domains: settings.haproxyMapFile,
        wildcards: settings.wildcardsFile,
        pools: settings.haproxyPoolsFile,
        limits: limitsOf(settings),
        disk
      }),
      CertificateFiles.layer({ folder: settings.haproxyCertDir, disk })
    )))
)

const acme = fromSettings((settings) =>
  Layer.unwrap(Effect.map(Effect.service(HostAccess), ({ ssh }) => Acme.layer(settings, acmeHost(settings, ssh))))
)

/** HAProxy's host as the settings say; nothing is asked of it yet. */
export const hostLayer = (
  settings: SettingsShape,
  haproxyIsHere: boolean,
  { host, ssh }: HostAccess["Service"]
): Layer.Layer<HostControl, never, RuntimeApi> =>
  HostControl.layer({
    host,
    masterSocket: settings.haproxyMasterSocket,
    container: settings.haproxyContainer,
    systemdUnit: settings.haproxySystemdUnit,
    reloadCommand: settings.haproxyReloadCommand,
    checkCommand: settings.haproxyCheckCommand,
    configFiles: settings.haproxyConfigFiles,
    binary: settings.haproxyBinary,
    stateFile: settings.haproxyStateFile,
    isHere: haproxyIsHere || ssh !== null,
    search: true
  })

const host = fromSettings((settings) =>
  Layer.unwrap(Effect.gen(function*() {
    return hostLayer(settings, (yield* Limits).haproxyIsHere, yield* HostAccess)
  }))
)

const programs = (isReader: boolean) =>
  fromSettings((settings) =>
    Layer.unwrap(Effect.as(
      isReader
        ? Effect.void
        : Effect.flatMap(Effect.service(HostAccess), ({ host: { disk }, ssh }) =>
          migrate({
            serversFile: settings.haproxyServersFile,
            certificatesFile: settings.haproxyCertsFile,
            disk,
            farDatabase: ssh === null ? null : settings.haproxyRemoteDbFile
          })),
      Layer.mergeAll(
        PoolAllocator.layer({
          runtimeMapFile: settings.haproxyRuntimeMapFile,
          guardrails: settings.mcpGuardrails
        }),
        Operations.layer,
        Tokens.layer
      )
    ))
  )

const certificates = fromSettings((settings) =>
  Layer.unwrap(Effect.map(Effect.service(HostAccess), ({ host: { disk } }) =>
    Certificates.layer({
      place: {
        folder: settings.haproxyCertDir,
        runtimeFolder: settings.haproxyRuntimeCertDir,
        listFile: settings.haproxyCrtListFile,
        disk
      },
      tlsAddress: settings.haproxyTlsAddress,
      haproxyHost: hostName(settings)
    })))
)

/** All that a program needs, over these settings and HAProxy's host. */
export const make = <E, R>({ isReader, publication, replicate }: ControlPlaneOptions<E, R>) =>
  certificates.pipe(
    Layer.provideMerge(programs(isReader)),
    Layer.provideMerge(publication),
    Layer.provideMerge(acme),
    Layer.provideMerge(host),
    Layer.provideMerge(haproxy),
    Layer.provideMerge(store(replicate)),
    Layer.provideMerge(Listeners.layer)
  )

/** The same for a database that lies on this machine alone. */
export const layer: Layer.Layer<ProgramServices, ConfigInvalid | Conflict | FileFailure, Settings> = make({
  publication: Layer.empty,
  replicate: false,
  isReader: false
}).pipe(Layer.provide(HostAccess.layer))
