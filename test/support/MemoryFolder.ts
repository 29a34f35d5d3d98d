/** Where files lie in memory: for tests to which the disk's speed says nothing. */
import { statfsSync } from "node:fs"
import { tmpdir } from "node:os"

/** Bytes that must be free; some systems give it very little. */
const enough = 2 ** 30

/** `/dev/shm` where there is room in it, else the system's temporary folder. */
export const memoryFolder: string = (() => {
  try {
    const { bavail, bsize } = statfsSync("/dev/shm")
    return bavail * bsize >= enough ? "/dev/shm" : tmpdir()
  } catch {
    return tmpdir()
  }
})()
