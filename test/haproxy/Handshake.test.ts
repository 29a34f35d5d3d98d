/** What a TLS handshake tells, of each kind of listener that may be on the other side. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { createServer, type Server, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { findTls, handshake, tlsCandidates } from "../../src/haproxy/certificates/Handshake.ts"
import { bundleOf, makeCertificate } from "../support/Certificates.ts"
import { becomes } from "../support/Poll.ts"
import { releasePort, takePort } from "../support/Ports.ts"
import { realLines, startHaproxy } from "../support/RealHaproxy.ts"

const host = "127.0.0.1"

/** A listener that does this with each connection; answers its port, and how many are open. */
const listener = (
  accept: (socket: Socket) => void
): Effect.Effect<{ readonly port: number; readonly open: () => number }, never, Scope.Scope> =>
  Effect.gen(function*() {
    const port = yield* Effect.acquireRelease(Effect.promise(takePort), (one) => Effect.sync(() => releasePort(one)))
    const sockets = new Set<Socket>()
    yield* Effect.acquireRelease(
      Effect.promise(() =>
        new Promise<Server>((resolve) => {
          const server = createServer((socket) => {
            sockets.add(socket)
            socket.on("error", () => {})
            // What is not read hides the end.
            socket.resume()
            socket.once("close", () => sockets.delete(socket))
            accept(socket)
          })
          server.listen(port, host, () => resolve(server))
        })
      ),
      (server) =>
        Effect.promise(() => {
          for (const socket of sockets) socket.destroy()
          return new Promise<void>((done) => void server.close(() => done()))
        })
    )
    return { port, open: () => sockets.size }
  })

const look = (port: number, serverName = "a.test", timeout = 5_000) => handshake({ host, port, serverName, timeout })

describe("a handshake", () => {
  for (const binary of realLines) {
    it.live(
      `with HAProxy ${binary.line} shows the certificate of the name, or that there is none`,
      () =>
        Effect.gen(function*() {
          const made = {
            "a.pem": makeCertificate(["a.test", "*.a.test"], { chain: 3 }),
            "old.pem": makeCertificate(["old.test"], { chain: 0, from: -30, to: -1 }),
            "soon.pem": makeCertificate(["soon.test"], { key: "RSA2048", from: 1, to: 30 })
          }
          const certificates = Object.fromEntries(Object.entries(made).map(([file, { text }]) => [file, text]))
          const { site } = yield* startHaproxy({ binary, tls: true, certificates })
          const { httpPort, httpsPort, runtimePort } = site
          for (
            const [name, { text }] of [["a.test", made["a.pem"]], ["*.a.test", made["a.pem"]], [
              "old.test",
              made["old.pem"]
            ], ["soon.test", made["soon.pem"]]] as const
          ) {
            const { facts } = bundleOf(text)
            assert.deepStrictEqual(yield* look(httpsPort, name), {
              _tag: "Certificate",
              sha256: facts.sha256,
              names: facts.names,
              notAfter: facts.notAfter,
              chain: facts.chain,
              protocol: "TLSv1.3",
              alpn: "h2"
            })
          }
          assert.deepStrictEqual(yield* look(httpsPort, "b.test"), { _tag: "Refused", alert: "unrecognized name" })
          assert.deepStrictEqual(yield* look(httpPort), { _tag: "NotTls" })
          const plain = { host, port: httpPort }
          const tls = { host, port: httpsPort }
          assert.deepStrictEqual(yield* findTls([plain, { host, port: runtimePort }, tls], 2_000), tls)
          assert.isNull(yield* findTls([plain], 2_000))
        }),
      60_000
    )
  }

  it.live("with a HAProxy that has no certificate yet is TLS all the same", () =>
    Effect.gen(function*() {
      const { site } = yield* startHaproxy({ tls: { quic: true } })
      assert.strictEqual((yield* look(site.httpsPort))._tag, "Refused")
      const tls = { host, port: site.httpsPort }
      assert.deepStrictEqual(yield* findTls([tls], 2_000), tls)
    }), 60_000)

  it.live(
    "with a bind that wants other curves than the usual ones is offered all that there are",
    () =>
      Effect.gen(function*() {
        const port = yield* Effect.acquireRelease(
          Effect.promise(takePort),
          (one) => Effect.sync(() => releasePort(one))
        )
        const { text } = makeCertificate(["a.test"])
        const folder = yield* Effect.acquireRelease(
          Effect.promise(() => mkdtemp(join(tmpdir(), "haproxy-mcp-curves-"))),
          (one) => Effect.promise(() => rm(one, { recursive: true }))
        )
        const file = join(folder, "a.pem")
        yield* Effect.promise(() => writeFile(file, text, { mode: 0o600 }))
        yield* startHaproxy({ frontend: [`bind ${host}:${port} ssl crt ${file} strict-sni curves X448`] })
        const seen = yield* look(port)
        assert.strictEqual(seen._tag === "Certificate" ? seen.sha256 : seen._tag, bundleOf(text).facts.sha256)
        assert.deepStrictEqual(yield* look(port, "b.test"), { _tag: "Refused", alert: "unrecognized name" })
      }),
    60_000
  )

  it.live("ends in time, and its connection with it, whoever answers", () =>
    Effect.gen(function*() {
      const silent = yield* listener(() => {})
      const closing = yield* listener((socket) => void socket.end())
      const talking = yield* listener((socket) => void socket.write("220 mail.example.com ESMTP\r\n"))
      const began = performance.now()
      const quiet = yield* look(silent.port, "a.test", 200)
      assert.deepStrictEqual(quiet, { _tag: "Unreachable", reason: "no handshake within 200 ms" })
      assert.isBelow(performance.now() - began, 2_000)
      assert.strictEqual((yield* look(closing.port))._tag, "NotTls")
      assert.strictEqual((yield* look(talking.port))._tag, "NotTls")
      const unused = yield* Effect.acquireRelease(
        Effect.promise(takePort),
        (port) => Effect.sync(() => releasePort(port))
      )
      assert.deepStrictEqual(yield* look(unused), { _tag: "Unreachable", reason: "ECONNREFUSED" })
      // One that nobody waits for any more.
      yield* Effect.timeoutOption(look(silent.port, "a.test", 60_000), 50)
      const open = () => silent.open() + closing.open() + talking.open()
      yield* Effect.promise(() => becomes("the end of every connection", () => open() === 0))
      const all = [silent, closing, talking].map(({ port }) => ({ host, port }))
      assert.isNull(yield* findTls([...all, { host, port: unused }], 200))
    }))
})

describe("where TLS may be answered", () => {
  it("begins with the ports of HTTPS, and leaves the Runtime API out", () => {
    const name = "HAProxy's frontend web"
    const candidates = tlsCandidates([
      { ip: "0.0.0.0", family: "ipv4", port: 80, name },
      { ip: "127.0.0.1", port: 9_999, name: "HAProxy's Runtime API" },
      { ip: "10.0.0.2", port: 6_000, name },
      { ip: "::", family: "ipv6", port: 8_443, name },
      { ip: "::", family: "ipv6", port: 443, name },
      { ip: "0.0.0.0", family: "ipv4", port: 443, name }
    ], "proxy.internal")
    assert.deepStrictEqual(candidates.map((one) => `${one.host} ${one.port}`), [
      "proxy.internal 443",
      "proxy.internal 8443",
      "10.0.0.2 6000",
      "proxy.internal 80"
    ])
  })
})
