/**
 * An sshd that holds failures against an address (OpenSSH 9.8 and later, PerSourcePenalties): what is normal for us never
 * makes it turn us away, what others do to us is said, and it ends by itself. With lower thresholds than the usual 15 s,
 * so that they are met within seconds; Backoff.test.ts has the usual ones.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { once } from "node:events"
import { connect } from "node:net"
import { RemoteUnreachable } from "../../src/domain/Errors.ts"
import { startFaultProxy } from "../support/FaultProxy.ts"
import { becomes } from "../support/Poll.ts"
import { type Sshd, type SshdOptions, sshdReason } from "../support/Sshd.ts"
import { openSsh, openSshd, type SshLink } from "../support/SshLink.ts"

/** Runs with an sshd of its own; what is opened in it ends with it. */
const during = async (
  options: SshdOptions,
  work: (sshd: Sshd, open: (...how: Parameters<typeof openSsh>) => Promise<SshLink>) => Promise<void>
) => {
  const { end, sshd } = await openSshd(options)
  const links: Array<SshLink> = []
  try {
    await work(sshd, async (...how) => {
      const link = await openSsh(how[0])
      links.push(link)
      return link
    })
  } finally {
    for (const link of links) await link.end()
    await end()
  }
}

const penalties = (text: string): SshdOptions => ({ version: "sshd-new", config: [`PerSourcePenalties ${text}`] })

/** What the log of sshd says of connections that it did not take. */
const dropped = (sshd: Sshd) => sshd.log().match(/^drop connection .*$/gm) ?? []

describe.skipIf(sshdReason !== null)("an sshd with penalties", { concurrent: true }, () => {
  it(
    "does not turn us away for handshakes that are cut, links that are lost and starts in a row",
    () =>
      during(penalties("noauth:1 authfail:5 min:6"), async (sshd, open) => {
        const proxy = await startFaultProxy(sshd.port)
        try {
          const hostKeys = [sshd.fingerprint()]
          // Enough for the greeting and not for the keys.
          proxy.set({ cutAfterTo: 100 })
          const link = await open({ ...sshd.options, port: proxy.port, hostKeys })
          // At ten a second, or four on a slow machine, it would be far too many by then.
          const begun = performance.now()
          await becomes("the network is bad for four seconds", async () => {
            // Whoever asks for something all the time does not hurry it.
            await Effect.runPromise(link.ssh.exec(["true"], { timeout: 1_000 }).pipe(Effect.ignore))
            return proxy.accepted() >= 4 && performance.now() - begun > 4_000
          })
          assert.include(sshd.log(), "penalty: connections without attempting authentication")
          proxy.heal()
          for (let round = 0; round < 4; round++) {
            const other = await open({ ...sshd.options, port: proxy.port, hostKeys })
            assert.strictEqual((await other.state())._tag, "Up")
            proxy.cut()
            await other.until("Down")
            await other.until("Up")
            await other.end()
          }
          assert.deepStrictEqual(dropped(sshd), [])
        } finally {
          await proxy.end()
        }
      })
  )

  it(
    "that turns us away for what somebody else does is said to do so, and it is over when sshd says",
    () =>
      during(penalties("authfail:3 min:1"), async (sshd, open) => {
        const there = await open(sshd.options)
        const stranger = await open({ ...sshd.options, keyFile: sshd.newKey("stranger") })
        const refused = await stranger.state()
        assert.isTrue(refused._tag === "Down" && refused.permanent)
        await becomes("sshd has noticed", () => sshd.log().includes("active penalty of 3 seconds"))
        const since = performance.now()
        const link = await open(sshd.options)
        const state = await link.state()
        assert(state._tag === "Down")
        assert.isFalse(state.permanent)
        assert.include(state.reason, "turns us away for now (\"Not allowed at this time\")")
        assert.include(state.reason, "PerSourcePenalties")
        const error = await link.ssh.disk.stat("/").then(() => assert.fail("it answered"), (cause: unknown) => cause)
        assert.instanceOf(error, RemoteUnreachable)
        assert.include((error as RemoteUnreachable).hint, "penalty")
        // A connection that was there before is not touched.
        assert.strictEqual((await there.state())._tag, "Up")
        await link.until("Up")
        // Three seconds, a pause of ours, and a slow machine; far from the minute after a refused key.
        assert.isAtLeast(dropped(sshd).length, 1)
        assert.isBelow(performance.now() - since, 15_000)
        assert.isFalse(await Effect.runPromise(stranger.ssh.exec(["true"], { timeout: 1_000 }).pipe(Effect.isSuccess)))
      })
  )

  it.each(["sshd", "sshd-new"] as const)(
    "or has too many at its door says that it may be this: %s",
    (version) =>
      during({ version, config: ["PerSourceMaxStartups 2"] }, async (sshd, open) => {
        const others = [connect(sshd.port, "127.0.0.1"), connect(sshd.port, "127.0.0.1")]
        await Promise.all(others.map((other) => once(other, "data")))
        const link = await open(sshd.options)
        const state = await link.state()
        assert(state._tag === "Down")
        assert.isFalse(state.permanent)
        assert.include(state.reason, "(MaxStartups)")
        for (const other of others) other.destroy()
        await link.until("Up")
      })
  )
})
