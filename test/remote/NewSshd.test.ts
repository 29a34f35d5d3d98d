/**
 * What the control plane needs of an sshd, once more on the newest one: since OpenSSH 9.8 it is several programs, and its
 * key exchange and limits differ. Ssh.test.ts and Disk.test.ts look at each thing closely.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { type Sshd, sshdReason } from "../support/Sshd.ts"
import { openSsh, openSshd, type SshLink } from "../support/SshLink.ts"

describe.skipIf(sshdReason !== null)("the newest sshd", () => {
  let sshd: Sshd
  let link: SshLink
  let end = async () => {}
  beforeAll(async () => {
    const started = await openSshd({ version: "sshd-new" })
    sshd = started.sshd
    end = started.end
    // No more than what the documentation gives a key.
    const key = sshd.newKey("restricted")
    sshd.letIn(key, "restrict,port-forwarding")
    link = await openSsh({ ...sshd.options, keyFile: key })
  })
  afterAll(async () => {
    await link.end()
    await end()
  })

  it("is reached, and serves files that are replaced durably", async () => {
    assert.strictEqual((await link.state())._tag, "Up")
    assert.match(sshd.log(), /session: subsystem 'sftp'/)
    const path = join(sshd.folder, "a.map")
    const { disk } = link.ssh
    await disk.writeNew(`${path}.tmp`, [Buffer.from("a.test pool_1\n")], { mode: 0o640, mtime: 1_000_000_000 })
    await disk.link(`${path}.tmp`, path)
    await disk.rename(`${path}.tmp`, path)
    await disk.syncFolder(sshd.folder)
    assert.strictEqual(readFileSync(path, "utf8"), "a.test pool_1\n")
    assert.deepInclude(await disk.stat(path), { kind: "file", mode: 0o640, mtimeNs: 1_000_000_000_000_000_000n })
    assert.include(await disk.readdir(sshd.folder), "a.map")
    const taken = await disk.renameNew(join(sshd.folder, "user"), path).catch((cause: unknown) => cause)
    assert.deepInclude(taken, { _tag: "DiskError", code: "EEXIST" })
  })

  it("runs commands, twelve at once too", async () => {
    const all = await Promise.all(
      Array.from(
        { length: 12 },
        (_, index) =>
          Effect.runPromise(link.ssh.exec(["sh", "-c", `cat; exit ${index}`], { timeout: 20_000, stdin: "in" }))
      )
    )
    assert.deepStrictEqual(
      all,
      Array.from({ length: 12 }, (_, code) => ({ code, stdout: "in", stderr: "" }))
    )
  })

  it("forwards to a unix socket, and says which is not there", async () => {
    const server = createServer((socket) => socket.on("error", () => {}).pipe(socket))
    server.listen(join(sshd.folder, "echo.sock"))
    await once(server, "listening")
    const stream = link.ssh.openUnix(join(sshd.folder, "echo.sock"))
    const data = Buffer.alloc(1_000_000, "x")
    stream.end(data)
    const parts: Array<Buffer> = []
    for await (const part of stream) parts.push(part as Buffer)
    assert.isTrue(Buffer.concat(parts).equals(data))
    server.close()
    const [error] = await once(link.ssh.openUnix(join(sshd.folder, "none.sock")), "error").catch((cause) => [cause])
    assert.strictEqual((error as NodeJS.ErrnoException).code, "ENOENT")
  })

  it("that has one key only and shows another than the pinned one is told by it", async () => {
    const wrong = await openSsh({ ...sshd.options, hostKeys: [`SHA256:${"a".repeat(43)}`] })
    const state = await wrong.state()
    await wrong.end()
    assert(state._tag === "Down")
    assert.isTrue(state.permanent)
    assert.include(state.reason, `its key is ssh-ed25519 ${sshd.fingerprint()}, which is not the one in HAPROXY_SSH`)
  })
})
