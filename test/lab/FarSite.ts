/**
 * HAProxy's host as a campaign needs it: a real HAProxy, its files, and a real sshd that can be hurt; with a volume, all
 * that is written there lies on a file system whose power can be cut. A control plane reaches it by SSH only.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import type { HaproxyBinary } from "../../scripts/haproxy.ts"
import { poolsDefaults } from "../../src/domain/PoolsConfig.ts"
import { live, stored } from "../support/Agreement.ts"
import { dumpFiles } from "../support/Dump.ts"
import { memoryFolder } from "../support/MemoryFolder.ts"
import { makeSite, type RealHaproxy, startIn } from "../support/RealHaproxy.ts"
import { type Env, settingsOf } from "../support/Settings.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"
import { type FarSshd, startFarSshd } from "./FarSshd.ts"
import { type Host, makeHost } from "./Host.ts"
import { chainIsWhole, generationsFolder, manifestsIn, newestBytes } from "./NewestCopy.ts"
import { makeVolume, type VolumeKind } from "./Volume.ts"

export const shape = { pools: 24, slots: 3, poolsFile: true } as const

/** Drain stands in pools.cfg as weight 0, which hides the weight. */
const forFiles = (database: string) => database.replace(/ drain \d+$/gm, " drain ?")

/** Milliseconds until what was left open by a lost answer is decided. */
const settleTime = 5_000

export interface FarSite {
  readonly haproxy: RealHaproxy
  readonly sshd: FarSshd
  /** Settings of a control plane whose own disk is a folder. */
  readonly env: (disk: string) => Env
  /** What HAProxy routes and serves, what its files say, and what the newest copy of the database holds (see Dump.ts). */
  readonly live: () => Effect.Effect<string>
  readonly files: () => Effect.Effect<string>
  readonly newest: () => Effect.Effect<string>
  /** Are all three the same now? */
  readonly same: () => Effect.Effect<boolean>
  /** What tells one content of each generation from another, by its name. */
  readonly generations: () => Promise<ReadonlyMap<string, string>>
  /** Asserts that all three are the same, or become so at once; answers it. */
  readonly agree: (note: string) => Effect.Effect<string>
  /** With a volume. */
  readonly power: Power | null
}

export interface Power {
  /** Of the whole host. Answers when it is gone. */
  readonly cut: () => Promise<void>
  /** The host is started again: its file system, HAProxy, sshd. */
  readonly back: () => Promise<void>
}

export interface FarSiteOptions {
  readonly binary: HaproxyBinary
  /** The file system of the host's files; default: where the test's own lie, and no power to cut. */
  readonly volume?: VolumeKind
  /** The host, and its address for those who come by SSH; default: one with this machine's network, and loopback. */
  readonly host?: Host
  readonly address?: string
}

/** Settings that put HAProxy's files, its socket and the copies of the database behind an sshd. */
export const overSsh = (
  sshd: Omit<FarSshd, "start" | "kill" | "killSftp" | "killSessions">,
  remoteDb: string
): Env => ({
  HAPROXY_REMOTE_DB_FILE: remoteDb,
  HAPROXY_RUNTIME_MODE: "ssh",
  HAPROXY_SSH_HOST: sshd.address,
  HAPROXY_SSH_PORT: String(sshd.port),
  HAPROXY_SSH_USER: sshd.user,
  HAPROXY_SSH_KEY_FILE: sshd.keyFile,
  HAPROXY_SSH_KNOWN_HOSTS: sshd.knownHosts
})

/** The site in the scope, running. */
export const makeFarSite = Effect.fnUntraced(function*(options: FarSiteOptions) {
  const { address = "127.0.0.1", binary, volume: kind } = options
  const site = yield* makeSite({ ...shape, sections: [`defaults ${poolsDefaults} from base`, ""] })
  const host = options.host ?? (yield* makeHost("far", site.dir, { network: false }))
  const folder = dirname(site.domainsMap)
  const volume = kind === undefined ? null : yield* makeVolume(host, kind, folder)
  const there = (path: string) => host.seen(path)
  const sshd = yield* startFarSshd({ host, address })
  const path = host.program(binary.path, join(site.dir, "haproxy-there"))
  const haproxy = yield* startIn(site, { ...binary, path }, true)
  const remoteDb = join(folder, "haproxy_mcp.db")
  const files = () =>
    dumpFiles({ domains: there(site.domainsMap), wildcards: there(site.wildcardsMap), pools: there(site.poolsFile) })
  const newest = () => newestCopy(there(remoteDb))
  const far: FarSite = {
    haproxy,
    sshd,
    env: (disk) =>
      settingsOf(site, {
        ...shape,
        env: {
          HAPROXY_DB_FILE: join(disk, "haproxy_mcp.db"),
          ...overSsh(sshd, remoteDb)
        }
      }),
    live: () => live(site),
    files,
    newest,
    same: Effect.fnUntraced(function*() {
      const database = yield* newest()
      return (yield* live(site)) === database && (yield* files()) === forFiles(database)
    }),
    generations: async () => {
      const manifests = manifestsIn(generationsFolder(there(remoteDb)))
      chainIsWhole(manifests)
      return new Map([...manifests].map(([name, bytes]) => [name, bytes.toString("utf8")]))
    },
    agree: Effect.fnUntraced(function*(note) {
      for (const end = performance.now() + settleTime;;) {
        const [database, found, written] = [yield* newest(), yield* live(site), yield* files()]
        const expected = forFiles(database)
        if (found === database && written === expected) return database
        if (performance.now() < end) continue
        assert.strictEqual(found, database, `HAProxy is not the newest copy ${note}`)
        assert.strictEqual(written, expected, `the files are not the newest copy ${note}`)
      }
    }),
    power: volume === null ? null : {
      cut: () => volume.cut(),
      back: async () => {
        await Promise.all([sshd.kill(), Effect.runPromise(haproxy.kill)])
        await volume.recover()
        await Promise.all([sshd.start(), Effect.runPromise(haproxy.start)])
      }
    }
  }
  return far
})

/** The desired state in the newest copy. */
const newestCopy = (file: string): Effect.Effect<string> =>
  Effect.scoped(Effect.gen(function*() {
    const folder = yield* temporaryFolder("newest", memoryFolder)
    const copy = join(folder, "copy.db")
    writeFileSync(copy, newestBytes(file), { mode: 0o600 })
    return yield* stored(copy, shape)
  }))
