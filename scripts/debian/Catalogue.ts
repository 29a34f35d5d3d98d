/**
 * The other programs that tests and benchmarks run for real: which suite has them, in which package, under which
 * path. Fetched on demand into the same cache as HAProxy; nothing is installed.
 */
import { join } from "node:path"
import { MACHINE_SUITE } from "./AptDownload.ts"
import { cacheFolder } from "./CacheFolder.ts"
import { fetchPackages } from "./Packages.ts"

export interface CatalogueEntry {
  readonly suites: ReadonlyArray<string>
  readonly packages: ReadonlyArray<string>
  /** Paths inside the packages; the first is the program that the entry is named after. */
  readonly programs: readonly [string, ...ReadonlyArray<string>]
}

export const catalogue = {
  /** Its configuration must name every `*_temp_path` and log: the compiled-in `/var/lib/nginx` is not there. */
  nginx: { suites: [MACHINE_SUITE], packages: ["nginx"], programs: ["usr/sbin/nginx"] },
  caddy: { suites: [MACHINE_SUITE], packages: ["caddy"], programs: ["usr/bin/caddy"] },
  wrk: { suites: [MACHINE_SUITE], packages: ["wrk"], programs: ["usr/bin/wrk"] },
  openssl: { suites: [MACHINE_SUITE], packages: ["openssl"], programs: ["usr/bin/openssl"] },
  /** HTTP/3 came to Debian's curl after bookworm. */
  curl: { suites: ["sid"], packages: ["curl"], programs: ["usr/bin/curl"] },
  /** A shell script; it runs the `openssl` and `curl` in PATH (scripts/borrow.ts). */
  "acme.sh": { suites: ["trixie"], packages: ["acme.sh"], programs: ["usr/bin/acme.sh"] },
  /** The first that can ask for a profile is newer than trixie. */
  "acme.sh-new": { suites: ["sid"], packages: ["acme.sh"], programs: ["usr/bin/acme.sh"] },
  /** Renewal information (RFC 9773) and profiles came to Pebble after bookworm. */
  pebble: {
    suites: ["sid"],
    packages: ["pebble"],
    programs: ["usr/bin/pebble", "usr/bin/pebble-challtestsrv"]
  },
  /** Wants a user `sshd` and, as root, the folder `/run/sshd` on the machine; started by its absolute path. */
  sshd: {
    suites: [MACHINE_SUITE],
    packages: ["openssh-server", "openssh-client", "openssh-sftp-server"],
    programs: ["usr/sbin/sshd", "usr/bin/ssh-keygen", "usr/lib/openssh/sftp-server"]
  },
  /**
   * The same with penalties (OpenSSH 9.8 and later), and in three programs: sshd listens, sshd-session serves one
   * connection, sshd-auth (10.0 and later) lets in.
   */
  "sshd-new": {
    suites: ["trixie"],
    packages: ["openssh-server", "openssh-client", "openssh-sftp-server"],
    programs: [
      "usr/sbin/sshd",
      "usr/bin/ssh-keygen",
      "usr/lib/openssh/sftp-server",
      "usr/lib/openssh/sshd-session",
      "usr/lib/openssh/sshd-auth"
    ]
  },
  iproute2: { suites: [MACHINE_SUITE], packages: ["iproute2"], programs: ["bin/ip"] },
  /** The /bin/sh and the small programs of many containers and routers. */
  busybox: { suites: [MACHINE_SUITE], packages: ["busybox-static"], programs: ["bin/busybox"] },
  xfsprogs: { suites: [MACHINE_SUITE], packages: ["xfsprogs"], programs: ["sbin/mkfs.xfs"] }
} as const satisfies Record<string, CatalogueEntry>

export type ProgramName = keyof typeof catalogue

export interface FetchedProgram {
  /** Runnable path of the entry's first program. */
  readonly path: string
  /** `bin/<name>` runs each of the entry's programs; everything is unpacked in `root`. */
  readonly folder: string
  /** Package name → Debian version. */
  readonly versions: Readonly<Record<string, string>>
}

/** Fetches `name` unless it is in the cache. Fails with `FetchFailure`. */
export const ensureProgram = async (name: ProgramName): Promise<FetchedProgram> => {
  const entry: CatalogueEntry = catalogue[name]
  const folder = join(cacheFolder(), "debian", name)
  const { versions } = await fetchPackages({ name, ...entry, into: folder })
  return { path: join(folder, "bin", entry.programs[0].replace(/^.*\//, "")), folder, versions }
}
