/**
 * Why HAProxy's host cannot be used, and what an operator does about it. The kinds differ in what helps: time
 * (`network`, `turned-away`), the host's key, our key, or another server there.
 */
import { RemoteUnreachable } from "../domain/Errors.ts"

/**
 * `network` and `turned-away` (sshd takes no connection from here for now) go away by themselves. The others do not: the
 * host's key is not the known one, our key is refused or cannot be read, the server lacks something.
 */
export const kinds = ["network", "turned-away", "host-key", "user-key", "server"] as const
export type FailureKind = (typeof kinds)[number]

/** Does it go away without anybody's help? */
export const isPassing = (kind: FailureKind): boolean => kind === "network" || kind === "turned-away"

/** `reason` is the end of a sentence that begins with the host, and never holds a secret. */
export class SshFailure extends Error {
  readonly kind: FailureKind
  readonly reason: string
  constructor(kind: FailureKind, reason: string) {
    super(reason)
    this.name = "SshFailure"
    this.kind = kind
    this.reason = reason
  }
}

/** What an operator does about each kind. */
export const hints: Readonly<Record<FailureKind, string>> = {
  network: "It is tried again by itself. Does sshd run there, and may this machine reach it?",
  "turned-away": "It is tried again by itself and ends after 10 minutes at most, unless more logins fail: look for "
    + "\"penalty\" and \"Maxstartups\" in sshd's log there; docs/security.md, \"SSH\".",
  "host-key":
    "Compare the key with the one on the host's own console before you believe it; docs/security.md, \"SSH\".",
  "user-key": "Look at HAPROXY_SSH_USER and HAPROXY_SSH_KEY_FILE, and at authorized_keys there.",
  server: "The server there must be OpenSSH's sshd with its sftp subsystem."
}

/** A failure as the error that calls answer with. `where` is `host:port`. */
export const unreachable = (where: string, { kind, reason }: SshFailure): RemoteUnreachable =>
  new RemoteUnreachable({ message: `HAProxy's host ${where} cannot be used: ${reason}`, hint: hints[kind] })

/**
 * The server said something else than SSH and hung up. OpenSSH 10.0p2 says "Not allowed at this time" both to an address
 * with a penalty and when there are too many connections (sshd.c, drop_connection); only its log tells which. 9.2p1 knows
 * no penalties and says "Exceeded MaxStartups".
 */
export const turnedAway = (said: string): SshFailure => {
  const startups = "too many connections to it are not logged in yet (MaxStartups)"
  const words = plain(said)
  return words === "Not allowed at this time"
    ? new SshFailure(
      "turned-away",
      `its sshd turns us away for now ("${words}"): too many logins from this address failed or were broken off, ours or `
        + `another program's (PerSourcePenalties), or ${startups}`
    )
    : words === "Exceeded MaxStartups"
    ? new SshFailure("turned-away", `its sshd turns us away for now ("${words}"): ${startups}`)
    : new SshFailure("network", `it turned us away: ${words}`)
}

/** An error of the network in an operator's words. */
export const explain = (error: unknown): string => {
  const { code, message } = error as NodeJS.ErrnoException
  switch (code) {
    case "ECONNREFUSED":
      return "nobody listens on that port"
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return "its name cannot be resolved"
    case "ECONNRESET":
    case "EPIPE":
      return "the connection was cut"
    case "ETIMEDOUT":
      return "the connection timed out"
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return "there is no way to it in the network"
    default:
      return typeof code === "string" ? `the network says ${code}` : plain(message)
  }
}

/** Text of the other side as a log may show it: one line, printable, short. */
export const plain = (text: string): string => text.replace(/[^\u0020-\u007e]+/g, " ").trim().slice(0, 200)
