/** The same tests on both disks: this machine's, and the same files over SFTP from a real sshd. */
import { afterAll, beforeAll, describe } from "@effect/vitest"
import type { Disk } from "../../src/domain/Disk.ts"
import { localDisk } from "../../src/haproxy/files/LocalDisk.ts"
import { sshdReason } from "./Sshd.ts"
import { openSsh, openSshd } from "./SshLink.ts"

/** Declares tests for each disk; `disk` answers it once a test runs. */
export const onEachDisk = (body: (disk: () => Disk) => void): void => {
  describe("on this machine", () => body(() => localDisk))
  describe.skipIf(sshdReason !== null)("over SFTP", () => {
    let disk = localDisk
    const ends: Array<() => Promise<void>> = []
    beforeAll(async () => {
      const { end, sshd } = await openSshd()
      ends.push(end)
      const link = await openSsh(sshd.options)
      ends.unshift(link.end)
      disk = link.ssh.disk
    })
    afterAll(async () => {
      for (const end of ends) await end()
    })
    body(() => disk)
  })
}
