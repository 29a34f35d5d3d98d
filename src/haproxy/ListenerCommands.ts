/**
 * The sockets that HAProxy listens on: `show fd l`. It says frontend, family and port, never the bound address
 * (OwnListeners.ts and BoundAddresses.ts find that out).
 */
import * as Result from "effect/Result"
import { plain, refused } from "./Cli.ts"
import type { Command, Verdict } from "./Command.ts"

/** A TCP socket that HAProxy listens on. One `bind` may have several of them (shards). */
export interface ListenerSocket {
  /** Number of the file descriptor in the worker. */
  readonly fd: number
  /** Name of the frontend (`listen`, `log-forward` and `peers` sections count); `GLOBAL` is the Runtime API. */
  readonly frontend: string
  /** `ipv6` may take IPv4 connections too: HAProxy does not say `v6only`. */
  readonly family: "ipv4" | "ipv6"
  readonly port: number
}

/** A socket that HAProxy listens on, of any kind. */
export interface AnyListener {
  readonly fd: number
  /** See {@link ListenerSocket.frontend}. */
  readonly frontend: string
  /** `ipv4`, `ipv6`, `unix`, `abns`, `sockpair` …, as HAProxy says. */
  readonly family: string
  /** Null for those that have none. */
  readonly port: number | null
  /** QUIC: the port is one of UDP. */
  readonly quic: boolean
}

/*
 * show fd l (3.0.11; 3.2.26 and 3.4.7 alike)
 *
 *       9 : st=0x120023(Cl heopi W:sRa R:sRA) ref=0 gid=1 tmask=0x3 umask=0x0 prmsk=0x3 pwmsk=0x0 owner=0x7fa1986cf100 gen=0 tkov=0 iocb=0x7fa19aae58f0(quic_lstnr_sock_fd_iocb) l.st=RDY fe=web fam=ipv4 lport=443
 *      11 : st=0x120023(Cl heopi W:sRa R:sRA) ref=0 gid=1 tmask=0x3 umask=0x0 prmsk=0x3 pwmsk=0x0 owner=0x7fa1986cdf00 gen=0 tkov=0 iocb=0x7fa19acfb480(sock_accept_iocb) l.st=RDY fe=web fam=ipv6 lport=443
 *      21 : st=0x121022(Cl Heopi W:sRa R:sRa) ref=0 gid=1 tmask=0x3 umask=0x0 prmsk=0x0 pwmsk=0x0 owner=0x7fa19875c900 gen=0 tkov=0 iocb=0x7fa19acfb480(sock_accept_iocb) l.st=PAU fe=paused fam=ipv4 lport=8080
 *      25 : st=0x120121(Cl heopI W:sRa R:srA) ref=0 gid=1 tmask=0x3 umask=0x0 prmsk=0x3 pwmsk=0x0 owner=0x7fa19968ba00 gen=0 tkov=0 iocb=0x7fa19acfb480(sock_accept_iocb) l.st=RDY fe=GLOBAL fam=unix
 *
 * `l` keeps to listeners (`-l` leaves them out), so the answer does not grow with connections: the same 3,703 bytes
 * with 4,000 of them. The socket that took our connection is always there. QUIC listens on UDP, where no server's
 * connection can lead; a frontend that is paused may listen again at any time.
 */
const line = /^ *(\d+) : st=.* iocb=\S*\((\S*)\) l\.st=\S+ fe=(\S*) fam=(\w+)(?: lport=(\d+))?/gm

const parseAll = (answer: string): Verdict<ReadonlyArray<AnyListener>> => {
  const sockets: Array<AnyListener> = []
  for (const [, fd, handler, frontend, family, port] of answer.matchAll(line)) {
    sockets.push({
      fd: Number(fd),
      frontend: plain(frontend!, 100),
      family: family!,
      port: port === undefined ? null : Number(port),
      quic: handler!.startsWith("quic_")
    })
  }
  return sockets.length === 0 ? refused(answer) : Result.succeed(sockets)
}

const parseListeners = (answer: string): Verdict<ReadonlyArray<ListenerSocket>> =>
  Result.map(
    parseAll(answer),
    (sockets) =>
      sockets.flatMap(({ family, fd, frontend, port, quic }) =>
        (family === "ipv4" || family === "ipv6") && port !== null && !quic ? [{ fd, frontend, family, port }] : []
      )
  )

/** `show fd l`. HAProxy walks its table of file descriptors for it, threads halted: once per reconcile is enough. */
export const show: Command<ReadonlyArray<ListenerSocket>> = { words: ["show", "fd", "l"], parse: parseListeners }

/** The same with unix sockets and QUIC, for people: 1 ms with a table of 20,000. */
export const showAll: Command<ReadonlyArray<AnyListener>> = { words: ["show", "fd", "l"], parse: parseAll }
