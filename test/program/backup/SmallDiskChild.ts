/** A process of its own that makes backups on a small disk, which is the folder `small` beside the database. */
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { imageAtRest, makeBackup } from "../../../src/program/backup/Backup.ts"
import { fill, makeRoom } from "../../support/SmallDisk.ts"

const [database = ""] = process.argv.slice(2)

/** The disk is full but for some KB, then there is room. */
const full = Effect.gen(function*() {
  const folder = join(dirname(database), "small")
  const images = yield* imageAtRest(database)
  const make = makeBackup(images, { database, folder, now: Date.now(), retention: { keep: 2, days: 0 } })
  const first = yield* make
  fill(folder, 8)
  const refused = yield* Effect.flip(make)
  makeRoom(folder)
  yield* make
  return { first, refused: `${refused._tag}: ${refused.message} ${refused.hint}` }
})

writeFileSync(1, `${JSON.stringify(await Effect.runPromise(Effect.result(full)))}\n`)
