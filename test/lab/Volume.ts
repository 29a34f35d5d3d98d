/**
 * A file system of its own on a host, whose power can be cut: an image behind a loop device, mounted in that host's mount
 * namespace only, and shut down as the kernel's own tests of ext4 and XFS do it (the ioctl `FS_IOC_SHUTDOWN` without a
 * flush of the log). What was flushed is found after {@link Volume.recover}; nothing else is promised, and from the cut on
 * every call fails with EIO.
 */
import * as Effect from "effect/Effect"
import { spawn, spawnSync } from "node:child_process"
import { cpSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ensureProgram } from "../../scripts/debian/Catalogue.ts"
import { available } from "../support/Available.ts"
import { memoryFolder } from "../support/MemoryFolder.ts"
import { poll } from "../support/Poll.ts"
import { type Host, must } from "./Host.ts"

export type VolumeKind = "ext4" | "xfs"

export interface Volume {
  readonly kind: VolumeKind
  /** Where it is mounted on its host. */
  readonly folder: string
  /** The power goes. Answers when it is gone. */
  readonly cut: () => Promise<void>
  /** The machine comes back: unmounts (whoever had files open must have ended), and mounts what the disk holds. */
  readonly recover: () => Promise<void>
}

/** Bytes; XFS takes no less than 300 MB. The image is sparse, in memory where there is room. */
const size = 320 << 20

/** Can power cuts be simulated here? Says aloud when not. */
export const volumesWork = (): boolean =>
  available("power cuts of a file system", "perl", "-e", "1")
  && available("power cuts of a file system", "unshare", "--mount", "sh", "-c", "test -e /dev/loop-control")
  && available("power cuts of a file system", "sh", "-c", "test $(id -u) = 0")

/** How a file system is made; Debian's tools where the machine has none. */
const maker = async (kind: VolumeKind): Promise<readonly [string, ...Array<string>]> => {
  if (kind === "ext4") return ["mkfs.ext4", "-q", "-E", "lazy_itable_init=0"]
  const has = spawnSync("mkfs.xfs", ["-V"], { stdio: "ignore" }).status === 0
  return [has ? "mkfs.xfs" : (await ensureProgram("xfsprogs")).path, "-q"]
}

/** Waits for a line, then shuts the file system down: a program that is started before is quicker than one that is not. */
const cutter = `
open(my $folder, "<", $ARGV[0]) or die $!;
$| = 1;
print "ready\\n";
<STDIN>;
my $flag = pack("L", 2);
ioctl($folder, 0x8004587d, $flag) or die $!;
print "cut\\n";
`

/** A volume in the scope. `over`: a folder that it is mounted over, with what is in it; default: one of its own. */
export const makeVolume = (host: Host, kind: VolumeKind, over: string | null = null) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const image = join(mkdtempSync(join(memoryFolder, "haproxy-mcp-volume-")), "image")
      const folder = over ?? mkdtempSync(join(tmpdir(), `haproxy-mcp-${kind}-`))
      writeFileSync(image, "")
      truncateSync(image, size)
      const [make, ...args] = await maker(kind)
      must(make, ...args, image)
      const mount = () => void must(...host.inside("mount", "-o", "loop", image, folder))
      const unmount = () => {
        const [command, ...rest] = host.inside("umount", folder)
        return spawnSync(command, rest, { stdio: "ignore" }).status === 0
      }
      mount()
      if (over !== null) cpSync(over, host.seen(over), { recursive: true, preserveTimestamps: true })
      must(...host.inside("sync", "-f", folder))
      const armed = async () => {
        const [command, ...rest] = host.inside("perl", "-e", cutter, folder)
        const child = spawn(command, rest, { stdio: ["pipe", "pipe", "inherit"] })
        let said = ""
        child.stdout.on("data", (part) => said += String(part))
        const ended = new Promise<void>((resolve) => child.once("close", () => resolve()))
        await poll("the power can be cut", () => said.includes("ready") ? true : undefined)
        return {
          cut: async () => {
            child.stdin.end("\n")
            await ended
            if (!said.includes("cut")) throw new Error(`${kind} was not shut down`)
          },
          end: async () => {
            child.kill("SIGKILL")
            await ended
          }
        }
      }
      let arm = await armed()
      const volume: Volume = {
        kind,
        folder,
        cut: () => arm.cut(),
        recover: async () => {
          await arm.end()
          await poll(`${folder} can be unmounted`, () => unmount() ? true : undefined)
          mount()
          arm = await armed()
        }
      }
      const end = async () => {
        await arm.end()
        await poll(`${folder} can be unmounted`, () => unmount() ? true : undefined)
        rmSync(join(image, ".."), { recursive: true, force: true })
        if (over === null) rmSync(folder, { recursive: true, force: true })
      }
      return { volume, end }
    }),
    ({ end }) => Effect.promise(end)
  ).pipe(Effect.map(({ volume }) => volume))
