/** The sshd of a {@link Host}: it runs in that host's namespaces, so that it sees what that host sees. */
import * as Effect from "effect/Effect"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type Sshd, startSshd } from "../support/Sshd.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"
import { type Host, must } from "./Host.ts"

export interface FarSshd {
  readonly address: string
  readonly port: number
  readonly user: string
  readonly keyFile: string
  /** A known_hosts file with its key, and one for those who come by way of another port. */
  readonly knownHosts: string
  readonly knownAs: (port: number) => string
  readonly start: () => Promise<void>
  /** Kills it with all its sessions. */
  readonly kill: () => Promise<void>
  readonly killSftp: () => void
  /** Kills its sessions; it goes on to listen. */
  readonly killSessions: () => void
}

const farSshd = (sshd: Sshd, address: string): FarSshd => ({
  address,
  port: sshd.port,
  user: sshd.user,
  keyFile: sshd.keyFile,
  knownHosts: sshd.knownHosts,
  knownAs: (port) => {
    const file = join(sshd.folder, `known_hosts-${port}`)
    writeFileSync(file, readFileSync(sshd.knownHosts, "utf8").replaceAll(`:${sshd.port} `, `:${port} `))
    return file
  },
  start: sshd.start,
  kill: sshd.kill,
  killSftp: () => void sshd.killSftpServers(),
  killSessions: () => {
    for (const pid of sshd.processes()) {
      if (pid === sshd.pid()) continue
      try {
        process.kill(pid, "SIGKILL")
      } catch {
        // It ended meanwhile.
      }
    }
  }
})

/** Starts it in the scope. `address`: of the host, where it has a network of its own. */
export const startFarSshd = (options: { readonly host: Host; readonly address?: string }) =>
  Effect.gen(function*() {
    const { address = "127.0.0.1", host } = options
    // The host gets the users that sshd wants; bash would read its rc file for every session.
    const users = join(yield* temporaryFolder("users"), "passwd")
    const known = readFileSync("/etc/passwd", "utf8").replace(/:[^:\n]*\/bash$/gm, ":/bin/sh").trimEnd()
    writeFileSync(
      users,
      `${known}\n${/^sshd:/m.test(known) ? "" : "sshd:x:65534:65534::/run/sshd:/usr/sbin/nologin\n"}`
    )
    must(...host.inside("mount", "--bind", users, "/etc/passwd"))
    const sshd = yield* startSshd({ address, wrap: ([command = "", ...args]) => host.inside(command, ...args) })
    return farSshd(sshd, address)
  })
