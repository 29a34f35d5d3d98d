/** Where HAProxy listens: what it says, what the kernel says, and the two put together. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { createServer } from "node:net"
import { type Bound, parseSockets, read } from "../../src/haproxy/BoundAddresses.ts"
import { type ListenerSocket, show } from "../../src/haproxy/ListenerCommands.ts"
import { ownListeners } from "../../src/haproxy/OwnListeners.ts"
import { releasePort, takePort } from "../support/Ports.ts"
import { realLines, startHaproxy } from "../support/RealHaproxy.ts"

const parsed = (answer: string): ReadonlyArray<ListenerSocket> => Result.getOrThrow(show.parse(answer))

const socket = (fd: number, port: number, family: "ipv4" | "ipv6" = "ipv4", frontend = "web"): ListenerSocket => ({
  fd,
  frontend,
  family,
  port
})

/** Rows `ip` with inode = position, and descriptors 10, 11, … that are known to be the rows `mine`. */
const bound = (port: number, ips: ReadonlyArray<string>, mine: ReadonlyArray<number> = []): Bound => ({
  sockets: ips.map((ip, index) => ({ family: ip.includes(":") ? "ipv6" : "ipv4", ip, port, inode: String(index) })),
  inodes: new Map(mine.map((inode, index) => [10 + index, String(inode)]))
})

const ips = (sockets: ReadonlyArray<ListenerSocket>, known: Bound | null) =>
  ownListeners(sockets, known).map(({ ip }) => ip)

describe("show fd l", () => {
  it("keeps TCP listeners: no unix sockets, no QUIC", () => {
    const head = "ref=0 gid=1 tmask=0x3 umask=0x0 prmsk=0x3 pwmsk=0x0 owner=0x7fa1986cf100 gen=0 tkov=0"
    const answer = [
      `      9 : st=0x120023(Cl heopi W:sRa R:sRA) ${head} iocb=0x7fa19aae58f0(quic_lstnr_sock_fd_iocb) l.st=RDY fe=web fam=ipv4 lport=28777`,
      `     11 : st=0x120023(Cl heopi W:sRa R:sRA) ${head} iocb=0x7fa19acfb480(sock_accept_iocb) l.st=RDY fe=web fam=ipv6 lport=28773`,
      `     13 : st=0x120023(Cl heopi W:sRa R:sRA) ${head} iocb=0x7fa19acfb480(sock_accept_iocb) l.st=RDY fe=GLOBAL fam=ipv4 lport=28771`,
      `     17 : st=0x120023(Cl heopi W:sRa R:sRA) ${head} iocb=0x7fa19acfb480(sock_accept_iocb) l.st=RDY fe=web-2.a:b_c fam=ipv4 lport=28780`,
      `     21 : st=0x121022(Cl Heopi W:sRa R:sRa) ${head} iocb=0x7fa19acfb480(sock_accept_iocb) l.st=PAU fe=paused fam=ipv4 lport=28785`,
      `     25 : st=0x120121(Cl heopI W:sRa R:srA) ${head} iocb=0x7fa19acfb480(sock_accept_iocb) l.st=RDY fe=GLOBAL fam=unix`,
      ""
    ].join("\n")
    assert.deepStrictEqual(parsed(answer), [
      socket(11, 28_773, "ipv6"),
      socket(13, 28_771, "ipv4", "GLOBAL"),
      socket(17, 28_780, "ipv4", "web-2.a:b_c"),
      socket(21, 28_785, "ipv4", "paused")
    ])
    for (const strange of ["", "Invalid FD type\n", "Permission denied\n", "Unknown command: 'show fd'\n"]) {
      assert.isTrue(Result.isFailure(show.parse(strange)), strange)
    }
  })

  it.live.each(realLines)("is answered by HAProxy $line with every listener", (binary) =>
    Effect.gen(function*() {
      const extra = yield* Effect.acquireRelease(
        Effect.promise(takePort),
        (port) => Effect.sync(() => releasePort(port))
      )
      const haproxy = yield* startHaproxy({ binary, frontend: [`bind [::1]:${extra}`] })
      const found = parsed(yield* haproxy.command("show fd l"))
      const { httpPort, runtimePort } = haproxy.site
      assert.sameMembers(found.map(({ family, frontend, port }) => `${frontend} ${family} ${port}`), [
        `web ipv4 ${httpPort}`,
        `web ipv6 ${extra}`,
        `GLOBAL ipv4 ${runtimePort}`
      ])
      const known = yield* read(yield* haproxy.workerPid, found.map(({ fd }) => fd))
      assert.isNotNull(known)
      assert.sameMembers(ownListeners(found, known).map(({ ip, name, port }) => `${ip} ${port} ${name}`), [
        `127.0.0.1 ${httpPort} HAProxy's frontend web`,
        `::1 ${extra} HAProxy's frontend web`,
        `127.0.0.1 ${runtimePort} HAProxy's Runtime API`
      ])
    }), 60_000)
})

describe("/proc/net/tcp", () => {
  it("is read in the machine's byte order, listening sockets only", () => {
    const tcp = [
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
      "   2: 0200007F:706D 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 950306 1 0000000013de3524 100 0 0 10 0",
      "   8: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000   100        0 950308 1 0000000006e68ea6 100 0 0 10 0",
      "1027: 0100007F:855E 0100007F:7067 06 00000000:00000000 03:000016A3 00000000     0        0 0 3 000000002c1ee946",
      ""
    ].join("\n")
    assert.deepStrictEqual(parseSockets(tcp, true), [
      { family: "ipv4", ip: "127.0.0.2", port: 28_781, inode: "950306" },
      { family: "ipv4", ip: "0.0.0.0", port: 80, inode: "950308" }
    ])
    assert.strictEqual(parseSockets(tcp.replace("0200007F", "7F000002"), false)[0]?.ip, "127.0.0.2")
    const row = (address: string) =>
      `   0: ${address}:7065 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 950299 1 00000000e73793a8 100 0 1 10 0\n`
    const six = (address: string) => parseSockets(row(address), true)[0]
    assert.deepStrictEqual(six("00000000000000000000000001000000"), {
      family: "ipv6",
      ip: "::1",
      port: 28_773,
      inode: "950299"
    })
    assert.strictEqual(six("00000000000000000000000000000000")?.ip, "::")
    assert.strictEqual(six("B80D0120000000000000000005000000")?.ip, "2001:db8::5")
    assert.strictEqual(six("0000000000000000FFFF00000100007F")?.ip, "127.0.0.1")
  })

  it.live("shows this process its own sockets, by inode and without", () =>
    Effect.gen(function*() {
      const server = createServer()
      yield* Effect.acquireRelease(
        Effect.promise(() => new Promise<void>((done) => void server.listen(0, "127.0.0.3", done))),
        () => Effect.promise(() => new Promise<void>((done) => void server.close(() => done())))
      )
      const address = server.address()
      assert(typeof address === "object" && address !== null)
      const { fd } = (server as unknown as { readonly _handle: { readonly fd: number } })._handle
      const row = (known: Bound | null) => known?.sockets.find(({ port }) => port === address.port)
      const known = yield* read(process.pid, [fd])
      assert.include(row(known), { family: "ipv4", ip: "127.0.0.3" })
      assert.strictEqual(known?.inodes.get(fd), row(known)?.inode)
      // A process that is not there: the sockets are seen, whose they are is not.
      const stranger = yield* read(2 ** 30, [fd])
      assert.strictEqual(row(stranger)?.ip, "127.0.0.3")
      assert.strictEqual(stranger?.inodes.size, 0)
    }))
})

describe("HAProxy's own listeners", () => {
  it("are those whose socket is known to be HAProxy's", () => {
    const both = bound(80, ["127.0.0.1", "203.0.113.7"], [1])
    assert.deepStrictEqual(ips([socket(10, 80)], both), ["203.0.113.7"])
    const shards = bound(80, ["0.0.0.0", "0.0.0.0"], [0, 1])
    assert.deepStrictEqual(ips([socket(10, 80), socket(11, 80)], shards), ["0.0.0.0"])
  })

  it("are every socket of the port when there are no more of them", () => {
    assert.deepStrictEqual(ips([socket(10, 80)], bound(80, ["127.0.0.2"])), ["127.0.0.2"])
  })

  it("are only the certain ones beside another program's", () => {
    assert.deepStrictEqual(ips([socket(10, 80)], bound(80, ["127.0.0.1", "203.0.113.7"])), [])
    assert.deepStrictEqual(ips([socket(10, 80)], bound(80, ["127.0.0.1", "0.0.0.0"])), ["127.0.0.1", "0.0.0.0"])
    // A worker from before a reload has the same address.
    assert.deepStrictEqual(ips([socket(10, 80)], bound(80, ["127.0.0.2", "127.0.0.2"])), ["127.0.0.2"])
  })

  it("are on every address when it cannot be known", () => {
    assert.deepStrictEqual(ips([socket(10, 80)], null), ["0.0.0.0"])
    assert.deepStrictEqual(ips([socket(10, 80)], bound(81, ["127.0.0.2"])), ["0.0.0.0"])
    assert.deepStrictEqual(ips([socket(10, 80), socket(11, 80)], bound(80, ["127.0.0.2"])), ["0.0.0.0"])
  })

  it("take IPv4 on an IPv6 socket, unless the port has IPv4 sockets of its own", () => {
    const six = socket(10, 80, "ipv6")
    assert.deepStrictEqual(ips([six], bound(80, ["::"])), ["::", "0.0.0.0"])
    assert.deepStrictEqual(ips([six, socket(11, 80)], bound(80, ["::", "203.0.113.7"])), ["::", "203.0.113.7"])
    assert.deepStrictEqual(ips([six], bound(80, ["::1"])), ["::1"])
  })
})
