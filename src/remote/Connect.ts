/**
 * Opens a {@link Link}: TCP, the host's key, our key, SFTP and the extensions that durable files need. It answers a link
 * that is ready for calls or fails with {@link SshFailure}, in bounded time; a socket that is not needed any more is
 * destroyed, whatever ssh2 thinks of it.
 *
 * ssh2 is loaded by the first attempt, so a process without another host never loads it.
 */
import * as Redacted from "effect/Redacted"
import { connect as connectSocket, type Socket } from "node:net"
import type { Client, ConnectConfig, SFTPWrapper } from "ssh2"
import { explain, plain, SshFailure, turnedAway } from "./Failure.ts"
import { type HostKeyOptions, readKnown, refusalOf } from "./HostKey.ts"
import { type Identity, type IdentityOptions, readIdentity, unusable } from "./Identity.ts"
import { type HostKeyAlgorithm, type Known, offers } from "./KnownHosts.ts"
import { Link } from "./Link.ts"

export interface ConnectOptions extends HostKeyOptions, IdentityOptions {
  readonly user: string
  /** Milliseconds for the TCP connection; twice as many for everything until the link is ready. */
  readonly connectTimeout: number
  /** Milliseconds without any answer after which a link with calls on it is closed. */
  readonly stall: number
  /** Milliseconds between two questions whether the other side lives; three without an answer end the link. */
  readonly keepalive: number
}

/** Extensions of OpenSSH's sftp-server (PROTOCOL, 4): without them no file can be replaced durably. */
const needed = ["posix-rename@openssh.com", "hardlink@openssh.com", "fsync@openssh.com"]

/** AES-GCM is done by Node's own OpenSSL, whether ssh2's native part was built or not; the others are for old servers. */
const ciphers = [
  "aes128-gcm@openssh.com",
  "aes256-gcm@openssh.com",
  "chacha20-poly1305@openssh.com",
  "aes128-ctr",
  "aes192-ctr",
  "aes256-ctr"
] as const

/** ssh2 keeps what the server offered in a field without a type. */
const extensionsOf = (sftp: SFTPWrapper): Readonly<Record<string, string>> =>
  (sftp as unknown as { readonly _extensions: Record<string, string> })._extensions

const openSocket = (host: string, port: number, timeout: number, signal: AbortSignal): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connectSocket({ host, port, noDelay: true, signal })
    const timer = setTimeout(() => {
      socket.destroy()
      reject(new SshFailure("network", `it could not be connected within ${timeout / 1000} s`))
    }, timeout)
    socket.once("error", (error) => {
      clearTimeout(timer)
      reject(new SshFailure("network", explain(error)))
    })
    socket.once("connect", () => {
      clearTimeout(timer)
      socket.removeAllListeners("error")
      resolve(socket)
    })
  })

/** Bytes before a server must have said that it speaks SSH. */
const mostGreeting = 16_384

/**
 * Waits for the server's identification line (RFC 4253, 4.2) and puts everything back: ssh2 1.17.0 loses a line that
 * comes in more than two pieces. A server that turns us away says why in its place.
 */
const identified = (socket: Socket, timeout: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const parts: Array<Buffer> = []
    const text = () => Buffer.concat(parts).toString("latin1")
    const done = () => {
      clearTimeout(timer)
      for (const event of ["data", "error", "close"]) socket.removeAllListeners(event)
      socket.pause()
    }
    const refuse = (failure: SshFailure) => {
      done()
      socket.destroy()
      reject(failure)
    }
    const fail = (reason: string) => refuse(new SshFailure("network", reason))
    const timer = setTimeout(() => fail(`it said nothing for ${timeout / 1000} s`), timeout)
    socket.on("data", (data: Buffer) => {
      parts.push(data)
      if (/^SSH-[^\n]*\n/m.test(text())) {
        done()
        socket.unshift(Buffer.concat(parts))
        resolve()
      } else if (text().length > mostGreeting) fail("what answers there does not speak SSH")
    })
    socket.on("error", (error) => fail(explain(error)))
    socket.on("close", () => parts.length === 0 ? fail("it hung up") : refuse(turnedAway(text())))
  })

const authentication = (
  { utils }: typeof import("ssh2"),
  identity: Identity,
  keyFile: string | null
): Partial<ConnectConfig> => {
  if ("agent" in identity) return { agent: identity.agent, authHandler: ["agent"] }
  const privateKey = Redacted.value(identity.key)
  const passphrase = identity.passphrase === null ? undefined : Redacted.value(identity.passphrase)
  const parsed = utils.parseKey(privateKey, passphrase)
  const key: unknown = Array.isArray(parsed) ? parsed[0] : parsed
  if (key instanceof Error || !(key as { isPrivateKey: () => boolean }).isPrivateKey()) {
    throw unusable(keyFile ?? "", key instanceof Error ? key : new Error(), passphrase !== undefined)
  }
  return { privateKey, ...(passphrase === undefined ? {} : { passphrase }), authHandler: ["publickey"] }
}

/** What ssh2 reports, in an operator's words. */
const failureOf = (error: Error & { readonly level?: string; readonly code?: unknown }, user: string): SshFailure => {
  if (error.level === "client-authentication" || error.message === "Too many authentication failures") {
    return new SshFailure("user-key", `it does not let ${user} in with our key`)
  }
  if (error.level === "agent") return new SshFailure("user-key", `the agent does not answer (${plain(error.message)})`)
  if (/no matching/i.test(error.message)) return new SshFailure("server", plain(error.message))
  return new SshFailure(
    "network",
    typeof error.code === "string" ? explain(error) : plain(error.message).replace(/^Connection lost/, "it hung up")
  )
}

/** One attempt with one list of algorithms for the host's key. */
const attempt = async (
  ssh2: typeof import("ssh2"),
  options: ConnectOptions,
  identity: Identity,
  known: Known,
  algorithms: ReadonlyArray<HostKeyAlgorithm>,
  signal: AbortSignal
): Promise<Link> => {
  const login = authentication(ssh2, identity, options.keyFile)
  const socket = await openSocket(options.host, options.port, options.connectTimeout, signal)
  await identified(socket, options.connectTimeout)
  const client: Client = new ssh2.Client()
  const where = `${options.host}:${options.port}`
  const end = () => {
    socket.destroy()
    // Late events of a dead connection are nobody's.
    client.removeAllListeners()
    client.on("error", () => {})
  }
  return new Promise<Link>((resolve, reject) => {
    let refusal: SshFailure | null = null
    let link: Link | null = null
    const lost = (failure: SshFailure) => {
      clearTimeout(timer)
      signal.removeEventListener("abort", aborted)
      if (link !== null) link.close(failure)
      else {
        end()
        reject(refusal ?? failure)
      }
    }
    const aborted = () => lost(new SshFailure("network", "the connection was given up"))
    const timer = setTimeout(
      () => lost(new SshFailure("network", `it was not ready within ${options.connectTimeout * 2 / 1000} s`)),
      options.connectTimeout * 2
    )
    signal.addEventListener("abort", aborted)
    client.on("error", (error) => lost(failureOf(error, options.user)))
    client.on("close", () => lost(new SshFailure("network", "the connection was cut")))
    client.on("end", () => lost(new SshFailure("network", "it hung up")))
    client.on("ready", () =>
      client.sftp((error, sftp) => {
        if (error !== undefined) {
          lost(new SshFailure("server", `it has no SFTP for us (${plain(error.message)})`))
          return
        }
        const extensions = extensionsOf(sftp)
        const missing = needed.filter((name) => extensions[name] === undefined)
        if (missing.length > 0) {
          lost(new SshFailure("server", `its SFTP server lacks ${missing.join(", ")}`))
          return
        }
        clearTimeout(timer)
        link = new Link({ client, sftp, where, stall: options.stall, end })
        sftp.on("error", (problem: Error) => lost(new SshFailure("network", plain(problem.message))))
        sftp.on("close", () => lost(new SshFailure("network", "its SFTP server ended")))
        sftp.on("end", () => lost(new SshFailure("network", "its SFTP server ended")))
        resolve(link)
      }))
    try {
      client.connect({
        ...login,
        sock: socket,
        username: options.user,
        readyTimeout: 0,
        keepaliveInterval: options.keepalive,
        keepaliveCountMax: 3,
        algorithms: { serverHostKey: [...algorithms], cipher: [...ciphers] },
        hostVerifier: (key: Buffer) => {
          refusal = refusalOf(options, known, key)
          return refusal === null
        }
      })
    } catch (error) {
      lost(new SshFailure("server", plain((error as Error).message)))
    }
  })
}

/** Opens a link, or fails with {@link SshFailure}. */
export const connect = async (options: ConnectOptions, signal: AbortSignal): Promise<Link> => {
  const known = readKnown(options)
  const identity = readIdentity(options)
  const { default: ssh2 } = await import("ssh2")
  let failure = new SshFailure("server", "it shows no key of a type that is known here")
  for (const algorithms of offers(known)) {
    try {
      return await attempt(ssh2, options, identity, known, algorithms, signal)
    } catch (error) {
      // The host has more than one key; where only a fingerprint is known it may be that of the next one.
      const isOther = error instanceof SshFailure && error.kind === "host-key"
      const isNone = error instanceof SshFailure && error.kind === "server" && /host key/i.test(error.reason)
      if (!isOther && !isNone) throw error
      // A key that was shown says more than that there is none of another type.
      if (isOther || failure.kind !== "host-key") failure = error
    }
  }
  throw failure
}
