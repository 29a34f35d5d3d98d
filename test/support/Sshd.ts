/**
 * A real sshd for one test, as the user that runs the tests: in a folder of its own, on a free port of 127.0.0.1, with
 * keys of its own, gone with all its children when the scope closes. Fetched from Debian where the machine has none.
 *
 * Root needs a user `sshd` for privilege separation. Where there is none, sshd runs in a mount namespace that has one;
 * where that is not allowed either, {@link sshdReason} says why nothing was tested.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process"
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir, userInfo } from "node:os"
import { join } from "node:path"
import { ensureProgram, type FetchedProgram, type ProgramName } from "../../scripts/debian/Catalogue.ts"
import type { SshOptions } from "../../src/remote/Ssh.ts"
import { becomes } from "./Poll.ts"
import { releasePort, takePort } from "./Ports.ts"

const isRoot = process.getuid?.() === 0

const hasUser = (): boolean => /^sshd:/m.test(readFileSync("/etc/passwd", "utf8"))

/** The namespace with a user `sshd`: `$1` is a passwd file, the rest the command. */
const namespace = (passwd: string): ReadonlyArray<string> => [
  "unshare",
  "-m",
  "sh",
  "-c",
  "mount --make-rprivate / && mount --bind \"$1\" /etc/passwd && shift && exec \"$@\"",
  "sh",
  passwd
]

/** Null when an sshd can run here, else why not; said aloud once. */
export const sshdReason: string | null = (() => {
  if (!isRoot || hasUser()) return null
  const [command = "", ...args] = namespace("/etc/passwd")
  if (spawnSync(command, [...args, "true"], { stdio: "ignore" }).status === 0) return null
  const reason = "root needs a user sshd, or the right to make a mount namespace"
  process.stderr.write(`\nSKIPPED, NOT TESTED: everything over SSH (${reason})\n`)
  return reason
})()

/** Kinds of host and user keys. */
export type KeyType = "ed25519" | "rsa" | "ecdsa"

const keygen = (program: FetchedProgram, args: ReadonlyArray<string>): void => {
  execFileSync(join(program.folder, "bin/ssh-keygen"), args, { stdio: ["ignore", "ignore", "pipe"] })
}

export interface SshdOptions {
  /** Types of its host keys; default ed25519. */
  readonly hostKeys?: ReadonlyArray<KeyType>
  /** More lines of sshd_config; the first of a keyword counts, and these come first. */
  readonly config?: ReadonlyArray<string>
  /** Command of the SFTP subsystem (null: none), from that of the real one. */
  readonly subsystem?: (server: string) => string | null
  /** `sshd`: the one of this machine's Debian. `sshd-new`: the newest, with penalties for failed logins. */
  readonly version?: ProgramName & `sshd${string}`
  /** Where it listens; default 127.0.0.1. */
  readonly address?: string
  /** In front of sshd's own command, such as a mount namespace. */
  readonly wrap?: (command: ReadonlyArray<string>) => ReadonlyArray<string>
}

export interface Sshd {
  readonly folder: string
  readonly port: number
  readonly user: string
  /** Private key that is let in; its `.pub` lies beside it. */
  readonly keyFile: string
  readonly knownHosts: string
  /** Fingerprint of the host's key of a type. */
  readonly fingerprint: (type?: KeyType) => string
  /** Options of the Ssh service that lead here, the host known by known_hosts. */
  readonly options: SshOptions
  /** A fresh key pair of a type, not let in; answers the private key's file. */
  readonly newKey: (name: string, type?: KeyType, passphrase?: string) => string
  /** Lets a key in, with options of its line in authorized_keys. */
  readonly letIn: (keyFile: string, restrictions?: string) => void
  /** New host keys of the same types, as after an installation; with the next {@link Sshd.restart}. */
  readonly replaceHostKeys: () => void
  readonly pid: () => number
  /** Process ids of sshd and all its descendants. */
  readonly processes: () => ReadonlyArray<number>
  /** Kills all of it at once, as a power cut does. */
  readonly kill: () => Promise<void>
  readonly start: () => Promise<void>
  readonly restart: () => Promise<void>
  /** Stops all its processes where they are (SIGSTOP), or lets them go on. */
  readonly pause: () => void
  readonly resume: () => void
  /** Kills the sftp-server processes only; answers how many there were. */
  readonly killSftpServers: () => number
  readonly log: () => string
}

/** Parents of all processes. */
const children = (): Map<number, Array<number>> => {
  const found = new Map<number, Array<number>>()
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8")
      const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1])
      found.set(parent, [...(found.get(parent) ?? []), Number(name)])
    } catch {
      // It ended meanwhile.
    }
  }
  return found
}

/** A process and all below it. */
export const family = (pid: number): ReadonlyArray<number> => {
  const tree = children()
  const all = [pid]
  for (const one of all) all.push(...(tree.get(one) ?? []))
  return all
}

const signalAll = (pids: ReadonlyArray<number>, signal: NodeJS.Signals): void => {
  for (const pid of pids) {
    try {
      process.kill(pid, signal)
    } catch {
      // It ended meanwhile.
    }
  }
}

const commandOf = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1")
  } catch {
    return ""
  }
}

/** Starts sshd. */
export const startSshd = (options: SshdOptions = {}): Effect.Effect<Sshd, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(Effect.promise(() => make(options)), ({ end }) => Effect.promise(end)),
    ({ sshd }) => sshd
  )

const make = async (options: SshdOptions) => {
  const {
    address = "127.0.0.1",
    config = [],
    hostKeys = ["ed25519"],
    subsystem = (server: string) => server,
    version = "sshd",
    wrap = (all: ReadonlyArray<string>) => all
  } = options
  const program = await ensureProgram(version)
  const folder = await mkdtemp(join(tmpdir(), "haproxy-mcp-sshd-"))
  const port = await takePort()
  const user = userInfo().username
  const path = (name: string) => join(folder, name)
  const newKey = (name: string, type: KeyType = "ed25519", passphrase = ""): string => {
    // One round only: ssh2 derives the key of an encrypted file in JavaScript.
    keygen(program, ["-q", "-t", type, "-a", "1", "-N", passphrase, "-C", name, "-f", path(name)])
    return path(name)
  }
  const makeHostKeys = () => {
    for (const type of hostKeys) {
      execFileSync("rm", ["-f", path(`host_${type}`), path(`host_${type}.pub`)])
      newKey(`host_${type}`, type)
    }
  }
  makeHostKeys()
  const publicKey = (file: string) => readFileSync(`${file}.pub`, "utf8").trim()
  const keyFile = newKey("user")
  writeFileSync(path("authorized_keys"), `${publicKey(keyFile)}\n`)
  const writeKnown = () =>
    writeFileSync(
      path("known_hosts"),
      hostKeys.map((type) => `[${address}]:${port} ${publicKey(path(`host_${type}`))}\n`).join("")
    )
  writeKnown()
  const binary = (name: string) => join(program.folder, "bin", name)
  writeFileSync(
    path("sshd_config"),
    [
      ...config,
      `ListenAddress ${address}:${port}`,
      ...hostKeys.map((type) => `HostKey ${path(`host_${type}`)}`),
      `AuthorizedKeysFile ${path("authorized_keys")}`,
      ...[subsystem(binary("sftp-server"))].filter((command) => command !== null).map((command) =>
        `Subsystem sftp ${command}`
      ),
      ...["sshd-session", "sshd-auth"].filter((name) => existsSync(binary(name))).map((name) =>
        `${name === "sshd-session" ? "SshdSessionPath" : "SshdAuthPath"} ${binary(name)}`
      ),
      // The user's own shell files are no part of a test, and may be slow: bash reads them below a shell level of 2.
      `SetEnv HOME=${folder} SHLVL=2`,
      "PidFile none",
      "StrictModes no",
      "UsePAM no",
      "UseDNS no",
      "PasswordAuthentication no",
      "KbdInteractiveAuthentication no",
      "PermitRootLogin yes",
      "MaxStartups 1000",
      "PrintMotd no",
      "PrintLastLog no",
      "LogLevel VERBOSE",
      ""
    ].join("\n")
  )
  if (isRoot) mkdirSync("/run/sshd", { recursive: true })
  let inNamespace: ReadonlyArray<string> = []
  if (isRoot && !hasUser()) {
    // bash reads its rc file for every command and subsystem, and what stands there may take seconds.
    const passwd = readFileSync("/etc/passwd", "utf8").replace(/:[^:\n]*\/bash$/gm, ":/bin/sh")
    writeFileSync(path("passwd"), `${passwd.trimEnd()}\nsshd:x:65534:65534::/run/sshd:/usr/sbin/nologin\n`)
    chmodSync(path("passwd"), 0o644)
    inNamespace = namespace(path("passwd"))
  }
  let child: ChildProcess | null = null
  let log = ""
  const start = async (): Promise<void> => {
    const command = [...inNamespace, ...wrap([binary("sshd"), "-D", "-e", "-f", path("sshd_config")])]
    const started = spawn(command[0]!, command.slice(1), {
      stdio: ["ignore", "ignore", "pipe"],
      env: { PATH: process.env["PATH"] }
    })
    child = started
    const before = log.length
    started.stderr.on("data", (data: Buffer) => {
      log += data.toString("utf8")
    })
    await becomes(`sshd answers (${log.slice(-500)})`, async () => {
      if (started.exitCode !== null) throw new Error(`sshd ended: ${log.slice(-800)}`)
      return log.includes("Server listening on", before)
    })
  }
  const kill = async (): Promise<void> => {
    const one = child
    child = null
    if (one === null || one.pid === undefined) return
    const over = new Promise<void>((resolve) => {
      if (one.exitCode !== null || one.signalCode !== null) resolve()
      else one.once("exit", () => resolve())
    })
    // First the one that makes new ones.
    const all = family(one.pid)
    signalAll(all, "SIGKILL")
    await over
    await becomes("sshd and its children are gone", () => all.every((pid) => !/sshd|sftp/.test(commandOf(pid))))
  }
  await start()
  const running = () => child?.pid === undefined ? [] : family(child.pid)
  const sshd: Sshd = {
    folder,
    port,
    user,
    keyFile,
    knownHosts: path("known_hosts"),
    fingerprint: (type = hostKeys[0] ?? "ed25519") =>
      execFileSync(binary("ssh-keygen"), ["-lf", path(`host_${type}.pub`)], { encoding: "utf8" }).split(" ")[1]!,
    options: {
      host: address,
      port,
      user,
      keyFile,
      keyPassphraseFile: null,
      agentSocket: null,
      hostKeys: [],
      knownHostsFile: path("known_hosts"),
      acceptNew: false
    },
    newKey,
    letIn: (file, restrictions = "") =>
      writeFileSync(path("authorized_keys"), `${restrictions} ${publicKey(file)}`.trim().concat("\n"), { flag: "a" }),
    replaceHostKeys: makeHostKeys,
    pid: () => child?.pid ?? 0,
    processes: running,
    kill,
    start,
    restart: async () => {
      await kill()
      await start()
    },
    pause: () => signalAll(running(), "SIGSTOP"),
    resume: () => signalAll(running(), "SIGCONT"),
    killSftpServers: () => {
      const servers = running().filter((pid) => commandOf(pid).includes("sftp-server"))
      signalAll(servers, "SIGKILL")
      return servers.length
    },
    log: () => log
  }
  const end = async () => {
    await kill()
    releasePort(port)
    await rm(folder, { recursive: true, force: true })
  }
  return { sshd, end }
}
