/** Whom we believe, who lets us in, and what runs over the connection: against a real sshd. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { createServer, type Server } from "node:net"
import { join } from "node:path"
import type { SshOptions } from "../../src/remote/Ssh.ts"
import { becomes } from "../support/Poll.ts"
import { type Sshd, sshdReason } from "../support/Sshd.ts"
import { openSsh, openSshd, type SshLink } from "../support/SshLink.ts"

/** Opens a link, asks something of it, and closes it. */
const during = async <A>(options: SshOptions, work: (link: SshLink) => Promise<A>): Promise<A> => {
  const link = await openSsh(options)
  try {
    return await work(link)
  } finally {
    await link.end()
  }
}

/** Why a link is down, and whether that is for good. */
const refusal = (options: SshOptions) =>
  during(options, async ({ state }) => {
    const now = await state()
    if (now._tag === "Up") throw new Error("it is up")
    return now
  })

const isUp = (options: SshOptions) => during(options, async ({ state }) => (await state())._tag === "Up")

describe.skipIf(sshdReason !== null)("SSH", () => {
  let sshd: Sshd
  let end = async () => {}
  let link: SshLink
  beforeAll(async () => {
    const started = await openSshd({ hostKeys: ["ed25519", "rsa", "ecdsa"] })
    sshd = started.sshd
    link = await openSsh(sshd.options)
    end = async () => {
      await link.end()
      await started.end()
    }
  })
  afterAll(() => end())
  const file = (name: string, text: string, mode = 0o600) => {
    const path = join(sshd.folder, name)
    writeFileSync(path, text, { mode })
    return path
  }

  describe("the host's key", () => {
    it.each(["ed25519", "rsa", "ecdsa"] as const)("may be known by a fingerprint alone: %s", async (type) => {
      assert.isTrue(await isUp({ ...sshd.options, knownHostsFile: "/none", hostKeys: [sshd.fingerprint(type)] }))
    })

    it.each(["ed25519", "rsa", "ecdsa"] as const)("may be known by one of its types: %s", async (type) => {
      const [name, base64] = readFileSync(join(sshd.folder, `host_${type}.pub`), "utf8").split(" ")
      assert.isTrue(await isUp({ ...sshd.options, knownHostsFile: "/none", hostKeys: [`${name} ${base64}`] }))
      const known = file(`known-${type}`, `[127.0.0.1]:${sshd.port} ${name} ${base64}\n`)
      assert.isTrue(await isUp({ ...sshd.options, knownHostsFile: known }))
    })

    it("is refused when nothing is known of it, with the fingerprint to compare", async () => {
      const state = await refusal({ ...sshd.options, knownHostsFile: join(sshd.folder, "none", "known_hosts") })
      assert.isTrue(state.permanent)
      assert.isAtLeast(state.nextAttemptAt - Date.now(), 55_000)
      assert.include(state.reason, "its key is not known")
      assert.include(state.reason, `HAPROXY_SSH_HOST_KEY=${sshd.fingerprint("ed25519")}`)
      assert.isFalse(existsSync(join(sshd.folder, "none")))
    })

    it("is refused when another is known, with what to do", async () => {
      const other = sshd.newKey("other-host")
      const [type, base64] = readFileSync(`${other}.pub`, "utf8").split(" ")
      const known = file("known-other", `# one\n[127.0.0.1]:${sshd.port} ${type} ${base64}\n`)
      // Believing new ones is no way around a changed one.
      const state = await refusal({ ...sshd.options, knownHostsFile: known, acceptNew: true })
      assert.isTrue(state.permanent)
      assert.include(state.reason, "has changed")
      assert.include(state.reason, `${known} line 2`)
      assert.include(state.reason, `ssh-keygen -R '[127.0.0.1]:${sshd.port}'`)
      assert.strictEqual(readFileSync(known, "utf8").split("\n").length, 3)
      const pin = await refusal({ ...sshd.options, hostKeys: [`SHA256:${"a".repeat(43)}`] })
      assert.include(pin.reason, "is not the one in HAPROXY_SSH_HOST_KEY")
    })

    it("is refused when it is revoked, or the file cannot be read", async () => {
      const text = readFileSync(sshd.knownHosts, "utf8")
      const known = file("known-revoked", `${text}${text.replace(/^/gm, "@revoked ").replace(/@revoked $/, "")}`)
      assert.include((await refusal({ ...sshd.options, knownHostsFile: known })).reason, "@revoked")
      const folder = await refusal({ ...sshd.options, knownHostsFile: sshd.folder })
      assert.include(folder.reason, "cannot be read (EISDIR)")
      assert.isTrue(folder.permanent)
    })

    it("of a new host is believed once when that is wanted, and written down", async () => {
      const known = file("known-new", "elsewhere ssh-ed25519 AAAA")
      assert.isTrue(await isUp({ ...sshd.options, knownHostsFile: known, acceptNew: true }))
      const lines = readFileSync(known, "utf8").split("\n")
      assert.lengthOf(lines, 3)
      assert.strictEqual(lines[0], "elsewhere ssh-ed25519 AAAA")
      assert.isTrue(lines[1]!.startsWith(`[127.0.0.1]:${sshd.port} ssh-ed25519 `))
      assert.isTrue(await isUp({ ...sshd.options, knownHostsFile: known }))
      const fresh = join(sshd.folder, "new", "known_hosts")
      assert.isTrue(await isUp({ ...sshd.options, knownHostsFile: fresh, acceptNew: true }))
      assert.strictEqual(statSync(fresh).mode & 0o777, 0o600)
      const cannot = await refusal({ ...sshd.options, knownHostsFile: join(known, "x"), acceptNew: true })
      assert.include(cannot.reason, "cannot be read")
    })
  })

  describe("our key", () => {
    it("may be encrypted, of another type, and of an agent", async () => {
      const rsa = sshd.newKey("user-rsa", "rsa")
      const locked = sshd.newKey("user-locked", "ed25519", "open sesame")
      for (const key of [rsa, locked]) sshd.letIn(key)
      assert.isTrue(await isUp({ ...sshd.options, keyFile: rsa }))
      const passphrase = file("passphrase", "open sesame\nmore\n")
      assert.isTrue(await isUp({ ...sshd.options, keyFile: locked, keyPassphraseFile: passphrase }))
      const wrong = await refusal({ ...sshd.options, keyFile: locked, keyPassphraseFile: file("wrong", "0pen sesame") })
      assert.include(wrong.reason, "cannot be read with that passphrase")
      assert.notInclude(wrong.reason, "sesame")
      assert.include((await refusal({ ...sshd.options, keyFile: locked })).reason, "HAPROXY_SSH_KEY_PASSPHRASE_FILE")
    })

    it("may be one of an agent's", async () => {
      const socket = join(sshd.folder, "agent.sock")
      const agent: ChildProcess = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" })
      try {
        await becomes("the agent listens", () => existsSync(socket))
        const options = { ...sshd.options, keyFile: null, agentSocket: socket }
        assert.include((await refusal(options)).reason, "does not let")
        execFileSync("ssh-add", ["-q", sshd.newKey("of-nobody"), sshd.keyFile], {
          env: { ...process.env, SSH_AUTH_SOCK: socket },
          stdio: "ignore"
        })
        assert.isTrue(await isUp(options))
      } finally {
        agent.kill()
        await once(agent, "exit")
      }
      const gone = await refusal({ ...sshd.options, keyFile: null, agentSocket: socket })
      assert.include(gone.reason, "agent does not answer")
      assert.isTrue(gone.permanent)
    })

    it.each<readonly [what: string, make: () => Partial<SshOptions>, reason: string]>([
      ["is not let in", () => ({ keyFile: sshd.newKey("stranger") }), "does not let"],
      ["belongs to another user", () => ({ user: "nobody" }), "does not let nobody in"],
      ["is not there", () => ({ keyFile: "/none" }), "cannot be read (ENOENT)"],
      ["is there for all to read", () => {
        const key = sshd.newKey("open")
        chmodSync(key, 0o644)
        return { keyFile: key }
      }, "has mode 0644"],
      ["is there for the group to read", () => {
        const key = sshd.newKey("shared")
        chmodSync(key, 0o640)
        return { keyFile: key }
      }, "has mode 0640"],
      [
        "is a public one",
        () => ({ keyFile: file("public", readFileSync(`${sshd.keyFile}.pub`, "utf8")) }),
        "no private key"
      ],
      ["is no key", () => ({ keyFile: file("rubbish", "hunter2") }), "no private key in OpenSSH's or PEM form"],
      ["is none", () => ({ keyFile: null }), "set HAPROXY_SSH_KEY_FILE"]
    ])("%s: refused, and said", async (_, make, reason) => {
      const state = await refusal({ ...sshd.options, ...make() })
      assert.include(state.reason, reason)
      assert.notInclude(state.reason, "hunter2")
      assert.isTrue(state.permanent)
      assert.isAtLeast(state.nextAttemptAt - Date.now(), 55_000)
    })

    it("waits for its minute whatever is asked of it", async () => {
      await during({ ...sshd.options, keyFile: "/none" }, async ({ ssh, state }) => {
        const before = await state()
        await Effect.runPromise(ssh.exec(["true"], { timeout: 1_000 }).pipe(Effect.ignore))
        assert.deepStrictEqual(await state(), before)
      })
    })
  })

  describe("a server that lacks something", () => {
    it.each<readonly [what: string, subsystem: (server: string) => string | null, reason: string]>([
      ["SFTP", () => null, "it has no SFTP for us"],
      ["a working SFTP", () => "/bin/false", "it has no SFTP for us"],
      ["an extension", (server) => `${server} -P fsync`, "its SFTP server lacks fsync@openssh.com"]
    ])("such as %s is named", async (_, subsystem, reason) => {
      const other = await openSshd({ subsystem })
      try {
        const state = await refusal({ ...other.sshd.options, connectTimeout: 20_000 })
        assert.include(state.reason, reason)
        assert.isTrue(state.permanent)
      } finally {
        await other.end()
      }
    })
  })

  describe("a command", () => {
    const run = (argv: ReadonlyArray<string>, options: { timeout?: number; stdin?: string; largest?: number } = {}) =>
      Effect.runPromise(Effect.result(link.ssh.exec(argv, { timeout: 20_000, ...options })))
    const reasonOf = (result: Awaited<ReturnType<typeof run>>) =>
      Result.isFailure(result) && "reason" in result.failure ? result.failure.reason : "none"

    it("gets its words and its input as they are, and answers with code and outputs", async () => {
      const words = ["it's", "$HOME `id`", "", "a\\b", "\"q\"", "é"]
      assert.deepStrictEqual(
        await run(["printf", "%s|", ...words]),
        Result.succeed({
          code: 0,
          stdout: words.map((word) => `${word}|`).join(""),
          stderr: ""
        })
      )
      const script = "cat; echo bad >&2; exit 3"
      assert.deepStrictEqual(
        await run(["sh", "-c", script], { stdin: "in\n" }),
        Result.succeed({
          code: 3,
          stdout: "in\n",
          stderr: "bad\n"
        })
      )
    })

    it("is cut when it says too much", async () => {
      const result = await run(["sh", "-c", "yes | head -c 3000000; yes | head -c 3000000 >&2"], { largest: 1_000 })
      assert.isTrue(Result.isSuccess(result))
      if (Result.isSuccess(result)) {
        assert.strictEqual(result.success.code, 0)
        assert.lengthOf(result.success.stdout, 1_000)
        assert.lengthOf(result.success.stderr, 1_000)
      }
    })

    it("that is not there, takes too long, or dies, says so", async () => {
      assert.strictEqual(reasonOf(await run(["/no/such/program"])), "missing")
      assert.strictEqual(reasonOf(await run(["sleep", "60"], { timeout: 1_000 })), "timeout")
      assert.strictEqual((await run(["sh", "-c", "kill -9 $$"]).then(Result.getOrThrow)).code !== 0, true)
    })

    it("is ended there by its time at the latest when nobody waits for it any more", async () => {
      const pidFile = join(sshd.folder, "pid")
      const script = `echo $$ > '${pidFile}'; exec sleep 60`
      const fiber = Effect.runFork(link.ssh.exec(["sh", "-c", script], { timeout: 2_000 }))
      await becomes("it runs", () => existsSync(pidFile) && readFileSync(pidFile, "utf8").endsWith("\n"))
      const pid = Number(readFileSync(pidFile, "utf8"))
      await Effect.runPromise(Fiber.interrupt(fiber))
      await becomes("it is gone", () => !existsSync(`/proc/${pid}`))
    })

    it("is one of many: twenty at once all get their answer", async () => {
      const all = await Promise.all(Array.from({ length: 20 }, (_, index) => run(["echo", String(index)])))
      assert.deepStrictEqual(
        all.map((one) => Result.isSuccess(one) ? one.success.stdout : one.failure.message),
        Array.from({ length: 20 }, (_, index) => `${index}\n`)
      )
    })
  })

  describe("a stream", () => {
    let server: Server
    beforeAll(async () => {
      server = createServer((socket) => socket.on("error", () => {}).pipe(socket)).listen(
        join(sshd.folder, "echo.sock")
      )
      await once(server, "listening")
    })
    afterAll(() => {
      server.close()
    })
    const errorOf = async (stream: ReturnType<SshLink["ssh"]["openUnix"]>): Promise<NodeJS.ErrnoException> => {
      let error: NodeJS.ErrnoException = new Error("none")
      stream.on("error", (cause) => {
        error = cause
      })
      await new Promise((resolve) => stream.once("close", resolve))
      return error
    }
    const failure = async (stream: ReturnType<SshLink["ssh"]["openUnix"]>) => (await errorOf(stream)).code

    it("to a unix socket takes what is written before it is open, and ends when both have", async () => {
      const stream = link.ssh.openUnix(join(sshd.folder, "echo.sock"))
      const data = Buffer.alloc(5_000_000, "x")
      stream.end(data)
      const parts: Array<Buffer> = []
      for await (const part of stream) parts.push(part as Buffer)
      assert.isTrue(Buffer.concat(parts).equals(data))
    })

    it("to a TCP port works alike", async () => {
      const tcp = createServer((socket) => socket.end("hello")).listen(0, "127.0.0.1")
      await once(tcp, "listening")
      const { port } = tcp.address() as { readonly port: number }
      const parts: Array<Buffer> = []
      for await (const part of link.ssh.openTcp("127.0.0.1", port)) parts.push(part as Buffer)
      assert.strictEqual(Buffer.concat(parts).toString(), "hello")
      tcp.close()
      await once(tcp, "close")
      assert.strictEqual(await failure(link.ssh.openTcp("127.0.0.1", port)), "ECONNREFUSED")
    })

    it("that leads nowhere says why", async () => {
      assert.strictEqual(await failure(link.ssh.openUnix(join(sshd.folder, "none.sock"))), "ENOENT")
      const silent = file("no-socket", "")
      const stream = link.ssh.openUnix(silent)
      stream.write("lost")
      assert.strictEqual(await failure(stream), "ECONNREFUSED")
    })

    it("and files need no more than the documented rights of a key", async () => {
      const key = sshd.newKey("restricted")
      sshd.letIn(key, "restrict,port-forwarding")
      await during({ ...sshd.options, keyFile: key }, async ({ ssh }) => {
        assert.strictEqual((await ssh.disk.stat(sshd.folder))?.kind, "folder")
        const stream = ssh.openUnix(join(sshd.folder, "echo.sock"))
        stream.end("x")
        assert.strictEqual(String((await once(stream, "data"))[0]), "x")
        stream.destroy()
      })
    })

    it("that is destroyed leaves nothing open there", async () => {
      const open = () => new Promise<number>((resolve) => server.getConnections((_, count) => resolve(count)))
      await becomes("those of other tests are gone", async () => await open() === 0)
      const stream = link.ssh.openUnix(join(sshd.folder, "echo.sock"))
      stream.write("x")
      await once(stream, "data")
      assert.strictEqual(await open(), 1)
      stream.destroy()
      await becomes("it is closed there", async () => await open() === 0)
    })

    it("is refused where sshd forwards nothing", async () => {
      const other = await openSshd({ config: ["AllowStreamLocalForwarding no", "AllowTcpForwarding no"] })
      try {
        await during(other.sshd.options, async ({ ssh }) => {
          const error = await errorOf(ssh.openUnix(join(sshd.folder, "echo.sock")))
          assert.strictEqual(error.code, "ECONNREFUSED")
          assert.include(error.message, "AllowStreamLocalForwarding")
          assert.strictEqual(await failure(ssh.openTcp("127.0.0.1", 1)), "EACCES")
        })
      } finally {
        await other.end()
      }
    })
  })

  it("leaves no process there and no socket here when it ends", async () => {
    const sockets = () => process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length
    await becomes("only the kept one is open", () => sockets() === 1)
    const processes = sshd.processes().length
    await during(sshd.options, async ({ ssh }) => {
      await ssh.disk.stat("/")
      assert.isAbove(sshd.processes().length, processes)
    })
    await becomes("its processes are gone", () => sshd.processes().length === processes)
    await becomes("only the kept one is open again", () => sockets() === 1)
  })
})
