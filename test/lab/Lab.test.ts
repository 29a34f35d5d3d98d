/** The lab itself: two hosts that reach each other over one cable, and a file system that forgets what was not flushed. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from "node:fs"
import { join } from "node:path"
import { makeHost } from "./Host.ts"
import { labsWork, makeLab } from "./Lab.ts"
import { makeVolume, volumesWork } from "./Volume.ts"

const server = `
require("node:http").createServer((asked, answer) => answer.end(asked.socket.remoteAddress)).listen(8080, "0.0.0.0", () =>
  console.log("listening")
)`

describe.runIf(labsWork())("two hosts", () => {
  it.live("reach each other over the cable, and not without it", () =>
    Effect.gen(function*() {
      const { address, cable, edge, pod } = yield* makeLab
      yield* Effect.promise(async () => {
        const listening = edge.start(process.execPath, ["-e", server])
        await listening.until("listening")
        // Waits as long as it takes one packet to be sent once more.
        const visit = async () => {
          const visitor = pod.start("curl", ["-sS", "--max-time", "0.5", `http://${address.edge}:8080/`])
          const { code, stdout } = await visitor.ended
          return code === 0 ? stdout : `curl ends with ${code}`
        }
        assert.strictEqual(await visit(), address.pod)
        cable.pull()
        assert.strictEqual(await visit(), "curl ends with 28")
        cable.plug()
        assert.strictEqual(await visit(), address.pod)
        cable.muteEdge()
        assert.strictEqual(await visit(), "curl ends with 28")
        cable.unmuteEdge()
        assert.strictEqual(await visit(), address.pod)
        const answer = await fetch(`http://127.0.0.1:${await edge.reach(8080)}/`)
        assert.strictEqual(await answer.text(), "127.0.0.1")
        listening.signal("SIGKILL")
        await listening.ended
      })
    }).pipe(Effect.scoped))

  it.live("hides a folder from one of them", () =>
    Effect.gen(function*() {
      const { edge, folder, pod } = yield* makeLab
      const file = join(folder, "file")
      writeFileSync(file, "here")
      pod.hide(folder)
      const seen = async (by: typeof pod) => (await by.start("cat", [file]).ended).stdout
      assert.strictEqual(yield* Effect.promise(() => seen(pod)), "")
      assert.strictEqual(yield* Effect.promise(() => seen(edge)), "here")
    }).pipe(Effect.scoped))
})

const flush = (path: string) => {
  const fd = openSync(path, "r")
  fsyncSync(fd)
  closeSync(fd)
}

const put = (path: string, text: string) => {
  const fd = openSync(path, "w")
  writeSync(fd, text)
  fsyncSync(fd)
  closeSync(fd)
}

describe.runIf(volumesWork())("a volume", () => {
  it.live.each(["ext4", "xfs"] as const)(
    "of %s forgets a rename whose folder was not flushed, and no other",
    (kind) =>
      Effect.gen(function*() {
        const host = yield* makeHost("far", "", { network: false })
        const volume = yield* makeVolume(host, kind)
        const folder = host.seen(volume.folder)
        const [file, next] = [join(folder, "file"), join(folder, "next")]
        put(file, "old")
        flush(folder)
        for (const isFlushed of [false, true]) {
          put(next, "new")
          renameSync(next, file)
          if (isFlushed) flush(folder)
          yield* Effect.promise(volume.cut)
          assert.throws(() => put(next, "more"), "EIO")
          yield* Effect.promise(volume.recover)
          assert.strictEqual(readFileSync(file, "utf8"), isFlushed ? "new" : "old")
        }
      }).pipe(Effect.scoped)
  )
})
