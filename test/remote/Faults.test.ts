/** What networks and hosts do to a connection: every call ends, soon, and the link comes back by itself. */
import { afterAll, afterEach, assert, beforeAll, beforeEach, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"
import { RemoteUnreachable } from "../../src/domain/Errors.ts"
import { available } from "../support/Available.ts"
import { type FaultProxy, startFaultProxy } from "../support/FaultProxy.ts"
import { becomes } from "../support/Poll.ts"
import { seenBy } from "../support/SmallDisk.ts"
import { type Sshd, sshdReason } from "../support/Sshd.ts"
import { openSsh, openSshd, type SshLink } from "../support/SshLink.ts"

/** Ends with RemoteUnreachable; answers its message. */
const unreachable = (work: Promise<unknown>): Promise<string> =>
  work.then((value) => assert.fail(`answered ${String(value)}`), (error: unknown) => {
    assert.instanceOf(error, RemoteUnreachable)
    return (error as RemoteUnreachable).message
  })

const sizeOf = (path: string) => statSync(path).size
const megabytes = (count: number) => Buffer.alloc(count << 20, 7)

describe.skipIf(sshdReason !== null)("a link in trouble", () => {
  let sshd: Sshd
  let stop = async () => {}
  let proxy: FaultProxy
  let link: SshLink
  let folder = ""
  beforeAll(async () => {
    const started = await openSshd()
    sshd = started.sshd
    stop = started.end
    folder = join(sshd.folder, "files")
    mkdirSync(folder)
  })
  afterAll(() => stop())
  beforeEach(async () => {
    proxy = await startFaultProxy(sshd.port)
    // The machine may be slow; what is measured here is that calls end, not how fast.
    link = await openSsh({
      ...sshd.options,
      port: proxy.port,
      hostKeys: [sshd.fingerprint()],
      timeout: 1_000,
      keepalive: 500,
      connectTimeout: 2_500
    })
    await link.until("Up")
  })
  afterEach(async () => {
    await link.end()
    await proxy.end()
    sshd.resume()
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder)
  })
  const works = async (by = link) => {
    await by.until("Up")
    assert.strictEqual((await by.ssh.disk.stat(folder))?.kind, "folder")
  }
  /** Another link, whose own limits are far: what ends a call is what happens to it, however busy the machine is. */
  const patiently = async (use: (patient: SshLink) => Promise<void>) => {
    const patient = await openSsh({
      ...sshd.options,
      port: proxy.port,
      hostKeys: [sshd.fingerprint()],
      timeout: 15_000,
      keepalive: 10_000,
      connectTimeout: 10_000
    })
    try {
      await patient.until("Up")
      await use(patient)
    } finally {
      await patient.end()
    }
  }

  it("rejects a thousand calls that wait when it is cut, and those after it, at once", async () => {
    proxy.set({ paused: true })
    const calls = Array.from({ length: 1_000 }, () => unreachable(link.ssh.disk.stat(folder)))
    const began = performance.now()
    proxy.cut()
    const reasons = await Promise.all(calls)
    assert.isBelow(performance.now() - began, 900)
    assert.include(reasons[0]!, "cannot be used")
    proxy.set({ refusing: true, paused: false })
    await link.until("Down")
    await unreachable(link.ssh.disk.stat(folder))
    proxy.heal()
    await works()
  })

  it("is given up when nothing comes back, and comes back itself", async () => {
    const stream = link.ssh.openUnix(join(sshd.folder, "none"))
    stream.on("error", () => {})
    await new Promise((resolve) => stream.once("close", resolve))
    proxy.set({ blackHole: true })
    const command = Effect.runPromise(Effect.flip(link.ssh.exec(["sleep", "60"], { timeout: 60_000 })))
    assert.include(await unreachable(link.ssh.disk.stat(folder)), "no answer for 1 s")
    assert.strictEqual((await command)._tag, "RemoteUnreachable")
    proxy.heal()
    await works()
  })

  it("is given up when it is quiet and the other side is gone", async () => {
    proxy.set({ blackHole: true })
    const state = await link.until("Down")
    assert.isTrue(state._tag === "Down" && !state.permanent)
    proxy.heal()
    await works()
  })

  it("works when every byte comes alone", async () => {
    proxy.set({ sliced: true })
    proxy.cut()
    await link.until("Down")
    await works()
    const data = Buffer.from("sliced".repeat(300))
    await link.ssh.disk.writeNew(join(folder, "a"), [data], { mode: 0o600 })
    assert.isTrue((await link.ssh.disk.readFile(join(folder, "a")))!.equals(data))
  })

  it("works slowly when the way is long, with few round trips", async () => {
    proxy.set({ delayTo: 50, delayBack: 50 })
    const times: Array<number> = []
    for (let round = 0; round < 5; round++) {
      const began = performance.now()
      await link.ssh.disk.writeNew(join(folder, String(round)), [Buffer.alloc(200_000, 7)], { mode: 0o600 })
      times.push(performance.now() - began)
    }
    // Two round trips of 100 ms. The best of some: the machine has other work as well.
    assert.isBelow(Math.min(...times), 290)
  })

  it.each([100, 2_000, 60_000])("that is cut after %i bytes ends every call", async (bytes) => {
    proxy.set({ cutAfterTo: bytes })
    proxy.cut()
    const ends = Promise.allSettled([
      link.ssh.disk.writeNew(join(folder, "cut"), [megabytes(1)], { mode: 0o600 }),
      link.ssh.disk.readdir(folder),
      Effect.runPromise(link.ssh.exec(["true"], { timeout: 5_000 }))
    ])
    for (const end of await ends) assert.strictEqual(end.status, "rejected")
    proxy.heal()
    await works()
  })

  it("comes back after sshd has been restarted again and again", async () => {
    for (let round = 0; round < 2; round++) {
      const before = proxy.accepted()
      await sshd.restart()
      await becomes("it has connected again", () => proxy.accepted() > before)
      await works()
    }
    await becomes("one connection is open", () => proxy.open() === 1)
  })

  it("ends an upload when sshd is killed in the middle, and leaves no more than a part of it", () =>
    patiently(async (patient) => {
      proxy.set({ delayTo: 5 })
      const upload = unreachable(patient.ssh.disk.writeNew(join(folder, "part"), [megabytes(40)], { mode: 0o600 }))
      await becomes("it has begun", () => existsSync(join(folder, "part")) && sizeOf(join(folder, "part")) > 1 << 20)
      await sshd.kill()
      await upload
      assert.isBelow(sizeOf(join(folder, "part")), 40 << 20)
      await sshd.start()
      proxy.heal()
      await works(patient)
    }))

  it("ends calls when only the SFTP server is killed", () =>
    patiently(async (patient) => {
      const upload = unreachable(patient.ssh.disk.writeNew(join(folder, "part"), [megabytes(40)], { mode: 0o600 }))
      await becomes("it has begun", () => existsSync(join(folder, "part")) && sizeOf(join(folder, "part")) > 0)
      assert.isAbove(sshd.killSftpServers(), 0)
      assert.include(await upload, "SFTP server ended")
      await works(patient)
    }))

  it("ends calls when the host hangs, and goes on when it does", async () => {
    sshd.pause()
    assert.include(await unreachable(link.ssh.disk.stat(folder)), "no answer for 1 s")
    await becomes("attempts to connect end too", async () => {
      const now = await link.state()
      return now._tag === "Down" && /not ready|said nothing|connected within/.test(now.reason)
    })
    sshd.resume()
    await works()
  })

  it("says what is wrong while sshd is down, and comes back by itself", async () => {
    await sshd.kill()
    const state = await link.until("Down")
    assert.isTrue(state._tag === "Down" && !state.permanent)
    await sshd.start()
    await works()
  })

  it("is told why a server turns it away, and what speaks no SSH is named", async () => {
    const { createServer } = await import("node:net")
    for (
      const [text, reason] of [["No.\r\n", "it turned us away: No."], [
        "x".repeat(20_000),
        "does not speak SSH"
      ]] as const
    ) {
      const server = createServer((socket) => socket.on("error", () => {}).end(text)).listen(0, "127.0.0.1")
      await new Promise((resolve) => server.once("listening", resolve))
      const other = await openSsh({ ...sshd.options, port: (server.address() as { readonly port: number }).port })
      const state = await other.state()
      assert.include(state._tag === "Down" ? state.reason : "", reason)
      await other.end()
      server.close()
    }
  })

  it("keeps no connection and no file open behind it", async () => {
    const files = () => readdirSync("/proc/self/fd").length
    await link.ssh.disk.stat(folder)
    const before = files()
    for (let round = 0; round < 3; round++) {
      proxy.cut()
      await link.until("Down")
      await works()
    }
    await becomes("one connection is left", () => proxy.open() === 1)
    await becomes("no more files are open than before", () => files() <= before)
  })
})

const canMount = sshdReason === null && process.getuid?.() === 0
  && available("a full and a read-only disk on the far side", "unshare", "-m", "true")

describe.skipIf(!canMount)("a far disk", () => {
  let sshd: Sshd
  let link: SshLink
  let stop = async () => {}
  const folder = () => join(sshd.folder, "small")
  beforeAll(async () => {
    const started = await openSshd({
      wrap: (command) => {
        const config = command.at(-1)!
        const at = join(config, "..", "small")
        mkdirSync(at)
        return [
          "unshare",
          "-m",
          "sh",
          "-c",
          "mount -t tmpfs -o size=1m none \"$1\" && shift && exec \"$@\"",
          "sh",
          at,
          ...command
        ]
      }
    })
    sshd = started.sshd
    link = await openSsh(sshd.options)
    stop = async () => {
      await link.end()
      await started.end()
    }
  })
  afterAll(() => stop())
  const codeOf = (work: Promise<unknown>) => work.then(() => "none", (error: { readonly code: string }) => error.code)

  it("that is full says ENOSPC, keeps nothing of the file, and the link goes on", async () => {
    const { disk } = link.ssh
    const path = join(folder(), "large")
    assert.strictEqual(await codeOf(disk.writeNew(path, [megabytes(3)], { mode: 0o600 })), "ENOSPC")
    assert.isNull(await disk.stat(path))
    await disk.writeNew(path, [Buffer.from("fits")], { mode: 0o600 })
    assert.strictEqual(String(await disk.readFile(path)), "fits")
    await disk.unlink(path)
  })

  it("that is read-only says EROFS to every change", async () => {
    const { disk } = link.ssh
    const file = join(folder(), "file")
    await disk.writeNew(file, [Buffer.from("x")], { mode: 0o600 })
    const args = ["-t", String(sshd.pid()), "-m", "mount", "-o", "remount,ro", folder()]
    assert.strictEqual(spawnSync("nsenter", args).status, 0)
    assert.strictEqual(await codeOf(disk.writeNew(join(folder(), "a"), [], { mode: 0o600 })), "EROFS")
    assert.strictEqual(await codeOf(disk.rename(file, join(folder(), "b"))), "EROFS")
    assert.strictEqual(await codeOf(disk.renameNew(file, join(folder(), "b"))), "EROFS")
    assert.strictEqual(await codeOf(disk.link(file, join(folder(), "b"))), "EROFS")
    assert.strictEqual(await codeOf(disk.unlink(file)), "EROFS")
    assert.strictEqual(await codeOf(disk.makeFolder(join(folder(), "b"), 0o755)), "EROFS")
    assert.strictEqual(await codeOf(disk.checkWritable(folder())), "EROFS")
    assert.isTrue((await disk.readFile(file))!.equals(Buffer.from("x")))
    assert.deepStrictEqual(readdirSync(seenBy(sshd.pid(), folder())), ["file"])
  })
})
