/** The folder of certificates when the disk, the folder or the process goes away: files are whole, or as before. */
import { assert, beforeEach, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach } from "vitest"
import { CertificateFiles } from "../../src/haproxy/certificates/CertificateFiles.ts"
import { available } from "../support/Available.ts"
import { bundledScript } from "../support/BundledScript.ts"
import { bundleOf, makeCertificate } from "../support/Certificates.ts"
import type { Step, StepResult } from "./CertificateFilesChild.ts"

const child = await bundledScript(new URL("./CertificateFilesChild.ts", import.meta.url))
const canTrace = available("faults of the file system under certificates", "strace", "-f", "-o", "/dev/null", "true")
const canMount = available("a full and a read-only folder of certificates", "unshare", "-Urm", "true")

const [first, second] = [makeCertificate(["a.test"]), makeCertificate(["a.test"], { key: "RSA4096", chain: 3 })]

let dir: string
let folder: string
beforeEach(() => {
  dir = fs.mkdtempSync(join(tmpdir(), "certificate-faults-"))
  folder = join(dir, "certs")
  fs.mkdirSync(folder)
  fs.writeFileSync(join(dir, "first.pem"), first.text)
  fs.writeFileSync(join(dir, "second.pem"), second.text)
})
afterEach(() => fs.rmSync(dir, { recursive: true, force: true }))

/** Runs the child behind `prefix`; one pool thread, so that its system calls come in one order. */
const run = (steps: ReadonlyArray<Step>, prefix: ReadonlyArray<string> = []) => {
  const [command, ...args] = [...prefix, process.execPath, child, folder, JSON.stringify(steps)]
  const done = spawnSync(command!, args, {
    encoding: "utf8",
    timeout: 50_000,
    env: { ...process.env, UV_THREADPOOL_SIZE: "1" }
  })
  const results = done.stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line) as StepResult)
  return { results, oks: results.map(({ ok }) => ok), stderr: done.stderr }
}

const stage = (which: "first" | "second"): Step => ({ stage: "a.test", pem: join(dir, `${which}.pem`) })
const read: Step = { read: "a.test" }
/** The first one is there, as the control plane wrote it. */
const install = () => {
  fs.writeFileSync(join(folder, "a.test.pem"), Redacted.value(bundleOf(first.text).text), { mode: 0o600 })
}
/** What the next start reads. */
const readAnew = () =>
  Effect.runPromise(
    Effect.flatMap(CertificateFiles, (files) => files.read("a.test")).pipe(
      Effect.map((bundle) => bundle === null ? [] : is(bundle.facts)),
      Effect.provide(CertificateFiles.layer({ folder }))
    )
  )

/** What lies there under names that HAProxy loads: the SHA-1 of each; a half file fails. */
const whole = (): ReadonlyArray<string> =>
  fs.readdirSync(folder).filter((name) => !name.startsWith(".")).map((name) =>
    `${name} ${bundleOf(fs.readFileSync(join(folder, name), "utf8")).facts.sha1}`
  )
const is = (one: { readonly sha1: string }) => [`a.test.pem ${one.sha1}`]
const listing = () => fs.readdirSync(folder)

/** Fails or kills at the n-th of some system calls, only of those on `path` where it is given. */
const inject = (fault: string, path?: string) => [
  "strace",
  "-f",
  "-qq",
  "-o",
  "/dev/null",
  ...(path === undefined ? [] : ["-P", path]),
  "-e",
  `trace=${fault.split(":")[0]}`,
  "-e",
  `inject=${fault}`
]
const mounted = (mount: string) => ["unshare", "-Urm", "sh", "-c", `${mount} && shift && exec "$@"`, "sh", folder]

describe.skipIf(!canMount)("a folder", () => {
  it("that is full: nothing new comes in, what is there stays, and the way back needs no room", () => {
    const steps: ReadonlyArray<Step> = [
      stage("first"),
      "publish",
      "discard",
      stage("second"),
      "fill",
      "publish",
      read,
      "restore",
      read,
      "discard",
      "fill",
      stage("second"),
      read
    ]
    const { oks, results, stderr } = run(steps, mounted("mount -t tmpfs -o size=64k none \"$1\""))
    assert.deepStrictEqual(oks, steps.map((_, index) => index !== steps.length - 2), stderr)
    assert.deepStrictEqual([6, 8, 12].map((at) => results[at]?.sha1), [second.sha1, first.sha1, first.sha1])
    assert.match(results.at(-2)?.message ?? "", /a\.test\.pem \(ENOSPC\)/)
    assert.match(results.at(-2)?.hint ?? "", /disk is full/)
  })

  it("that is read-only: is read, and every write says why not", () => {
    install()
    const before = whole()
    const readOnly = mounted("mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\"")
    const { oks, results, stderr } = run([read, stage("second"), { remove: "a.test" }, read], readOnly)
    assert.deepStrictEqual(oks, [true, false, false, true], stderr)
    assert.match(results[1]?.hint ?? "", /read-only/)
    assert.match(results[2]?.hint ?? "", /read-only/)
    assert.match(results[0]?.check ?? "", /certs \(EROFS\)\. The folder is mounted read-only/)
    assert.deepStrictEqual(whole(), before)
  })
})

describe.skipIf(!canTrace)("system call faults", () => {
  it("a folder that cannot be made durable: the certificate of before stands again", () => {
    install()
    const eio = inject("fsync:error=EIO:when=1", folder)
    const { oks, results, stderr } = run([stage("second"), "publish", read, "discard"], eio)
    assert.deepStrictEqual(oks, [true, false, true, true], stderr)
    assert.match(results[1]?.message ?? "", /EIO/)
    assert.strictEqual(results[2]?.sha1, first.sha1)
    assert.deepStrictEqual([whole(), listing()], [is(first), ["a.test.pem"]])
    // The same where nothing was before, and for a removal.
    assert.deepStrictEqual(run([{ remove: "a.test" }, read], eio).results.map(({ sha1 }) => sha1), [
      undefined,
      first.sha1
    ])
    fs.unlinkSync(join(folder, "a.test.pem"))
    assert.deepStrictEqual(run([stage("first"), "publish", "discard"], eio).oks, [true, false, true])
    assert.deepStrictEqual(listing(), [])
  })

  it("a file system without links: what was before is kept as a copy", () => {
    install()
    const steps: ReadonlyArray<Step> = [stage("second"), "publish", read, "restore", read, "discard"]
    const { oks, results, stderr } = run(steps, inject("link,linkat:error=EPERM"))
    assert.deepStrictEqual(oks, steps.map(() => true), stderr)
    assert.deepStrictEqual([results[2]?.sha1, results[4]?.sha1], [second.sha1, first.sha1])
    assert.deepStrictEqual([whole(), listing()], [is(first), ["a.test.pem"]])
  })

  it.each(
    [
      ["link", "link,linkat", 1],
      ["rename", "rename,renameat,renameat2", 1],
      ["fsync of the file", "fsync", 1],
      ["fsync of the folder", "fsync", 2],
      ["rename of the way back", "rename,renameat,renameat2", 2],
      ["unlink", "unlink,unlinkat", 1]
    ] as const
  )(
    "killed at the %s: the file is the old one or the new one, and the next start leaves nothing",
    async (_, call, when) => {
      install()
      const steps: ReadonlyArray<Step> = [stage("second"), "publish", "restore", "discard"]
      const killed = run(steps, inject(`${call}:signal=KILL:when=${when}`))
      assert.isBelow(killed.results.length, steps.length, killed.stderr)
      const between = whole()
      assert.include([is(first)[0], is(second)[0]], between[0])
      assert.strictEqual(between.length, 1)
      assert.deepStrictEqual(await readAnew(), between)
      assert.deepStrictEqual(listing(), ["a.test.pem"])
    }
  )

  it.each([
    ["rename", "rename,renameat,renameat2"],
    ["fsync of the folder", "fsync"],
    ["unlink", "unlink,unlinkat"]
  ])("killed at the %s of a removal: it is there again", async (_, call) => {
    install()
    const killed = run([{ remove: "a.test" }, "discard"], inject(`${call}:signal=KILL:when=1`))
    assert.isBelow(killed.results.length, 2, killed.stderr)
    assert.deepStrictEqual(await readAnew(), is(first))
    assert.deepStrictEqual(listing(), ["a.test.pem"])
  })
})
